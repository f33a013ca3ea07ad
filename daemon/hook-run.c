/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A hook is a child in a process group of its own (hook-child.c), or runs in a unit of its own where the service
 * manager listens for that (hook-unit.c), and nothing that it does holds the daemon:
 * its input is a file in memory, written before it starts, so it may read it or not; its output is read
 * when the loop has nothing else to do, and no further than HOOK_OUTPUT_MAX: what it writes beyond that is
 * refused to it (EPIPE). When its time is over its end is told at once, its group gets SIGTERM, and
 * HOOK_TERM_US later SIGKILL. One that has ended takes along what it has left in its group.
 *
 * The child after which the group is named ends when the program has, and is not reaped before the group has been
 * killed. One that SIGKILL does not end, since it waits for a device, so counts until it is gone. With a unit
 * it is the connection that is left instead: the program there, and then the service manager, see to the rest, and
 * it is gone when they have closed their end.
 */
#include "daemon/hook-run.h"
#include "daemon/hook-child.h"
#include "daemon/hook-unit.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HOOK_OUTPUT_MAX = 65536, HOOK_KEPT_MAX = 4096, HOOK_TERM_US = 1000000 };

/**
 * struct hook_run - one under way
 * @pid: of the child, and its group's number; -1 with a unit
 * @unit: the connection to it, -1 without
 * @output: our end, -1 closed
 * @seen: bytes of output read; @kept the first of them
 * @told: its outcome was told, or is not wanted
 * @warned: its group got SIGTERM
 */
struct hook_run {
	sd_event *event;
	struct hook_ends ends;
	pid_t pid;
	int unit;
	int output;
	unsigned int timeout_ms;
	sd_event_source *end, *reader, *timer;
	size_t seen, n_kept;
	char kept[HOOK_KEPT_MAX];
	bool told, warned;
};

static void free_run(struct hook_run *r)
{
	sd_event_source_disable_unref(r->end);
	sd_event_source_disable_unref(r->reader);
	sd_event_source_disable_unref(r->timer);
	if (r->output >= 0)
		close(r->output);
	if (r->unit >= 0)
		close(r->unit);
	free(r);
}

static void tell(struct hook_run *r, struct hook_outcome *o)
{
	if (r->told)
		return;
	r->told = true;
	hook_first_line(r->kept, r->n_kept, o->reason);
	r->ends.ended(r->ends.arg, o);
}

static void close_output(struct hook_run *r)
{
	r->reader = sd_event_source_disable_unref(r->reader);
	if (r->output >= 0)
		close(r->output);
	r->output = -1;
}

/* Return: whether there may be more. */
static bool read_output(struct hook_run *r)
{
	char bytes[4096];
	ssize_t n = r->output < 0 ? 0 : read(r->output, bytes, sizeof(bytes));
	size_t keep;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n > 0) {
		keep = (size_t)n < HOOK_KEPT_MAX - r->n_kept ? (size_t)n
							     : HOOK_KEPT_MAX - r->n_kept;
		memcpy(r->kept + r->n_kept, bytes, keep);
		r->n_kept += keep;
		r->seen += (size_t)n;
	}
	if (n > 0 && r->seen < HOOK_OUTPUT_MAX)
		return true;
	close_output(r);
	return false;
}

static int on_output(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	(void)read_output(userdata);
	return 0;
}

static void finish(struct hook_run *r, struct hook_outcome *o)
{
	struct hook_ends ends = r->ends;

	while (read_output(r))
		;
	tell(r, o);
	free_run(r);
	ends.gone(ends.arg);
}

/* The child is reaped when this has returned. */
static int on_ended(sd_event_source *s, const siginfo_t *si, void *userdata)
{
	struct hook_run *r = userdata;
	struct hook_outcome o = { .how = si->si_code == CLD_EXITED ? HOOK_EXITED : HOOK_KILLED,
				  .code = si->si_status };

	kill(-r->pid, SIGKILL);
	finish(r, &o);
	return 0;
}

static int on_unit(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct hook_outcome o = { 0 };

	hook_unit_receive(fd, &o);
	finish(userdata, &o);
	return 0;
}

static int on_time(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct hook_run *r = userdata;
	struct hook_outcome late = { .how = HOOK_LATE, .code = (int)r->timeout_ms };
	bool again = r->warned;

	r->warned = true;
	while (!r->told && read_output(r))
		;
	tell(r, &late);
	if (r->unit >= 0) {
		shutdown(r->unit, SHUT_WR);
		return 0;
	}
	if (!again) {
		(void)sd_event_source_set_time_relative(s, HOOK_TERM_US);
		(void)sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
	}
	kill(-r->pid, again ? SIGKILL : SIGTERM);
	return 0;
}

