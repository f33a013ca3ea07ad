/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_QMP_H
#define DAEMON_QMP_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

/* One connection to one QMP socket. QEMU is a peer, not a friend: it may be owned by its guest. */

enum {
	QMP_GREETING_MS = 5000,
	QMP_COMMANDS_MAX = 4096 + 64, /* unanswered at once: every slot and the questions beside */
	QMP_OUT_MAX = 1024 * 1024,
};

/* All that is ever asked of QEMU. */
enum qmp_command {
	QMP_CAPABILITIES, /* sent by this module alone */
	QMP_QUERY_KVM,
	QMP_QUERY_UUID,
	QMP_QUERY_STATUS,
	QMP_QUERY_MIGRATE,
	QMP_QUERY_HOTPLUGGABLE_CPUS,
	QMP_QUERY_CPUS_FAST,
	QMP_QUERY_ACPI_OSPM_STATUS,
	QMP_QOM_GET,
	QMP_DEVICE_ADD,
	QMP_DEVICE_DEL,
	QMP_COMMANDS
};

/**
 * struct qmp_handlers - what happens on the connection
 * @on_ready: negotiated; commands may be sent; @version of QEMU, "7.2.22"
 * @on_event: an event, in order with the replies; @data borrowed, may be NULL
 * @on_caught_up: the last reply that was overdue has come (see qmp_overdue()), or events were too
 *	many and some were passed over: QEMU's state is to be read again
 * @on_closed: the connection is over, after every command was answered; never by qmp_close()
 */
struct qmp_handlers {
	void (*on_ready)(void *ctx, const char *version);
	void (*on_event)(void *ctx, const char *name, json_object *data);
	void (*on_caught_up)(void *ctx);
	void (*on_closed)(void *ctx, int rc, const char *why);
};

/**
 * typedef qmp_reply_fn - the answer to one command
 * @rc: 0, or -ECONNRESET, -ETIMEDOUT, or what qmp_error_rc() makes of QEMU's error
 * @value: the "return" value when @rc is 0; borrowed; may be NULL (JSON null)
 * @text: QEMU's sentence on an error, cleaned; else ""
 */
typedef void (*qmp_reply_fn)(void *arg, int rc, json_object *value, const char *text);

struct qmp;

/**
 * qmp_new() - connect, without blocking
 * @path: of the unix socket
 * @reply_ms: deadline of each reply
 * @handlers: borrowed, must outlive the result
 *
 * Nothing is called before this returns. In any handler the connection may be closed.
 *
 * Context: the thread of @event.
 * Return: 0 or -errno; -EAGAIN: QEMU does not accept, another client holds the socket.
 */
int qmp_new(struct qmp **ret, sd_event *event, const char *path, unsigned int reply_ms,
	    const struct qmp_handlers *handlers, void *ctx);
/* The same on a connected stream socket, taken in any case. */
int qmp_new_fd(struct qmp **ret, sd_event *event, int fd, unsigned int reply_ms,
	       const struct qmp_handlers *handlers, void *ctx);

/**
 * qmp_send() - queue a command
 * @args: its arguments, taken in any case; NULL for none
 * @cb: called exactly once if this returns 0, except after qmp_close(); never from here
 *
 * Return: 0; -ENOTCONN not ready or closed; -ENOBUFS too much is unanswered or unsent; -ENOMEM.
 */
int qmp_send(struct qmp *q, enum qmp_command command, json_object *args, qmp_reply_fn cb,
	     void *arg);

/**
 * qmp_linger() - what was sent is in no hurry to be answered
 *
 * QEMU is read again after a tenth of a second, and with it all others that this was said of in the
 * same turn of the loop: their answers come one by one and would wake us for each. Sending anything,
 * or qmp_hurry(), ends it.
 */
void qmp_linger(struct qmp *q);
void qmp_hurry(struct qmp *q);

/* For the commands sent from now on. */
void qmp_set_reply_ms(struct qmp *q, unsigned int reply_ms);

/* Commands that were answered -ETIMEDOUT and whose reply may still come. */
unsigned int qmp_overdue(const struct qmp *q);

/* Bytes of all replies so far. */
uint64_t qmp_replied(const struct qmp *q);

/* Whether anything has come in this connection. */
bool qmp_has_heard(const struct qmp *q);

/* The process that listens on the socket, pid 0 unknown. Source: unix(7), SO_PEERCRED. */
struct ucred qmp_peer(const struct qmp *q);

/* End it for a reason of the caller's, as if QEMU had: the commands are answered -ECONNRESET and
 * on_closed is called, both from the event loop. */
void qmp_fail(struct qmp *q, const char *why);

/* Drop it. Unanswered commands are forgotten, no handler is called any more. */
struct qmp *qmp_close(struct qmp *q);

const char *qmp_command_name(enum qmp_command c);

#endif
