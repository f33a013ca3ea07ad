/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The scripted agent's port and session: frames in and out by proto's codec, the handshake by
 * proto's session, the tables that it tells. Its walks are agent-walk.c's.
 *
 * Bytes for a port that nobody has open wait in the socket, as with virtio-serial, and are read by
 * the next agent. Progress is gathered into frames for a moment; results go at once, behind what
 * was gathered.
 */
#include "tests/sim/sim.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* TAKEN_IN: whatever is told now the host knows by then */
enum { GATHER_US = 3000, TAKEN_IN_US = 200000, FLOOD_US = 1000, FLOOD_FRAMES = 50 };

static const uint8_t pad[FRAME_PAD];

/* PROTOCOL.md, rates and limits: 50 frames a second, and bursts of 500. The daemon wakes up for five at a time. */
enum { FRAME_US = 1000000 / 50, BURST_US = 500 * FRAME_US, WAKE_US = 5 * FRAME_US };

static void put(struct sim_domain *d, const void *bytes, size_t n)
{
	uint64_t now = clock_us(), saved_us = now > BURST_US ? now - BURST_US : 0;

	if (d->a.paid_us < saved_us)
		d->a.paid_us = saved_us;
	d->a.paid_us += FRAME_US;
	wire_send(&d->a.wire, bytes, n);
}

bool agent_is_paying(const struct sim_domain *d)
{
	return clock_us() < d->a.paid_us + WAKE_US && wire_unread(&d->a.wire) > 0;
}

void agent_met_anew(struct sim_domain *d)
{
	d->a.paid_us = 0;
}

static void tear(struct sim_domain *d)
{
	wire_hang_up(&d->a.wire);
}

static void send_frame(struct sim_domain *d, int type, const uint8_t *payload, size_t n)
{
	struct agent *a = &d->a;
	uint8_t out[FRAME_MAX];
	struct frame f = {
		.type = (uint8_t)type,
		.session = type == MSG_HELLO ? 0 : session_key(&a->session),
		.seq = a->seq++,
		.length = (uint16_t)n,
		.payload = payload,
	};
	int len = frame_encode(&f, out, sizeof(out));

	assert(len > 0);
	if (!a->runs || (type != MSG_HELLO && !a->session.established))
		return;
	tamper(d, &a->frames, out, (size_t)len, put, tear);
}

static void close_batch(struct sim_domain *d)
{
	size_t n = d->a.batched;

	clock_disarm(&d->a.gather);
	d->a.batched = 0;
	if (n)
		send_frame(d, MSG_REPORT, d->a.batch, n);
}

static void on_gather(void *arg)
{
	close_batch(arg);
}

void agent_message(struct sim_domain *d, int type, const void *msg)
{
	uint8_t payload[FRAME_PAYLOAD_MAX];
	int n = msg_encode(type, msg, payload, sizeof(payload));

	assert(n >= 0);
	close_batch(d);
	send_frame(d, type, payload, (size_t)n);
}

void agent_record(struct sim_domain *d, const struct record *r, bool at_once)
{
	struct agent *a = &d->a;

	if (!a->runs || !a->session.established)
		return;
	if (record_encode(r, a->batch, sizeof(a->batch), &a->batched) < 0) {
		close_batch(d);
		(void)record_encode(r, a->batch, sizeof(a->batch), &a->batched);
	}
	if (at_once)
		close_batch(d);
	else if (!a->gather.at)
		clock_arm(&a->gather, GATHER_US);
}

static void fill_row(const struct sim_domain *d, unsigned int slot, struct record_cpu *r)
{
	const struct guest_cpu *k = &d->g.cpus[slot];
	const struct agent_cpu *c = &d->a.cpus[slot];

	*r = (struct record_cpu){
		.cpu = k->present ? (uint16_t)k->cpu : MSG_NO_CPU,
		.slot = (uint16_t)slot,
		.flags = (uint8_t)((k->present ? RECORD_CPU_PRESENT : 0) |
				   (k->online ? RECORD_CPU_ONLINE : 0) |
				   (c->job || c->next_due ? RECORD_CPU_WALKING : 0) |
				   (c->taken ? RECORD_CPU_TAKEN : 0) |
				   (c->foreign ? RECORD_CPU_FOREIGN : 0) |
				   (c->standby_wish ? RECORD_CPU_PARKED : 0)),
		.state = k->present ? (uint8_t)c->state : 0,
		.ran_on = c->ran_on < 0 ? MSG_NO_CPU : (uint16_t)c->ran_on,
	};
	snprintf(r->text, sizeof(r->text), "%s", c->text);
}

