/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A blocking client: one call at a time, and one poll() that waits for the daemon's bytes, for a
 * signal (by signalfd, so nothing runs in a handler) and for the caller's deadline.
 *
 * A message is JSON text and a NUL. Bytes are gathered in one buffer that grows up to
 * CLIENT_REPLY_MAX; a message that does not end within it is an error, as is one that
 * json_in_parse() refuses or that is not shaped like a Varlink reply. After an error the
 * connection is not used again.
 *
 * The daemon is more trusted than a guest but not trusted with this process's memory or terminal:
 * sizes are limited here, texts are cleaned where they are printed.
 */
#include "daemon/ctl/client.h"
#include "daemon/json-in.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { SEND_TIMEOUT_S = 5, READ_CHUNK = 64 << 10 };

struct client {
	int fd;
	int signal_fd;
	char *buf;
	size_t size;  /* of the allocation */
	size_t start; /* of the message being gathered */
	size_t seen;  /* up to here there is no NUL */
	size_t end;
};

uint64_t client_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Signals that whoever started us wants ignored (nohup, a shell's background job) stay so. */
static int open_signals(void)
{
	static const int wanted[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		struct sigaction old;

		if (sigaction(wanted[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaddset(&set, wanted[i]);
	}
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* A full backlog would hold connect() for ever: the send timeout bounds it. */
static int connect_to(const char *path, int *ret)
{
	const struct timeval timeout = { .tv_sec = SEND_TIMEOUT_S };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	*ret = fd;
	return 0;
}

int client_open(const char *path, struct client **ret)
{
	struct client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->signal_fd = -1;
	c->fd = -1;
	r = connect_to(path, &c->fd);
	if (r == 0) {
		c->signal_fd = open_signals();
		r = c->signal_fd < 0 ? -errno : 0;
	}
	if (r < 0) {
		client_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

struct client *client_free(struct client *c)
{
	if (!c)
		return NULL;
	if (c->fd >= 0)
		close(c->fd);
	if (c->signal_fd >= 0)
		close(c->signal_fd);
	free(c->buf);
	free(c);
	return NULL;
}

static int send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EPIPE ? -ECONNRESET : -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int client_call(struct client *c, const char *method, json_object *parameters, bool more)
{
	_cleanup_json_ json_object *call = json_object_new_object();
	char name[64];
	const char *text;
	size_t len;

	snprintf(name, sizeof(name), "io.vcpuhp.Manager.%s", method);
	if (!call || json_object_object_add(call, "method", json_object_new_string(name)) < 0) {
		json_object_put(parameters);
		return -ENOMEM;
	}
	if (parameters)
		json_object_object_add(call, "parameters", parameters);
	if (more)
		json_object_object_add(call, "more", json_object_new_boolean(true));
	text = json_object_to_json_string_length(call, JSON_C_TO_STRING_PLAIN, &len);
	return text ? send_all(c->fd, text, len + 1) : -ENOMEM;
}

static int parse_reply(const char *text, size_t len, struct client_reply *ret)
{
	static const struct json_in_limits limits = {
		.max_bytes = CLIENT_REPLY_MAX,
		.max_depth = JSON_IN_DEPTH,
		.max_structural = CLIENT_STRUCTURAL_MAX,
	};
	struct client_reply reply = { 0 };
	int r;

	r = json_in_parse(text, len, &limits, &reply.root, NULL);
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	r = json_in_obj(reply.root, "parameters", &reply.parameters);
	if (r == 0 || r == -ENOENT)
		r = json_in_str(reply.root, "error", 256, &reply.error);
	if (r == 0 || r == -ENOENT)
		r = json_in_bool(reply.root, "continues", &reply.continues);
	if (r < 0 && r != -ENOENT) {
		client_reply_done(&reply);
		return -EBADMSG;
	}
	*ret = reply;
	return 0;
}

/* Return: 1 with a reply, 0 when the buffer holds no whole message, or -errno. */
static int take_message(struct client *c, struct client_reply *ret)
{
	char *nul = NULL;
	int r;

	if (c->seen < c->end)
		nul = memchr(c->buf + c->seen, '\0', c->end - c->seen);
	c->seen = c->end;
	if (!nul)
		return c->end - c->start > CLIENT_REPLY_MAX ? -EBADMSG : 0;
	r = parse_reply(c->buf + c->start, (size_t)(nul - (c->buf + c->start)), ret);
	c->start = c->seen = (size_t)(nul + 1 - c->buf);
	return r < 0 ? r : 1;
}

static int make_room(struct client *c)
{
	char *p;

	if (c->start > 0) {
		memmove(c->buf, c->buf + c->start, c->end - c->start);
		c->end -= c->start;
		c->seen -= c->start;
		c->start = 0;
	}
	if (c->size - c->end >= READ_CHUNK)
		return 0;
	p = realloc(c->buf, c->size * 2 + READ_CHUNK);
	if (!p)
		return -ENOMEM;
	c->buf = p;
	c->size = c->size * 2 + READ_CHUNK;
	return 0;
}

static int read_more(struct client *c)
{
	ssize_t n;
	int r = make_room(c);

	if (r < 0)
		return r;
	n = recv(c->fd, c->buf + c->end, c->size - c->end, MSG_DONTWAIT);
	if (n == 0)
		return -ECONNRESET;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->end += (size_t)n;
	return 0;
}

/* Milliseconds for poll(), rounded up so that a deadline is never waited for in a spin. */
static int poll_ms(uint64_t until_us)
{
	uint64_t now = client_now_us();

	if (until_us == UINT64_MAX)
		return -1;
	if (until_us <= now)
		return 0;
	return until_us - now > UINT64_C(3600) * 1000000 ? 3600 * 1000
							 : (int)((until_us - now + 999) / 1000);
}

int client_next(struct client *c, uint64_t until_us, struct client_reply *ret, int *ret_signal)
{
	for (;;) {
		struct pollfd fds[] = { { .fd = c->signal_fd, .events = POLLIN },
					{ .fd = c->fd, .events = POLLIN } };
		struct signalfd_siginfo info;
		int r = take_message(c, ret);

		if (r != 0)
			return r < 0 ? r : CLIENT_REPLY;
		r = poll(fds, 2, poll_ms(until_us));
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r == 0 && client_now_us() >= until_us)
			return CLIENT_TIMEOUT;
		if (r > 0 && fds[0].revents &&
		    read(c->signal_fd, &info, sizeof(info)) == sizeof(info)) {
			*ret_signal = (int)info.ssi_signo;
			return CLIENT_SIGNAL;
		}
		r = r > 0 && fds[1].revents ? read_more(c) : 0;
		if (r < 0)
			return r;
	}
}

void client_reply_done(struct client_reply *r)
{
	json_object_put(r->root);
	*r = (struct client_reply){ 0 };
}
