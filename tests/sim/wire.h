/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_SIM_WIRE_H
#define TESTS_SIM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

/*
 * The far end of a unix socket that the daemon connects to: QEMU's QMP, or an agent's port. The
 * bytes go through the kernel by a socketpair; connect() finds its end by the path. As with QEMU's
 * chardevs one client is served, and others wait without a word. For a daemon in another process
 * the wires are sockets in the current folder (wire_serve_files()).
 */

enum { WIRE_WAITING_MAX = 4 };

/**
 * struct wire_ops - what its owner hears; none of these may free it
 * @on_open: a client is served from now on
 * @on_bytes: bytes of it; borrowed
 * @on_close: it has gone by itself
 */
struct wire_ops {
	void (*on_open)(void *ctx);
	void (*on_bytes)(void *ctx, const uint8_t *bytes, size_t n);
	void (*on_close)(void *ctx);
};

struct wire {
	char path[48];
	bool listens;
	bool reads; /* else what comes waits in the kernel, as with a process that is stopped */
	pid_t pid;  /* of the process behind it */
	const struct wire_ops *ops;
	void *ctx;
	sd_event *event;
	int fd; /* of the client served, -1 none */
	sd_event_source *io;
	int waiting[WIRE_WAITING_MAX];
	unsigned int n_waiting;
	int door; /* the listening socket, -1 none */
	sd_event_source *door_io;
	uint8_t *out;
	size_t out_len, out_room;
	bool full; /* the kernel takes no more */
};

void wire_init(struct wire *w, sd_event *event, const char *path, const struct wire_ops *ops,
	       void *ctx);
void wire_done(struct wire *w);

/* Wires that listen from now on are files of the current folder, by the last word of their path. */
void wire_serve_files(void);

/* Serve, or hang up on all and refuse. */
void wire_listen(struct wire *w, bool listens);
void wire_read(struct wire *w, bool reads);
/* Hang up on the client; on_close is not called. The next one that waits is served. */
void wire_hang_up(struct wire *w);

static inline bool wire_is_open(const struct wire *w)
{
	return w->fd >= 0;
}

/* Dropped where nobody is there. What does not fit is kept and sent when it does. */
void wire_send(struct wire *w, const void *bytes, size_t n);

/* Bytes that are kept: the client does not read. */
static inline size_t wire_backlog(const struct wire *w)
{
	return w->out_len;
}

/* Bytes that the client has not read yet, kept here or by the kernel. */
size_t wire_unread(const struct wire *w);

/* The random numbers that the daemon is given from now on. */
void wire_seed(uint64_t seed);

#endif