void agent_row(struct sim_domain *d, unsigned int slot)
{
	struct record r = { .type = RECORD_CPU };

	fill_row(d, slot, &r.cpu);
	agent_record(d, &r, !d->a.cpus[slot].job);
}

unsigned int callback_state(unsigned int i)
{
	return CPUHP_AP_DYN + i;
}

/* A CPU in a slot that QEMU has empty, and one in two slots. */
static void lie_in_rows(struct sim_domain *d)
{
	for (unsigned int i = 1; i < SIM_SLOTS; i++) {
		struct record r = { .type = RECORD_CPU };

		if (d->g.cpus[i].present)
			continue;
		r.cpu = (struct record_cpu){
			.cpu = (uint16_t)(i + 1),
			.slot = (uint16_t)i,
			.flags = RECORD_CPU_PRESENT | RECORD_CPU_ONLINE,
			.state = CPUHP_ONLINE,
			.ran_on = (uint16_t)(i + 1),
		};
		agent_record(d, &r, false);
	}
}

/* It has told all anew, and has not lied since. */
static void trust(struct sim_domain *d, uint64_t starts)
{
	d->trusted = d->a.lie == LIE_NONE && d->a.starts == starts && !d->deaf;
}

static void tell_tables(struct sim_domain *d)
{
	struct record end = { .type = RECORD_END };

	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		struct record r = { .type = RECORD_CPU };

		if (!d->g.cpus[i].present)
			continue;
		fill_row(d, i, &r.cpu);
		agent_record(d, &r, false);
	}
	if (d->a.lie == LIE_ROWS)
		lie_in_rows(d);
	for (unsigned int i = 0; i < SIM_CALLBACKS; i++) {
		struct record r = { .type = RECORD_STATE };

		r.state.state = (uint8_t)callback_state(i);
		snprintf(r.state.name, sizeof(r.state.name), "%u0-callback", i + 1);
		agent_record(d, &r, false);
	}
	agent_record(d, &end, true);
	if (!d->trusted && d->a.lie == LIE_NONE)
		sim_later(d, TAKEN_IN_US, trust, d->a.starts);
}

void agent_send_done(struct sim_domain *d, unsigned int slot)
{
	struct record r = { .type = RECORD_DONE, .done = d->a.cpus[slot].done };

	if (d->a.lie == LIE_OLD) {
		r.done.kick--;
		agent_record(d, &r, false);
		r.done.kick++;
	}
	agent_record(d, &r, true);
}

static void say_hello(struct sim_domain *d)
{
	struct agent *a = &d->a;
	struct msg_hello h = {
		.version_min = 1,
		.version_max = 1,
		.features = MSG_FEATURE_HOTPLUG | MSG_FEATURE_FAULTS,
		.session = a->session.mine,
		.peer = a->session.peer,
		.kick = a->kick,
		.time_ns = clock_us() * 1000,
		.possible = SIM_SLOTS,
		.kernel = "6.1.0-sim",
	};

	snprintf(h.version, sizeof(h.version), "0.%u.0", a->version);
	memset(h.boot_id, (int)(d->g.boots & 0xff), sizeof(h.boot_id));
	h.boot_id[0] = (uint8_t)(d->g.boots >> 8);
	h.boot_id[1] = (uint8_t)d->number;
	agent_message(d, MSG_HELLO, &h);
}

static void hear(struct sim_domain *d, const void *bytes, size_t n);

/* One of the frames that were spoilt may still come, into whatever session there is by then. */
static bool is_one_late(const struct sim_domain *d)
{
	const struct later *l;

	LIST_FOREACH(l, &d->laters, link)
	if (l->bytes && (l->say == put || l->say == hear))
		return true;
	return false;
}

static void on_hello(struct sim_domain *d, const struct msg_hello *m)
{
	struct session_verdict v;

	if (m->session && m->session != d->a.session.peer)
		d->a.old_session = session_key(&d->a.session);
	v = session_on_hello(&d->a.session, m->session, m->peer);
	if (v.reply)
		say_hello(d);
	if (!v.up)
		return;
	d->deaf = d->a.frames.left > 0 || d->a.frames.held || d->a.heard.left > 0 ||
		  d->a.heard.held || is_one_late(d);
	for (unsigned int i = 0; i < SIM_SLOTS; i++)
		if (d->a.cpus[i].done_kept)
			agent_send_done(d, i);
}

