/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A CPU in transition has a job, and the job one walk over the agent's whole stretch of the ladder
 * (handover.h). control_run() looks at the walk's next call: control's own are begun here, for
 * everything above the walk is handed to the worker, which a job hires on demand and the next one
 * lets go, or finish_rest(). Every call, whoever runs it, passes control_enter() and control_leave(), where it is
 * reported and the walk and the CPU's state move on.
 *
 * Nothing here blocks: a step of control begins something and ends by an event, be it the kernel
 * write's reply, the worker's first word, or its death.
 *
 * What cannot be recalled is never worked against: a kernel write past its deadline is reported as
 * such and the walk stands still until it returns (@overdue), as it does for a worker that was
 * killed and does not die. If the write then succeeded after all on the way up, it is undone like
 * any step before a failure; an offline that came late has arrived.
 *
 * A CPU that goes away in the middle of a walk ends the walk: the worker is killed, and what had
 * been started is torn down late, unbound, by another (control_become_late()).
 */
#include "guest-agent/control-internal.h"
#include "guest-agent/cputable.h"
#include "guest-agent/crew.h"
#include "guest-agent/finish.h"
#include "guest-agent/hostlink.h"
#include "guest-agent/registry.h"
#include "guest-agent/text.h"
#include "guest-agent/writer.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PENDING = 1 };

void control_begin(struct agent *a, struct cpu *c, const struct errand *e)
{
	struct job *j = &c->job;
	int r;

	assert(!j->kind);
	crew_dismiss_idle(c);
	*j = (struct job){
		.kind = e->kind,
		.slot = e->kind == JOB_KICK ? c->next.slot : c->slot,
		.h = {
			.cpu = c->cpu,
			.only = e->only,
			.adopt = e->kind == JOB_ADOPT,
			.rollback = e->rollback,
			.late = e->kind == JOB_LATE,
			.standby_wish = c->standby_wish,
			.kick = e->kick,
			.slow = e->slow ? e->slow : 1,
			.rest = c->state,
			.dyn = registry_mask(&a->registry),
			.dyn_done = c->dyn_done,
		},
		.deadline_ms = e->deadline_ms,
		.resume = e->resume,
		.doubt = e->doubt,
		.ladder_later = e->ladder_later,
		.failed_at = -1,
	};
	walk_init(&j->h.walk, e->from, e->target);
	j->h.walk.state = e->state;
	j->h.walk.done = e->state == e->target;
	text_copy(j->h.op, sizeof(j->h.op), e->op ? e->op : "");
	c->text[0] = '\0';
	c->awaited = false;
	a->jobs++;
	r = (e->kind == JOB_KICK || e->kind == JOB_PARK) && !j->h.walk.done
		    ? expedite_begin(&a->expedite)
		    : 0;
	if (r < 0)
		agent_log(a, "cannot expedite: %s", strerror(-r));
	cpu_changed(a, c);
	control_run(a, c);
}

int control_invoke(struct agent *a, struct cpu *c, int state, bool startup)
{
	struct errand e = { .kind = JOB_INVOKE, .only = state };
	int i = state - CPUHP_AP_DYN;

	if (!ladder_is_dyn(state) || !a->registry.names[i][0])
		return -EINVAL;
	if (c->job.kind)
		return -EBUSY;
	if (!c->online || c->state < CPUHP_AP_THREADS)
		return -ENXIO;
	e.from = e.state = startup ? state - 1 : state;
	e.target = startup ? state : state - 1;
	control_begin(a, c, &e);
	return 0;
}

