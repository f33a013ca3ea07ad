/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The scripted agent's kicks and walks, by proto's own walker. A step is entered, takes its time,
 * and is left; ap:online lasts until the kernel says so. What is in the record (state, kick,
 * callbacks that are up, the callback under way) outlives an agent that is killed: the next one
 * tears down what was under way and adopts what it finds online.
 *
 * It does what guest-agent/ does where the host can see it: a kick known already is answered again
 * and not run again, one that does not fit is refused, the last result is kept until ACK.
 */
#include "tests/sim/world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { STEP_MIN_US = 200, STEP_MAX_US = 3000, CALLBACK_MAX_US = 30000, HANG_US = 10000000 };

static void run(struct sim_domain *d, unsigned int slot);

static bool is_callback(int state)
{
	return state >= CPUHP_AP_DYN && state < CPUHP_AP_DYN + SIM_CALLBACKS;
}

static uint32_t bit(int state)
{
	return is_callback(state) ? UINT32_C(1) << (state - CPUHP_AP_DYN) : 0;
}

static bool has_step(void *ctx, int state, bool startup)
{
	const struct agent_cpu *c = ctx;

	if (c->rollback && ladder_step(state)->skip_rollback)
		return false;
	if (is_callback(state))
		return startup != !!(c->dyn & bit(state));
	switch (state) {
	case CPUHP_AP_ONLINE:
	case CPUHP_AP_THREADS:
	case CPUHP_AP_ACTIVE:
		return true;
	case CPUHP_AP_VERIFY:
		return startup;
	default:
		return false;
	}
}

/* A CPU's own number, or what a liar says of it. */
static int proof(const struct sim_domain *d, unsigned int slot)
{
	return d->g.cpus[slot].cpu + (d->a.lie == LIE_RAN_ON);
}

static void report(struct sim_domain *d, unsigned int slot, bool left, int rc, const char *text)
{
	const struct agent_cpu *c = &d->a.cpus[slot];
	bool proven = c->call.state >= CPUHP_AP_THREADS;
	struct record r = {
		.type = RECORD_STEP,
		.step = {
			.kick = c->kick,
			.slot = (uint16_t)slot,
			.cpu = (uint16_t)d->g.cpus[slot].cpu,
			.state = (uint8_t)c->call.state,
			.flags = (uint8_t)((left ? RECORD_STEP_EXIT : 0) |
					   (c->call.startup ? RECORD_STEP_STARTUP : 0) |
					   (c->call.rollback ? RECORD_STEP_ROLLBACK : 0)),
			.rc = rc,
			.ran_on = proven ? (uint16_t)proof(d, slot) : MSG_NO_CPU,
			.time_ns = clock_us() * 1000,
		},
	};

	snprintf(r.step.text, sizeof(r.step.text), "%s", text);
	agent_record(d, &r, false);
}

static void tell_phase(struct sim_domain *d, unsigned int slot)
{
	const struct agent_cpu *c = &d->a.cpus[slot];
	int state = c->call.state;
	bool up = c->call.startup;

	if (c->job != SIM_JOB_KICK || c->call.rollback || c->rollback)
		return;
	if (state == CPUHP_AP_ONLINE)
		sim_phase(d, up ? PHASE_KERNEL_ONLINE : PHASE_KERNEL_OFFLINE, slot);
	else if (state == CPUHP_AP_DYN)
		sim_phase(d, up ? PHASE_CALLBACK_1 : PHASE_DOWN_CALLBACK_1, slot);
	else if (is_callback(state))
		sim_phase(d, up ? PHASE_CALLBACK_N : PHASE_DOWN_CALLBACK_N, slot);
	else if (state == CPUHP_AP_ACTIVE && !up)
		sim_phase(d, PHASE_DOWN_ACTIVE, slot);
}

static bool is_planted(const struct sim_domain *d, const struct agent_cpu *c)
{
	const struct plant *p = &d->a.plant;

	if (!p->left)
		return false;
	if (p->rollback_too)
		return c->call.rollback
			       ? p->state == c->call.state
			       : p->second == c->call.state && p->startup == c->call.startup;
	return !c->call.rollback && p->state == c->call.state && p->startup == c->call.startup;
}

