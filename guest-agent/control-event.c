/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * What becomes of the calls that control.c begins: the kernel write returns, the worker proves
 * itself, dies or is gone, the CPU goes away, time passes, the host cancels. Each event ends or
 * breaks the call it belongs to and lets control_run() look at the walk again; an event that
 * belongs to nothing that is under way is dropped.
 *
 * A worker that dies with the walk in its hands leaves its call in doubt: that call has failed, it
 * is torn down by another worker, and the rollback goes on there. RESPAWNS_MAX bounds how often a
 * walk survives that. One that dies without a walk has left, whoever made it: its CPU may have
 * another job by then, which waited for that.
 */
#include "guest-agent/control-internal.h"
#include "guest-agent/cputable.h"
#include "guest-agent/crew.h"
#include "guest-agent/finish.h"
#include "guest-agent/writer.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { RESPAWNS_MAX = 3 };

void control_become_late(struct agent *a, struct cpu *c)
{
	struct job *j = &c->job;
	struct walk *w = &j->h.walk;
	int state = j->h.only ? c->state : w->state;

	agent_log(a, "cpu%d: taken away in the middle of a walk", c->cpu);
	j->rc = w->rc ? w->rc : -ENODEV;
	j->failed_at = w->failed_at;
	if (!j->text[0])
		snprintf(j->text, sizeof(j->text), "the CPU was taken away");
	j->h.late = true;
	j->h.adopt = j->h.rollback = false;
	j->h.only = 0;
	/* What is in doubt is torn down on the way like what is done. */
	if (j->h.unknown > state)
		state = j->h.unknown;
	j->h.unknown = 0;
	j->abort_rc = 0;
	j->deadline_ms = 0;
	c->taken = true;
	cpu_changed(a, c);
	walk_init(w, state, state > CPUHP_AP_THREADS ? CPUHP_AP_THREADS : state);
	/* Bound workers are of no use for it. */
	crew_dismiss_idle(c);
}

void control_aborted(struct agent *a, struct cpu *c)
{
	struct job *j = &c->job;

	if (!j->text[0])
		snprintf(j->text, sizeof(j->text), "%s",
			 j->abort_rc == -ECANCELED ? "cancelled" : "the deadline passed");
	walk_abort(&j->h.walk, j->abort_rc);
	j->abort_rc = 0;
}

void control_abort(struct agent *a, struct cpu *c, int rc)
{
	struct job *j = &c->job;

	/* The first reason stands: the worker may have taken it already. And a late teardown is the way
	 * back of a CPU that is not there: it goes to its end. */
	if (j->abort_rc || j->h.late)
		return;
	j->abort_rc = rc;
	if (j->at_worker) {
		crew_cancel(c, rc);
	} else if (writer_withdraw(c)) {
		/* It had not begun: the walk stands before it again. */
		j->h.walk.step = -1;
		control_run(a, c);
	}
}

void control_on_write_started(struct agent *a, struct cpu *c, uint64_t time_ns)
{
	struct job *j = &c->job;
	const struct cpuhp_step *step = ladder_step(CPUHP_AP_ONLINE);

	control_enter(a, c, &j->call, time_ns, -1);
	j->overdue = false;
	j->step_deadline_ms =
		now_ms() +
		(uint64_t)(j->call.startup ? step->startup_ms : step->teardown_ms) * j->h.slow;
}

/* It returned after it had been given up: see the theory of operation. */
static void late_write(struct agent *a, struct cpu *c, int rc, uint64_t time_ns)
{
	struct job *j = &c->job;
	struct walk *w = &j->h.walk;

	j->overdue = false;
	agent_log(a, "cpu%d: the kernel write returned after its deadline with %d", c->cpu, rc);
	if (rc < 0 && !w->rolling_back)
		rc = -ETIMEDOUT;
	control_leave(a, c, rc, -1, time_ns, "returned after its deadline");
	if (rc == 0 && !w->done && !w->rolling_back) {
		walk_abort(w, -ETIMEDOUT);
		w->failed_at = CPUHP_AP_ONLINE;
	}
}

/* The kernel's refusal, in words. */
static void refused(const struct cpu *c, int rc, char text[AGENT_TEXT])
{
	snprintf(text, AGENT_TEXT, "the kernel refused to take cpu %d %s: %s (%s)", c->cpu,
		 c->job.call.startup ? "online" : "offline", errno_name(-rc), strerror(-rc));
}

/* Return: 0, or what its online counts as, with the reason. */
static int confirm(struct agent *a, struct cpu *c, char text[AGENT_TEXT])
{
	if (cputable_confirm_online(a, c))
		return 0;
	snprintf(text, AGENT_TEXT,
		 "the kernel's online of cpu %d succeeded, but it is offline: nothing came of it, "
		 "or it was taken offline at once",
		 c->cpu);
	return c->present ? -EIO : -ENODEV;
}

