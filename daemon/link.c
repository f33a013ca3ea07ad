/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A link is the host's end of one agent's virtio-serial port: a client of the unix socket that
 * QEMU or libvirt holds for it. It owns the descriptor, the handshake, the numbers of pings and
 * kicks and the relation of the two clocks. It knows nothing of what a kick does, keeps no result
 * and logs nothing; what it learns goes to its owner by struct link_ops.
 *
 * Three conditions, each within the one before:
 *   connected   fd >= 0. Says only that QEMU listens: the guest may be in its firmware.
 *   established session.established: an agent has answered in this connection.
 *   up          the owner has been told so, and has not been told otherwise.
 * Leaving up is link_lost() and nothing else. Callbacks run from the event loop alone: a call
 * that finds the connection broken marks it so and leaves the rest to the hangup source.
 *
 * The guest is not trusted. One read a dispatch, at most what the decoder holds (8 KiB); frames
 * are paid for from a bucket (50 a second, 500 saved up), a wake-up costs at least one token and
 * 64 bytes of junk cost one as well, for searching them is work too. Without tokens the descriptor
 * is left alone until they return, so that the guest's writes wait in the guest. Nothing the guest
 * sends allocates memory. Output that it does not read is kept up to 64 KiB, then the connection
 * is dropped.
 *
 * Each connection is a new session of ours, so that nothing an agent sent to a former one can be
 * taken for an answer (R7). A number left out among an agent's frames is a frame that was lost: the
 * owner is told, who asks for what may have been in it. A lost connection is tried again after 0.1 s,
 * doubling to each 2 s (wake.h); only a session that came up starts the pauses anew.
 */
#include "daemon/link.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "daemon/link-internal.h"

/* A guest that claims more has made it up. */
enum { KICK_LIMIT = 0x7fffffff };

void link_lost(struct link *l, const char *why)
{
	l->why = why;
	if (!l->up)
		return;
	l->up = false;
	l->clock = (struct link_clock){ 0 };
	link_pings_end(l, -ENOTCONN);
	l->ops->on_down(l->ctx, why);
}

static void link_send_frame(struct link *l, uint64_t session, int type, const void *msg,
			    bool urgent)
{
	uint8_t out[FRAME_MAX];
	struct frame f = { .type = (uint8_t)type, .session = session, .seq = l->seq++ };
	int n;

	f.payload = out + FRAME_HEADER;
	n = msg_encode(type, msg, out + FRAME_HEADER, FRAME_PAYLOAD_MAX);
	assert(n >= 0);
	f.length = (uint16_t)n;
	n = frame_encode(&f, out, sizeof(out));
	assert(n > 0);
	l->stats.frames_out++;
	link_queue(l, out, (size_t)n, urgent);
}

static int send_in_session(struct link *l, int type, const void *msg, bool urgent)
{
	if (!link_is_up(l))
		return -ENOTCONN;
	link_send_frame(l, session_key(&l->session), type, msg, urgent);
	return l->broken ? -ENOTCONN : 0;
}

int link_send(struct link *l, int type, const void *msg)
{
	return send_in_session(l, type, msg, true);
}

int link_send_later(struct link *l, int type, const void *msg)
{
	return send_in_session(l, type, msg, false);
}

void link_send_hello(struct link *l)
{
	struct msg_hello h = {
		.version_min = FRAME_VERSION,
		.version_max = FRAME_VERSION,
		.session = l->session.mine,
		.peer = l->session.peer,
		.time_ns = link_now_ns(),
		.version = VCPUHP_VERSION,
	};

	link_send_frame(l, 0, MSG_HELLO, &h, true);
}

static const char *hello_objection(const struct msg_hello *m)
{
	if (m->version_min > FRAME_VERSION || m->version_max < FRAME_VERSION)
		return "the agent speaks another version of the protocol";
	if (m->kick > KICK_LIMIT)
		return "the agent claims an impossible kick number";
	return NULL;
}

static bool link_on_hello(struct link *l, const struct msg_hello *m, bool *ret_up)
{
	struct session_verdict v;
	const char *objection = hello_objection(m);

	if (objection) {
		l->session.established = false;
		link_lost(l, objection);
		return false;
	}
	v = session_on_hello(&l->session, m->session, m->peer);
	*ret_up = v.up;
	if (v.changed || !l->session.established)
		link_lost(l, v.changed ? "another agent has started" : "the agent forgot us");
	if (m->kick > l->last_kick)
		l->last_kick = m->kick;
	if (v.reply)
		link_send_hello(l);
	if (v.up && !l->broken) {
		l->hello = *m;
		l->up = true;
		l->why = "";
		l->backoff_us = LINK_BACKOFF_MIN_US;
		l->ops->on_up(l->ctx, &l->hello);
		link_measure_clock(l);
	} else if (l->up) {
		l->hello = *m; /* said again in the session: its features have changed */
	}
	return true;
}

/* What may be older than what has been said of it since; a result is none the worse for being late. */
static bool grows_old(const struct record *r)
{
	return r->type == RECORD_CPU || r->type == RECORD_STATE || r->type == RECORD_END;
}

