/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_QMP_MSG_H
#define DAEMON_QMP_MSG_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The two halves of reading QMP that need no socket: bytes to lines, a line to a message. */

enum { QMP_LINE_MAX = 1024 * 1024, QMP_TEXT_MAX = 200, QMP_NAME_MAX = 64 };

/**
 * struct qmp_lines - bytes that have come and are not read yet; all zero is empty
 * @start: of the first unread line
 * @scanned: no newline from @start to here
 */
struct qmp_lines {
	char *buf;
	size_t size;
	size_t start;
	size_t scanned;
	size_t len;
};

/**
 * qmp_lines_push() - append what came
 *
 * Invalidates the lines popped before. Pop until false after each push.
 *
 * Return: 0, -EMSGSIZE an unfinished line above QMP_LINE_MAX, -ENOMEM.
 */
int qmp_lines_push(struct qmp_lines *l, const char *data, size_t len);
/* The next whole line without its newline, borrowed until the next push. */
bool qmp_lines_pop(struct qmp_lines *l, const char **ret, size_t *ret_len);
/* Back with the line popped last: it is popped again next. */
void qmp_lines_unpop(struct qmp_lines *l, const char *line);
void qmp_lines_done(struct qmp_lines *l);

enum qmp_kind { QMP_GREETING, QMP_RETURN, QMP_ERROR, QMP_EVENT };

/**
 * struct qmp_msg - a message
 * @root: owned; qmp_msg_done()
 * @id: of a return or error; -1 none
 * @value: of a return, or an event's data; borrowed from @root; may be NULL
 * @name: of an event, borrowed
 * @rc: of an error, -errno: see qmp_error_rc()
 * @text: QEMU's version of a greeting, or the cleaned text of an error
 */
struct qmp_msg {
	enum qmp_kind kind;
	json_object *root;
	int64_t id;
	json_object *value;
	const char *name;
	int rc;
	char text[QMP_TEXT_MAX + 1];
};

/**
 * qmp_msg_parse() - read one line
 * @ret: untouched on an error
 * @ret_why: on an error a static phrase
 *
 * Keys that are not known are passed over, as the QMP specification asks of clients.
 *
 * Source: QEMU docs/interop/qmp-spec.
 * Return: 0, -EPROTO (or json_in_parse()'s) not a message, -ENOMEM.
 */
int qmp_msg_parse(const char *line, size_t len, struct qmp_msg *ret, const char **ret_why);
void qmp_msg_done(struct qmp_msg *m);

/**
 * qmp_error_rc() - what an error of QEMU's is called here
 *
 * Return: -ENODEV no such device, -EOPNOTSUPP no such command, -EEXIST the id or slot is in use,
 * -EALREADY its removal is under way, -EAGAIN the guest has no ACPI up yet, -EREMOTEIO any other.
 */
int qmp_error_rc(const char *class, const char *desc);

/* Copy with everything but printable ASCII replaced, cut off at @size - 1. */
void qmp_clean_text(char *buf, size_t size, const char *text);

#endif