static void on_ping(struct sim_domain *d, const struct msg_ping *m)
{
	struct msg_pong pong = { .host_ns = m->host_ns, .guest_ns = clock_us() * 1000 };

	agent_message(d, MSG_PONG, &pong);
}

static void on_ack(struct sim_domain *d, uint32_t kick)
{
	for (unsigned int i = 0; i < SIM_SLOTS; i++)
		if (d->a.cpus[i].done.kick == kick)
			d->a.cpus[i].done_kept = false;
}

static void on_prepare(struct sim_domain *d, const struct msg_prepare *m)
{
	if (m->kicks) {
		sim_phase(d, PHASE_ADMITTED, SIM_NO_SLOT);
		sim_phase(d, PHASE_DOWN_ADMITTED, SIM_NO_SLOT);
	}
}

union request {
	struct msg_hello hello;
	struct msg_ping ping;
	struct msg_kick kick;
	struct msg_cancel cancel;
	struct msg_ack ack;
	struct msg_arm arm;
	struct msg_prepare prepare;
};

static void on_frame(struct sim_domain *d, const struct frame *f)
{
	union request m;

	if (f->type != MSG_HELLO &&
	    (!d->a.session.established || f->session != session_key(&d->a.session)))
		return;
	if (f->type == MSG_QUERY) {
		tell_tables(d);
		return;
	}
	if (msg_decode(f->type, f->payload, f->length, &m) < 0) {
		sim_breach(d, "the daemon sent a message of type %u that is none", f->type);
		return;
	}
	switch (f->type) {
	case MSG_HELLO:
		on_hello(d, &m.hello);
		break;
	case MSG_PING:
		on_ping(d, &m.ping);
		break;
	case MSG_KICK:
		walk_script_kick(d, &m.kick);
		break;
	case MSG_CANCEL:
		walk_script_cancel(d, m.cancel.kick);
		break;
	case MSG_ACK:
		on_ack(d, m.ack.kick);
		break;
	case MSG_PREPARE:
		on_prepare(d, &m.prepare);
		break;
	default:
		break;
	}
}

static bool is_same_agent(const struct sim_domain *d, unsigned int starts)
{
	return d->a.runs && d->a.starts == starts;
}

/* What comes through of the host's bytes. */
static void hear(struct sim_domain *d, const void *bytes, size_t n)
{
	struct frame_decoder *in = &d->a.in;
	unsigned int starts = d->a.starts;
	const uint8_t *at = bytes;
	struct frame f;

	while (n && is_same_agent(d, starts)) {
		size_t room;
		uint8_t *space = frame_space(in, &room);

		room = room < n ? room : n;
		memcpy(space, at, room);
		frame_fed(in, room);
		at += room;
		n -= room;
		while (is_same_agent(d, starts) && frame_next(in, &f))
			on_frame(d, &f);
	}
}

static void pass_on(struct sim_domain *d, const struct frame *f)
{
	uint8_t bytes[FRAME_MAX];
	int n = frame_encode(f, bytes, sizeof(bytes));

	assert(n > 0);
	(void)tamper(d, &d->a.heard, bytes, (size_t)n, hear, tear);
}

static void on_bytes(void *ctx, const uint8_t *bytes, size_t n)
{
	struct sim_domain *d = ctx;
	struct frame_decoder *in = &d->a.arriving;
	unsigned int starts = d->a.starts;
	struct frame f;

	/* The connection may be torn meanwhile. */
	while (n && is_same_agent(d, starts) && wire_is_open(&d->a.wire)) {
		size_t room;
		uint8_t *space = frame_space(in, &room);

		room = room < n ? room : n;
		memcpy(space, bytes, room);
		frame_fed(in, room);
		bytes += room;
		n -= room;
		while (is_same_agent(d, starts) && wire_is_open(&d->a.wire) && frame_next(in, &f))
			pass_on(d, &f);
	}
}

/* The zero bytes before the first HELLO are in no frame: they end what was torn. */
static void on_open(void *ctx)
{
	struct sim_domain *d = ctx;

	frame_decoder_init(&d->a.arriving);
	/* What was not read is gone, and need not be paid for. */
	if (d->a.paid_us > clock_us())
		d->a.paid_us = clock_us();
	hear(d, pad, sizeof(pad));
}

static void on_close(void *ctx)
{
}