static void arm_step(struct sim_domain *d, unsigned int slot)
{
	struct agent_cpu *c = &d->a.cpus[slot];
	unsigned int max = is_callback(c->call.state) ? CALLBACK_MAX_US : STEP_MAX_US;

	if (is_planted(d, c) && d->a.plant.hang)
		clock_arm(&c->step, HANG_US);
	else
		clock_arm(&c->step, rng_range(&d->rng, STEP_MIN_US, max));
}

static void enter(struct sim_domain *d, unsigned int slot)
{
	struct agent_cpu *c = &d->a.cpus[slot];
	unsigned int starts = d->a.starts;
	uint32_t kick = c->kick;

	if (c->entered)
		sim_breach(d, "slot %u enters %d while it is in %d", slot, c->call.state,
			   c->entered);
	c->entered = c->call.state;
	report(d, slot, false, 0, "");
	c->under_way = is_callback(c->call.state) ? c->call.state : 0;
	/* A fault may end the agent here, or its guest. */
	tell_phase(d, slot);
	if (!d->a.runs || d->a.starts != starts || !c->job || c->kick != kick)
		return;
	if (c->call.state != CPUHP_AP_ONLINE || is_planted(d, c) ||
	    d->g.cpus[slot].online == c->call.startup)
		arm_step(d, slot);
	else
		guest_switch(d, slot, c->call.startup);
}

static void leave(struct sim_domain *d, unsigned int slot, int rc)
{
	struct agent_cpu *c = &d->a.cpus[slot];

	clock_disarm(&c->step);
	c->entered = 0;
	report(d, slot, true, rc, rc ? "it was to fail" : "");
	if (rc == 0 && c->call.startup)
		c->dyn |= bit(c->call.state);
	else if (rc == 0)
		c->dyn &= ~bit(c->call.state);
	c->under_way = 0;
	if (c->call.state >= CPUHP_AP_THREADS && c->call.startup && !rc)
		c->ran_on = proof(d, slot);
	walk_result(&c->w, rc);
	c->state = c->w.state;
	agent_row(d, slot);
	run(d, slot);
}

/* How the planted failure ends this step, or 0. */
static int take_plant(struct sim_domain *d, const struct agent_cpu *c)
{
	struct plant *p = &d->a.plant;

	if (!is_planted(d, c))
		return 0;
	if (!p->rollback_too || c->call.rollback)
		p->left--;
	return p->hang ? -ETIMEDOUT : p->rc;
}

static void finish_step(struct sim_domain *d, unsigned int slot)
{
	struct agent_cpu *c = &d->a.cpus[slot];
	int rc = take_plant(d, c);

	/* What was to fail has failed for another meanwhile: the kernel has this one still to do. */
	if (!rc && c->call.state == CPUHP_AP_ONLINE && d->g.cpus[slot].online != c->call.startup)
		guest_switch(d, slot, c->call.startup);
	else
		leave(d, slot, rc);
}

static void on_step(void *arg)
{
	struct agent_cpu *c = arg;
	struct sim_domain *d = c->owner;

	if (!guest_moves(d)) {
		clock_arm(&c->step, 100000);
		return;
	}
	finish_step(d, (unsigned int)(c - d->a.cpus));
}

static void keep_done(struct sim_domain *d, unsigned int slot, const struct walk *w)
{
	struct agent_cpu *c = &d->a.cpus[slot];

	c->done = (struct record_done){
		.kick = c->kick,
		.slot = (uint16_t)slot,
		.cpu = (uint16_t)(d->g.cpus[slot].present ? d->g.cpus[slot].cpu : MSG_NO_CPU),
		.state = (uint8_t)(d->g.cpus[slot].present ? c->state : 0),
		.rc = w->rc,
		.failed_at = w->failed_at < 0 ? 0xff : (uint8_t)w->failed_at,
		.rollback_rc = w->rollback_rc,
		.rollback_failed_at =
			w->rollback_failed_at < 0 ? 0xff : (uint8_t)w->rollback_failed_at,
		.ran_on = c->state >= CPUHP_AP_THREADS ? (uint16_t)proof(d, slot) : MSG_NO_CPU,
	};
	if (w->rc)
		snprintf(c->done.text, sizeof(c->done.text), "%s: it was to fail",
			 w->failed_at >= 0 ? ladder_name(w->failed_at) : "the CPU was taken away");
	c->done_kept = true;
}

