/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The agent's end of the channel: a session for each time a host is there, requests, and what is due.
 * Steps are gathered for a while; rows of CPUs at rest, results and answers go at once with all that
 * was gathered before. What must arrive (rows, results, the answer to QUERY) is marked as due and
 * taken from where it stands when there is room; a result stays until it is acknowledged.
 */
#include "proto/ladder.h"
#include "tests/microguest/guest.h"
#include "tests/microguest/machine.h"
#include "tests/microguest/port.h"
#include <errno.h>
#include <string.h>

enum { GATHER_NS = 20 * 1000000 };

static uint64_t random_number(struct link *l)
{
	do {
		l->random ^= tsc();
		l->random ^= l->random << 13;
		l->random ^= l->random >> 7;
		l->random ^= l->random << 17;
	} while (l->random == 0);
	return l->random;
}

void link_init(struct guest *g)
{
	struct link *l = &g->link;

	l->query_at = -1;
	for (unsigned int i = 0; i < sizeof(g->boot_id); i++)
		g->boot_id[i] = (uint8_t)random_number(l);
	session_init(&l->session, random_number(l));
	outbox_init(&l->out);
	frame_decoder_init(&l->in);
}

void link_hurry(struct guest *g)
{
	g->link.urgent = true;
}

static void say_hello(struct guest *g)
{
	struct link *l = &g->link;
	struct msg_hello h = {
		.version_min = FRAME_VERSION,
		.version_max = FRAME_VERSION,
		.features = MSG_FEATURE_HOTPLUG | MSG_FEATURE_FAULTS,
		.session = l->session.mine,
		.peer = l->session.peer,
		.kick = g->highest_kick,
		.time_ns = now_ns(),
		.possible = (uint16_t)g->slots,
		.version = VCPUHP_VERSION,
		.kernel = "microguest",
	};

	memcpy(h.boot_id, g->boot_id, sizeof(h.boot_id));
	(void)outbox_message(&l->out, MSG_HELLO, &h);
	link_hurry(g);
}

static void begin_session(struct guest *g)
{
	struct link *l = &g->link;

	session_init(&l->session, random_number(l));
	frame_decoder_init(&l->in);
	outbox_void(&l->out);
	l->query_at = -1;
	(void)outbox_pad(&l->out, FRAME_PAD);
	say_hello(g);
}

static void on_hello(struct guest *g, const struct msg_hello *h)
{
	struct link *l = &g->link;
	struct session_verdict v = session_on_hello(&l->session, h->session, h->peer);

	if (v.changed) {
		outbox_void(&l->out);
		l->query_at = -1;
	}
	if (v.reply)
		say_hello(g);
	if (h->version_min > FRAME_VERSION || h->version_max < FRAME_VERSION)
		l->session.established = false;
	if (!v.up || !l->session.established)
		return;
	l->out.session = session_key(&l->session);
	for_each_cpu (g, c)
		c->done_due = c->done_kept;
}

static void on_request(struct guest *g, const struct frame *f)
{
	union {
		struct msg_ping ping;
		struct msg_kick kick;
		struct msg_cancel cancel;
		struct msg_ack ack;
		struct msg_arm arm;
	} m;

	switch (f->type) {
	case MSG_PING:
	case MSG_KICK:
	case MSG_CANCEL:
	case MSG_ACK:
	case MSG_ARM:
	case MSG_QUERY:
		break;
	default:
		return; /* PREPARE: nothing here is made faster by it */
	}
	if (msg_decode(f->type, f->payload, f->length, &m) < 0)
		return;
	if (f->type == MSG_PING)
		link_answer(g, MSG_PONG, &(struct msg_pong){ m.ping.host_ns, now_ns() });
	else if (f->type == MSG_KICK)
		kick_on_kick(g, &m.kick);
	else if (f->type == MSG_CANCEL)
		kick_on_cancel(g, &m.cancel);
	else if (f->type == MSG_ACK)
		kick_on_ack(g, &m.ack);
	else if (f->type == MSG_ARM)
		kick_on_arm(g, &m.arm);
	else
		g->link.query_at = 0;
}

static void on_frame(struct guest *g, const struct frame *f)
{
	struct link *l = &g->link;
	struct msg_hello h;

	if (f->type == MSG_HELLO) {
		if (msg_decode(MSG_HELLO, f->payload, f->length, &h) == 0)
			on_hello(g, &h);
	} else if (l->session.established && f->session == session_key(&l->session)) {
		on_request(g, f);
	}
}

