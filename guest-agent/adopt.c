/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/adopt.h"
#include "guest-agent/control.h"
#include "guest-agent/cputable.h"
#include "guest-agent/registry.h"
#include <string.h>

void adopt_restore(struct agent *a)
{
	struct bootrec_row row;

	for_each_cpu (a, c) {
		if (bootrec_load(&a->record, c->cpu, &row) < 0)
			continue;
		c->last_kick = row.kick;
		c->standby_wish = row.standby_wish;
		c->restored = row;
		/* Still announced until the scan finds otherwise. */
		c->active = row.state >= CPUHP_AP_ACTIVE;
	}
}

/* What is done there by the record: every callback above the first that is not, is still due. */
static int resume_state(const struct cpu *c, uint32_t dyn)
{
	uint32_t due = dyn & ~c->dyn_done;
	int state = c->restored.state;

	for (int i = 0; i < CALLBACKS_MAX; i++)
		if ((due & (UINT32_C(1) << i)) && CPUHP_AP_DYN + i <= state)
			return CPUHP_AP_DYN + i - 1;
	return state > CPUHP_AP_THREADS ? state : CPUHP_AP_THREADS;
}

static void adopt(struct agent *a, struct cpu *c)
{
	uint32_t dyn = registry_mask(&a->registry);
	int doubt = c->restored.under_way;
	struct errand e = {
		.kind = JOB_ADOPT,
		.from = CPUHP_AP_THREADS,
		.state = CPUHP_AP_ONLINE,
		.target = CPUHP_ONLINE,
		.doubt = doubt > CPUHP_AP_THREADS && doubt < CPUHP_ONLINE ? doubt : 0,
	};

	c->dyn_done = c->restored.dyn_done & dyn;
	e.resume = resume_state(c, dyn);
	control_begin(a, c, &e);
}

static void park(struct agent *a, struct cpu *c)
{
	const struct errand e = {
		.kind = JOB_PARK,
		.from = CPUHP_AP_ONLINE,
		.state = CPUHP_AP_ONLINE,
		.target = CPUHP_STANDBY,
	};

	agent_log(a, "cpu%d: brought online although it was put to standby; parked again", c->cpu);
	c->standby_wish = 2;
	control_begin(a, c, &e);
}

void adopt_found_online(struct agent *a, struct cpu *c)
{
	bool ours = c->restored.state > CPUHP_STANDBY;

	/* Nothing known of it at the first scan: the kernel's own boot. */
	c->foreign = !ours && (a->scanned || c->restored.state);
	c->taken = false;
	cpu_set_state(a, c, CPUHP_AP_ONLINE);
	if (ours || c->standby_wish == 0) {
		adopt(a, c);
	} else if (c->standby_wish == 1) {
		park(a, c);
	} else {
		cpu_say(a, c, "online although it was put to standby, and parked once already");
		cpu_changed(a, c);
	}
	c->restored = (struct bootrec_row){ 0 };
}

void adopt_taken(struct agent *a, struct cpu *c)
{
	const struct errand e = {
		.kind = JOB_LATE,
		.from = c->state,
		.state = c->state,
		.target = CPUHP_AP_THREADS,
	};

	agent_log(a, "cpu%d: taken away without asking", c->cpu);
	c->taken = true;
	if (c->state > CPUHP_AP_THREADS) {
		control_begin(a, c, &e);
		return;
	}
	cpu_set_state(a, c, c->present ? CPUHP_STANDBY : CPUHP_OFFLINE);
	cpu_changed(a, c);
}

void adopt_on_finished(struct agent *a, struct cpu *c, enum job_kind kind, int rc, const char *text)
{
	if (rc == 0)
		return;
	if (kind == JOB_ADOPT)
		cpu_say(a, c, "not in service: %s", *text ? text : strerror(rc < 0 ? -rc : rc));
	else
		cpu_say(a, c, "cannot be parked again: %s", text);
}