static void start(struct sim_domain *d, unsigned int slot)
{
	struct agent_cpu *c = &d->a.cpus[slot];

	c->next_due = false;
	c->job = SIM_JOB_KICK;
	c->kick = c->next.kick;
	c->rollback = c->next.flags & MSG_KICK_ROLLBACK;
	c->abort_rc = 0;
	walk_init(&c->w, c->state, c->next.target);
	run(d, slot);
}

/* The daemon hears it, and that it was not its own cancel. */
static void tell_failed(struct sim_domain *d, unsigned int slot, const struct walk *w)
{
	if (w->rc && w->rc != -ECANCELED && d->a.lie == LIE_NONE && !d->a.frames.left &&
	    wire_is_open(&d->a.wire))
		disturbed_step(d, slot, d->a.cpus[slot].next.op, "its walk");
}

static void finish(struct sim_domain *d, unsigned int slot)
{
	struct agent_cpu *c = &d->a.cpus[slot];
	enum job_kind job = c->job;
	struct walk w = c->w;

	c->job = SIM_JOB_NONE;
	if (job == SIM_JOB_ADOPT && w.rc) {
		c->state = CPUHP_AP_THREADS;
		snprintf(c->text, sizeof(c->text), "not in service: it was to fail");
	}
	if (job != SIM_JOB_KICK) {
		c->taken &= w.rc != 0;
		agent_row(d, slot);
	} else {
		if (w.rc == 0 || c->state > CPUHP_STANDBY)
			c->standby_wish = c->state == CPUHP_STANDBY;
		keep_done(d, slot, &w);
		tell_failed(d, slot, &w);
		agent_row(d, slot);
		agent_send_done(d, slot);
		if (w.rc == 0 && !c->rollback)
			sim_phase(d, c->state == CPUHP_STANDBY ? PHASE_STANDBY : PHASE_ONLINE,
				  slot);
	}
	if (c->next_due && d->a.runs && !c->job)
		start(d, slot);
}

static void run(struct sim_domain *d, unsigned int slot)
{
	struct agent_cpu *c = &d->a.cpus[slot];

	if (c->abort_rc)
		walk_abort(&c->w, c->abort_rc);
	c->abort_rc = 0;
	if (walk_next(&c->w, has_step, c, &c->call)) {
		enter(d, slot);
		return;
	}
	c->state = c->w.state;
	finish(d, slot);
}

/* Kicks */

static unsigned int find_cpu(const struct sim_domain *d, int cpu)
{
	for (unsigned int i = 0; i < SIM_SLOTS; i++)
		if (d->g.cpus[i].present && d->g.cpus[i].cpu == cpu)
			return i;
	return SIM_NO_SLOT;
}

static void answer(struct sim_domain *d, const struct msg_kick *k, int rc, const char *text)
{
	struct msg_kicked m = { .kick = k->kick, .slot = k->slot, .rc = rc };

	snprintf(m.text, sizeof(m.text), "%s", text);
	agent_message(d, MSG_KICKED, &m);
}

/* Nothing is done, and all is well. */
static void lie_done(struct sim_domain *d, unsigned int slot, const struct msg_kick *k)
{
	struct record r = { .type = RECORD_DONE };

	r.done = (struct record_done){
		.kick = k->kick,
		.slot = (uint16_t)slot,
		.cpu = k->cpu,
		.state = d->a.lie == LIE_STATE ? CPUHP_AP_ACTIVE : k->target,
		.failed_at = 0xff,
		.rollback_failed_at = 0xff,
		.ran_on = k->cpu,
	};
	answer(d, k, 0, "");
	agent_record(d, &r, true);
	sim_phase(d, k->target == CPUHP_STANDBY ? PHASE_STANDBY : PHASE_ONLINE, slot);
}

