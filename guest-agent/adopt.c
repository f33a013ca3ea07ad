/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/adopt.h"
#include "guest-agent/control.h"
#include "guest-agent/cputable.h"
#include "guest-agent/registry.h"
#include <string.h>

void adopt_restore(struct agent *a)
{
	struct bootrec_subject subject;
	struct bootrec_row row;

	for_each_cpu (a, c) {
		if (bootrec_load(&a->record, c->cpu, &row) < 0 ||
		    bootrec_load_subject(&a->record, c->cpu, &subject) < 0)
			continue;
		c->device = subject.device;
		c->state_period = subject.period;
		c->state = row.state;
		c->restored = row.state > CPUHP_STANDBY;
		if (row.under_way > CPUHP_AP_THREADS && row.under_way < CPUHP_ONLINE)
			c->doubt = row.under_way;
		c->dyn_done = row.dyn_done;
		c->last_kick = row.kick;
		/* What has passed standby upwards was not to rest there any more. */
		c->standby_wish = row.state > CPUHP_STANDBY ? 0 : row.standby_wish;
		/* Still announced until the scan finds otherwise. */
		c->active = row.state >= CPUHP_AP_ACTIVE;
	}
}

/* What is done there by the record: every callback above the first that is not, is still due. */
static int resume_state(const struct cpu *c, uint32_t dyn)
{
	uint32_t due = dyn & ~c->dyn_done;

	for (int i = 0; i < CALLBACKS_MAX; i++)
		if ((due & (UINT32_C(1) << i)) && CPUHP_AP_DYN + i <= c->state)
			return CPUHP_AP_DYN + i - 1;
	return c->state > CPUHP_AP_THREADS ? c->state : CPUHP_AP_THREADS;
}

static void adopt(struct agent *a, struct cpu *c)
{
	uint32_t dyn = registry_mask(&a->registry);
	struct errand e = {
		.kind = JOB_ADOPT,
		.from = CPUHP_AP_THREADS,
		.state = CPUHP_AP_ONLINE,
		.target = CPUHP_ONLINE,
		.doubt = c->doubt,
	};

	c->dyn_done &= dyn;
	e.resume = resume_state(c, dyn);
	cpu_set_state(a, c, CPUHP_AP_ONLINE);
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
	/* It may have waited here for the end of a registration, and gone meanwhile. */
	cputable_read_online(a, c);
	if (!c->online || (c->state > CPUHP_STANDBY && cputable_period_is_over(c))) {
		cputable_settle(a, c);
		return;
	}
	/* Nothing known of it at the first scan: the kernel's own boot. */
	c->foreign = !c->restored && (a->scanned || c->state);
	cputable_begin_period(a, c);
	if (c->restored || c->standby_wish == 0) {
		c->restored = false;
		adopt(a, c);
		return;
	}
	cpu_set_state(a, c, CPUHP_AP_ONLINE);
	if (c->standby_wish == 1) {
		park(a, c);
		return;
	}
	c->taken = false;
	cpu_say(a, c, "online although it was put to standby, and parked once already");
	cpu_changed(a, c);
}

/* What an agent that was killed left in doubt may have happened, and is torn down too. */
static int take_doubt(struct cpu *c)
{
	if (ladder_is_dyn(c->doubt))
		c->dyn_done |= UINT32_C(1) << (c->doubt - CPUHP_AP_DYN);
	return c->doubt > c->state ? c->doubt : c->state;
}

void adopt_taken(struct agent *a, struct cpu *c)
{
	int state = take_doubt(c);
	const struct errand e = {
		.kind = JOB_LATE,
		.from = state,
		.state = state,
		.target = CPUHP_AP_THREADS,
	};

	agent_log(a, "cpu%d: taken away %s", c->cpu,
		  c->restored ? "while no agent ran" : "without asking");
	c->restored = false;
	c->taken = true;
	if (state > CPUHP_AP_THREADS) {
		control_begin(a, c, &e);
		return;
	}
	cpu_set_state(a, c, c->present ? CPUHP_STANDBY : CPUHP_OFFLINE);
	cpu_changed(a, c);
	/* It may have come back already. */
	if (c->online)
		cputable_settle(a, c);
}

void adopt_on_finished(struct agent *a, struct cpu *c, enum job_kind kind, int rc, const char *text)
{
	if (rc == 0) {
		c->taken = false;
		return;
	}
	/* It has gone meanwhile, which is all there is to say. */
	if (c->state <= CPUHP_STANDBY)
		return;
	if (kind == JOB_ADOPT)
		cpu_say(a, c, "not in service: %s", *text ? text : strerror(rc < 0 ? -rc : rc));
	else
		cpu_say(a, c, "cannot be parked again: %s", text);
}