void control_report_step(struct agent *a, struct cpu *c, uint8_t flags, int rc, int ran_on,
			 uint64_t time_ns, const char *text)
{
	const struct job *j = &c->job;
	struct record r = {
		.type = RECORD_STEP,
		.step = {
			.kick = j->h.kick,
			.slot = j->slot == MSG_NO_SLOT ? c->slot : j->slot,
			.cpu = (uint16_t)c->cpu,
			.state = (uint8_t)j->call.state,
			.flags = (uint8_t)(flags | (j->call.startup ? RECORD_STEP_STARTUP : 0) |
					   (j->call.rollback ? RECORD_STEP_ROLLBACK : 0) |
					   (j->h.late ? RECORD_STEP_LATE : 0)),
			.rc = rc,
			.ran_on = ran_on < 0 ? MSG_NO_CPU : (uint16_t)ran_on,
			.time_ns = time_ns,
		},
	};

	text_copy(r.step.text, sizeof(r.step.text), text);
	hostlink_report(a, &r);
}

void control_enter(struct agent *a, struct cpu *c, const struct walk_call *call, uint64_t time_ns,
		   int ran_on)
{
	c->job.call = *call;
	c->job.in_step = true;
	control_report_step(a, c, 0, 0, ran_on, time_ns, "");
}

void control_note_failure(struct agent *a, struct cpu *c, int rc, const char *text)
{
	struct job *j = &c->job;
	size_t used = strlen(j->text);
	char buf[128];
	const char *name = cputable_state_name(a, j->call.state, buf);

	agent_log(a, "cpu%d: %s of %s%s failed with %d: %s", c->cpu,
		  j->call.startup ? "startup" : "teardown", name,
		  j->call.rollback ? " in the rollback" : "", rc, text);
	snprintf(j->text + used, sizeof(j->text) - used, "%s%s: %s", used ? "; then " : "", name,
		 text);
}

void control_left(struct agent *a, struct cpu *c, int rc, int ran_on, uint64_t time_ns,
		  const char *text)
{
	struct job *j = &c->job;

	control_report_step(a, c, RECORD_STEP_EXIT, rc, ran_on, time_ns, text);
	if (rc)
		control_note_failure(a, c, rc, text);
	j->in_step = false;
}

/* After ap:threads an adoption goes on from where the record of this boot says it stood. */
static void take_up_record(const struct job *j, struct handover *h)
{
	struct walk *w = &h->walk;

	if (w->state == CPUHP_AP_THREADS && !w->rolling_back) {
		w->state = j->resume;
		w->done = w->state == w->target;
		if (j->doubt)
			handover_doubt(h, j->doubt);
	} else if (w->state < CPUHP_AP_THREADS) {
		/* The rollback of an adoption never goes up to where it began. */
		w->done = true;
	}
}

static void answer_call(const struct job *j, struct handover *h, int rc)
{
	handover_result(h, &j->call, rc);
	if (j->kind == JOB_ADOPT && j->call.state == CPUHP_AP_THREADS)
		take_up_record(j, h);
}

void control_moved(struct agent *a, struct cpu *c)
{
	struct job *j = &c->job;

	c->dyn_done = j->h.dyn_done;
	if (!j->h.only)
		cpu_set_state(a, c, j->h.walk.state);
	cpu_store(a, c);
}

void control_leave(struct agent *a, struct cpu *c, int rc, int ran_on, uint64_t time_ns,
		   const char *text)
{
	control_left(a, c, rc, ran_on, time_ns, text);
	answer_call(&c->job, &c->job.h, rc);
	control_moved(a, c);
}

void control_leave_now(struct agent *a, struct cpu *c, int rc, const char *text)
{
	control_leave(a, c, rc, c->worker.ready ? c->ran_on : -1, now_ns(), text);
}

bool control_is_unparking(const struct job *j)
{
	return j->in_step && j->call.state == CPUHP_AP_THREADS && j->call.startup;
}

bool control_is_parking(const struct job *j)
{
	return j->in_step && j->call.state == CPUHP_AP_THREADS && !j->call.startup;
}

/*
 * Give the walk to a worker. It proves itself first; a worker that is unparked for ap:threads
 * gets the walk as it will be when it has, and walks on at once.
 */
