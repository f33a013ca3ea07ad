/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * One callback program, from fork to reaping, under one deadline on the monotonic clock.
 *
 * The child is a process group of its own, dies with the worker (PR_SET_PDEATHSIG), and inherits
 * nothing but its three standard streams, the CPU binding and, for a script, the descriptor its
 * interpreter reads it from. If exec fails the errno comes back through a second pipe that a
 * successful exec closes.
 *
 * The parent waits for the program itself, by a pidfd, and not for the end of its output: something
 * the program left in the background may hold that pipe for ever. Once the program is a zombie the
 * CPU it last ran on is read, its group is killed (its number cannot be taken by another while the
 * zombie stands), what the pipe still has is read without waiting, and only then is it reaped.
 * Meanwhile it listens for an order to end the program before its time.
 *
 * Limits: 64 KiB of output are looked at, the rest is read and dropped; a program that does not die
 * of SIGKILL within REAP_MS (stuck in the kernel) is left behind.
 */
#include "guest-agent/callback-file.h"
#include "guest-agent/callback-launch.h"
#include "guest-agent/callback.h"
#include "guest-agent/cleanup.h"
#include "guest-agent/process.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum {
	OUTPUT_MAX = 65536,
	REAP_MS = 1000,
	TERM_MS = 1000,        /* between SIGTERM and SIGKILL */
	NO_PIDFD_POLL_MS = 10, /* kernels before 5.3 */
};

/*
 * struct child - the program under way
 * @exited: it is a zombie, not yet reaped
 * @output, @failure: our ends of its output and of the pipe its exec error comes through
 * @seen: bytes of output looked at
 * @line, @line_len: the line being read, cut
 */
