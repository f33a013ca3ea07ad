/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The two sides of the bench. hv_qmp_new() gives a QEMU whose every request is put into a list until
 * the test (or the automatic side) answers it; the link_*() functions are these here instead of
 * daemon/link.c's, and a kick is remembered by slot until it is answered. Neither ever calls back
 * from inside a call, as the real ones do not. The automatic sides answer one thing at a time from
 * bench_play_sides(), between two turns of the loop, so the daemon sees answers in the order it asked.
 */
#include "tests/unit/host-bench-sides.h"
#include "daemon/link.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

__attribute__((format(printf, 2, 3))) static void say(struct bench *b, const char *format, ...)
{
	va_list ap;

	assert_true(b->n_words < BENCH_WORDS_MAX);
	va_start(ap, format);
	vsnprintf(b->words[b->n_words++], sizeof(b->words[0]), format, ap);
	va_end(ap);
}

/* QEMU */

struct fake_hv {
	struct hv hv;
	struct bench *b;
};

static struct bench *of(struct hv *hv)
{
	return ((struct fake_hv *)(void *)hv)->b;
}

static int ask(struct bench *b, int kind, unsigned int slot, hv_done_fn cb, void *arg)
{
	struct bench_request *r = &b->requests[b->n_requests++];

	assert_true(b->n_requests <= sizeof(b->requests) / sizeof(b->requests[0]));
	*r = (struct bench_request){ .kind = kind, .slot = slot, .cb = cb, .arg = arg };
	return 0;
}

static int fake_plug(struct hv *hv, unsigned int slot, const char *id, bool thread, hv_done_fn cb,
		     void *arg)
{
	struct bench *b = of(hv);

	assert_int_equal(thread, b->domain_config->has_place);
	if (b->plug_rc)
		return b->plug_rc;
	say(b, "plug %u", slot);
	ask(b, REQUEST_PLUG, slot, cb, arg);
	snprintf(b->requests[b->n_requests - 1].id, sizeof(b->requests[0].id), "%s", id);
	return 0;
}

static int fake_unplug(struct hv *hv, unsigned int slot, hv_done_fn cb, void *arg)
{
	struct bench *b = of(hv);

	if (b->unplug_rc)
		return b->unplug_rc;
	say(b, "unplug %u", slot);
	return ask(b, REQUEST_UNPLUG, slot, cb, arg);
}

static int fake_query(struct hv *hv, hv_done_fn cb, void *arg)
{
	of(hv)->queries++;
	return ask(of(hv), REQUEST_QUERY, 0, cb, arg);
}

static void fake_look(struct hv *hv, bool news)
{
	of(hv)->queries++;
}

static int fake_place(struct hv *hv, unsigned int slot, const struct cpulist *cpus, hv_done_fn cb,
		      void *arg)
{
	say(of(hv), "%s %u", cpus ? "place" : "unplace", slot);
	return cpus && of(hv)->place_rc < 0 ? of(hv)->place_rc : HV_DONE;
}

static bool fake_is_there(struct hv *hv)
{
	return of(hv)->is_there;
}

static struct hv *fake_free(struct hv *hv)
{
	of(hv)->n_requests = 0;
	free(hv);
	return NULL;
}

static const struct hv_ops fake_ops = {
	.hypervisor = "qemu",
	.lost_ms = 1000,
	.plug = fake_plug,
	.unplug = fake_unplug,
	.query = fake_query,
	.look = fake_look,
	.place = fake_place,
	.is_there = fake_is_there,
	.free = fake_free,
};

int hv_qmp_new(struct hv **ret, sd_event *event, const char *path, unsigned int reply_ms,
	       const struct hv_events *events, void *ctx)
{
	struct fake_hv *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->hv.ops = &fake_ops;
	f->b = the_bench;
	the_bench->hv_events = events;
	the_bench->hv_ctx = ctx;
	*ret = &f->hv;
	return 0;
}

void bench_table(struct bench *b)
{
	struct hv_table t = { .n = b->d->facts.maximum, .supported = true, .slots = b->slots };

	b->hv_events->on_table(b->hv_ctx, &t);
}

static struct bench_request take(struct bench *b, int kind, unsigned int slot)
{
	for (unsigned int i = 0; i < b->n_requests; i++) {
		struct bench_request r = b->requests[i];

		if ((int)r.kind != kind || r.slot != slot)
			continue;
		memmove(b->requests + i, b->requests + i + 1,
			(--b->n_requests - i) * sizeof(b->requests[0]));
		return r;
	}
	fail_msg("nobody waits for an answer of kind %d about slot %u", kind, slot);
	abort();
}

