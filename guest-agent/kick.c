/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A kick is answered at once, taken or refused (that it is taken may be said with what follows,
 * TAKEN_LATER), and its result comes later by itself: starting a walk and waiting for it are two things. What does not fit is refused with the reason in a
 * sentence and changes nothing (R16). Numbers ascend on each CPU; the last one may be repeated by
 * a host that has lost our word, and is answered again but never run again.
 *
 * A kick that meets the agent's own work on that CPU (an adoption, a late teardown), or a
 * registration anywhere, is taken and waits for its end in @next, one on each CPU. Its deadline
 * counts from when it was taken.
 */
#include "guest-agent/kick.h"
#include "guest-agent/control.h"
#include "guest-agent/cputable.h"
#include "guest-agent/crew.h"
#include "guest-agent/finish.h"
#include "guest-agent/hostlink.h"
#include "guest-agent/registry.h"
#include "guest-agent/text.h"
#include "guest-agent/writer.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 4))) static int refuse(struct msg_kicked *answer, int rc,
							const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(answer->text, sizeof(answer->text), format, args);
	va_end(args);
	answer->rc = rc;
	return rc;
}

static bool has_callback(const struct agent *a, int state)
{
	return registry_name(&a->registry, state)[0] != '\0';
}

static int check_cpu(struct agent *a, const struct msg_kick *k, struct msg_kicked *answer)
{
	struct cpu *c = k->cpu < a->possible ? &a->cpus[k->cpu] : NULL;

	if (!c || !c->present)
		return refuse(answer, -ENODEV, "cpu %u is not present", k->cpu);
	cputable_read_slot(a, c);
	if (c->slot != MSG_NO_SLOT && c->slot != k->slot)
		return refuse(answer, -ENODEV, "cpu %u is in slot %u, not %u", k->cpu, c->slot,
			      k->slot);
	/* There is nothing to do only as long as that is so; the event may be on its way still. */
	if (c->state == k->target && c->state > CPUHP_STANDBY)
		cputable_look(a, c);
	return 0;
}

static int check_target(const struct agent *a, const struct msg_kick *k, struct msg_kicked *answer)
{
	if (k->target < CPUHP_STANDBY)
		return refuse(answer, -EINVAL, "%s is not the agent's to reach",
			      ladder_name(k->target));
	if (!ladder_is_target(k->target, has_callback(a, k->target)))
		return refuse(answer, -EINVAL, "%u is not a target", k->target);
	return 0;
}

static int check_state(const struct cpu *c, const struct msg_kick *k, struct msg_kicked *answer)
{
	if (k->kick <= c->last_kick)
		return refuse(answer, -EPROTO, "kick %u is not above %u, the last of cpu %d",
			      k->kick, c->last_kick, c->cpu);
	if (c->job.kind == JOB_KICK || c->next_due)
		return refuse(answer, -EBUSY, "kick %u is at work on cpu %d", c->last_kick, c->cpu);
	return 0;
}

static void start(struct agent *a, struct cpu *c)
{
	const struct msg_kick *k = &c->next;
	const struct errand e = {
		.kind = JOB_KICK,
		.from = c->state,
		.state = c->state,
		.target = k->target,
		.kick = k->kick,
		.slow = k->slow,
		.deadline_ms = c->next_deadline_ms,
		.rollback = k->flags & MSG_KICK_ROLLBACK,
		.ladder_later = k->flags & MSG_KICK_LADDER_LATER,
		.op = k->op,
	};

	control_begin(a, c, &e);
}

static void take(struct agent *a, struct cpu *c, const struct msg_kick *k)
{
	int r;

	/* R7: what came of the kick before is not this one's. */
	c->done_kept = c->done_due = false;
	c->last_kick = k->kick;
	r = bootrec_kick(&a->record) < k->kick ? bootrec_store_kick(&a->record, k->kick) : 0;
	if (r < 0)
		agent_log(a, "cannot write the record: %s", strerror(-r));
	c->next = *k;
	c->next_deadline_ms = k->deadline_ms ? now_ms() + k->deadline_ms : 0;
	c->next_due = c->job.kind || registry_is_busy(a);
	if (!c->next_due) {
		start(a, c);
	} else if (c->awaited) {
		/* It may rest there for as long as another's callback takes. */
		c->awaited = false;
		cpu_changed(a, c);
	}
}

