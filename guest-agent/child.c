/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/child.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void close_between(unsigned int first, unsigned int last)
{
	if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
		return;
	/* Kernels before 5.9. */
	for (long end = sysconf(_SC_OPEN_MAX); first <= last && (long)first < end; first++)
		close((int)first);
}

static int compare(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void close_others(int *keep, size_t n)
{
	unsigned int first = STDERR_FILENO + 1;

	qsort(keep, n, sizeof(*keep), compare);
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < (int)first)
			continue;
		close_between(first, (unsigned int)keep[i] - 1);
		first = (unsigned int)keep[i] + 1;
	}
	close_between(first, ~0U);
}

static void become_child(pid_t parent, const int *keep, size_t n, int fd)
{
	int all[CHILD_KEEP_MAX + 1];
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (n)
		memcpy(all, keep, n * sizeof(*keep));
	all[n] = fd;
	close_others(all, n + 1);
}

pid_t child_fork(const int *keep, size_t n, int *ret_fd)
{
	pid_t parent = getpid(), pid;
	int pair[2];

	assert(n <= CHILD_KEEP_MAX);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		pid = -errno;
		close(pair[0]);
		close(pair[1]);
		return pid;
	}
	if (pid == 0) {
		become_child(parent, keep, n, pair[1]);
		*ret_fd = pair[1];
		return 0;
	}
	close(pair[1]);
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	*ret_fd = pair[0];
	return pid;
}

void child_hang_up(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
