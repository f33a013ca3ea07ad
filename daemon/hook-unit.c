/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/hook-unit.h"
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What comes back. */
struct answer {
	int32_t how, code;
};

union control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(2 * sizeof(int))];
};

const char *hook_unit_socket(void)
{
	const char *path = getenv("VCPUHP_HOOK_SOCKET");

	return path && *path ? path : NULL;
}

static int dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, r;

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

/* name, domain, event and op, each with its NUL. */
static size_t put_words(const struct hook_call *call, char buf[HOOK_UNIT_MESSAGE_MAX])
{
	int n = snprintf(buf, HOOK_UNIT_MESSAGE_MAX, "%s%c%s%c%s%c%s", call->name, 0, call->domain,
			 0, hook_event_name(call->event), 0, call->op);

	return (size_t)n + 1;
}

int hook_unit_send(const char *socket, const struct hook_call *call, int input, int output)
{
	char words[HOOK_UNIT_MESSAGE_MAX];
	struct iovec part = { words, put_words(call, words) };
	union control control = { 0 };
	const int fds[2] = { input, output };
	struct msghdr m = { .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int fd = dial(socket), r;

	if (fd < 0)
		return fd;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	if (sendmsg(fd, &m, MSG_NOSIGNAL) >= 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

void hook_unit_receive(int fd, struct hook_outcome *ret)
{
	struct answer a;

	if (recv(fd, &a, sizeof(a), MSG_DONTWAIT) != sizeof(a) || a.how < HOOK_EXITED ||
	    a.how > HOOK_UNSTARTED)
		a = (struct answer){ .how = HOOK_LOST };
	ret->how = a.how;
	ret->code = a.code;
}

static bool take_word(const char **p, const char *end, char *buf, size_t size)
{
	size_t len = strnlen(*p, (size_t)(end - *p));

	if (len >= (size_t)(end - *p) || len >= size)
		return false;
	memcpy(buf, *p, len + 1);
	*p += len + 1;
	return true;
}

static int find_event(const char *word)
{
	for (int e = 0; e < HOOK_EVENTS; e++)
		if (strcmp(word, hook_event_name((enum hook_event)e)) == 0)
			return e;
	return -EINVAL;
}

static int parse(const char *words, size_t len, struct hook_order *ret)
{
	const char *p = words, *end = words + len;
	char event[16];
	int e;

	if (!take_word(&p, end, ret->name, sizeof(ret->name)) ||
	    !take_word(&p, end, ret->domain, sizeof(ret->domain)) ||
	    !take_word(&p, end, event, sizeof(event)) ||
	    !take_word(&p, end, ret->op, sizeof(ret->op)) || p != end)
		return -EINVAL;
	e = find_event(event);
	if (e < 0)
		return e;
	ret->event = (enum hook_event)e;
	return hook_is_name(ret->name) ? 0 : -EINVAL;
}

int hook_unit_accept(int fd, struct hook_order *ret)
{
	char words[HOOK_UNIT_MESSAGE_MAX];
	struct iovec part = { words, sizeof(words) };
	union control control;
	struct msghdr m = { .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes) };
	ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
	int fds[2];

	if (n < 0)
		return -errno;
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(fds)) || m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return -EBADMSG;
	memcpy(fds, CMSG_DATA(c), sizeof(fds));
	ret->input = fds[0];
	ret->output = fds[1];
	return parse(words, (size_t)n, ret);
}

int hook_unit_reply(int fd, const struct hook_outcome *o)
{
	const struct answer a = { (int32_t)o->how, o->code };

	return send(fd, &a, sizeof(a), MSG_NOSIGNAL) == sizeof(a) ? 0 : -errno;
}
