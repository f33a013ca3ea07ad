/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * An operation that outlives its daemon. What was kept of it (struct intent_op) becomes an operation
 * again: one that has ended stays what it was, one that was only waiting has failed, and one whose
 * vCPUs were moving goes on, under its id and with what is left of its time.
 *
 * Going on is not replaying. When QEMU's table is there every vCPU of it becomes a move with the
 * goal it had, and where it stands is looked at (reconcile.c): what has arrived needs nothing, what
 * has not is walked from where it is, and what the agent is still at is waited for. While the daemon
 * was away a walk may have failed in the guest; the agent keeps that result until it is
 * acknowledged, and tells it in the new session. A kick of this operation has a number above
 * @kick_base, so it is known without having been written down, and so are those to be recalled when
 * the operation is stopped.
 *
 * In RUN_SETTLE all has been decided already: those results are history then. A removal that was asked
 * for is gone on with and cannot be called back; one that was not is called back where the operation
 * was being stopped, or has failed as a whole, as it would have been by the daemon before.
 */
#include "daemon/intent-domain.h"
#include "daemon/op-run.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/**
 * struct op_resume - what is known of it before its vCPUs are there
 * @stage: where it was
 * @guest_boot: the boot of the guest whose kicks count
 * @deadline_us: as kept; the operation's own is late enough for QEMU to be looked for
 * @n, @moves: as kept
 * @results: of kicks, by move; @has_result: there is one
 */
struct op_resume {
	enum intent_stage stage;
	uint64_t deadline_us;
	uint8_t guest_boot[16];
	unsigned int n;
	struct intent_move *moves;
	struct record_done *results;
	bool *has_result;
};

static int make_entries(struct op *op, const struct intent_op *o)
{
	op->vcpus = calloc(o->n_moves ? o->n_moves : 1, sizeof(*op->vcpus));
	if (!op->vcpus)
		return -ENOMEM;
	op->n_vcpus = o->n_moves;
	for (unsigned int i = 0; i < o->n_moves; i++) {
		const struct intent_move *m = &o->moves[i];
		struct op_vcpu *e = &op->vcpus[i];

		*e = (struct op_vcpu){ .vcpu = m->vcpu,
				       .cpu = m->cpu,
				       .from = m->from,
				       .to = m->to,
				       .state = m->state,
				       .result = m->result,
				       .ran_on = m->ran_on,
				       .rc = m->rc,
				       .rollback_failed_at = m->rollback_failed_at,
				       .rollback_rc = m->rollback_rc };
		op_vcpu_keep_failed(e, m->failed_at, m->failed_name);
		text_set(&e->error, "%s", m->error);
		for (int s = 0; s < CPUHP_STATES; s++)
			if (m->step_us[s] != UINT64_MAX)
				op_vcpu_keep_step(e, s, m->step_us[s]);
	}
	return 0;
}

static int take_names(struct op *op, const struct intent_op *o)
{
	int r = 0;

	for (int i = 0; i < INTENT_DYNS && r == 0; i++)
		if (o->dyn_names[i][0])
			r = op_keep_callback(op, CPUHP_AP_DYN + i, o->dyn_names[i]);
	return r;
}

static int make_resume(struct op_run *run, const struct intent *i, const struct intent_op *o)
{
	struct op_resume *r = calloc(1, sizeof(*r));
	size_t n = o->n_moves ? o->n_moves : 1;

	if (!r)
		return -ENOMEM;
	run->resume = r;
	r->stage = o->stage;
	r->n = o->n_moves;
	r->deadline_us = o->deadline_us;
	memcpy(r->guest_boot, i->guest_boot, sizeof(r->guest_boot));
	r->moves = calloc(n, sizeof(*r->moves));
	r->results = calloc(n, sizeof(*r->results));
	r->has_result = calloc(n, sizeof(*r->has_result));
	if (!r->moves || !r->results || !r->has_result)
		return -ENOMEM;
	memcpy(r->moves, o->moves, o->n_moves * sizeof(*r->moves));
	return 0;
}

/* It may have passed while no daemon was there: QEMU is looked for all the same. */
static uint64_t deadline_of(const struct domain *d, const struct intent_op *o)
{
	uint64_t met_us = now_us() + (uint64_t)d->settings->deadlines.agent_wait_ms * 1000;

	return o->deadline_us > met_us ? o->deadline_us : met_us;
}

static int go_on_with(struct op *op, const struct intent *i, const struct intent_op *o)
{
	struct domain *d = op->domain;
	int r = op_run_new(op);

	if (r < 0)
		return r;
	op->run->phase = RUN_RESUME;
	op->run->planned_anew = o->planned_anew;
	op->run->stop_rc = o->stop_rc;
	op->run->kick_base = o->kick_base;
	r = make_resume(op->run, i, o);
	if (r == 0)
		r = op_arm_deadline(op, deadline_of(d, o));
	if (r < 0)
		return r;
	op->running = true;
	d->running = op;
	return 0;
}