static uint64_t new_session(struct sim_domain *d)
{
	return rng_next(&d->rng) | 1;
}

/* It reads while it runs, is not made mute, and its guest moves. */
void agent_mute(struct sim_domain *d, bool mute)
{
	d->a.mute = mute;
	wire_read(&d->a.wire, d->a.runs && !mute && guest_moves(d));
}

void agent_start(struct sim_domain *d)
{
	struct agent *a = &d->a;

	if (a->runs || !d->g.up)
		return;
	sim_log(d, "the agent starts");
	a->runs = true;
	a->starts++;
	a->mute = false;
	a->batched = 0;
	frame_decoder_init(&a->arriving);
	frame_decoder_init(&a->in);
	session_init(&a->session, new_session(d));
	put(d, pad, sizeof(pad));
	say_hello(d);
	agent_mute(d, false);
	walk_script_adopt(d);
}

static void on_restart(void *arg)
{
	struct sim_domain *d = arg;

	if (!guest_moves(d))
		clock_arm(&d->a.restart, 500000);
	else
		agent_start(d);
}

void agent_kill(struct sim_domain *d)
{
	struct agent *a = &d->a;

	if (!a->runs)
		return;
	sim_log(d, "the agent is killed");
	walk_script_drop(d);
	a->runs = false;
	a->batched = 0;
	a->lie = LIE_NONE;
	a->flood = 0;
	clock_disarm(&a->gather);
	clock_disarm(&a->flooding);
	wire_read(&a->wire, false);
}

void agent_forget(struct sim_domain *d)
{
	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		struct agent_cpu *c = &d->a.cpus[i];

		clock_disarm(&c->step);
		c->state = CPUHP_STANDBY;
		c->last_kick = c->dyn = 0;
		c->standby_wish = c->under_way = 0;
		c->taken = c->foreign = c->done_kept = c->next_due = false;
		c->ran_on = -1;
		c->text[0] = '\0';
	}
	d->a.kick = 0;
}

/* Frames of a former session, of none, results that nobody asked for, and words without end. */
static void flood_once(struct sim_domain *d)
{
	struct agent *a = &d->a;
	struct record r = { .type = RECORD_LOG, .log = { 4, "a flood" } };
	uint8_t payload[FRAME_PAYLOAD_MAX], out[FRAME_MAX];
	size_t n = 0;
	int len;

	while (record_encode(&r, payload, sizeof(payload), &n) == 0)
		;
	len = frame_encode(&(struct frame){ .type = MSG_REPORT,
					    .session = rng_chance(&d->rng, 50)
							       ? a->old_session
							       : session_key(&a->session),
					    .length = (uint16_t)n,
					    .payload = payload },
			   out, sizeof(out));
	if (rng_chance(&d->rng, 20))
		out[rng_below(&d->rng, (unsigned int)len)] ^= 0x55;
	/* The guest's writes wait when the host does not read. */
	if (len > 0 && wire_backlog(&a->wire) == 0)
		put(d, out, (size_t)len);
}

static void on_flood(void *arg)
{
	struct sim_domain *d = arg;

	for (int i = 0; i < FLOOD_FRAMES && d->a.flood > 0; i++, d->a.flood--)
		flood_once(d);
	if (d->a.flood)
		clock_arm(&d->a.flooding, FLOOD_US);
}

void agent_flood(struct sim_domain *d, unsigned int frames)
{
	d->a.flood = frames;
	d->a.flooded = true;
	clock_arm(&d->a.flooding, 0);
}

void agent_init(struct sim_domain *d)
{
	static const struct wire_ops ops = { on_open, on_bytes, on_close };
	char path[48];

	snprintf(path, sizeof(path), "/sim/%s.agent", d->name);
	wire_init(&d->a.wire, d->event, path, &ops, d);
	wire_read(&d->a.wire, false);
	clock_init(&d->a.gather, on_gather, d);
	clock_init(&d->a.restart, on_restart, d);
	clock_init(&d->a.flooding, on_flood, d);
	d->a.version = 1;
	walk_script_init(d);
	agent_forget(d);
}

void agent_done(struct sim_domain *d)
{
	agent_kill(d);
	clock_disarm(&d->a.restart);
	clock_disarm(&d->a.gather);
	for (unsigned int i = 0; i < SIM_SLOTS; i++)
		clock_disarm(&d->a.cpus[i].step);
	wire_done(&d->a.wire);
	tamper_done(&d->a.frames);
	tamper_done(&d->a.heard);
}
