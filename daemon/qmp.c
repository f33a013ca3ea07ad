/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A connection goes GREETING -> NEGOTIATING -> READY -> CLOSED and never back; who wants another
 * one makes a new object. QEMU serves one client at a time and lets a second one connect and wait,
 * so silence instead of a greeting means that somebody else is there.
 *
 * QEMU answers in the order of the commands, so the unanswered ones are a queue and the reply must
 * carry the number of its head; anything else is no QMP and ends the connection. A command past
 * its deadline is answered -ETIMEDOUT but stays in the queue without its callback, because its
 * reply may still come: it is *overdue*. When the last overdue reply has come, on_caught_up tells
 * that QEMU's state has to be read again. While nothing else is out a harmless question goes behind
 * what is overdue, PROBES_MAX at most: a QEMU that stood still answers all in order, and one that
 * has lost a reply gives itself away by the answer to this one.
 *
 * Handlers and callbacks run from the event loop only and may close the connection or send. The
 * object is counted: each dispatch holds a reference, qmp_close() gives up the owner's.
 *
 * Limits: a line of QMP_LINE_MAX, json-in.h's limits for each, READ_SIZE bytes a turn of the loop
 * (a flood cannot starve other domains), QMP_COMMANDS_MAX unanswered, QMP_OUT_MAX unsent.
 *
 * Events are paid for (qmp-budget.h). Without tokens the connection is looked at once each PAUSE_US
 * only, FLOOD_SIZE bytes at most: events are passed over unread, and what they might have told is
 * asked for afterwards, by on_caught_up. They are not left in the socket: QEMU would keep them, and a
 * guest could fill the host's memory with them. A QEMU that writes faster than that has to wait.
 */
#include "daemon/qmp.h"
#include "daemon/failpoint.h"
#include "daemon/json-in.h"
#include "daemon/qmp-budget.h"
#include "daemon/qmp-internal.h"
#include "daemon/qmp-msg.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PROBES_MAX = 8 };

static void unref(struct qmp *q)
{
	struct pending *p;

	if (--q->refs > 0)
		return;
	while ((p = STAILQ_FIRST(&q->pending))) {
		STAILQ_REMOVE_HEAD(&q->pending, link);
		free(p);
	}
	sd_event_source_disable_unref(q->io);
	sd_event_source_disable_unref(q->timer);
	sd_event_source_disable_unref(q->fail);
	sd_event_source_disable_unref(q->thaw);
	sd_event_unref(q->event);
	if (q->fd >= 0)
		close(q->fd);
	qmp_lines_done(&q->in);
	free(q->out);
	free(q);
}

static void unrefp(struct qmp **q)
{
	unref(*q);
}

/* Held by every dispatch: what it calls may close the connection under it. */
#define HOLD(q) __attribute__((cleanup(unrefp), unused)) struct qmp *held = ((q)->refs++, (q))

static void arm(struct qmp *q, uint64_t deadline_us)
{
	uint64_t at;
	int on;

	if (sd_event_source_get_enabled(q->timer, &on) >= 0 && on == SD_EVENT_ONESHOT &&
	    sd_event_source_get_time(q->timer, &at) >= 0 && at <= deadline_us)
		return;
	sd_event_source_set_time(q->timer, deadline_us);
	sd_event_source_set_enabled(q->timer, SD_EVENT_ONESHOT);
}

/* Replies come in order, so it is always the first that goes. */
static void drop_first(struct qmp *q)
{
	struct pending *p = STAILQ_FIRST(&q->pending);

	STAILQ_REMOVE_HEAD(&q->pending, link);
	q->n_pending--;
	if (!p->cb)
		q->n_overdue--;
	free(p);
	if (q->n_overdue == 0)
		q->n_probes = 0;
	if (q->n_pending == 0)
		sd_event_source_set_enabled(q->timer, SD_EVENT_OFF);
}

static void quiet(struct qmp *q)
{
	q->state = CLOSED;
	sd_event_source_set_enabled(q->io, SD_EVENT_OFF);
	sd_event_source_set_enabled(q->timer, SD_EVENT_OFF);
	sd_event_source_set_enabled(q->fail, SD_EVENT_OFF);
	sd_event_source_set_enabled(q->thaw, SD_EVENT_OFF);
}