void bench_answer_plug(struct bench *b, unsigned int slot, int rc, const char *text)
{
	struct bench_request r = take(b, REQUEST_PLUG, slot);
	struct hv_slot *s = &b->slots[slot];

	if (rc == 0) {
		s->present = s->removable = true;
		s->thread_id = (pid_t)(1000 + slot);
		snprintf(s->id, sizeof(s->id), "%s", r.id);
		bench_table(b);
	}
	r.cb(r.arg, rc, text);
}

void bench_answer_unplug(struct bench *b, unsigned int slot, int rc, const char *text)
{
	struct bench_request r = take(b, REQUEST_UNPLUG, slot);

	r.cb(r.arg, rc, text);
}

static void empty(struct bench *b, unsigned int slot)
{
	b->slots[slot] = (struct hv_slot){ .props = b->slots[slot].props };
	b->guest_present[slot] = false;
	b->guest_state[slot] = CPUHP_OFFLINE;
}

void bench_eject(struct bench *b, unsigned int slot)
{
	empty(b, slot);
	bench_table(b);
}

void bench_attach(struct bench *b)
{
	struct hv_facts f = b->d->facts;

	b->hv_events->on_attached(b->hv_ctx, &f);
	bench_table(b);
	bench_status(b, HV_RUNNING);
}

void bench_lose_qemu(struct bench *b)
{
	while (b->n_requests) {
		struct bench_request r = take(b, b->requests[0].kind, b->requests[0].slot);

		r.cb(r.arg, -ECONNRESET, "");
	}
	bench_status(b, HV_CONNECTING);
	b->hv_events->on_gone(b->hv_ctx, "connection lost");
}

static void play_eject(struct bench *b, unsigned int slot)
{
	if (b->qemu_silent[slot])
		return;
	if (b->qemu_refuses[slot])
		bench_ost(b, slot, HV_OST_REMOVE, 130);
	else
		bench_eject(b, slot);
}

static void play_plug(struct bench *b, unsigned int slot)
{
	int rc = b->qemu_plug_rc[slot];

	bench_answer_plug(b, slot, rc, rc ? "no such luck" : "");
	if (rc)
		return;
	bench_ost(b, slot, HV_OST_ADD, 0);
	if (b->auto_agent && b->up)
		bench_row(b, slot, CPUHP_STANDBY);
}

/* Answer one request, if there is one to be answered now. */
static bool play_qemu(struct bench *b)
{
	for (unsigned int i = 0; i < b->n_requests; i++) {
		struct bench_request r = b->requests[i];

		if (r.kind == REQUEST_QUERY && !b->hold_queries) {
			r = take(b, REQUEST_QUERY, 0);
			bench_table(b);
			if (b->resumed)
				bench_status(b, HV_RUNNING);
			b->resumed = false;
			r.cb(r.arg, 0, "");
			return true;
		}
		if (r.kind == REQUEST_PLUG && b->auto_qemu) {
			play_plug(b, r.slot);
			return true;
		}
		if (r.kind == REQUEST_UNPLUG && b->auto_qemu) {
			bench_answer_unplug(b, r.slot, 0, "");
			play_eject(b, r.slot);
			return true;
		}
	}
	return false;
}

/* The agent: daemon/link.h */

int link_new(struct link **ret, sd_event *event, const char *path, const struct link_ops *ops,
	     void *ctx)
{
	struct link *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	l->b = the_bench;
	l->b->link_ops = ops;
	l->b->link_ctx = ctx;
	*ret = l;
	return 0;
}

struct link *link_free(struct link *l)
{
	free(l);
	return NULL;
}

bool link_is_up(const struct link *l)
{
	return l->b->up;
}

bool link_is_connected(const struct link *l)
{
	return l->b->up;
}

uint64_t link_heard_us(const struct link *l)
{
	return l->b->up ? 1 : 0;
}

const char *link_why_down(const struct link *l)
{
	return l->b->up ? "" : "the test says so";
}

uint32_t link_next_kick(struct link *l)
{
	return ++l->b->next_kick;
}

uint32_t link_last_kick(const struct link *l)
{
	return l->b->next_kick;
}

int link_kick(struct link *l, const struct msg_kick *k)
{
	struct bench *b = l->b;

	if (!b->up)
		return -ENOTCONN;
	assert_in_range(k->slot, 0, BENCH_SLOTS_MAX - 1);
	say(b, "kick %u %u%s", k->slot, k->target, k->flags & MSG_KICK_ROLLBACK ? " rollback" : "");
	b->kicks[k->slot] = *k;
	b->kick_due[k->slot] = true;
	return 0;
}

