/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "proto/ladder.h"
#include "tests/microguest/guest.h"
#include "tests/microguest/machine.h"

uint16_t lie_about_place(const struct guest *g, uint16_t ran_on)
{
	bool lies = g->behaviour.lie == LIE_RAN_ON || g->behaviour.lie == LIE_PROOF;

	return lies && ran_on != MSG_NO_CPU ? 0 : ran_on;
}

/* Every step that a walk would have, in no time and nowhere. */
static void make_up_steps(struct guest *g, struct cpu *c)
{
	struct walk_call call;

	while (walk_next(&c->run.walk, run_has, &c->run, &call)) {
		struct note n = {
			.time_ns = now_ns(),
			.ran_on = c->number,
			.state = (uint8_t)call.state,
			.flags = call.startup ? RECORD_STEP_STARTUP : 0,
			.text = "",
		};

		job_report_step(g, c, &n);
		n.flags |= RECORD_STEP_EXIT;
		job_report_step(g, c, &n);
		run_result(&c->run, &call, 0);
	}
}

void lie_instead_of_walking(struct guest *g, struct cpu *c)
{
	struct walk *w = &c->run.walk;

	if (g->behaviour.lie == LIE_ONLINE)
		make_up_steps(g, c);
	else if (g->behaviour.lie == LIE_DONE)
		w->state = w->target;
	else
		return;
	w->done = true;
	c->online = w->state > CPUHP_STANDBY;
	c->ran_on = g->behaviour.lie == LIE_ONLINE && c->online ? c->number : MSG_NO_CPU;
	job_finish(g, c);
}

/* As if it were of this CPU and had gone well. */
void lie_beside_kicked(struct guest *g, struct cpu *c)
{
	struct record r = { .type = RECORD_DONE, .done = g->last_done };

	if (g->behaviour.lie != LIE_STALE || !r.done.kick)
		return;
	r.done.slot = c->slot;
	r.done.cpu = r.done.ran_on = c->number;
	r.done.state = CPUHP_ONLINE;
	r.done.rc = 0;
	link_report(g, &r);
	link_hurry(g);
}

void lie_about_rows(struct guest *g)
{
	if (g->behaviour.lie != LIE_PRESENT)
		return;
	for_each_cpu (g, c) {
		struct record r = {
			.type = RECORD_CPU,
			.cpu = {
				.cpu = (uint16_t)(100 + c->slot),
				.slot = c->slot,
				.flags = RECORD_CPU_PRESENT | RECORD_CPU_ONLINE,
				.state = CPUHP_ONLINE,
				.ran_on = (uint16_t)(100 + c->slot),
			},
		};

		if (!c->present)
			link_report(g, &r);
	}
	link_hurry(g);
}
