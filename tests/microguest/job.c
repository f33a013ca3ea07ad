/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A kick's walk, from the boot vCPU's side. ap:online and ap:threads are its own: it starts the vCPU
 * and has it prove itself, has it leave and stops it. For all above the walk is given to the vCPU
 * as an order and taken back with its answer; its notes of steps are reported meanwhile.
 *
 * A step past its deadline has failed. A vCPU that does not answer is stopped by INIT, which cannot be
 * refused; the walk is then this side's, its call fails, and a fresh start of the vCPU has the
 * rollback. Each such break ends a call, so a walk ends whatever its vCPU does.
 */
#include "proto/ladder.h"
#include "tests/microguest/guest.h"
#include "tests/microguest/machine.h"
#include <errno.h>
#include <string.h>

enum {
	PENDING = 1,
	SECOND_SIPI_US = 200,
	GRACE_NS = 200 * 1000000, /* for a step that a cancel finds under way */
};

void job_report_step(struct guest *g, const struct cpu *c, const struct note *n)
{
	struct record r = {
		.type = RECORD_STEP,
		.step = {
			.kick = c->kick.kick,
			.slot = c->slot,
			.cpu = c->number,
			.state = n->state,
			.flags = n->flags,
			.rc = n->rc,
			.ran_on = n->ran_on,
			.time_ns = n->time_ns,
		},
	};

	text_copy(r.step.text, sizeof(r.step.text), n->text);
	link_report(g, &r);
}

static void note_failure(struct cpu *c, int state, const char *text)
{
	const char *name = worker_callback(state);
	size_t used = strlen(c->text);

	if (used)
		text_copy(c->text + used, TEXT - used, "; then ");
	used = strlen(c->text);
	text_copy(c->text + used, TEXT - used, name ? name : ladder_name(state));
	used = strlen(c->text);
	text_copy(c->text + used, TEXT - used, ": ");
	used = strlen(c->text);
	text_copy(c->text + used, TEXT - used, text);
}

static uint64_t deadline_of(const struct cpu *c, const struct walk_call *call)
{
	const struct cpuhp_step *s = ladder_step(call->state);
	uint64_t slow = c->kick.slow ? c->kick.slow : 1;

	return now_ns() + (call->startup ? s->startup_ms : s->teardown_ms) * slow * 1000000;
}

static void set_state(struct cpu *c, int state)
{
	if (c->state != state)
		c->row_due = true;
	c->state = (uint8_t)state;
}

static void took_note(struct guest *g, struct cpu *c, const struct note *n)
{
	const struct walk_call call = { n->state, n->flags & RECORD_STEP_STARTUP, false };

	job_report_step(g, c, n);
	if (!(n->flags & RECORD_STEP_EXIT)) {
		c->deadline_ns = deadline_of(c, &call);
	} else if (n->rc) {
		note_failure(c, n->state, n->text);
	} else {
		set_state(c, call.startup ? n->state : n->state - 1);
	}
}

static void take_notes(struct guest *g, struct cpu *c)
{
	struct worker *w = &c->worker;

	while (w->taken != w->noted) {
		struct note n;

		barrier();
		n = w->notes[w->taken % NOTES];
		n.ran_on = lie_about_place(g, n.ran_on);
		took_note(g, c, &n);
		w->taken++;
	}
}

static void note_call(struct guest *g, struct cpu *c, uint8_t flags, int rc, const char *text)
{
	const struct note n = {
		.time_ns = now_ns(),
		.rc = rc,
		.ran_on = c->ran_on,
		.state = (uint8_t)c->call.state,
		.flags = (uint8_t)(flags | (c->call.startup ? RECORD_STEP_STARTUP : 0) |
				   (c->call.rollback ? RECORD_STEP_ROLLBACK : 0)),
		.text = text,
	};

	took_note(g, c, &n);
}

