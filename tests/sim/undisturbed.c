/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * An operation during which nothing was broken has to be done, or refused for the reason that its
 * plan has. Nothing is broken: when it begins the domain is at rest and the daemon knows all of it, no
 * fault is under way in it (world.c tells each that strikes) and none of those before has left
 * anything behind, such as a flood that waits to be read; and until it ends none strikes. What other clients ask for breaks nothing.
 *
 * Whether a plan may refuse it is asked of the daemon's own plan, made at the moment of the beginning;
 * but what a KVM domain that has room for all of it is asked to add has to be possible in any case.
 */
#include "daemon/vcpu.h"
#include "tests/sim/shortage.h"
#include "tests/sim/store.h"
#include "tests/sim/world.h"

#include <assert.h>
#include <string.h>

static bool is_unspoilt(const struct sim_domain *d)
{
	const struct tampering *all[] = { &d->m.replies, &d->m.events, &d->a.frames, &d->a.heard };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (all[i]->left || all[i]->held)
			return false;
	return !d->deaf && d->trusted && !d->m.lost && !d->m.slow_us;
}

/* All of it answers, and nothing is to fail. What is still to come of a fault is one of the laters. */
static bool is_healthy(const struct sim_domain *d)
{
	const struct world *w = d->world;

	return LIST_EMPTY(&d->laters) && is_unspoilt(d) && machine_is_running(d) &&
	       guest_moves(d) && wire_is_open(&d->m.wire) && d->m.greeted && !d->m.turn.at &&
	       !d->m.refuse_add && !d->m.refuse_del && d->a.runs && !d->a.mute && !d->a.flood &&
	       wire_unread(&d->a.wire) == 0 && clock_us() > d->watch->flood_us + PAID_US &&
	       !d->a.plant.left && d->a.lie == LIE_NONE && wire_is_open(&d->a.wire) &&
	       d->g.removal == REMOVAL_ACCEPT && !d->g.lose_gpes && !d->g.scan_due &&
	       !store_error(d) && !w->kills_due && !w->other_config;
}

/* Nothing is under way, and the daemon has every slot where it is. */
static bool is_at_rest(const struct sim_domain *d, const struct domain *domain)
{
	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		const struct vcpu *v = &domain->vcpus[i];
		const struct slot *s = &d->m.slots[i];

		if (v->hw || v->pending != VCPU_PENDING_NONE || v->leaving || v->returning ||
		    v->present != s->present || v->state != truth_of(d, i) || s->inserting ||
		    s->removing || d->a.cpus[i].job || d->a.cpus[i].next_due)
			return false;
	}
	return true;
}

/* Whatever a plan says. */
static bool is_possible(const struct sim_domain *d, const struct op_request *r)
{
	return d->m.kvm && r->goal == OP_GOAL_COUNT && r->standby < 0 &&
	       r->count >= d->watch->online && r->count + d->watch->standby <= SIM_SLOTS;
}

void undisturbed_begin(struct sim_domain *d, struct track *t, const struct op *op)
{
	const struct domain *domain = world_domain(d);
	struct plan plan = { 0 };
	int r;

	t->refusal[0] = '\0';
	t->undisturbed = domain && domain->attached && domain->agent_up && !domain->table_due &&
			 !domain->leaving && is_healthy(d) && is_at_rest(d, domain);
	if (!t->undisturbed)
		return;
	r = domain_plan(domain, &op->request, &plan);
	assert(r == 0);
	if (plan.n_refusals)
		snprintf(t->refusal, sizeof(t->refusal), "%s", plan.refusals[0]);
	if (plan.n_refusals && is_possible(d, &op->request))
		sim_breach(d, "op %u is possible, and is refused: %s", t->number, t->refusal);
	plan_done(&plan);
}

void undisturbed_over(struct sim_domain *d)
{
	for (unsigned int t = 0; t < d->driver->n_tracks; t++)
		if (d->driver->tracks[t].end == TRACK_OPEN)
			d->driver->tracks[t].undisturbed = false;
}

static bool had_time(const struct track *t)
{
	uint64_t time_us = t->request.timeout_ms * UINT64_C(1000);

	return !time_us || clock_us() < t->accepted_us + time_us;
}

void undisturbed_end(struct sim_domain *d, const struct track *t, const struct op *op)
{
	enum op_result expected = *t->refusal ? OP_REFUSED : OP_DONE;

	if (!t->undisturbed || t->cancelled || shortage_hit() || !had_time(t))
		return;
	d->world->result->undisturbed++;
	if (op->result != expected || (*t->refusal && strcmp(text_of(&op->error), t->refusal) != 0))
		sim_breach(d, "nothing has disturbed op %u, and it is %s (%s), not %s%s%s",
			   t->number, op_result_name(op->result), text_of(&op->error),
			   op_result_name(expected), *t->refusal ? ": " : "", t->refusal);
}