struct child {
	pid_t pid;
	int pidfd;
	bool exited;
	int output;
	int failure;
	size_t seen;
	char line[CALLBACK_TEXT_MAX];
	size_t line_len;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/*
 * Keep 0 to 2 out of the descriptors made here: dup2() onto them would destroy one. Once taken they
 * stay taken, closed at exec.
 */
static int hold_standard_numbers(int root)
{
	int fd;

	do {
		fd = openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
	} while (fd <= 2);
	close(fd);
	return 0;
}

/* Fork and start. @c gets what the parent keeps. Return: 0 or -errno. */
static int start(struct launch *l, struct child *c)
{
	AUTO_CLOSE int output = -1;
	AUTO_CLOSE int failure = -1;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	c->output = ends[0];
	output = ends[1];
	l->output = output;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	c->failure = ends[0];
	failure = ends[1];
	l->failure = failure;
	if (fcntl(c->output, F_SETFL, O_NONBLOCK) < 0 || fcntl(c->failure, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	l->parent = getpid();
	c->pid = fork();
	if (c->pid < 0)
		return -errno;
	if (c->pid == 0)
		launch_exec(l);
	/* Both sides set it: whichever comes first, the group exists before it can be killed. */
	setpgid(c->pid, c->pid);
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	return 0;
}

static bool has_exited(struct child *c)
{
	siginfo_t info = { 0 };

	if (!c->exited)
		c->exited = waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT | WNOHANG) == 0 &&
			    info.si_pid == c->pid;
	return c->exited;
}

/* The line that ends here becomes the text, unless it is blank. */
static void end_line(struct child *c, struct callback_result *ret)
{
	size_t blank = 0;

	while (blank < c->line_len && c->line[blank] == ' ')
		blank++;
	if (blank < c->line_len) {
		memcpy(ret->text, c->line, c->line_len);
		ret->text[c->line_len] = '\0';
	}
	c->line_len = 0;
}

static void take_output(struct child *c, const char *bytes, size_t n, struct callback_result *ret)
{
	for (size_t i = 0; i < n && c->seen < OUTPUT_MAX; i++, c->seen++) {
		char b = bytes[i];

		if (b == '\n')
			end_line(c, ret);
		else if (c->line_len < sizeof(c->line))
			c->line[c->line_len++] = b >= ' ' && b < 0x7f ? b : '?';
	}
}

/* Read once. Return: the number of bytes, 0 when there are none now. */
static size_t read_output(struct child *c, struct callback_result *ret)
{
	char bytes[4096];
	ssize_t n;

	if (c->output < 0)
		return 0;
	n = read(c->output, bytes, sizeof(bytes));
	if (n > 0) {
		take_output(c, bytes, (size_t)n, ret);
		return (size_t)n;
	}
	if (n == 0) {
		close(c->output);
		c->output = -1;
	}
	return 0;
}

/* Milliseconds poll() may wait. */
static int patience(const struct child *c, int64_t left)
{
	if (c->pidfd < 0 && (left < 0 || left > NO_PIDFD_POLL_MS))
		return NO_PIDFD_POLL_MS;
	return left > INT_MAX ? INT_MAX : (int)left;
}

/*
 * Wait for the program to end. @limit: monotonic ms, 0 none; @call: whose orders are listened to,
 * NULL nobody's. Return: 0, -ETIMEDOUT, or what an order says.
 */
static int wait_exit(struct child *c, int64_t limit, const struct callback_call *call,
		     struct callback_result *ret)
{
	int orders = call && call->orders ? call->orders : -1;
	int order;

	while (!has_exited(c)) {
		struct pollfd p[] = {
			{ .fd = c->output, .events = POLLIN },
			{ .fd = c->pidfd, .events = POLLIN },
			{ .fd = orders, .events = POLLIN },
		};
		int64_t left = limit ? limit - now_ms() : -1;

		if (limit && left <= 0)
			return -ETIMEDOUT;
		if (poll(p, 3, patience(c, left)) <= 0)
			continue;
		if (p[0].revents)
			read_output(c, ret);
		order = call && p[2].revents ? call->on_order(call->ctx) : 0;
		if (order < 0)
			return order;
		if (order > 0)
			orders = -1;
	}
	return 0;
}

/* The program has ended: what it printed, where it ran, what it said. Reaps it. */
static void finish(struct child *c, struct callback_result *ret)
{
	siginfo_t info = { 0 };
	struct process_stat s;
	size_t drained = 0, n;
	int error;

	ret->ran_on = process_read(c->pid, &s) < 0 ? -1 : s.cpu;
	kill(-c->pid, SIGKILL);
	while (drained < OUTPUT_MAX && (n = read_output(c, ret)) > 0)
		drained += n;
	end_line(c, ret);
	waitid(P_PID, (id_t)c->pid, &info, WEXITED);
	if (read(c->failure, &error, sizeof(error)) == sizeof(error)) {
		ret->rc = error;
	} else if (info.si_code == CLD_EXITED) {
		ret->rc = info.si_status;
	} else {
		ret->signal = info.si_status;
		ret->rc = 128 + ret->signal;
	}
}

/* Its group, and itself where it has left that. */
static void signal_all(const struct child *c, int number)
{
	kill(-c->pid, number);
	kill(c->pid, number);
}

static void watch(struct child *c, const struct callback_call *call, struct callback_result *ret)
{
	int64_t limit = call->deadline_ms ? now_ms() + call->deadline_ms : 0;
	int r = wait_exit(c, limit, call, ret);

	if (r < 0 && r != -ETIMEDOUT) {
		signal_all(c, SIGTERM);
		wait_exit(c, now_ms() + TERM_MS, NULL, ret);
	}
	if (r < 0 && !c->exited) {
		signal_all(c, SIGKILL);
		wait_exit(c, now_ms() + REAP_MS, NULL, ret);
	}
	if (c->exited)
		finish(c, ret);
	/* One that came to its end all the same has done its work. */
	if (r < 0 && (!c->exited || ret->rc)) {
		ret->rc = r;
		ret->signal = 0;
	}
}

static int run(const struct callback_call *call, struct child *c, struct callback_result *ret)
{
	struct launch l;
	AUTO_CLOSE int folder = -1;
	AUTO_CLOSE int program = -1;
	int r;

	r = hold_standard_numbers(call->root);
	if (r < 0)
		return r;
	folder = callback_open_folder(call->root, call->dir);
	if (folder < 0)
		return folder;
	program = callback_open_program(folder, call->name);
	if (program == -ENOENT && call->kept > 0)
		program = fcntl(call->kept, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (program < 0)
		return program;
	launch_init(&l, call, folder, program);
	r = start(&l, c);
	if (r < 0)
		return r;
	watch(c, call, ret);
	return 0;
}

void callback_run(const struct callback_call *call, struct callback_result *ret)
{
	struct child c = { .pidfd = -1, .output = -1, .failure = -1 };
	int r;

	*ret = (struct callback_result){ .ran_on = -1 };
	r = run(call, &c, ret);
	if (r < 0)
		ret->rc = r;
	close_fd(&c.pidfd);
	close_fd(&c.output);
	close_fd(&c.failure);
}