int link_cancel(struct link *l, uint32_t kick)
{
	struct bench *b = l->b;

	if (!b->up)
		return -ENOTCONN;
	for (unsigned int i = 0; i < BENCH_SLOTS_MAX; i++)
		if (kick && b->kicks[i].kick == kick)
			say(b, "cancel %u", i);
	return 0;
}

int link_ack(struct link *l, uint32_t kick)
{
	l->b->acks++;
	return 0;
}

void link_send_rest(struct link *l)
{
	l->b->rests++;
}

int link_arm(struct link *l, const struct msg_arm *a)
{
	if (!l->b->up)
		return -ENOTCONN;
	say(l->b, "arm %u %u", a->slot, a->state);
	l->b->arm = *a;
	return 0;
}

int link_query(struct link *l)
{
	return l->b->up ? l->b->agent_queries++, 0 : -ENOTCONN;
}

const struct msg_hello *link_hello(const struct link *l)
{
	return l->b->up ? &l->b->hello : NULL;
}

int link_load(struct link *l, unsigned int interval_ms)
{
	if (l->b->up)
		say(l->b, "load %u", interval_ms);
	return l->b->up ? 0 : -ENOTCONN;
}

int link_ping(struct link *l, uint64_t timeout_us, void (*cb)(void *arg, int rc), void *arg)
{
	struct bench *b = l->b;

	if (!b->up)
		return -ENOTCONN;
	b->pings[b->n_pings++] = (struct bench_ping){ cb, arg };
	return 0;
}

int link_ping_before(struct link *l, unsigned int kicks, unsigned int within_ms,
		     uint64_t timeout_us, void (*cb)(void *arg, int rc), void *arg)
{
	assert_int_not_equal(within_ms, 0);
	l->b->prepared = kicks;
	return link_ping(l, timeout_us, cb, arg);
}

void link_ping_forget(struct link *l, void *arg)
{
	struct bench *b = l->b;

	for (unsigned int i = 0; i < b->n_pings;) {
		if (b->pings[i].arg == arg)
			b->pings[i] = b->pings[--b->n_pings];
		else
			i++;
	}
}

static void record(struct bench *b, const struct record *r)
{
	b->link_ops->on_record(b->link_ctx, r);
}

static void send_row(struct bench *b, unsigned int slot, const char *text)
{
	int state = b->guest_state[slot];
	struct record r = {
		.type = RECORD_CPU,
		.cpu = {
			.cpu = BENCH_CPU(slot),
			.slot = (uint16_t)slot,
			.state = (uint8_t)state,
			.ran_on = state >= CPUHP_AP_THREADS ? BENCH_CPU(slot) : MSG_NO_CPU,
			.flags = (b->guest_present[slot] ? RECORD_CPU_PRESENT : 0) |
				 (b->guest_walking[slot] ? RECORD_CPU_WALKING : 0) |
				 (b->guest_taken[slot] ? RECORD_CPU_TAKEN : 0) |
				 (b->guest_parked[slot] ? RECORD_CPU_PARKED : 0) |
				 (state > CPUHP_STANDBY ? RECORD_CPU_ONLINE : 0),
		},
	};

	snprintf(r.cpu.text, sizeof(r.cpu.text), "%s", text);
	record(b, &r);
}

void bench_row_because(struct bench *b, unsigned int slot, int state, const char *text)
{
	b->guest_present[slot] = state >= CPUHP_STANDBY;
	b->guest_state[slot] = state;
	send_row(b, slot, text);
}

void bench_row(struct bench *b, unsigned int slot, int state)
{
	bench_row_because(b, slot, state, "");
}

void bench_agent_hello(struct bench *b, unsigned int boot)
{
	b->up = true;
	b->hello = (struct msg_hello){ .features = MSG_FEATURE_HOTPLUG | MSG_FEATURE_LOAD,
				       .possible = 64,
				       .kick = b->next_kick };
	memset(b->hello.boot_id, (int)boot, sizeof(b->hello.boot_id));
	b->link_ops->on_up(b->link_ctx, &b->hello);
}

void bench_agent_end(struct bench *b)
{
	const struct record end = { .type = RECORD_END };

	record(b, &end);
}

void bench_agent_table(struct bench *b)
{
	for (unsigned int i = 0; i < BENCH_SLOTS_MAX; i++)
		if (b->guest_present[i])
			send_row(b, i, "");
	bench_agent_end(b);
}

