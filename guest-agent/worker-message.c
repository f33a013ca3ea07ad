/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/worker.h"
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

int worker_send(int fd, const struct worker_message *m)
{
	size_t len = m->type == WORKER_WALK ? sizeof(*m) : offsetof(struct worker_message, h);

	return send(fd, m, len, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int worker_recv(int fd, struct worker_message *m, int flags)
{
	ssize_t n;

	do
		n = recv(fd, m, sizeof(*m), flags);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return 0;
	if (n != sizeof(*m) && n != offsetof(struct worker_message, h))
		return -EBADMSG;
	if (m->type == WORKER_WALK && n != sizeof(*m))
		return -EBADMSG;
	m->text[sizeof(m->text) - 1] = '\0';
	return 1;
}

/* A message without its hand-over each. */
static struct msghdr pack_of(struct worker_message *m, size_t n, struct iovec v[WORKER_PACK_MAX])
{
	for (size_t i = 0; i < n; i++)
		v[i] = (struct iovec){ &m[i], offsetof(struct worker_message, h) };
	return (struct msghdr){ .msg_iov = v, .msg_iovlen = n };
}

int worker_send_pack(int fd, struct worker_message *m, size_t n)
{
	struct iovec v[WORKER_PACK_MAX];
	struct msghdr pack = pack_of(m, n, v);

	return sendmsg(fd, &pack, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int worker_recv_pack(int fd, struct worker_message m[WORKER_PACK_MAX])
{
	const size_t size = offsetof(struct worker_message, h);
	struct iovec v[WORKER_PACK_MAX];
	struct msghdr pack = pack_of(m, WORKER_PACK_MAX, v);
	ssize_t n;

	do
		n = recvmsg(fd, &pack, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if ((size_t)n % size || (pack.msg_flags & MSG_TRUNC))
		return -EBADMSG;
	for (size_t i = 0; i < (size_t)n / size; i++)
		m[i].text[sizeof(m[i].text) - 1] = '\0';
	return (int)((size_t)n / size);
}