/* A kick that no daemon sends which knows what it has sent: an honest agent has nothing to do with it. */
static void refuse(struct sim_domain *d, const struct msg_kick *k, int rc, const char *text)
{
	sim_breach(d, "kick %u of slot %u to %u: %s", k->kick, k->slot, k->target, text);
	answer(d, k, rc, text);
}

static bool is_target(int state)
{
	return is_callback(state) ||
	       (state >= CPUHP_STANDBY && !ladder_is_dyn(state) && ladder_is_target(state, false));
}

void walk_script_kick(struct sim_domain *d, const struct msg_kick *k)
{
	unsigned int slot = find_cpu(d, k->cpu);
	struct agent_cpu *c = slot == SIM_NO_SLOT ? NULL : &d->a.cpus[slot];

	sim_log(d, "kick %u: slot %u to %u%s", k->kick, k->slot, k->target,
		k->flags & MSG_KICK_ROLLBACK ? ", rollback" : "");
	world_sent(d, k->slot, k->op);
	if (!c || slot != k->slot) {
		answer(d, k, -ENODEV, "no such CPU");
	} else if (d->a.lie == LIE_DONE || d->a.lie == LIE_STATE) {
		lie_done(d, slot, k);
	} else if (k->kick == c->last_kick &&
		   (c->done_kept || c->next_due || c->job == SIM_JOB_KICK)) {
		answer(d, k, 0, "");
		if (c->done_kept)
			agent_send_done(d, slot);
	} else if (!is_target(k->target)) {
		refuse(d, k, -EINVAL, "not a target");
	} else if (k->kick == c->last_kick) {
		/* Sent again, since its end may have been lost: the agent that had it is gone, or has
		 * heard that its result came. */
		answer(d, k, -EPROTO, "the kick is not above the last one");
	} else if (k->kick < c->last_kick) {
		refuse(d, k, -EPROTO, "the kick is not above the last one");
	} else if (c->next_due || c->job == SIM_JOB_KICK) {
		refuse(d, k, -EBUSY, "a kick is at work");
	} else {
		answer(d, k, 0, "");
		c->done_kept = false;
		c->last_kick = k->kick;
		if (k->kick > d->a.kick)
			d->a.kick = k->kick;
		c->next = *k;
		c->next_due = true;
		if (!c->job)
			start(d, slot);
	}
}

static void end_waiting(struct sim_domain *d, unsigned int slot, int rc)
{
	struct agent_cpu *c = &d->a.cpus[slot];
	const struct walk w = { .rc = rc, .failed_at = -1, .rollback_failed_at = -1 };
	uint32_t kick = c->kick;

	c->next_due = false;
	c->kick = c->next.kick;
	keep_done(d, slot, &w);
	c->kick = kick;
	agent_send_done(d, slot);
}

void walk_script_cancel(struct sim_domain *d, uint32_t kick)
{
	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		struct agent_cpu *c = &d->a.cpus[i];

		if (c->next_due && c->next.kick == kick) {
			end_waiting(d, i, -ECANCELED);
		} else if (c->job == SIM_JOB_KICK && c->kick == kick && !c->w.rolling_back) {
			sim_log(d, "kick %u is cancelled", kick);
			if (d->watch)
				d->watch->sent_us[i] = clock_us();
			c->abort_rc = -ECANCELED;
			if (c->step.at && is_callback(c->call.state)) {
				c->abort_rc = 0;
				leave(d, i, -ECANCELED);
			}
		}
	}
}

/* What the kernel tells */

static void begin_own(struct sim_domain *d, unsigned int slot, enum job_kind job)
{
	struct agent_cpu *c = &d->a.cpus[slot];

	c->job = job;
	c->kick = 0;
	c->rollback = false;
	c->abort_rc = 0;
	c->text[0] = '\0';
	c->state = CPUHP_AP_ONLINE;
	walk_init(&c->w, CPUHP_AP_ONLINE, job == SIM_JOB_PARK ? CPUHP_STANDBY : CPUHP_ONLINE);
	agent_row(d, slot);
	run(d, slot);
}

