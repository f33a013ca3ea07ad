/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Faults of the channel between host and agent, which promises order and no loss, and is one of the
 * guest's memory: frames lost, doubled, late, swapped, torn, spoilt, in one direction each.
 */
#include "tests/sim/strikes.h"

void fault_spoil(struct tampering *t, enum tamper how, const struct item *i)
{
	t->how = how;
	t->left = 1 + i->arg % 4;
	t->late_us = i->span_us;
}

/* What the host is told. */
static void spoil_frames(struct sim_domain *d, enum tamper how, const struct item *i)
{
	fault_spoil(&d->a.frames, how, i);
	d->deaf = d->spoilt = true;
}

/* What the host says. */
static void spoil_heard(struct sim_domain *d, enum tamper how, const struct item *i)
{
	fault_spoil(&d->a.heard, how, i);
	d->deaf = d->spoilt = true;
}

void frames_drop(struct sim_domain *d, const struct item *i)
{
	spoil_frames(d, TAMPER_DROP, i);
}

void frames_twice(struct sim_domain *d, const struct item *i)
{
	spoil_frames(d, TAMPER_TWICE, i);
}

void frames_late(struct sim_domain *d, const struct item *i)
{
	spoil_frames(d, TAMPER_LATE, i);
}

void frames_swap(struct sim_domain *d, const struct item *i)
{
	spoil_frames(d, TAMPER_SWAP, i);
}

void frames_tear(struct sim_domain *d, const struct item *i)
{
	spoil_frames(d, TAMPER_TEAR, i);
}

void frames_noise(struct sim_domain *d, const struct item *i)
{
	spoil_frames(d, TAMPER_NOISE, i);
}

void heard_drop(struct sim_domain *d, const struct item *i)
{
	spoil_heard(d, TAMPER_DROP, i);
}

void heard_twice(struct sim_domain *d, const struct item *i)
{
	spoil_heard(d, TAMPER_TWICE, i);
}

void heard_late(struct sim_domain *d, const struct item *i)
{
	spoil_heard(d, TAMPER_LATE, i);
}

void heard_swap(struct sim_domain *d, const struct item *i)
{
	spoil_heard(d, TAMPER_SWAP, i);
}

void heard_tear(struct sim_domain *d, const struct item *i)
{
	spoil_heard(d, TAMPER_TEAR, i);
}

void heard_noise(struct sim_domain *d, const struct item *i)
{
	spoil_heard(d, TAMPER_NOISE, i);
}
