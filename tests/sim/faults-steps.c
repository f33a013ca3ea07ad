/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Faults of the agent's steps: one fails, hangs, or fails on the way back as well. */
#include "tests/sim/faults.h"

#include <errno.h>

void fault_step_fails(struct sim_domain *d, const struct item *i)
{
	static const int states[] = { CPUHP_AP_ONLINE, CPUHP_AP_THREADS, CPUHP_AP_VERIFY,
				      CPUHP_AP_DYN, CPUHP_AP_DYN + 1 };

	d->a.plant = (struct plant){
		.state = states[i->arg % (sizeof(states) / sizeof(*states))],
		.startup = i->phase <= PHASE_ONLINE,
		.rc = -EIO,
		.left = 1,
	};
}

void fault_callback_fails(struct sim_domain *d, const struct item *i)
{
	d->a.plant = (struct plant){
		.state = CPUHP_AP_DYN + (int)(i->arg % SIM_CALLBACKS),
		.startup = i->phase <= PHASE_ONLINE,
		.rc = 3,
		.left = 1,
	};
}

void fault_callback_hangs(struct sim_domain *d, const struct item *i)
{
	fault_callback_fails(d, i);
	d->a.plant.hang = true;
}

/* A walk fails at the one callback, and its way back at the other. */
void fault_rollback_fails(struct sim_domain *d, const struct item *i)
{
	bool up = i->phase <= PHASE_ONLINE;

	d->a.plant = (struct plant){
		.state = up ? CPUHP_AP_DYN : CPUHP_AP_DYN + 1,
		.second = up ? CPUHP_AP_DYN + 1 : CPUHP_AP_DYN,
		.startup = up,
		.rc = -EIO,
		.rollback_too = true,
		.left = 1,
	};
}

void fault_kernel_refuses(struct sim_domain *d, const struct item *i)
{
	d->a.plant = (struct plant){
		.state = CPUHP_AP_ONLINE,
		.startup = i->phase <= PHASE_ONLINE,
		.rc = -EBUSY,
		.left = 1,
	};
}