static void found_online(struct sim_domain *d, unsigned int slot, bool restored)
{
	struct agent_cpu *c = &d->a.cpus[slot];

	c->foreign = !restored && d->a.starts > 1;
	if (restored || c->standby_wish == 0) {
		begin_own(d, slot, SIM_JOB_ADOPT);
	} else if (c->standby_wish == 1) {
		c->standby_wish = 2;
		begin_own(d, slot, SIM_JOB_PARK);
	} else {
		c->state = CPUHP_AP_ONLINE;
		c->taken = false;
		snprintf(c->text, sizeof(c->text), "online although it was put to standby");
		agent_row(d, slot);
	}
}

/* It went down, or away, without asking. */
static void taken(struct sim_domain *d, unsigned int slot)
{
	struct agent_cpu *c = &d->a.cpus[slot];
	bool kicked = c->job == SIM_JOB_KICK;

	c->taken = c->state > CPUHP_STANDBY || c->job;
	clock_disarm(&c->step);
	c->entered = 0;
	c->state = CPUHP_STANDBY;
	c->dyn = 0;
	c->under_way = 0;
	c->text[0] = '\0';
	c->job = SIM_JOB_NONE;
	if (kicked) {
		struct walk w = c->w;

		w.rc = w.rc ? w.rc : -ENODEV;
		keep_done(d, slot, &w);
		if (d->a.runs)
			agent_send_done(d, slot);
	}
	agent_row(d, slot);
	if (c->next_due && d->g.cpus[slot].present)
		start(d, slot);
	else if (c->next_due)
		end_waiting(d, slot, -ENODEV);
}

void walk_script_present(struct sim_domain *d, unsigned int slot)
{
	struct agent_cpu *c = &d->a.cpus[slot];

	c->state = CPUHP_STANDBY;
	c->dyn = 0;
	c->standby_wish = c->under_way = 0;
	c->taken = c->foreign = false;
	c->ran_on = -1;
	c->text[0] = '\0';
	if (!d->a.runs)
		return;
	agent_row(d, slot);
	sim_phase(d, PHASE_PRESENT, slot);
}

void walk_script_gone(struct sim_domain *d, unsigned int slot)
{
	if (d->a.runs)
		taken(d, slot);
	else
		d->a.cpus[slot].state = CPUHP_STANDBY;
}

void walk_script_switched(struct sim_domain *d, unsigned int slot)
{
	struct agent_cpu *c = &d->a.cpus[slot];
	bool online = d->g.cpus[slot].online;

	if (!d->a.runs)
		return;
	if (c->job && c->w.step == CPUHP_AP_ONLINE && !c->step.at && c->call.startup == online)
		leave(d, slot, 0);
	else if (!online)
		taken(d, slot);
	else if (!c->job)
		found_online(d, slot, false);
}

void walk_script_adopt(struct sim_domain *d)
{
	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		struct agent_cpu *c = &d->a.cpus[i];

		if (!d->g.cpus[i].present)
			continue;
		if (c->under_way) {
			c->dyn &= ~bit(c->under_way);
			c->under_way = 0;
		}
		if (d->g.cpus[i].online)
			found_online(d, i, c->state > CPUHP_STANDBY);
		else if (c->state > CPUHP_STANDBY)
			taken(d, i);
	}
}

void walk_script_drop(struct sim_domain *d)
{
	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		struct agent_cpu *c = &d->a.cpus[i];

		clock_disarm(&c->step);
		c->entered = 0;
		c->job = SIM_JOB_NONE;
		c->next_due = c->done_kept = false;
	}
}

void walk_script_init(struct sim_domain *d)
{
	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		clock_init(&d->a.cpus[i].step, on_step, &d->a.cpus[i]);
		d->a.cpus[i].owner = d;
	}
}