static void read_frames(struct guest *g)
{
	struct link *l = &g->link;
	struct frame f;
	size_t space, n;
	uint8_t *to;

	while (outbox_has_room(&l->out)) {
		if (frame_next(&l->in, &f)) {
			on_frame(g, &f);
			continue;
		}
		to = frame_space(&l->in, &space);
		n = port_read(to, space);
		if (n == 0)
			return;
		frame_fed(&l->in, n);
		g->busy_until_ns = now_ns() + BUSY_NS;
	}
}

void link_answer(struct guest *g, int type, const void *msg)
{
	if (!g->link.session.established)
		return;
	(void)outbox_message(&g->link.out, type, msg);
	link_hurry(g);
}

void link_report(struct guest *g, const struct record *r)
{
	if (g->link.session.established)
		(void)outbox_record(&g->link.out, r, false);
}

static bool put(struct guest *g, const struct record *r)
{
	return outbox_has_room(&g->link.out) && outbox_record(&g->link.out, r, false) == 0;
}

static bool put_row(struct guest *g, const struct cpu *c)
{
	const struct record r = {
		.type = RECORD_CPU,
		.cpu = {
			.cpu = c->number,
			.slot = c->slot,
			.flags = (uint8_t)((c->present ? RECORD_CPU_PRESENT : 0) |
					   (c->online ? RECORD_CPU_ONLINE : 0) |
					   (c->walking ? RECORD_CPU_WALKING : 0) |
					   (c->taken ? RECORD_CPU_TAKEN : 0) |
					   (c->parked && !c->walking ? RECORD_CPU_PARKED : 0)),
			.state = c->state,
			.ran_on = c->ran_on,
		},
	};

	if (!put(g, &r))
		return false;
	g->link.urgent |= !c->walking;
	return true;
}

static bool put_state(struct guest *g, int state)
{
	struct record r = { .type = RECORD_STATE, .state.state = (uint8_t)state };

	text_copy(r.state.name, sizeof(r.state.name), worker_callback(state));
	return put(g, &r);
}

static bool put_next(struct guest *g, int at)
{
	const struct record end = { .type = RECORD_END };
	int state = CPUHP_AP_DYN + at - (int)g->slots;

	if (at < (int)g->slots)
		return !g->cpus[at].present || put_row(g, &g->cpus[at]);
	if (worker_callback(state))
		return put_state(g, state);
	lie_about_rows(g);
	if (!put(g, &end))
		return false;
	link_hurry(g);
	return true;
}

static bool put_answer(struct guest *g)
{
	struct link *l = &g->link;

	while (l->query_at >= 0) {
		bool last = l->query_at >= (int)g->slots &&
			    !worker_callback(CPUHP_AP_DYN + l->query_at - (int)g->slots);

		if (!put_next(g, l->query_at))
			return false;
		l->query_at = last ? -1 : l->query_at + 1;
	}
	return true;
}

static bool put_cpu(struct guest *g, struct cpu *c)
{
	const struct record done = { .type = RECORD_DONE, .done = c->done };

	if (c->row_due && !put_row(g, c))
		return false;
	c->row_due = false;
	if (c->done_due && !put(g, &done))
		return false;
	g->link.urgent |= c->done_due;
	c->done_due = false;
	return true;
}

static void put_due(struct guest *g)
{
	if (!put_answer(g))
		return;
	for_each_cpu (g, c)
		if (!put_cpu(g, c))
			return;
}

static bool is_gathering(struct link *l)
{
	if (l->urgent || !l->out.batched || (l->gather_ns && now_ns() >= l->gather_ns))
		l->gather_ns = 0;
	else if (!l->gather_ns)
		l->gather_ns = now_ns() + GATHER_NS;
	return l->gather_ns;
}

static void write_out(struct link *l)
{
	const uint8_t *bytes;
	size_t len, n;

	for (;;) {
		bytes = outbox_bytes(&l->out, &len);
		n = len ? port_write(bytes, len) : 0;
		if (n == 0)
			return;
		outbox_written(&l->out, n);
	}
}

void link_turn(struct guest *g)
{
	struct link *l = &g->link;
	bool connected = port_turn();

	if (connected && !l->connected)
		begin_session(g);
	else if (!connected)
		l->session.established = false;
	l->connected = connected;
	read_frames(g);
	if (l->session.established)
		put_due(g);
	if (!is_gathering(l)) {
		outbox_close_batch(&l->out);
		l->urgent = false;
	}
	if (connected)
		write_out(l);
}
