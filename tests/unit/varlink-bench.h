/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_UNIT_VARLINK_BENCH_H
#define TESTS_UNIT_VARLINK_BENCH_H

#include "daemon/socket.h"
#include "daemon/varlink.h"
#include <stddef.h>

/*
 * A server on a real socket in a folder of its own, its event loop, and clients, all in one
 * thread: bench_pump() runs the loop until nothing is left to do, so nothing is waited for.
 */
struct varlink_bench {
	sd_event *event;
	struct varlink_server *server;
	struct control_socket socket;
	char folder[64];
	char path[80];
};

void varlink_bench_init(struct varlink_bench *b, const struct varlink_interface *interface);
void varlink_bench_done(struct varlink_bench *b);
void varlink_bench_pump(struct varlink_bench *b);

/* A connected, non-blocking client; the server has not seen it before the next pump. */
int varlink_bench_connect(struct varlink_bench *b);

/* The same as another user with one group; needs root. */
int varlink_bench_connect_as(struct varlink_bench *b, uid_t uid, gid_t gid);

/* Send a text with its NUL, and pump. */
void varlink_bench_send(struct varlink_bench *b, int fd, const char *text);

/* The next message, "" for none yet, NULL for the end of the connection. Valid until the next. */
const char *varlink_bench_receive(struct varlink_bench *b, int fd);

#endif