void bench_agent_up(struct bench *b, unsigned int boot)
{
	bench_agent_hello(b, boot);
	bench_agent_table(b);
}

void bench_agent_down(struct bench *b)
{
	b->up = false;
	memset(b->kick_due, 0, sizeof(b->kick_due));
	while (b->n_pings) {
		struct bench_ping p = b->pings[--b->n_pings];

		p.cb(p.arg, -ENOTCONN);
	}
	b->link_ops->on_down(b->link_ctx, "the test says so");
}

void bench_kicked(struct bench *b, unsigned int slot, int rc)
{
	struct msg_kicked m = { .kick = b->kicks[slot].kick, .slot = (uint16_t)slot, .rc = rc };

	b->link_ops->on_kicked(b->link_ctx, &m);
}

void bench_record_done(struct bench *b, const struct record_done *r)
{
	const struct record rec = { .type = RECORD_DONE, .done = *r };

	record(b, &rec);
}

void bench_done(struct bench *b, unsigned int slot, int state, int rc, int failed_at)
{
	const struct record_done r = {
		.kick = b->kicks[slot].kick,
		.slot = (uint16_t)slot,
		.cpu = BENCH_CPU(slot),
		.state = (uint8_t)state,
		.rc = rc,
		.failed_at = rc ? (uint8_t)failed_at : 0xff,
		.rollback_failed_at = 0xff,
		.ran_on = state >= CPUHP_AP_THREADS ? BENCH_CPU(slot) : MSG_NO_CPU,
	};

	b->guest_state[slot] = state;
	if (rc == 0 && b->guest_present[slot]) /* as the agent has it: the row comes first */
		send_row(b, slot, "");
	bench_record_done(b, &r);
}

void bench_step(struct bench *b, unsigned int slot, int state, bool startup, int rc)
{
	const struct record r = {
		.type = RECORD_STEP,
		.step = {
			.kick = b->kicks[slot].kick,
			.slot = (uint16_t)slot,
			.cpu = BENCH_CPU(slot),
			.state = (uint8_t)state,
			.flags = RECORD_STEP_EXIT | (startup ? RECORD_STEP_STARTUP : 0),
			.rc = rc,
			.ran_on = BENCH_CPU(slot),
		},
	};

	record(b, &r);
}

void bench_plant(struct bench *b, unsigned int slot, struct bench_plant p)
{
	b->plants[slot] = p;
}

static void play_plant(struct bench *b, unsigned int slot, struct bench_plant p)
{
	struct record_done r = {
		.kick = b->kicks[slot].kick,
		.slot = (uint16_t)slot,
		.cpu = BENCH_CPU(slot),
		.state = (uint8_t)(p.rests_at < 0 ? b->guest_state[slot] : p.rests_at),
		.rc = p.rc,
		.failed_at = (uint8_t)p.failed_at,
		.rollback_rc = p.rollback_rc,
		.rollback_failed_at = p.rollback_rc ? (uint8_t)p.failed_at : 0xff,
		.ran_on = BENCH_CPU(slot),
	};

	snprintf(r.text, sizeof(r.text), "%s", p.text ? p.text : "");
	if (p.once)
		b->plants[slot] = (struct bench_plant){ 0 };
	bench_row(b, slot, r.state);
	bench_record_done(b, &r);
}

static bool play_agent(struct bench *b)
{
	for (unsigned int i = 0; i < BENCH_SLOTS_MAX; i++) {
		const struct msg_kick *k = &b->kicks[i];
		struct bench_plant p = b->plants[i];
		bool down = k->target < b->guest_state[i];

		if (!b->kick_due[i] || !b->up)
			continue;
		b->kick_due[i] = false;
		bench_kicked(b, i, 0);
		if (b->agent_silent[i])
			return true;
		if (p.rc && p.teardown == down && k->target != b->guest_state[i]) {
			play_plant(b, i, p);
			return true;
		}
		bench_row(b, i, k->target);
		bench_done(b, i, k->target, 0, 0xff);
		return true;
	}
	return false;
}

static bool play_pongs(struct bench *b)
{
	struct bench_ping p;

	if (b->mute || !b->n_pings)
		return false;
	p = b->pings[--b->n_pings];
	p.cb(p.arg, 0);
	return true;
}

bool bench_play_sides(struct bench *b)
{
	return play_pongs(b) || play_qemu(b) || (b->auto_agent && play_agent(b));
}
