/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
/*
 * Theory of operation
 *
 * Bytes become lines, a line becomes a message, an error's text becomes a number. Nothing is known
 * here of connections, commands or time, so that all of it can be tested and fuzzed on bytes.
 *
 * A line is looked at only when it is whole, and only up to QMP_LINE_MAX; json-in.h's limits hold
 * for it. Text of QEMU's that may be shown to people (errors, names) is cleaned to printable ASCII.
 */
#include "daemon/qmp-msg.h"
#include "daemon/json-in.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEEP = 16 * 1024 };

static const struct json_in_limits limits = {
	.max_bytes = QMP_LINE_MAX,
	.max_depth = JSON_IN_DEPTH,
	.max_structural = JSON_IN_STRUCTURAL,
};

void qmp_lines_done(struct qmp_lines *l)
{
	free(l->buf);
	*l = (struct qmp_lines){ 0 };
}

static int reserve(struct qmp_lines *l, size_t more)
{
	size_t size = l->size ? l->size : KEEP / 4;
	char *buf;

	memmove(l->buf, l->buf + l->start, l->len - l->start);
	l->len -= l->start;
	l->scanned -= l->start;
	l->start = 0;
	while (size < l->len + more)
		size *= 2;
	if (size == l->size)
		return 0;
	buf = realloc(l->buf, size);
	if (!buf)
		return -ENOMEM;
	l->buf = buf;
	l->size = size;
	return 0;
}

int qmp_lines_push(struct qmp_lines *l, const char *data, size_t len)
{
	int r;

	if (len == 0)
		return 0;
	/* One long reply must not keep its megabyte for the life of the connection. */
	if (l->start == l->len && l->size > KEEP)
		qmp_lines_done(l);
	if (!l->buf) {
		l->buf = malloc(KEEP / 4);
		if (!l->buf)
			return -ENOMEM;
		l->size = KEEP / 4;
	}
	if (l->len - l->start > QMP_LINE_MAX)
		return -EMSGSIZE;
	r = reserve(l, len);
	if (r < 0)
		return r;
	memcpy(l->buf + l->len, data, len);
	l->len += len;
	return 0;
}

bool qmp_lines_pop(struct qmp_lines *l, const char **ret, size_t *ret_len)
{
	char *end;

	if (l->scanned == l->len)
		return false;
	end = memchr(l->buf + l->scanned, '\n', l->len - l->scanned);
	if (!end) {
		l->scanned = l->len;
		return false;
	}
	*ret = l->buf + l->start;
	*ret_len = (size_t)(end - *ret);
	l->start = l->scanned = (size_t)(end - l->buf) + 1;
	return true;
}

void qmp_lines_unpop(struct qmp_lines *l, const char *line)
{
	l->start = l->scanned = (size_t)(line - l->buf);
}

void qmp_clean_text(char *buf, size_t size, const char *text)
{
	size_t n = 0;

	for (; text[n] && n + 1 < size; n++)
		buf[n] = text[n] >= 0x20 && text[n] < 0x7f ? text[n] : '?';
	buf[n] = '\0';
}

/* The first row that fits; NULL fits all. The texts are QEMU's and may change: then -EREMOTEIO. */
static const struct {
	const char *class;
	const char *part;
	int rc;
} error_rows[] = {
	{ NULL, "already in the process of unplug", -EALREADY },
	{ "DeviceNotFound", NULL, -ENODEV },
	{ "CommandNotFound", NULL, -EOPNOTSUPP },
	{ "GenericError", "Duplicate device ID", -EEXIST },
	{ "GenericError", " exists", -EEXIST },
	{ "GenericError", "device unplug request for not supported device type", -EAGAIN },
};

int qmp_error_rc(const char *class, const char *desc)
{
	for (size_t i = 0; i < sizeof(error_rows) / sizeof(*error_rows); i++)
		if ((!error_rows[i].class || strcmp(error_rows[i].class, class) == 0) &&
		    (!error_rows[i].part || strstr(desc, error_rows[i].part)))
			return error_rows[i].rc;
	return -EREMOTEIO;
}

static int read_greeting(struct qmp_msg *m, json_object *greeting)
{
	json_object *version, *qemu;
	int64_t v[3];

	if (json_in_obj(greeting, "version", &version) < 0 ||
	    json_in_obj(version, "qemu", &qemu) < 0 ||
	    json_in_int(qemu, "major", 0, 9999, &v[0]) < 0 ||
	    json_in_int(qemu, "minor", 0, 9999, &v[1]) < 0 ||
	    json_in_int(qemu, "micro", 0, 9999, &v[2]) < 0)
		return -EPROTO;
	m->kind = QMP_GREETING;
	snprintf(m->text, sizeof(m->text), "%d.%d.%d", (int)v[0], (int)v[1], (int)v[2]);
	return 0;
}

static int read_event(struct qmp_msg *m)
{
	int r = json_in_obj(m->root, "data", &m->value);

	if (r < 0 && r != -ENOENT)
		return -EPROTO;
	m->kind = QMP_EVENT;
	return 0;
}

static int read_error(struct qmp_msg *m, json_object *error)
{
	const char *class, *desc;

	if (json_in_str(error, "class", QMP_NAME_MAX, &class) < 0 ||
	    json_in_str(error, "desc", QMP_LINE_MAX, &desc) < 0)
		return -EPROTO;
	m->kind = QMP_ERROR;
	m->rc = qmp_error_rc(class, desc);
	qmp_clean_text(m->text, sizeof(m->text), desc);
	return 0;
}

/* Exactly one of the four keys says what the message is. */
static int read_message(struct qmp_msg *m)
{
	json_object *greeting, *error;
	int r;
	bool is_return = json_object_object_get_ex(m->root, "return", &m->value);
	bool is_error = json_in_obj(m->root, "error", &error) == 0;
	bool is_event = json_in_str(m->root, "event", QMP_NAME_MAX, &m->name) == 0;
	bool is_greeting = json_in_obj(m->root, "QMP", &greeting) == 0;

	if (is_return + is_error + is_event + is_greeting != 1)
		return -EPROTO;
	r = json_in_int(m->root, "id", 0, INT64_MAX, &m->id);
	if (r < 0 && r != -ENOENT)
		return -EPROTO;
	if (is_greeting)
		return read_greeting(m, greeting);
	if (is_event)
		return read_event(m);
	if (is_error)
		return read_error(m, error);
	m->kind = QMP_RETURN;
	return 0;
}

int qmp_msg_parse(const char *line, size_t len, struct qmp_msg *ret, const char **ret_why)
{
	struct qmp_msg m = { .id = -1 };
	int r = json_in_parse(line, len, &limits, &m.root, ret_why);

	if (r < 0)
		return r;
	r = read_message(&m);
	if (r < 0) {
		*ret_why = "not a QMP message";
		qmp_msg_done(&m);
		return r;
	}
	*ret = m;
	return 0;
}

void qmp_msg_done(struct qmp_msg *m)
{
	json_object_put(m->root);
	m->root = NULL;
}
