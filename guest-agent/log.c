/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/log.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A pipe or a terminal can be opened once more, and O_NONBLOCK is that description's alone. Set on
 * what was inherited it would befall everybody who shares it, the shell that started us first.
 */
void log_init(struct log *l)
{
	struct stat st;
	int fd = -1;

	/* Where it is closed its number will be something else's. */
	l->fd = -1;
	if (fstat(STDERR_FILENO, &st) < 0)
		return;
	l->is_socket = S_ISSOCK(st.st_mode);
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
		fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	l->fd = fd < 0 ? STDERR_FILENO : fd;
}

static ssize_t write_now(const struct log *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLOUT };

	if (l->is_socket)
		return send(l->fd, l->buf, l->used, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (l->fd == STDERR_FILENO && poll(&p, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	/* This much a pipe that has room takes at once. */
	return write(l->fd, l->buf, l->used < PIPE_BUF ? l->used : PIPE_BUF);
}

/* Return: whether all is written. */
static bool write_out(struct log *l)
{
	while (l->used) {
		ssize_t n = write_now(l);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || (n < 0 && errno == EAGAIN))
			return false;
		if (n < 0)
			n = (ssize_t)l->used; /* nobody is there to read it */
		l->used -= (size_t)n;
		memmove(l->buf, l->buf + n, l->used);
	}
	return true;
}

void log_flush(struct log *l)
{
	char line[80];
	int len;

	if (!write_out(l) || !l->lost)
		return;
	len = snprintf(line, sizeof(line), "vcpuhp-agent: %u lines are missing here\n", l->lost);
	l->lost = 0;
	log_add(l, line, (size_t)len);
	(void)write_out(l);
}

void log_add(struct log *l, const char *line, size_t len)
{
	if (!l->lost && len > LOG_SIZE - l->used)
		log_flush(l);
	/* What comes behind a line that is missing waits until that has been said in its place. */
	if (l->lost || len > LOG_SIZE - l->used) {
		l->lost++;
		return;
	}
	memcpy(l->buf + l->used, line, len);
	l->used += len;
}
