/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "proto/ladder.h"
#include "tests/microguest/guest.h"
#include <errno.h>

static struct cpu *find(struct guest *g, uint16_t slot)
{
	return slot < g->slots && g->cpus[slot].present ? &g->cpus[slot] : NULL;
}

static int refuse(struct msg_kicked *answer, int rc, const char *text)
{
	answer->rc = rc;
	text_copy(answer->text, sizeof(answer->text), text);
	return rc;
}

static int check(const struct cpu *c, const struct msg_kick *k, struct msg_kicked *answer)
{
	if (k->target < CPUHP_STANDBY || !ladder_is_target(k->target, worker_callback(k->target)))
		return refuse(answer, -EINVAL, "not a target");
	if (k->kick <= c->last_kick)
		return refuse(answer, -EPROTO, "the kick is not above the last of the CPU");
	if (c->walking)
		return refuse(answer, -EBUSY, "a kick is at work on the CPU");
	/* The boot vCPU has no worker, and nothing takes it away. */
	if (c->slot == 0 && k->target != c->state)
		return refuse(answer, -EPROTO, "the boot CPU stays as it is");
	return 0;
}

void kick_on_kick(struct guest *g, const struct msg_kick *k)
{
	struct msg_kicked answer = { .kick = k->kick, .slot = k->slot };
	struct cpu *c = find(g, k->slot);

	if (!c || c->number != k->cpu) {
		(void)refuse(&answer, -ENODEV, "there is no such CPU in that slot");
		link_answer(g, MSG_KICKED, &answer);
		return;
	}
	if (k->kick && k->kick == c->last_kick && (c->walking || c->done_kept)) {
		link_answer(g, MSG_KICKED, &answer);
		c->done_due = c->done_kept;
		return;
	}
	if (check(c, k, &answer) < 0) {
		link_answer(g, MSG_KICKED, &answer);
		return;
	}
	lie_beside_kicked(g, c);
	link_answer(g, MSG_KICKED, &answer);
	lie_beside_kicked(g, c);
	if (k->kick > g->highest_kick)
		g->highest_kick = k->kick;
	c->last_kick = k->kick;
	c->done_kept = c->done_due = false;
	c->kick = *k;
	job_begin(g, c);
}

void kick_on_cancel(struct guest *g, const struct msg_cancel *m)
{
	for_each_cpu (g, c)
		if (c->walking && c->kick.kick == m->kick)
			job_cancel(c, -ECANCELED);
}

void kick_on_ack(struct guest *g, const struct msg_ack *m)
{
	for_each_cpu (g, c) {
		if (!c->done_kept || c->done.kick != m->kick)
			continue;
		c->done_kept = c->done_due = false;
		g->last_done = c->done;
	}
}

void kick_on_arm(struct guest *g, const struct msg_arm *m)
{
	struct msg_armed answer = { .slot = m->slot, .state = m->state };
	struct cpu *c = find(g, m->slot);
	struct run any = { 0 };

	if (!c)
		answer.rc = -ENODEV;
	else if (m->rc > 0 || !ladder_step(m->state) || !run_has(&any, m->state, true))
		answer.rc = -EINVAL;
	if (answer.rc == 0) {
		c->run.armed = m->state;
		c->run.armed_rc = m->rc;
	}
	link_answer(g, MSG_ARMED, &answer);
}
