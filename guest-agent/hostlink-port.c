/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/hostlink-internal.h"
#include "guest-agent/port.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	RETRY_MS = 1000,
	/* For a device node that is not made yet: soon after its port came, and ever after. */
	NODE_TRIES = 30,
	NODE_RETRY_MS = 5000,
};

void hostlink_close(struct agent *a, const char *why)
{
	struct link *l = &a->link;

	agent_log(a, "port closed: %s", why);
	close(l->fd);
	l->fd = -1;
	l->readable = l->wants_out = false;
	l->said = 0;
	l->tries = 0;
	l->session.established = false;
	outbox_init(&l->out);
	l->retry_ms = now_ms() + RETRY_MS;
}

void hostlink_done(struct agent *a)
{
	if (a->link.fd >= 0)
		hostlink_close(a, "the agent ends");
}

/*
 * Milliseconds until the next try, 0 upon the next uevent: one tells of a port with a name. Nobody
 * tells of the node that is made for it later, of a path, or of another agent's end.
 */
static unsigned int patience(struct agent *a, int r)
{
	bool by_name = !strchr(a->config.port, '/');

	a->link.tries = r == -EAGAIN ? a->link.tries + 1 : 0;
	if (r == -ENOENT && by_name)
		return 0;
	return a->link.tries > NODE_TRIES ? NODE_RETRY_MS : RETRY_MS;
}

/* Said once for each reason, not at each try. */
static void no_port(struct agent *a, int r)
{
	unsigned int ms = patience(a, r);
	struct link *l = &a->link;

	l->retry_ms = ms ? now_ms() + ms : 0;
	if (l->said == r)
		return;
	l->said = r;
	if (r == -EBUSY)
		agent_log(a, "port %s: another agent has it; waiting", a->config.port);
	else if (r == -EAGAIN)
		agent_log(a, "port %s: it has no device node yet; waiting", a->config.port);
	else
		agent_log(a, "port %s: %s; waiting", a->config.port, strerror(-r));
}

void hostlink_try_open(struct agent *a)
{
	struct link *l = &a->link;
	int fd, r;

	if (l->fd >= 0)
		return;
	fd = port_open(a->root, a->config.port);
	if (fd < 0) {
		no_port(a, fd);
		return;
	}
	r = agent_watch(a, fd, EPOLLIN | EPOLLET, SOURCE_PORT, 0);
	if (r < 0) {
		close(fd);
		no_port(a, r);
		return;
	}
	agent_log(a, "port %s opened", a->config.port);
	l->fd = fd;
	l->retry_ms = 0;
	l->said = 0;
	l->tries = 0;
	l->host_gone = false;
	l->readable = true;
	frame_decoder_init(&l->in);
	hostlink_begin_session(a);
}