static int restore(struct op *op, const struct intent *i, const struct intent_op *o)
{
	snprintf(op->id, sizeof(op->id), "%s", o->id);
	op->accepted_us = o->accepted_us;
	op->accepted_realtime_us = o->accepted_realtime_us;
	if (o->stage == INTENT_QUEUED) {
		op->result = OP_FAILED;
		op->ended_us = now_us();
		text_set(&op->error, "daemon restarted");
	} else {
		op->result = o->result;
		op->ended_us = o->ended_us;
		op->stretched = o->stretched;
		op->denied = o->denied;
		op->denial = o->denial;
		op->refused_by = o->refused_by;
		if (op->persist)
			*op->persist = o->persist;
		text_set(&op->error, "%s", o->error);
		text_set(&op->warning, "%s", o->warning);
		if (make_entries(op, o) < 0 || take_names(op, o) < 0)
			return -ENOMEM;
	}
	op->counts = o->stage == INTENT_ENDED ? o->counts : VCPU_COUNTS_UNKNOWN;
	if (o->stage == INTENT_CLIMBING || o->stage == INTENT_SETTLING)
		return op->domain->running ? -EINVAL : go_on_with(op, i, o);
	op->ended = true;
	op_keep(op->domain, op);
	return 0;
}

int op_resume(struct domain *d, const struct intent *i, const struct intent_op *o)
{
	struct op_request request = o->request;
	struct op *op;
	int r;

	/* The id may have been made by the daemon: then the request has none. */
	snprintf(request.id, sizeof(request.id), "%s", o->id);
	r = op_new(&op, d, &request);
	if (r < 0)
		return r;
	op->request = o->request;
	r = restore(op, i, o);
	if (r < 0)
		op_unref(op);
	return r;
}

/* An add that had failed was going back by itself; and what has left needs nothing more. */
static void settle_asked(const struct op_run *run, struct move *m)
{
	bool leaves =
		m->asked || (run->resume->stage == INTENT_SETTLING && m->goal < CPUHP_QEMU_DEVICE);

	if (m->asked && run->resume->stage == INTENT_CLIMBING) {
		m->goal = m->entry->from;
		m->undoing = m->todo = true;
	}
	m->todo &= !leaves || m->v->present;
	m->asked &= m->todo;
}

static void bind_move(struct op_run *run, unsigned int i)
{
	const struct intent_move *k = &run->resume->moves[i];
	struct vcpu *v = &run->domain->vcpus[k->vcpu];
	struct move *m = &run->moves[i];

	*m = (struct move){ .v = v,
			    .entry = &run->op->vcpus[i],
			    .goal = k->goal,
			    /* What QEMU has and no agent has told of is somewhere above. */
			    .at = v->state >= 0 ? v->state : CPUHP_HOST_PLACE,
			    .started = k->started,
			    .undoing = k->undoing,
			    .failed = k->failed,
			    .refused = k->refused,
			    .called_back = k->called_back,
			    .pending = k->pending,
			    .stuck = k->stuck,
			    .gone = k->gone,
			    .owned = k->owned,
			    .asked = k->asked,
			    .resumed = true };
	/* In the climb what has failed or was called back waits for the decision. */
	m->todo = m->started && !m->pending && !m->stuck && !m->gone &&
		  (run->resume->stage == INTENT_SETTLING || (!m->failed && !m->called_back));
	settle_asked(run, m);
	v->drift[0] = '\0';
	v->claimed =
		k->from < CPUHP_QEMU_DEVICE && !k->undoing && run->domain->hv->ops->names_devices;
	v->owned |= v->claimed && v->present;
}

static bool fits(const struct op_run *run)
{
	for (unsigned int i = 0; i < run->resume->n; i++)
		if (run->resume->moves[i].vcpu >= run->domain->n_vcpus)
			return false;
	return true;
}

/* What the agent says of a kick of the daemon before. Success shows by itself. */
static void take_result(struct op_run *run, struct move *m, const struct record_done *r)
{
	struct hostwalk_outcome o;

	if (run->phase != RUN_CLIMB || !m->todo || m->walking || r->rc == 0)
		return;
	hostwalk_read_result(r, m->entry->to < m->entry->from, &o);
	m->todo = false;
	m->at = r->state <= CPUHP_ONLINE ? r->state : m->at;
	m->called_back = r->rc == -ECANCELED;
	op_moves_take(run, m, &o);
}

static void take_results(struct op_run *run)
{
	for (unsigned int i = 0; i < run->resume->n; i++)
		if (run->resume->has_result[i])
			take_result(run, &run->moves[i], &run->resume->results[i]);
}

static bool has_failed(const struct op_run *run)
{
	for (unsigned int i = 0; i < run->n_moves; i++)
		if (run->moves[i].failed)
			return true;
	return false;
}