static void leave(struct guest *g, struct cpu *c, int rc, const char *text)
{
	c->awaits = AWAITS_NOTHING;
	c->deadline_ns = 0;
	run_result(&c->run, &c->call, rc);
	note_call(g, c, RECORD_STEP_EXIT, rc, text);
}

static void start_vcpu(struct cpu *c)
{
	c->starts++;
	c->started = true;
	c->worker.alive = false;
	c->worker.answered = c->worker.order;
	machine_init_vcpu(c->apic);
	machine_start_vcpu(c->apic, c->worker.stack + STACK);
	machine_delay_us(SECOND_SIPI_US);
	/* One that runs already takes no notice of the second. */
	if (!c->worker.alive)
		machine_start_vcpu(c->apic, c->worker.stack + STACK);
}

static void stop_vcpu(struct cpu *c)
{
	machine_init_vcpu(c->apic);
	c->worker.alive = false;
	c->online = false;
	c->ran_on = MSG_NO_CPU;
}

/* Return: PENDING, 0 or the error. */
static int begin_call(struct guest *g, struct cpu *c)
{
	int rc = worker_failure(g, c, &c->call);

	if (rc)
		return rc;
	if (c->call.state == CPUHP_AP_THREADS) {
		c->awaits = c->call.startup ? AWAITS_PROOF : AWAITS_LEAVE;
		/* It has left before, in a walk that turned back: it is deaf to all but this. */
		if (!c->worker.alive)
			start_vcpu(c);
		worker_give(c, c->call.startup ? ORDER_PROVE : ORDER_LEAVE);
		return PENDING;
	}
	if (!c->call.startup) {
		stop_vcpu(c);
		return 0;
	}
	c->awaits = AWAITS_START;
	c->started = false;
	return PENDING;
}

/* The call it was at, or the one it never came to. Return: whether there is one. */
static bool take_back_call(struct cpu *c)
{
	struct run *r = &c->run;

	r->walk.step = -1;
	return walk_next(&r->walk, run_has, r, &c->call);
}

/* The vCPU is stopped and the walk is ours: what it was at has failed. */
static void break_worker(struct guest *g, struct cpu *c, int rc, const char *text)
{
	machine_init_vcpu(c->apic);
	take_notes(g, c);
	c->awaits = AWAITS_NOTHING;
	start_vcpu(c);
	if (!take_back_call(c))
		return;
	leave(g, c, rc, text);
}

static bool poll_start(struct guest *g, struct cpu *c)
{
	if (worker_hangs(g, c, &c->call))
		return false;
	if (!c->started)
		start_vcpu(c);
	if (!c->worker.alive)
		return false;
	c->online = true;
	leave(g, c, 0, "");
	return true;
}

static const char *deadline_text(const struct cpu *c)
{
	if (c->awaits == AWAITS_START)
		return "the vCPU does not answer its start-up IPI";
	return c->abort_rc ? "cancelled" : "the deadline passed";
}

/* Return: whether what was awaited has come, or is awaited no more. */
static bool look(struct guest *g, struct cpu *c)
{
	bool answered = worker_has_answered(c);

	take_notes(g, c);
	if (c->awaits == AWAITS_START && poll_start(g, c))
		return true;
	if (c->awaits != AWAITS_START && answered) {
		if (c->awaits == AWAITS_PROOF)
			c->ran_on = c->worker.ran_on;
		if (c->awaits == AWAITS_LEAVE)
			c->worker.alive = false;
		if (c->awaits == AWAITS_WALK)
			c->awaits = AWAITS_NOTHING;
		else
			leave(g, c, c->ran_on == c->number ? 0 : -EXDEV, "");
		return true;
	}
	if (!c->deadline_ns || now_ns() < c->deadline_ns)
		return false;
	if (c->awaits == AWAITS_WALK)
		break_worker(g, c, c->abort_rc ? c->abort_rc : -ETIMEDOUT, deadline_text(c));
	else
		leave(g, c, -ETIMEDOUT, deadline_text(c));
	return true;
}

