/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * What an operation cannot be done with, whatever its fault may end with otherwise: the daemon was
 * told that one of its steps had failed, and why should it try again; its VM was ended; its time was
 * over; it was cancelled while a vCPU still had a way to go, and nothing else has happened. What the
 * next daemon knows of it is another matter, so these hold for one daemon.
 */
#include "tests/sim/world.h"

#include <stdio.h>
#include <string.h>

static bool is_open(const struct track *t)
{
	return t->end == TRACK_OPEN && t->begun;
}

void disturbed_add(struct sim_domain *d, unsigned int slot, const char *op)
{
	if (d->watch)
		snprintf(d->watch->adder[slot], sizeof(d->watch->adder[slot]), "%s", op);
}

void disturbed_step(struct sim_domain *d, unsigned int slot, const char *op, const char *what)
{
	struct driver *v = d->driver;

	for (unsigned int i = 0; v && i < v->n_tracks; i++) {
		struct track *t = &v->tracks[i];

		if (!is_open(t) || strcmp(t->id, op ? op : d->watch->running) != 0)
			continue;
		t->failed |= UINT32_C(1) << slot;
		sim_log(d, "op %u: vcpu %u has failed: %s", t->number, slot, what);
	}
}

void disturbed_vm(struct sim_domain *d)
{
	struct driver *v = d->driver;

	for (unsigned int i = 0; v && i < v->n_tracks; i++)
		if (is_open(&v->tracks[i]))
			v->tracks[i].gone_us = clock_us();
}

/* Going up to the end, or down to standby: from there a removal cannot be recalled. */
static bool has_a_way_to_go(const struct sim_domain *d, const struct op_vcpu *e)
{
	int truth = truth_of(d, e->vcpu);

	return e->to >= CPUHP_STANDBY ? truth != e->to : truth > CPUHP_STANDBY;
}

void disturbed_cancel(struct sim_domain *d, struct track *t, const struct op *op, bool alone)
{
	t->cancelled = true;
	for (unsigned int i = 0; alone && i < op->n_vcpus; i++)
		t->recalled |= has_a_way_to_go(d, &op->vcpus[i]);
}

void disturbed_again(struct sim_domain *d, bool killed)
{
	for (unsigned int i = 0; i < d->driver->n_tracks; i++) {
		struct track *t = &d->driver->tracks[i];

		t->recalled = false;
		if (killed)
			t->failed = 0;
		if (killed && t->end == TRACK_OPEN)
			t->killed = true;
	}
}

static uint64_t deadline_us(const struct sim_domain *d, const struct track *t)
{
	uint64_t own_us = t->request.timeout_ms * UINT64_C(1000);

	return t->accepted_us + (own_us ? own_us : (d->m.kvm ? UINT64_C(1) : 6) * OPERATION_US);
}

void disturbed_end(struct sim_domain *d, const struct track *t, const struct op *op)
{
	if (op->result != OP_DONE)
		return;
	if (t->failed & ~t->moved && op->request.policy != OP_POLICY_AT_LEAST)
		sim_breach(d, "op %u is done, and steps for vcpus 0x%x have failed", t->number,
			   t->failed);
	if (t->gone_us && clock_us() > t->gone_us)
		sim_breach(d, "op %u is done, and its VM has ended before", t->number);
	if (clock_us() > deadline_us(d, t) + HEARD_US && !t->killed)
		sim_breach(d, "op %u is done after its deadline", t->number);
	if (t->recalled)
		sim_breach(d, "op %u is done, and was cancelled before it was", t->number);
}
