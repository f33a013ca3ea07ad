/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/varlink.h"

#include "daemon/varlink-conn.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * The listening side: who may have a connection. Of 64 places 8 are kept for uid 0, and no other
 * uid gets more than 8, so that a client that leaks connections locks out neither its neighbours
 * nor the administrator. One connection too many is told so and closed. Connections may stay idle
 * for ever: they cost a few hundred bytes each and are bounded by those numbers alone.
 *
 * Who a peer is, is asked of the kernel once, at the beginning (SO_PEERCRED, SO_PEERGROUPS): what
 * it was when it connected. When descriptors run out, accepting pauses for a second instead of
 * spinning on a socket that stays readable.
 */

enum { RETRY_ACCEPT_US = 1000000, GROUPS_FIRST_GUESS = 32 };

static int list_interfaces(struct varlink_server *s,
			   const struct varlink_interface *const *interfaces)
{
	size_t n = 0;

	while (interfaces[n])
		n++;
	s->interfaces = calloc(n + 2, sizeof(*s->interfaces));
	if (!s->interfaces)
		return -ENOMEM;
	s->interfaces[0] = &s->service;
	for (size_t i = 0; i < n; i++)
		s->interfaces[i + 1] = interfaces[i];
	return 0;
}

int varlink_server_new(struct varlink_server **ret, sd_event *event,
		       const struct varlink_vendor *vendor,
		       const struct varlink_interface *const *interfaces)
{
	struct varlink_server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->vendor = vendor;
	s->service = (struct varlink_interface){
		.name = "org.varlink.service",
		.description = varlink_service_description,
		.methods = varlink_service_methods,
		.ctx = s,
	};
	r = list_interfaces(s, interfaces);
	if (r < 0) {
		free(s);
		return r;
	}
	s->event = sd_event_ref(event);
	*ret = s;
	return 0;
}

struct varlink_server *varlink_server_free(struct varlink_server *s)
{
	if (!s)
		return NULL;
	sd_event_source_disable_unref(s->accept);
	sd_event_source_disable_unref(s->retry);
	while (s->conns)
		conn_free(s->conns);
	free(s->interfaces);
	sd_event_unref(s->event);
	free(s);
	return NULL;
}

unsigned int varlink_server_connections(const struct varlink_server *s)
{
	return s->n_conns;
}

static bool has_place(const struct varlink_server *s, uid_t uid)
{
	unsigned int same = 0;

	if (uid == 0)
		return s->n_conns < VARLINK_CONNECTIONS_MAX;
	for (const struct conn *c = s->conns; c; c = c->next)
		same += c->peer.uid == uid;
	return same < VARLINK_PER_UID_MAX &&
	       s->n_conns < VARLINK_CONNECTIONS_MAX - VARLINK_ROOT_RESERVE;
}

/* Best effort: the peer learns why, if there is room for it in its socket. */
static void tell_busy(const struct varlink_server *s, int fd)
{
	json_object *reply = varlink_error_new(s->vendor->busy_error, "text",
					       "too many connections to the daemon");
	const char *text;

	if (!reply)
		return;
	text = json_object_to_json_string_ext(reply, JSON_C_TO_STRING_PLAIN);
	if (text)
		(void)!send(fd, text, strlen(text) + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	json_object_put(reply);
}

static int read_groups(int fd, gid_t **ret, size_t *ret_n)
{
	socklen_t len = GROUPS_FIRST_GUESS * sizeof(gid_t);
	gid_t *groups = NULL;

	for (;;) {
		gid_t *more = realloc(groups, len ? len : 1);

		if (!more) {
			free(groups);
			return -ENOMEM;
		}
		groups = more;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0)
			break;
		if (errno != ERANGE) {
			free(groups);
			return -errno;
		}
	}
	*ret = groups;
	*ret_n = len / sizeof(gid_t);
	return 0;
}

static int read_peer(int fd, struct auth_peer *ret, gid_t **ret_groups)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	size_t n = 0;
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	r = read_groups(fd, ret_groups, &n);
	if (r < 0)
		return r;
	*ret = (struct auth_peer){
		.uid = cred.uid,
		.gid = cred.gid,
		.groups = *ret_groups,
		.n_groups = n,
	};
	return 0;
}

static int add(struct varlink_server *s, int fd)
{
	struct auth_peer peer = { .uid = (uid_t)-1, .gid = (gid_t)-1 };
	gid_t *groups = NULL;
	int r;

	r = read_peer(fd, &peer, &groups);
	if (r < 0)
		return r;
	if (has_place(s, peer.uid)) {
		r = conn_new(s, fd, &peer, groups);
	} else {
		tell_busy(s, fd);
		r = -EUSERS;
	}
	if (r < 0)
		free(groups);
	return r;
}

int varlink_server_add(struct varlink_server *s, int fd)
{
	int r = add(s, fd);

	if (r < 0)
		close(fd);
	return r;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct varlink_server *s = ctx;

	return sd_event_source_set_enabled(s->accept, SD_EVENT_ON);
}

/* Out of descriptors or memory: the listening socket stays readable, so look away for a while. */
static int pause_accept(struct varlink_server *s)
{
	int r;

	s->retry = sd_event_source_disable_unref(s->retry);
	r = sd_event_add_time_relative(s->event, &s->retry, CLOCK_MONOTONIC, RETRY_ACCEPT_US, 0,
				       on_retry, s);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(s->accept, SD_EVENT_OFF);
}

static int on_accept(sd_event_source *source, int listener, uint32_t revents, void *ctx)
{
	struct varlink_server *s = ctx;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		varlink_server_add(s, fd);
		return 0;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
		return pause_accept(s);
	return 0;
}

int varlink_server_listen(struct varlink_server *s, int fd)
{
	sd_event_source *source;
	int r;

	if (s->accept)
		return -EBUSY;
	r = sd_event_add_io(s->event, &source, fd, EPOLLIN, on_accept, s);
	if (r < 0)
		return r;
	sd_event_source_set_io_fd_own(source, true);
	s->accept = source;
	return 0;
}