static int give_walk(struct agent *a, struct cpu *c)
{
	struct job *j = &c->job;
	struct handover given;
	int r;

	j->h.number = ++a->handovers;
	j->h.fail_state = c->fail_state;
	j->h.fail_rc = c->fail_rc;
	j->h.deadline_ms = now_ms() + (uint64_t)CONTROL_CALLBACKS_MS * j->h.slow;
	if (j->deadline_ms && j->deadline_ms < j->h.deadline_ms)
		j->h.deadline_ms = j->deadline_ms;
	given = j->h;
	given.leftover = c->leftover;
	if (control_is_unparking(j))
		answer_call(j, &given, 0);
	cpu_store(a, c);
	r = crew_hand_over(a, c, &given);
	if (r < 0)
		return r;
	c->leftover = (struct process_group){ 0 };
	c->is_stored = false;
	j->at_worker = true;
	if (j->abort_rc)
		crew_cancel(c, j->abort_rc);
	return 0;
}

/* ap:threads. Return: PENDING, 0 or -errno. */
static int threads(struct agent *a, struct cpu *c)
{
	int r;

	if (!c->job.call.startup) {
		if (c->worker.pid == 0)
			return 0;
		crew_dismiss(c);
		return PENDING;
	}
	/* One that was told to leave goes first, in the time it has for that. */
	if (c->worker.pid) {
		crew_dismiss(c);
		return PENDING;
	}
	r = give_walk(a, c);
	return r < 0 ? r : PENDING;
}

/* Begin a call of control's own. Return: PENDING, 0 or -errno. */
static int begin_call(struct agent *a, struct cpu *c, const char **ret_text)
{
	struct job *j = &c->job;
	int rc = c->fail_rc;

	*ret_text = "";
	if (rc && c->fail_state == j->call.state) {
		c->fail_rc = c->fail_state = 0;
		control_enter(a, c, &j->call, now_ns(), -1);
		*ret_text = "injected failure";
		return rc;
	}
	if (j->call.state == CPUHP_AP_ONLINE) {
		j->period = 0;
		writer_queue(a, c);
		return PENDING;
	}
	control_enter(a, c, &j->call, now_ns(), -1);
	rc = threads(a, c);
	if (rc < 0)
		*ret_text = strerror(-rc);
	return rc;
}

void control_fail_next(struct agent *a, struct cpu *c, int rc, const char *text)
{
	struct walk_call call;

	if (!handover_next(&c->job.h, &call))
		return;
	control_enter(a, c, &call, now_ns(), -1);
	control_left(a, c, rc, -1, now_ns(), text);
	/* Without a worker there is no way back either: what is in doubt stays so. */
	handover_result(&c->job.h, &call, rc);
	control_moved(a, c);
}

void control_unpark_again(struct agent *a, struct cpu *c)
{
	int r = give_walk(a, c);

	if (r == 0)
		return;
	control_leave_now(a, c, r, strerror(-r));
	control_run(a, c);
}

/* Return: whether to look at the walk again at once. */
static bool hand_over(struct agent *a, struct cpu *c)
{
	int r;

	if (c->worker.leaving) {
		crew_dismiss(c);
		return false;
	}
	r = give_walk(a, c);
	if (r < 0)
		control_fail_next(a, c, r, strerror(-r));
	return r < 0;
}

static void apply_orders(struct agent *a, struct cpu *c)
{
	struct job *j = &c->job;

	if (j->taken && !j->h.late && c->state > CPUHP_STANDBY)
		control_become_late(a, c);
	if (!j->abort_rc || j->h.unknown)
		return;
	if (j->h.walk.done || j->h.walk.rolling_back)
		j->abort_rc = 0;
	else
		control_aborted(a, c);
}

void control_run(struct agent *a, struct cpu *c)
{
	struct job *j = &c->job;
	struct walk_call call;
	const char *text;
	int r;

	for (;;) {
		apply_orders(a, c);
		if (handover_is_workers(&j->h)) {
			if (!hand_over(a, c))
				return;
			continue;
		}
		if (!handover_next(&j->h, &call)) {
			finish_job(a, c);
			return;
		}
		j->call = call;
		r = begin_call(a, c, &text);
		if (r == PENDING)
			return;
		control_leave_now(a, c, r, text);
	}
}