static void apply_abort(struct cpu *c)
{
	if (!c->abort_rc)
		return;
	if (!c->run.walk.done && !c->run.walk.rolling_back && !c->text[0])
		text_copy(c->text, TEXT, "cancelled");
	walk_abort(&c->run.walk, c->abort_rc);
	c->abort_rc = 0;
}

void job_turn(struct guest *g, struct cpu *c)
{
	struct walk_call call;
	int rc;

	while (c->walking) {
		if (c->awaits != AWAITS_NOTHING && !look(g, c))
			return;
		if (c->awaits != AWAITS_NOTHING)
			continue;
		apply_abort(c);
		if (!run_peek(&c->run, &call)) {
			/* What has no callback on the way there is behind us, too. */
			(void)walk_next(&c->run.walk, run_has, &c->run, &call);
			job_finish(g, c);
			return;
		}
		c->call = call;
		if (ladder_side(call.state) == CPUHP_SIDE_WORKER) {
			c->awaits = AWAITS_WALK;
			c->deadline_ns = deadline_of(c, &call);
			worker_give(c, ORDER_WALK);
			return;
		}
		(void)walk_next(&c->run.walk, run_has, &c->run, &c->call);
		note_call(g, c, 0, 0, "");
		rc = begin_call(g, c);
		if (rc != PENDING)
			leave(g, c, rc, rc ? "it was told to fail" : "");
	}
}

void job_begin(struct guest *g, struct cpu *c)
{
	c->walking = true;
	c->awaits = AWAITS_NOTHING;
	c->abort_rc = 0;
	c->deadline_ns = 0;
	c->text[0] = '\0';
	c->run.skip = c->kick.flags & MSG_KICK_ROLLBACK;
	walk_init(&c->run.walk, c->state, c->kick.target);
	c->row_due = true;
	lie_instead_of_walking(g, c);
}

void job_cancel(struct cpu *c, int rc)
{
	uint64_t grace_end = now_ns() + GRACE_NS;

	c->abort_rc = rc;
	if (c->awaits != AWAITS_WALK)
		return;
	c->worker.cancel_rc = rc;
	if (c->deadline_ns > grace_end)
		c->deadline_ns = grace_end;
}

static uint8_t wire_state(int state)
{
	return state < 0 ? 0xff : (uint8_t)state;
}

void job_finish(struct guest *g, struct cpu *c)
{
	const struct walk *w = &c->run.walk;

	c->walking = false;
	c->worker.cancel_rc = 0;
	set_state(c, w->state);
	c->parked = c->state == CPUHP_STANDBY && (!w->rc || c->parked);
	c->taken = false;
	c->done = (struct record_done){
		.kick = c->kick.kick,
		.slot = c->slot,
		.cpu = c->number,
		.state = c->state,
		.rc = w->rc,
		.failed_at = wire_state(w->failed_at),
		.rollback_rc = w->rollback_rc,
		.rollback_failed_at = wire_state(w->rollback_failed_at),
		.ran_on = c->ran_on,
	};
	if (g->behaviour.lie == LIE_PROOF)
		c->done.ran_on = lie_about_place(g, c->ran_on);
	if (g->behaviour.lie == LIE_STATE)
		c->done.state = CPUHP_AP_THREADS;
	if (w->rc)
		text_copy(c->done.text, sizeof(c->done.text), c->text);
	c->done_kept = c->done_due = c->row_due = true;
}

void job_lose(struct guest *g, struct cpu *c)
{
	struct walk *w = &c->run.walk;

	machine_init_vcpu(c->apic);
	take_notes(g, c);
	text_copy(c->text, TEXT, "the CPU was taken away");
	w->rc = w->rc ? w->rc : -ENODEV;
	w->step = -1;
	w->state = CPUHP_OFFLINE;
	w->done = true;
	job_finish(g, c);
}
