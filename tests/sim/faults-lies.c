/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Faults of an agent that lies, and of one that talks too much. */
#include "tests/sim/strikes.h"

void lies_end(struct sim_domain *d, uint64_t arg)
{
	if (d->a.lie == LIE_NONE)
		return;
	agent_kill(d);
	agent_start(d);
}

static void lie(struct sim_domain *d, enum lie what, const struct item *i)
{
	if (!d->a.runs)
		return;
	d->trusted = false;
	d->a.lie = what;
	sim_later(d, i->span_us, lies_end, 0);
}

void lies_done(struct sim_domain *d, const struct item *i)
{
	lie(d, LIE_DONE, i);
}

void lies_ran_on(struct sim_domain *d, const struct item *i)
{
	lie(d, LIE_RAN_ON, i);
}

void lies_old(struct sim_domain *d, const struct item *i)
{
	lie(d, LIE_OLD, i);
}

void lies_rows(struct sim_domain *d, const struct item *i)
{
	lie(d, LIE_ROWS, i);
}

void lies_state(struct sim_domain *d, const struct item *i)
{
	lie(d, LIE_STATE, i);
}

void floods(struct sim_domain *d, const struct item *i)
{
	if (d->a.runs)
		agent_flood(d, 200 + i->arg % 2000);
}