static bool link_on_report(struct link *l, const struct frame *f, bool late)
{
	struct record r;
	size_t pos = 0;

	if (record_check(f->payload, f->length) < 0)
		return false;
	/* The owner's answer to a record can break the connection: then the rest is void. */
	while (link_is_up(l) && record_decode(f->payload, f->length, &pos, &r) > 0)
		if (!late || !grows_old(&r))
			l->ops->on_record(l->ctx, &r);
	return true;
}

union message {
	struct msg_hello hello;
	struct msg_pong pong;
	struct msg_kicked kicked;
	struct msg_armed armed;
};

static bool link_take_message(struct link *l, const struct frame *f, bool late)
{
	union message m;

	switch (f->type) {
	case MSG_REPORT:
		return link_on_report(l, f, late);
	case MSG_PONG:
	case MSG_KICKED:
	case MSG_ARMED:
		if (msg_decode(f->type, f->payload, f->length, &m) < 0)
			return false;
		break;
	default: /* a number of the guest's choice */
		return false;
	}
	if (f->type == MSG_PONG)
		link_on_pong(l, &m.pong);
	else if (f->type == MSG_KICKED)
		l->ops->on_kicked(l->ctx, &m.kicked);
	else
		l->ops->on_armed(l->ctx, &m.armed);
	return true;
}

/* Return: how many are missing before it; negative where it comes twice, or late. */
static int32_t count_missing(struct link *l, const struct frame *f)
{
	int32_t ahead = (int32_t)(f->seq - l->next_seq);

	if (ahead >= 0)
		l->next_seq = f->seq + 1;
	return ahead;
}

static bool take_hello(struct link *l, const struct frame *f)
{
	struct msg_hello hello;
	bool up = false;

	if (f->session != 0 || msg_decode(MSG_HELLO, f->payload, f->length, &hello) < 0 ||
	    !link_on_hello(l, &hello, &up))
		return false;
	/* One that is said again in the session is a frame of it. */
	if (up || !link_is_up(l))
		l->next_seq = f->seq + 1;
	else if (count_missing(l, f) > 0)
		l->ops->on_missed(l->ctx);
	return true;
}

void link_take_frame(struct link *l, const struct frame *f)
{
	bool taken = false;

	l->stats.frames_in++;
	if (f->type == MSG_HELLO) {
		taken = take_hello(l, f);
	} else if (link_is_up(l) && f->session == session_key(&l->session)) {
		int32_t ahead = count_missing(l, f);

		if (ahead > 0)
			l->ops->on_missed(l->ctx);
		taken = link_is_up(l) && link_take_message(l, f, ahead < 0);
	}
	if (!taken) {
		l->stats.frames_dropped++;
		return;
	}
	l->heard_ns = link_now_ns();
	l->silent = false;
}

int link_new(struct link **ret, sd_event *event, const char *path, const struct link_ops *ops,
	     void *ctx)
{
	struct link *l;
	int r;

	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return -ENAMETOOLONG;
	l = malloc(sizeof(*l));
	if (!l)
		return -ENOMEM;
	memset(l, 0, offsetof(struct link, out));
	l->fd = -1;
	l->event = sd_event_ref(event);
	l->ops = ops;
	l->ctx = ctx;
	l->why = "not connected yet";
	l->path = strdup(path);
	r = l->path ? link_io_init(l) : -ENOMEM;
	if (r < 0) {
		link_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

struct link *link_free(struct link *l)
{
	if (!l)
		return NULL;
	link_pings_end(l, 0);
	link_io_done(l);
	sd_event_unref(l->event);
	free(l->path);
	free(l);
	return NULL;
}

bool link_is_up(const struct link *l)
{
	return l->up && !l->broken;
}

bool link_is_connected(const struct link *l)
{
	return l->fd >= 0 && !l->broken;
}

uint64_t link_heard_us(const struct link *l)
{
	return link_is_up(l) ? l->heard_ns / 1000 : 0;
}

bool link_is_silent(const struct link *l)
{
	return link_is_up(l) && l->silent;
}

const struct msg_hello *link_hello(const struct link *l)
{
	return link_is_up(l) ? &l->hello : NULL;
}

const char *link_why_down(const struct link *l)
{
	return l->why;
}

uint32_t link_next_kick(struct link *l)
{
	return ++l->last_kick;
}

uint32_t link_last_kick(const struct link *l)
{
	return l->last_kick;
}

int link_kick(struct link *l, const struct msg_kick *k)
{
	return link_send(l, MSG_KICK, k);
}

int link_cancel(struct link *l, uint32_t kick)
{
	return link_send(l, MSG_CANCEL, &(struct msg_cancel){ .kick = kick });
}

int link_ack(struct link *l, uint32_t kick)
{
	return link_send_later(l, MSG_ACK, &(struct msg_ack){ .kick = kick });
}

int link_arm(struct link *l, const struct msg_arm *a)
{
	return link_send(l, MSG_ARM, a);
}

int link_query(struct link *l)
{
	return link_send(l, MSG_QUERY, NULL);
}

int link_load(struct link *l, unsigned int interval_ms)
{
	return link_send(l, MSG_LOAD, &(struct msg_load){ .interval_ms = interval_ms });
}

void link_get_stats(const struct link *l, struct link_stats *ret)
{
	*ret = l->stats;
	ret->bytes_dropped += l->in.dropped;
}
