/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/varlink-conn.h"
#include "daemon/failpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * A connection is an input buffer, at most one call, and an output queue. Calls are handled in
 * the order they came, each when the one before it has been answered; what a client has sent ahead
 * waits in the input buffer, and when that is full in the kernel's, so it costs 64 KiB at most.
 * Answers go out at once, those with more to follow at the end of the turn: a report of the guest's
 * is a hundred of them, which would be as many system calls here and wakeups there. What the kernel
 * does not take is queued. A client that would leave more than 256 KiB unread is dropped, except
 * that one answer to an empty queue may have any length (its length is ours to bound). A call with a
 * long answer has it in parts and is told when there is room for the next, in work() like
 * everything else.
 *
 * Three ways lead to the end. "eof": the client closed its sending side; calls already sent are
 * answered. "hung up": it is gone altogether; complete requests that came before are still
 * carried out, for a client may send a request and leave, but nothing is written any more.
 * "failed": written to without success, or too slow; everything is dropped. After an input that
 * cannot be trusted to be cut into messages rightly (no JSON, no end) the answer is flushed and the
 * connection closed ("closing").
 *
 * A connection is freed in one place only, work(), which runs from the event loop: so handlers
 * and event listeners may answer at any time and never see it vanish under their feet. work()
 * also starts one call at a time, so that a client with a thousand requests in one packet does
 * not keep the others waiting. (The next one waits for a timer of 0 us and not for the deferred
 * source: sd-event does not look at descriptors while a deferred source is pending.)
 *
 * Descriptors sent along (SCM_RIGHTS) are never received: recv() has no room for them and the
 * kernel closes them.
 */

enum {
	INPUT_MIN = 4096,
	INPUT_MAX = VARLINK_REQUEST_MAX + 1, /* with the NUL */
	TURN_MAX = 32768,                    /* bytes kept until the end of the turn */
};

/* Length of the first complete message, or -1. */
static ssize_t message_length(struct conn *c)
{
	const char *end = NULL;

	if (c->scanned < c->in_len)
		end = memchr(c->in + c->scanned, '\0', c->in_len - c->scanned);
	if (end)
		return end - c->in;
	c->scanned = c->in_len;
	return -1;
}

static bool is_overlong(const struct conn *c)
{
	return c->in_len == INPUT_MAX && c->scanned == c->in_len;
}

static bool is_finished(const struct conn *c)
{
	if (c->failed || c->hung_up)
		return true;
	return (c->closing || c->eof) && c->out_at == c->out_len;
}

/* Its call wants to go on, and the client has read everything. */
static bool has_room(const struct conn *c)
{
	return c->call && c->call->room && c->out_at == c->out_len;
}