/* A kick that is known already: its KICKED or its DONE was lost. */
static bool is_repeated(const struct cpu *c, uint32_t kick)
{
	bool running = c->next_due || c->job.kind == JOB_KICK;

	return kick && kick == c->last_kick && (running || c->done_kept);
}

void kick_on_kick(struct agent *a, const struct msg_kick *k)
{
	struct msg_kicked answer = { .kick = k->kick, .slot = k->slot };
	struct cpu *c;

	if (check_cpu(a, k, &answer) < 0) {
		hostlink_answer(a, MSG_KICKED, &answer);
		return;
	}
	c = &a->cpus[k->cpu];
	if (is_repeated(c, k->kick)) {
		hostlink_answer(a, MSG_KICKED, &answer);
		c->done_due = c->done_kept;
		return;
	}
	if (check_target(a, k, &answer) < 0 || check_state(c, k, &answer) < 0) {
		agent_log(a, "cpu%u: kick %u refused: %s", k->cpu, k->kick, answer.text);
		hostlink_answer(a, MSG_KICKED, &answer);
		return;
	}
	if (k->flags & MSG_KICK_TAKEN_LATER)
		hostlink_answer_later(a, MSG_KICKED, &answer);
	else
		hostlink_answer(a, MSG_KICKED, &answer);
	expedite_on_kick(&a->expedite, now_ms());
	take(a, c, k);
	writer_on_kick(a);
}

/* The CPU in @slot; another may have its number. */
static bool is_gone(const struct cpu *c, uint16_t slot)
{
	return !c->present || (c->slot != MSG_NO_SLOT && c->slot != slot);
}

static void end_waiting(struct cpu *c, int rc, const char *text)
{
	c->next_due = false;
	c->done = (struct record_done){
		.kick = c->next.kick,
		.slot = c->next.slot,
		.cpu = (uint16_t)c->cpu,
		.state = (uint8_t)(is_gone(c, c->next.slot) ? CPUHP_OFFLINE : c->state),
		.rc = rc,
		.failed_at = 0xff,
		.rollback_failed_at = 0xff,
		.ran_on = MSG_NO_CPU,
	};
	text_copy(c->done.text, sizeof(c->done.text), text);
	c->done_kept = c->done_due = true;
}

void kick_start_next(struct agent *a, struct cpu *c)
{
	if (is_gone(c, c->next.slot)) {
		end_waiting(c, -ENODEV, "the CPU has gone");
		return;
	}
	c->next_due = false;
	start(a, c);
}

void kick_on_time(struct cpu *c, uint64_t now)
{
	if (c->next_due && c->next_deadline_ms && now >= c->next_deadline_ms)
		end_waiting(c, -ETIMEDOUT, "the deadline passed");
}

void kick_on_cancel(struct agent *a, const struct msg_cancel *m)
{
	for_each_cpu (a, c) {
		if (c->next_due && c->next.kick == m->kick)
			end_waiting(c, -ECANCELED, "cancelled");
		else if (c->job.kind == JOB_KICK && c->job.h.kick == m->kick)
			control_abort(a, c, -ECANCELED);
	}
}

void kick_on_ack(struct agent *a, const struct msg_ack *m)
{
	for_each_cpu (a, c)
		if (c->done_kept && c->done.kick == m->kick)
			c->done_kept = c->done_due = false;
}

static struct cpu *cpu_of_slot(struct agent *a, uint16_t slot)
{
	for_each_cpu (a, c)
		if (c->present && c->slot != MSG_NO_SLOT && c->slot == slot)
			return c;
	return NULL;
}

/* R18: a state where some callback runs, in whichever direction. */
static int arm(struct agent *a, const struct msg_arm *m)
{
	struct handover any = { .dyn = registry_mask(&a->registry) };
	struct cpu *c = cpu_of_slot(a, m->slot);

	if (!a->allow_faults)
		return -EPERM;
	if (!c)
		return -ENODEV;
	if (!handover_has(&any, m->state, true))
		return -EINVAL;
	if (m->rc > 0)
		return -EINVAL;
	c->fail_state = m->rc ? m->state : 0;
	c->fail_rc = m->rc;
	if (c->job.at_worker)
		crew_arm(c);
	return 0;
}

void kick_on_arm(struct agent *a, const struct msg_arm *m)
{
	struct msg_armed answer = { .slot = m->slot, .state = m->state, .rc = arm(a, m) };

	hostlink_answer(a, MSG_ARMED, &answer);
}