bool hook_run_is_child(const struct hook_run *r)
{
	return r->unit < 0;
}

void hook_run_drop(struct hook_run *r)
{
	r->told = true;
	(void)sd_event_source_set_time_relative(r->timer, 0);
}

void hook_run_kill(struct hook_run *r)
{
	if (r->pid > 0) {
		kill(-r->pid, SIGKILL);
		kill(r->pid, SIGKILL);
	}
	free_run(r);
}

/* Above the standard streams, which dup2() will replace. */
static int raise_fd(int fd)
{
	int r = fd < 0 ? -errno : fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return r;
	if (r < 0)
		r = -errno;
	close(fd);
	return r;
}

/* A file of its own for each call, since all who have it share its position. */
static int make_input(const char *text)
{
	int fd = raise_fd(memfd_create("vcpuhp-hook", MFD_CLOEXEC));
	size_t len = strlen(text);

	if (fd < 0)
		return fd;
	if (write(fd, text, len) == (ssize_t)len && write(fd, "\n", 1) == 1 &&
	    lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	close(fd);
	return -ENOMEM;
}

static int start_child(struct hook_run *r, const struct hook_call *call, int input, int output)
{
	struct hook_child c = { .input = input, .output = output, .daemon = getpid() };
	struct hook_words w;

	hook_words_make(&w, &c, call);
	r->pid = fork();
	if (r->pid == 0)
		hook_child_be(&c);
	return r->pid < 0 ? -errno : 0;
}

/* A socket that nobody serves, or not for this user, is as none. */
static int start(struct hook_run *r, const struct hook_call *call, int input, int output)
{
	const char *socket = hook_unit_socket();

	r->unit = socket ? hook_unit_send(socket, call, input, output) : -ENOENT;
	if (r->unit >= 0)
		return 0;
	if (r->unit == -ENOENT || r->unit == -ECONNREFUSED || r->unit == -EACCES)
		return start_child(r, call, input, output);
	return r->unit;
}

static int launch(struct hook_run *r, const struct hook_call *call)
{
	int input = make_input(call->text), output, ends[2], e;

	if (input < 0)
		return input;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		close(input);
		return -EMFILE;
	}
	r->output = ends[0];
	output = raise_fd(ends[1]);
	e = output < 0 ? output : 0;
	if (e == 0 && fcntl(r->output, F_SETFL, O_NONBLOCK) < 0)
		e = -errno;
	if (e == 0)
		e = start(r, call, input, output);
	close(input);
	if (output >= 0)
		close(output);
	return e;
}

static int watch(struct hook_run *r)
{
	int e = r->unit >= 0 ? sd_event_add_io(r->event, &r->end, r->unit, EPOLLIN, on_unit, r)
			     : sd_event_add_child(r->event, &r->end, r->pid, WEXITED, on_ended, r);

	if (e >= 0)
		e = sd_event_add_io(r->event, &r->reader, r->output, EPOLLIN, on_output, r);
	/* The loop's other work comes first, whatever a hook prints. */
	if (e >= 0)
		e = sd_event_source_set_priority(r->reader, SD_EVENT_PRIORITY_IDLE);
	if (e >= 0)
		e = sd_event_add_time_relative(r->event, &r->timer, CLOCK_MONOTONIC,
					       (uint64_t)r->timeout_ms * 1000, 1000, on_time, r);
	return e < 0 ? e : 0;
}

int hook_run_start(struct hook_run **ret, sd_event *event, const struct hook_call *call,
		   const struct hook_ends *ends)
{
	struct hook_run *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return -ENOMEM;
	*r = (struct hook_run){ .event = event,
				.ends = *ends,
				.pid = -1,
				.unit = -1,
				.output = -1,
				.timeout_ms = call->timeout_ms };
	e = launch(r, call);
	if (e == 0) {
		e = watch(r);
		/* It has hardly begun. */
		if (e < 0 && r->pid > 0) {
			kill(-r->pid, SIGKILL);
			kill(r->pid, SIGKILL);
			waitpid(r->pid, NULL, 0);
		}
	}
	if (e < 0) {
		free_run(r);
		return e;
	}
	*ret = r;
	return 0;
}