bool conn_settle(struct conn *c)
{
	bool reading = !c->eof && !c->hung_up && !c->failed && !c->closing && c->in_len < INPUT_MAX;
	bool writing = !c->hung_up && !c->failed && c->out_at < c->out_len && !c->unsent;
	bool waiting = message_length(c) >= 0 || is_overlong(c);
	bool due =
		c->failed || c->unsent ||
		(c->call ? c->hung_up || has_room(c) : (waiting && !c->closing) || is_finished(c));

	sd_event_source_set_io_events(c->io, (reading ? EPOLLIN : 0) | (writing ? EPOLLOUT : 0));
	/* A hang-up is reported for ever, asked for or not. */
	sd_event_source_set_enabled(c->io, c->hung_up || c->failed ? SD_EVENT_OFF : SD_EVENT_ON);
	sd_event_source_set_enabled(c->work, due ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	sd_event_source_set_enabled(c->turn, SD_EVENT_OFF);
	return due;
}

/* What is due is done when the others have had their turn. */
static void conn_yield(struct conn *c)
{
	sd_event_source_set_enabled(c->work, SD_EVENT_OFF);
	sd_event_source_set_time(c->turn, 0);
	sd_event_source_set_enabled(c->turn, SD_EVENT_ONESHOT);
}

static void flush(struct conn *c)
{
	c->unsent = false;
	while (c->out_at < c->out_len && !c->hung_up && !c->failed) {
		ssize_t n;

		failpoint("control.send");
		n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		failpoint("control.sent");
		if (n >= 0) {
			c->out_at += (size_t)n;
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EPIPE || errno == ECONNRESET)
			c->hung_up = true;
		else if (errno != EINTR)
			c->failed = true;
	}
	/* Nothing is owed any more: an idle client keeps no buffer. */
	free(c->out);
	c->out = NULL;
	c->out_at = c->out_len = c->out_size = 0;
}

static int make_room(struct conn *c, size_t len)
{
	size_t queued = c->out_len - c->out_at;
	char *bigger;

	if (c->out_at > 0) {
		memmove(c->out, c->out + c->out_at, queued);
		c->out_at = 0;
		c->out_len = queued;
	}
	if (queued + len <= c->out_size)
		return 0;
	bigger = realloc(c->out, queued + len);
	if (!bigger)
		return -ENOMEM;
	c->out = bigger;
	c->out_size = queued + len;
	return 0;
}

static void enqueue(struct conn *c, const char *text, size_t len)
{
	size_t queued = c->out_len - c->out_at;

	if (c->unsent && queued + len > TURN_MAX) {
		flush(c);
		queued = c->out_len - c->out_at;
	}
	if (c->hung_up || c->failed)
		return;
	if (queued > 0 && queued + len > VARLINK_QUEUE_MAX) {
		c->failed = true;
		return;
	}
	if (make_room(c, len) < 0) {
		c->failed = true;
		return;
	}
	memcpy(c->out + c->out_len, text, len);
	c->out_len += len;
	/* Behind what the kernel did not take it has to wait anyway. */
	c->unsent = c->unsent || queued == 0;
}

void conn_queue(struct conn *c, json_object *message)
{
	size_t len = 0;
	const char *text =
		message ? json_object_to_json_string_length(
				  message, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
				  &len)
			: NULL;

	if (text)
		enqueue(c, text, len + 1);
	else
		c->failed = true;
	json_object_put(message);
}

void conn_send(struct conn *c, json_object *message)
{
	conn_queue(c, message);
	flush(c);
}

static void next_message(struct conn *c)
{
	ssize_t len = message_length(c);
	size_t used;
	int r;

	if (len < 0 && !is_overlong(c))
		return;
	/* Without an end to it nothing is read of a request, and the answer says "(too large)". */
	used = len < 0 ? c->in_len : (size_t)len + 1;
	r = call_run(c, c->in, len < 0 ? c->in_len : (size_t)len);
	if (r < 0)
		c->failed = true;
	memmove(c->in, c->in + used, c->in_len - used);
	c->in_len -= used;
	c->scanned = 0;
	if (c->in_len == 0) {
		free(c->in);
		c->in = NULL;
		c->in_size = 0;
	}
}

static void go_on(struct conn *c)
{
	void (*fn)(void *ctx) = c->call->room;

	c->call->room = NULL;
	fn(c->call->room_ctx);
}

static void work(struct conn *c)
{
	if (c->unsent)
		flush(c);
	if (c->hung_up)
		call_abandon(c);
	if (!c->failed && has_room(c))
		go_on(c);
	else if (!c->failed && !c->call && !c->closing)
		next_message(c);
	if (c->failed || (!c->call && is_finished(c) && (c->closing || message_length(c) < 0)))
		conn_free(c);
	else if (conn_settle(c))
		conn_yield(c);
}

static int on_work(sd_event_source *source, void *ctx)
{
	work(ctx);
	return 0;
}

static int on_turn(sd_event_source *source, uint64_t usec, void *ctx)
{
	work(ctx);
	return 0;
}

static int grow_input(struct conn *c)
{
	size_t size = c->in_size ? c->in_size * 2 : INPUT_MIN;
	char *bigger;

	if (c->in_len < c->in_size)
		return 0;
	if (size > INPUT_MAX)
		size = INPUT_MAX;
	bigger = realloc(c->in, size);
	if (!bigger)
		return -ENOMEM;
	c->in = bigger;
	c->in_size = size;
	return 0;
}

static void read_input(struct conn *c)
{
	while (c->in_len < INPUT_MAX && !c->eof) {
		ssize_t n;

		if (grow_input(c) < 0) {
			c->failed = true;
			return;
		}
		n = recv(c->fd, c->in + c->in_len, c->in_size - c->in_len, MSG_DONTWAIT);
		if (n > 0)
			c->in_len += (size_t)n;
		else if (n == 0 || errno == ECONNRESET)
			c->eof = true;
		else if (errno == EAGAIN)
			return;
		else if (errno != EINTR) {
			c->failed = true;
			return;
		}
	}
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct conn *c = ctx;

	if (revents & EPOLLIN && !c->closing)
		read_input(c);
	if (revents & EPOLLOUT)
		flush(c);
	if (revents & (EPOLLHUP | EPOLLERR))
		c->hung_up = true;
	conn_settle(c);
	return 0;
}

static int watch(struct conn *c)
{
	sd_event *event = c->server->event;
	int r;

	r = sd_event_add_io(event, &c->io, c->fd, EPOLLIN, on_io, c);
	if (r < 0)
		return r;
	r = sd_event_add_defer(event, &c->work, on_work, c);
	if (r < 0)
		return r;
	r = sd_event_source_set_enabled(c->work, SD_EVENT_OFF);
	if (r < 0)
		return r;
	r = sd_event_add_time(event, &c->turn, CLOCK_MONOTONIC, 0, 1, on_turn, c);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(c->turn, SD_EVENT_OFF);
}

int conn_new(struct varlink_server *s, int fd, const struct auth_peer *peer, gid_t *groups)
{
	struct conn *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->server = s;
	c->fd = fd;
	c->peer = *peer;
	c->peer.groups = groups;
	r = watch(c);
	if (r < 0) {
		sd_event_source_disable_unref(c->io);
		sd_event_source_disable_unref(c->work);
		sd_event_source_disable_unref(c->turn);
		free(c);
		return r;
	}
	c->groups = groups;
	c->next = s->conns;
	if (c->next)
		c->next->back = &c->next;
	c->back = &s->conns;
	s->conns = c;
	s->n_conns++;
	return 0;
}

void conn_free(struct conn *c)
{
	*c->back = c->next;
	if (c->next)
		c->next->back = c->back;
	c->server->n_conns--;
	call_abandon(c);
	sd_event_source_disable_unref(c->io);
	sd_event_source_disable_unref(c->work);
	sd_event_source_disable_unref(c->turn);
	close(c->fd);
	free(c->groups);
	free(c->in);
	free(c->out);
	free(c);
}