bool op_resume_bind(struct op_run *run)
{
	struct domain *d = run->domain;
	bool had_failed;

	if (!d->attached || !d->vcpus)
		return false;
	if (!fits(run)) {
		op_resume_void(d, "the VM has other vCPUs than it had");
		return false;
	}
	run->moves = calloc(run->resume->n ? run->resume->n : 1, sizeof(*run->moves));
	if (!run->moves)
		return false;
	run->n_moves = run->resume->n;
	for (unsigned int i = 0; i < run->n_moves; i++)
		bind_move(run, i);
	run->phase = run->resume->stage == INTENT_CLIMBING ? RUN_CLIMB : RUN_SETTLE;
	if (!run->stop_rc && run->resume->deadline_us <= now_us()) {
		run->stop_rc = -ETIMEDOUT;
		text_set(&run->op->error, "the operation's deadline passed");
	}
	had_failed = has_failed(run);
	op_moves_pass_over_filled(run);
	take_results(run);
	if (run->stop_rc || (had_failed && run->op->request.policy == OP_POLICY_ALL))
		op_moves_call_back(run, run->stop_rc ? run->stop_rc : -ECANCELED);
	return true;
}

void op_resume_fail(struct op_run *run, enum vcpu_result result, const char *why)
{
	for (unsigned int i = 0; i < run->op->n_vcpus; i++) {
		struct op_vcpu *e = &run->op->vcpus[i];

		e->result = result;
		if (!text_is_set(&e->error))
			text_set(&e->error, "vcpu %u: %s", e->vcpu, why);
	}
}

void op_resume_void(struct domain *d, const char *why)
{
	struct op *op = d->running;

	if (!op || !op->run || op->run->phase != RUN_RESUME)
		return;
	op_resume_fail(op->run, VCPU_GONE, "the VM is gone");
	text_set(&op->error, "%s", why);
	op_end(op, OP_VM_GONE);
}

enum intent_stage op_resume_stage(const struct op_run *run)
{
	return run->resume->stage;
}

const struct intent_move *op_resume_move(const struct op_run *run, unsigned int i)
{
	return &run->resume->moves[i];
}

/* Who meets the VM later takes up what is out: a removal is watched, all else goes back. */
static void leave_pending(struct op_run *run)
{
	const struct op_resume *r = run->resume;
	struct intent *found = run->domain->found;

	for (unsigned int i = 0; found && i < r->n; i++) {
		const struct intent_move *m = &r->moves[i];
		bool leaves = r->stage == INTENT_SETTLING && m->goal == m->to &&
			      m->to < CPUHP_STANDBY && m->to < m->from;

		if (!m->started || m->vcpu >= found->n_vcpus)
			continue;
		found->vcpus[m->vcpu].leaving = leaves;
		found->vcpus[m->vcpu].returning = !leaves;
		found->vcpus[m->vcpu].back = m->from;
	}
}

bool op_resume_stop(struct op_run *run, int rc)
{
	if (rc != -ETIMEDOUT || run->domain->attached)
		return false;
	leave_pending(run);
	op_resume_fail(run, VCPU_PENDING, "QEMU could not be reached in time");
	text_set(&run->op->error,
		 "the daemon was restarted meanwhile, and QEMU could not be reached in time");
	op_end(run->op, OP_PENDING);
	return true;
}

static bool is_this_boot(const struct op_run *run)
{
	const struct domain *d = run->domain;

	return d->hello_known && memcmp(run->resume->guest_boot, d->hello.boot_id,
					sizeof(run->resume->guest_boot)) == 0;
}

bool op_resume_on_done(struct domain *d, const struct record_done *r)
{
	struct op_run *run = d->running ? d->running->run : NULL;

	if (!run || !run->resume || r->kick <= run->kick_base || !is_this_boot(run))
		return false;
	for (unsigned int i = 0; i < run->resume->n; i++) {
		if (run->resume->moves[i].vcpu != r->slot)
			continue;
		run->resume->results[i] = *r;
		run->resume->has_result[i] = true;
		if (run->phase == RUN_CLIMB)
			take_result(run, &run->moves[i], r);
		return true;
	}
	return false;
}

/* A number that is not under way is no matter to the agent. */
void op_resume_recall(struct op_run *run)
{
	const struct domain *d = run->domain;
	uint32_t n = 0;

	if (run->phase != RUN_CLIMB || !run->resume || !is_this_boot(run))
		return;
	for (uint32_t k = d->hello.kick; k > run->kick_base && n < 2 * run->resume->n; k--, n++)
		link_cancel(d->link, k);
}

void op_resume_drop(struct op_run *run)
{
	struct op_resume *r = run->resume;

	if (!r)
		return;
	free(r->moves);
	free(r->results);
	free(r->has_result);
	free(r);
	run->resume = NULL;
}
