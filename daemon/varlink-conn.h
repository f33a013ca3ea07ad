/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_VARLINK_CONN_H
#define DAEMON_VARLINK_CONN_H

#include "daemon/varlink-request.h"

/* Private to the varlink*.c files. */

struct conn;

/**
 * struct varlink_call - see varlink.h
 * @gone, @room: NULL none
 */
struct varlink_call {
	struct conn *conn;
	struct varlink_request request;
	struct varlink_target target;
	void (*gone)(void *ctx);
	void *gone_ctx;
	void (*room)(void *ctx);
	void *room_ctx;
};

/**
 * struct conn - see varlink-conn.c
 * @scanned: bytes of @in known to hold no NUL
 * @work, @turn: work() at once, or when the others have had their turn
 * @out: bytes @out_at to @out_len are to be sent
 * @unsent: and work() will, none of them has been offered to the kernel
 * @next, @back: the server's list; @back points at the pointer to this one
 */
struct conn {
	struct varlink_server *server;
	struct conn *next, **back;
	int fd;
	struct auth_peer peer;
	gid_t *groups;
	sd_event_source *io;
	sd_event_source *work;
	sd_event_source *turn;
	char *in;
	size_t in_len, in_size, scanned;
	char *out;
	size_t out_at, out_len, out_size;
	struct varlink_call *call;
	bool eof, hung_up, failed, closing, unsent;
};

/**
 * struct varlink_server - see varlink.h
 * @interfaces: NULL-terminated, owned array
 * @service: org.varlink.service, the first of @interfaces
 * @accept: listening socket, NULL none
 * @retry: turns @accept on again after descriptors ran out
 * @conns: all connections
 */
struct varlink_server {
	sd_event *event;
	const struct varlink_vendor *vendor;
	const struct varlink_interface **interfaces;
	struct varlink_interface service;
	sd_event_source *accept;
	sd_event_source *retry;
	struct conn *conns;
	unsigned int n_conns;
};

extern const struct varlink_method varlink_service_methods[];
extern const char varlink_service_description[];

/**
 * conn_new() - serve @fd
 * @fd: taken if 0 is returned
 * @groups: of @peer, taken if 0 is returned
 */
int conn_new(struct varlink_server *s, int fd, const struct auth_peer *peer, gid_t *groups);

/* Drops it; a call that waits sees its gone function called. */
void conn_free(struct conn *c);

/* Queue a message for the end of the turn; @message is taken, NULL fails the connection. */
void conn_queue(struct conn *c, json_object *message);

/* Queue a message and write what the kernel takes; @message is taken, NULL fails the connection. */
void conn_send(struct conn *c, json_object *message);

/* Decide what to wait for; everything that changed a connection ends with it. True: it is work(). */
bool conn_settle(struct conn *c);

/* Carry out one message, without its NUL. 0 or -errno: the connection is of no use any more. */
int call_run(struct conn *c, const char *text, size_t len);

/* The client is gone: drop the call under way, if there is one. */
void call_abandon(struct conn *c);

#endif
