/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/hook-child.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Two processes: the program, and before it one that waits for it, since a program cannot be made to
 * take its children along when the daemon is killed. The group is named after the one that waits, so its number
 * is nobody else's until that one is reaped; but that one has gone over to the daemon's group, so what is sent to
 * the group does not end it: it is there for as long as the program is, also where SIGKILL does not help at once.
 * It has every signal blocked, and is told of the daemon's death by ORPHANED.
 */
#define ORPHANED SIGUSR1

enum { FILES_MAX = 1024, NOT_RUN = 127 };

void hook_words_make(struct hook_words *w, struct hook_child *c, const struct hook_call *call)
{
	char **env = c->envp;

	snprintf(w->path, sizeof(w->path), "%s/%s", call->dir, call->name);
	snprintf(w->search, sizeof(w->search), "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
	snprintf(w->domain, sizeof(w->domain), "VCPUHP_DOMAIN=%s", call->domain);
	snprintf(w->event, sizeof(w->event), "VCPUHP_EVENT=%s", hook_event_name(call->event));
	snprintf(w->op, sizeof(w->op), "VCPUHP_OP=%s", call->op);
	c->path = w->path;
	c->argv[0] = w->path;
	c->argv[1] = strchr(w->domain, '=') + 1;
	c->argv[2] = strchr(w->event, '=') + 1;
	*env++ = w->search;
	*env++ = w->domain;
	*env++ = w->event;
	if (*call->op)
		*env++ = w->op;
}

static void say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		_exit(NOT_RUN);
}

/* The daemon has raised it for its sockets; programs that use select() rely on it. */
static void lower_limits(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur > FILES_MAX) {
		l.rlim_cur = FILES_MAX;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

/* The session is the daemon's, and so would the terminal be of one that was started by hand. */
static void leave_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return;
	ioctl(fd, TIOCNOTTY);
	close(fd);
}

__attribute__((noreturn)) static void be_program(const struct hook_child *c)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	leave_terminal();
	umask(022);
	lower_limits();
	execve(c->path, c->argv, c->envp);
	say("cannot be executed: ");
	say(strerrordesc_np(errno));
	_exit(NOT_RUN);
}

__attribute__((noreturn)) static void end_as(int status)
{
	const struct rlimit no_core = { 0, 0 };
	sigset_t none;

	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	setrlimit(RLIMIT_CORE, &no_core);
	signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	raise(WTERMSIG(status));
	_exit(128 + WTERMSIG(status));
}

__attribute__((noreturn)) static void wait_for(pid_t program, pid_t daemon)
{
	sigset_t set;
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, ORPHANED);
	for (;;) {
		if (getppid() != daemon) {
			kill(-getpid(), SIGKILL);
			_exit(NOT_RUN);
		}
		if (waitpid(program, &status, WNOHANG) == program)
			end_as(status);
		sigwaitinfo(&set, NULL);
	}
}

void hook_child_be(const struct hook_child *c)
{
	sigset_t all;
	pid_t program;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	signal(SIGCHLD, SIG_DFL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, ORPHANED);
	if (dup2(c->input, 0) < 0 || dup2(c->output, 1) < 0 || dup2(c->output, 2) < 0)
		_exit(NOT_RUN);
	/* Its sockets, and the lock of its folder, are the daemon's alone. */
	syscall(SYS_close_range, 3, ~0U, 0);
	if (chdir("/") < 0)
		_exit(NOT_RUN);
	program = fork();
	if (program < 0) {
		say("cannot be started: ");
		say(strerrordesc_np(errno));
		_exit(NOT_RUN);
	}
	if (program == 0)
		be_program(c);
	setpgid(0, getpgid(c->daemon));
	syscall(SYS_close_range, 0, 2, 0);
	wait_for(program, c->daemon);
}
