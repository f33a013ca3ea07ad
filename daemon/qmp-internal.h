/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_QMP_INTERNAL_H
#define DAEMON_QMP_INTERNAL_H

#include "daemon/qmp-budget.h"
#include "daemon/qmp-msg.h"
#include "daemon/qmp.h"
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

/* Shared by qmp.c (the connection), qmp-read.c, qmp-command.c and qmp-socket.c only. */

enum qmp_state { GREETING, NEGOTIATING, READY, CLOSED };

struct pending {
	STAILQ_ENTRY(pending) link;
	int64_t id;
	uint64_t deadline_us;
	qmp_reply_fn cb; /* NULL: overdue */
	void *arg;
};

struct qmp {
	unsigned int refs;
	enum qmp_state state;
	int fd;
	struct ucred peer;
	sd_event *event;
	sd_event_source *io;
	sd_event_source *timer;
	sd_event_source *fail;
	sd_event_source *thaw; /* on: nothing is read, nor written unless @lingering, until then */
	const char *fail_why;
	unsigned int reply_ms;
	const struct qmp_handlers *handlers;
	void *ctx;
	int64_t last_id;
	STAILQ_HEAD(, pending) pending;
	unsigned int n_pending;
	unsigned int n_overdue;
	unsigned int n_probes; /* since nothing was overdue */
	struct qmp_lines in;
	struct qmp_budget budget;
	bool waiting;   /* a line, for tokens */
	bool heard;     /* anything, whatever it was */
	bool lingering; /* nothing is read until @thaw */
	uint64_t replied;
	char *out;
	size_t out_len;
	size_t out_sent;
	char version[32];
};

uint64_t qmp_now_us(void);

/* Take what comes. Return: 0, or -errno, which ends the connection, and why. */
int qmp_receive(struct qmp *q, const char **ret_why);

/* The lines that are there already. */
int qmp_read_lines(struct qmp *q, const char **ret_why);

/* Nothing more before the tokens for it are there. */
void qmp_pause_reading(struct qmp *q);

/* Hear of what may be done now. Return: 0 or -errno. */
int qmp_listen(struct qmp *q);

/* What a line says. */
int qmp_received(struct qmp *q, const struct qmp_msg *m, size_t len, const char **ret_why);

/* The text of a command. @args: taken in any case. Return: returned to the caller, or NULL. */
json_object *qmp_command_new(enum qmp_command command, int64_t id, json_object *args);

/* Connect, without blocking. Return: the descriptor or -errno. */
int qmp_socket_connect(const char *path);

/* Who listens there; all zero unknown. */
struct ucred qmp_socket_peer(int fd);

#endif