/* Only from the event loop. The handlers go with qmp_close(), which may happen in a callback. */
static void fail(struct qmp *q, int rc, const char *why)
{
	struct pending *p;

	quiet(q);
	while ((p = STAILQ_FIRST(&q->pending))) {
		qmp_reply_fn cb = p->cb;
		void *arg = p->arg;

		drop_first(q);
		if (cb && q->handlers)
			cb(arg, -ECONNRESET, NULL, "");
	}
	if (q->handlers)
		q->handlers->on_closed(q->ctx, rc, why);
}

static int flush(struct qmp *q)
{
	while (q->out_sent < q->out_len) {
		ssize_t n;

		failpoint("qmp.send");
		n = send(q->fd, q->out + q->out_sent, q->out_len - q->out_sent,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		failpoint("qmp.sent");
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		q->out_sent += (size_t)n;
	}
	free(q->out);
	q->out = NULL;
	q->out_len = q->out_sent = 0;
	return qmp_listen(q);
}

static int queue_text(struct qmp *q, const char *text, size_t len)
{
	char *out;
	int r;

	if (q->out_len - q->out_sent + len + 1 > QMP_OUT_MAX)
		return -ENOBUFS;
	if (q->out_sent > 0) {
		memmove(q->out, q->out + q->out_sent, q->out_len - q->out_sent);
		q->out_len -= q->out_sent;
		q->out_sent = 0;
	}
	out = realloc(q->out, q->out_len + len + 1);
	if (!out)
		return -ENOMEM;
	q->out = out;
	memcpy(out + q->out_len, text, len);
	out[q->out_len + len] = '\n';
	q->out_len += len + 1;
	r = qmp_listen(q);
	/* What its sender takes for unsent must not go out with the next one. */
	if (r < 0)
		q->out_len -= len + 1;
	return r;
}

/* json-c leaves out of the text what it has no memory for, without a word. */
static bool is_whole(json_object *obj, const char *text, size_t len)
{
	static const struct json_in_limits limits = { QMP_LINE_MAX, JSON_IN_DEPTH,
						      JSON_IN_STRUCTURAL };
	_cleanup_json_ json_object *read = NULL;

	return json_in_parse(text, len, &limits, &read, NULL) == 0 && json_object_equal(obj, read);
}

static int submit(struct qmp *q, enum qmp_command command, json_object *args, qmp_reply_fn cb,
		  void *arg)
{
	_cleanup_json_ json_object *obj = qmp_command_new(command, q->last_id + 1, args);
	struct pending *p;
	const char *text;
	size_t len;
	int r;

	qmp_hurry(q);
	text = obj ? json_object_to_json_string_length(obj, JSON_C_TO_STRING_PLAIN, &len) : NULL;
	p = malloc(sizeof(*p));
	r = text && p && is_whole(obj, text, len) ? queue_text(q, text, len) : -ENOMEM;
	if (r < 0) {
		free(p);
		return r;
	}
	*p = (struct pending){ .id = ++q->last_id, .cb = cb, .arg = arg };
	p->deadline_us = qmp_now_us() + (uint64_t)q->reply_ms * 1000;
	STAILQ_INSERT_TAIL(&q->pending, p, link);
	q->n_pending++;
	arm(q, p->deadline_us);
	return 0;
}

int qmp_send(struct qmp *q, enum qmp_command command, json_object *args, qmp_reply_fn cb, void *arg)
{
	assert(command > QMP_CAPABILITIES && command < QMP_COMMANDS && cb);
	if (q->state == READY && q->n_pending < QMP_COMMANDS_MAX)
		return submit(q, command, args, cb, arg);
	json_object_put(args);
	return q->state == READY ? -ENOBUFS : -ENOTCONN;
}

static void on_negotiated(void *arg, int rc, json_object *value, const char *text)
{
	struct qmp *q = arg;

	if (rc == -ETIMEDOUT)
		fail(q, rc, "QEMU does not answer qmp_capabilities");
	if (rc < 0)
		return;
	q->state = READY;
	q->handlers->on_ready(q->ctx, q->version);
}

static int greeted(struct qmp *q, const struct qmp_msg *m, const char **ret_why)
{
	if (q->state != GREETING) {
		*ret_why = "a second greeting";
		return -EPROTO;
	}
	snprintf(q->version, sizeof(q->version), "%.31s", m->text);
	q->state = NEGOTIATING;
	sd_event_source_set_enabled(q->timer, SD_EVENT_OFF);
	*ret_why = "out of memory";
	return submit(q, QMP_CAPABILITIES, NULL, on_negotiated, q);
}

static int answered(struct qmp *q, const struct qmp_msg *m, const char **ret_why)
{
	struct pending *p = STAILQ_FIRST(&q->pending);
	bool overdue;
	qmp_reply_fn cb;
	void *arg;

	if (!p || p->id != m->id) {
		*ret_why = "a reply to no command";
		return -EPROTO;
	}
	if (q->state == NEGOTIATING && m->kind == QMP_ERROR) {
		*ret_why = "QEMU refuses qmp_capabilities";
		return -EPROTO;
	}
	cb = p->cb;
	arg = p->arg;
	overdue = !cb;
	drop_first(q);
	if (cb)
		cb(arg, m->kind == QMP_ERROR ? m->rc : 0, m->value, m->text);
	else if (overdue && q->n_overdue == 0)
		q->handlers->on_caught_up(q->ctx);
	return 0;
}

int qmp_received(struct qmp *q, const struct qmp_msg *m, size_t len, const char **ret_why)
{
	failpoint(m->kind == QMP_EVENT ? "qmp.event" : "qmp.reply");
	switch (m->kind) {
	case QMP_GREETING:
		return greeted(q, m, ret_why);
	case QMP_RETURN:
	case QMP_ERROR:
		q->replied += len;
		return answered(q, m, ret_why);
	case QMP_EVENT:
		qmp_budget_pay(&q->budget, len);
		/* One may slip in before the reply to qmp_capabilities; all is read after it. */
		if (q->state == READY)
			q->handlers->on_event(q->ctx, m->name, m->value);
		return 0;
	}
	return 0;
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct qmp *q = userdata;
	const char *why = "";
	int r = 0;
	HOLD(q);

	if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
		r = qmp_receive(q, &why);
	if (r == 0 && q->state != CLOSED && (revents & EPOLLOUT)) {
		r = flush(q);
		why = "the QMP connection broke";
	}
	if (r < 0 && q->state != CLOSED)
		fail(q, r, why);
	return 0;
}

static int on_thaw(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct qmp *q = userdata;
	const char *why = "";
	bool missed;
	int r;
	HOLD(q);

	sd_event_source_set_enabled(q->io, SD_EVENT_ON);
	qmp_hurry(q);
	qmp_budget_is_spent(&q->budget, qmp_now_us());
	r = qmp_read_lines(q, &why);
	if (r == 0 && q->state != CLOSED && q->waiting)
		qmp_pause_reading(q);
	else if (r == 0 && q->state != CLOSED)
		r = qmp_receive(q, &why);
	if (r < 0 && q->state != CLOSED)
		fail(q, r, why);
	missed = q->budget.missed;
	q->budget.missed = false;
	if (missed && q->state == READY)
		q->handlers->on_caught_up(q->ctx);
	return 0;
}

/* The first command past its deadline that was not answered yet. */
static struct pending *late(struct qmp *q, uint64_t now, uint64_t *next)
{
	struct pending *p;

	for (p = STAILQ_FIRST(&q->pending); p; p = STAILQ_NEXT(p, link)) {
		if (!p->cb)
			continue;
		if (p->deadline_us <= now)
			return p;
		if (p->deadline_us < *next)
			*next = p->deadline_us;
	}
	return NULL;
}

static void on_probe(void *arg, int rc, json_object *value, const char *text)
{
}

static void probe(struct qmp *q)
{
	if (q->n_overdue == 0 || q->n_overdue < q->n_pending || q->n_probes == PROBES_MAX)
		return;
	q->n_probes++;
	/* Without memory the next one that is overdue brings the next try, or nothing is lost. */
	(void)submit(q, QMP_QUERY_STATUS, NULL, on_probe, q);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct qmp *q = userdata;
	uint64_t now = qmp_now_us(), next = UINT64_MAX;
	struct pending *p;
	HOLD(q);

	if (q->state == GREETING) {
		fail(q, -EBUSY, "another QMP client holds the socket");
		return 0;
	}
	while (q->state != CLOSED && (p = late(q, now, &next))) {
		qmp_reply_fn cb = p->cb;

		p->cb = NULL;
		q->n_overdue++;
		next = UINT64_MAX;
		cb(p->arg, -ETIMEDOUT, NULL, "");
	}
	if (q->state == READY)
		probe(q);
	if (q->state != CLOSED && next != UINT64_MAX)
		arm(q, next);
	return 0;
}

static int on_fail(sd_event_source *s, void *userdata)
{
	struct qmp *q = userdata;
	HOLD(q);

	fail(q, -EPROTO, q->fail_why);
	return 0;
}

void qmp_fail(struct qmp *q, const char *why)
{
	if (q->state == CLOSED)
		return;
	/* Nothing more is read meanwhile: what came is of no use to the caller. */
	quiet(q);
	q->fail_why = why;
	sd_event_source_set_enabled(q->fail, SD_EVENT_ONESHOT);
}

static int add_sources(struct qmp *q)
{
	int r = sd_event_add_io(q->event, &q->io, q->fd, EPOLLIN, on_io, q);

	if (r < 0)
		return r;
	r = sd_event_add_time(q->event, &q->timer, CLOCK_MONOTONIC,
			      qmp_now_us() + QMP_GREETING_MS * 1000ULL, 1000, on_timer, q);
	if (r < 0)
		return r;
	r = sd_event_add_time(q->event, &q->thaw, CLOCK_MONOTONIC, 0, 1000, on_thaw, q);
	if (r < 0)
		return r;
	sd_event_source_set_enabled(q->thaw, SD_EVENT_OFF);
	r = sd_event_add_defer(q->event, &q->fail, on_fail, q);
	return r < 0 ? r : sd_event_source_set_enabled(q->fail, SD_EVENT_OFF);
}

int qmp_new_fd(struct qmp **ret, sd_event *event, int fd, unsigned int reply_ms,
	       const struct qmp_handlers *handlers, void *ctx)
{
	struct qmp *q = calloc(1, sizeof(*q));
	int r;

	if (!q) {
		close(fd);
		return -ENOMEM;
	}
	q->refs = 1;
	q->fd = fd;
	q->peer = qmp_socket_peer(fd);
	q->event = sd_event_ref(event);
	q->reply_ms = reply_ms;
	q->handlers = handlers;
	q->ctx = ctx;
	STAILQ_INIT(&q->pending);
	qmp_budget_init(&q->budget, qmp_now_us());
	r = add_sources(q);
	if (r < 0) {
		unref(q);
		return r;
	}
	*ret = q;
	return 0;
}

int qmp_new(struct qmp **ret, sd_event *event, const char *path, unsigned int reply_ms,
	    const struct qmp_handlers *handlers, void *ctx)
{
	int fd = qmp_socket_connect(path);

	if (fd < 0)
		return fd;
	return qmp_new_fd(ret, event, fd, reply_ms, handlers, ctx);
}

void qmp_set_reply_ms(struct qmp *q, unsigned int reply_ms)
{
	q->reply_ms = reply_ms;
}

unsigned int qmp_overdue(const struct qmp *q)
{
	return q->n_overdue;
}

uint64_t qmp_replied(const struct qmp *q)
{
	return q->replied;
}

bool qmp_has_heard(const struct qmp *q)
{
	return q->heard;
}

struct ucred qmp_peer(const struct qmp *q)
{
	return q->peer;
}

struct qmp *qmp_close(struct qmp *q)
{
	if (!q)
		return NULL;
	quiet(q);
	q->handlers = NULL;
	unref(q);
	return NULL;
}