void control_on_written(struct agent *a, struct cpu *c, int rc, uint64_t time_ns, const char *why)
{
	struct job *j = &c->job;
	char text[AGENT_TEXT] = "";

	j->step_deadline_ms = 0;
	/* Somebody may have changed it since the write: events of that were no news before now. */
	if (rc == 0 && j->call.startup)
		rc = confirm(a, c, text);
	else if (rc == -ENODEV)
		cputable_look(a, c);
	else
		cputable_read_online(a, c);
	/* There is nothing any more that could be brought back. */
	j->taken |= !c->present;
	if (rc == 0) {
		if (j->call.startup)
			cputable_begin_period(a, c);
		/* Where it is now it is by our doing. */
		c->taken = false;
	} else if (why) {
		snprintf(text, sizeof(text), "%s: %s", why, strerror(-rc));
	} else if (!text[0]) {
		refused(c, rc, text);
	}
	if (j->overdue)
		late_write(a, c, rc, time_ns);
	else
		control_leave(a, c, rc, -1, time_ns, text);
	if (rc == 0)
		control_on_observed(a, c);
	control_run(a, c);
}

void control_on_worker(struct agent *a, struct cpu *c, int rc, int ran_on, uint64_t time_ns,
		       const char *text)
{
	struct job *j = &c->job;

	if (rc == 0) {
		if (control_is_unparking(j))
			control_leave(a, c, 0, ran_on, time_ns, text);
		return;
	}
	j->at_worker = false;
	crew_dismiss(c);
	if (control_is_unparking(j))
		control_leave(a, c, rc, ran_on, time_ns, text);
	else
		control_fail_next(a, c, rc, text);
	control_run(a, c);
}

/* A worker that had no walk in its hands has ended: what waited for that goes on. */
static void resume(struct agent *a, struct cpu *c)
{
	struct job *j = &c->job;

	/* A kernel write waits for no worker. */
	if (j->h.walk.step == CPUHP_AP_ONLINE)
		return;
	j->step_deadline_ms = 0;
	j->overdue = false;
	if (control_is_unparking(j)) {
		control_unpark_again(a, c);
		return;
	}
	if (control_is_parking(j))
		control_leave_now(a, c, 0, "");
	control_run(a, c);
}

/* It died with the walk in its hands. */
static void lost(struct agent *a, struct cpu *c, int rc)
{
	struct job *j = &c->job;
	bool in_step = j->in_step;
	char text[AGENT_TEXT];

	snprintf(text, sizeof(text), "the worker died (%d)", rc);
	if (rc == -ETIMEDOUT)
		snprintf(text, sizeof(text), "no answer within the deadline");
	if (in_step)
		control_left(a, c, rc, -1, now_ns(), text);
	else if (!j->text[0])
		snprintf(j->text, sizeof(j->text), "%s", text);
	handover_break(&j->h, in_step ? &j->call : NULL, rc);
	if (++j->respawns > RESPAWNS_MAX)
		handover_stop(&j->h, j->call.state, rc);
	control_moved(a, c);
}

void control_on_worker_gone(struct agent *a, struct cpu *c, int rc)
{
	struct job *j = &c->job;

	if (!j->kind)
		return;
	if (!j->at_worker) {
		resume(a, c);
		return;
	}
	j->step_deadline_ms = 0;
	j->overdue = false;
	j->at_worker = false;
	if (control_is_unparking(j))
		control_leave_now(a, c, rc,
				  rc == -ETIMEDOUT
					  ? "no answer within the deadline"
					  : "the worker died before it could prove itself");
	else
		lost(a, c, rc);
	control_run(a, c);
}

void control_on_observed(struct agent *a, struct cpu *c)
{
	struct job *j = &c->job;

	/* What comes of a write of ours is not news. */
	if (!cputable_period_is_over(c) || j->taken || j->h.late ||
	    j->h.walk.step == CPUHP_AP_ONLINE)
		return;
	if (c->state <= CPUHP_STANDBY)
		return;
	j->taken = true;
	crew_kill(a, c, -ENODEV, "its CPU was taken away");
}

/* Of the whole walk. What is under way gets no more than a grace; a way back has its own time. */
static void deadline_passed(struct agent *a, struct cpu *c, uint64_t now)
{
	struct job *j = &c->job;

	if (j->h.walk.rolling_back || j->h.late)
		return;
	if (writer_is_busy_with(a, c))
		j->step_deadline_ms = now;
	else if (j->step_deadline_ms > now + CONTROL_GRACE_MS)
		j->step_deadline_ms = now + CONTROL_GRACE_MS;
	control_abort(a, c, -ETIMEDOUT);
}

/* It may never end: others do not wait for it any more. */
static void declare_overdue(struct agent *a, struct job *j)
{
	j->overdue = true;
	finish_start_waiting(a);
}

void control_on_time(struct agent *a, struct cpu *c, uint64_t now)
{
	struct job *j = &c->job;

	if (j->deadline_ms && now >= j->deadline_ms) {
		j->deadline_ms = 0;
		deadline_passed(a, c, now);
	}
	if (!j->step_deadline_ms || now < j->step_deadline_ms)
		return;
	j->step_deadline_ms = 0;
	if (writer_is_busy_with(a, c)) {
		control_report_step(a, c, RECORD_STEP_EXIT, -ETIMEDOUT, -1, now_ns(),
				    "the kernel write is still under way");
		control_note_failure(a, c, -ETIMEDOUT, "the kernel write is still under way");
		declare_overdue(a, j);
	} else if (crew_is_dying(c)) {
		agent_log(a, "cpu%d: worker %d was killed and is still there", c->cpu,
			  (int)c->worker.pid);
		declare_overdue(a, j);
	} else {
		crew_kill(a, c, -ETIMEDOUT, "no answer within the deadline");
	}
}
