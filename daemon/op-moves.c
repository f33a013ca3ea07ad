/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The moves of a running operation: one for each vCPU of its plan, carried out by host walks.
 *
 * A move is todo (a walk to its goal is to be started), walking, or at rest. Which goal it has is
 * op_moves_settle()'s decision after the climb, and op_moves_call_back()'s and the failures' on the way.
 * Nothing here ends the operation: whoever changed something asks the engine to look again.
 *
 * Without KVM the slots have to stay a prefix (QEMU's TCG loses wakeups else): removals go one at
 * a time, the highest first, and none below a slot that stays filled. Only what undoes an add is
 * exempt: it is better gone.
 *
 * What a walk reached is kept in @at: a vCPU at rest settles to what is observed, and while the
 * agent is away nothing is known of it. A walk can only start from a known state, so a move of
 * such a vCPU stays todo until the agent has told its table again, or is given up.
 */
#include "daemon/intent-domain.h"
#include "daemon/op-run.h"
#include "daemon/reconcile.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_move(const struct op_run *run, unsigned int vcpu)
{
	for (unsigned int i = 0; i < run->n_moves; i++)
		if (run->moves[i].v->vcpu == vcpu)
			return true;
	return false;
}

static void make_move(struct op_run *run, unsigned int i, const struct plan_move *p)
{
	struct vcpu *v = &run->domain->vcpus[p->vcpu];
	struct op_vcpu *e = &run->op->vcpus[i];
	bool leaves = p->to < p->from && p->to < CPUHP_STANDBY;

	*e = (struct op_vcpu){ .vcpu = p->vcpu,
			       .cpu = v->cpu,
			       .from = p->from,
			       .to = p->to,
			       .state = v->state,
			       .ran_on = -1,
			       .failed_at = -1,
			       .rollback_failed_at = -1,
			       .result = VCPU_SKIPPED };
	run->moves[i] = (struct move){
		.v = v,
		.entry = e,
		.todo = true,
		.owned = v->owned,
		.at = p->from,
		/* Below standby a removal begins at the host's own steps: nothing to climb to. */
		.goal = leaves && p->from > CPUHP_STANDBY ? CPUHP_STANDBY
			: leaves                          ? p->from
							  : p->to,
	};
	v->drift[0] = '\0';
}

/* Room for @n more moves and their entries. Return: 0 or -ENOMEM, with what was there intact. */
static int make_room(struct op_run *run, unsigned int n)
{
	struct op *op = run->op;
	size_t room = run->n_moves + n ? run->n_moves + n : 1;
	struct op_vcpu *vcpus = reallocarray(op->vcpus, room, sizeof(*vcpus));
	struct move *moves;

	if (!vcpus)
		return -ENOMEM;
	op->vcpus = vcpus;
	for (unsigned int i = 0; i < run->n_moves; i++)
		run->moves[i].entry = &vcpus[i];
	moves = reallocarray(run->moves, room, sizeof(*moves));
	if (!moves)
		return -ENOMEM;
	run->moves = moves;
	return 0;
}

/*
 * Without KVM a plan is carried out whole, or not at all: what leaves, or comes, without one that has a
 * move already would leave a hole.
 */
static bool is_to_be_whole(const struct op_run *run, const struct plan *plan)
{
	for (unsigned int i = 0; !run->domain->facts.kvm && i < plan->n_moves; i++)
		if (has_move(run, plan->moves[i].vcpu))
			return true;
	return false;
}

int op_moves_add(struct op_run *run, const struct plan *plan)
{
	int added = 0;

	if (is_to_be_whole(run, plan))
		return 0;
	if (make_room(run, plan->n_moves) < 0)
		return -ENOMEM;
	for (unsigned int i = 0; i < plan->n_moves; i++) {
		if (has_move(run, plan->moves[i].vcpu))
			continue;
		make_move(run, run->n_moves++, &plan->moves[i]);
		added++;
	}
	run->op->n_vcpus = run->n_moves;
	return added;
}

/* Does this walk take a device away from QEMU? */
static bool removes(const struct move *m)
{
	/* While no agent is heard QEMU's word is all there is. */
	bool is_up = m->v->state < 0 ? m->v->present : m->goal < m->v->state;

	return m->goal < CPUHP_STANDBY && (is_up || m->asked || hostwalk_is_leaving(m->v));
}

static bool plugs(const struct move *m)
{
	return m->entry->from < CPUHP_QEMU_DEVICE && m->goal >= CPUHP_STANDBY;
}

/* Is a removal of a higher slot still to be started? Then this one waits for it. */
static bool comes_after(const struct move *m, const struct move *o)
{
	return o->todo && o->goal < CPUHP_STANDBY && o->v->vcpu > m->v->vcpu;
}

/* May this move's walk start now, beside those under way? */
static bool may_start(const struct op_run *run, const struct move *m)
{
	const struct domain *d = run->domain;

	for (unsigned int i = 0; i < run->n_moves; i++) {
		const struct move *o = &run->moves[i];

		if (!d->facts.kvm && removes(m) &&
		    (comes_after(m, o) || (o->walking && removes(o))))
			return false;
		if (!o->walking)
			continue;
		if (d->hv->ops->one_unplug && removes(m) && removes(o))
			return false;
		if (domain_is_one_by_one(d) && plugs(m) && plugs(o) &&
		    !hostwalk_is_settled_in_firmware(o->v))
			return false;
	}
	return true;
}

static void note_rollback(struct op_vcpu *e, const struct hostwalk_outcome *o)
{
	e->rollback_failed_at = o->rollback_failed_at >= 0 ? o->rollback_failed_at : o->failed_at;
	e->rollback_rc = o->rollback_failed_at >= 0 ? o->rollback_rc : o->rc;
}

void op_move_stuck(struct move *m, const struct domain *d, const struct hostwalk_outcome *o)
{
	m->stuck = true;
	note_rollback(m->entry, o);
	if (!text_is_set(&m->entry->error))
		op_vcpu_describe(m->entry, d, o, !o->teardown);
}

/* The walk is still out; whatever failed before it stays the vCPU's error. */
static void on_walk_pending(struct op_run *run, struct move *m, const struct hostwalk_outcome *o)
{
	m->pending = true;
	if (m->undoing || o->rollback_failed_at >= 0)
		note_rollback(m->entry, o);
	if (!text_is_set(&m->entry->error))
		op_vcpu_describe(m->entry, run->domain, o, !o->teardown);
}

static void on_walk_failed(struct op_run *run, struct move *m, const struct hostwalk_outcome *o)
{
	/* What the deadline ends is nobody's refusal, whatever step it met. */
	bool stopped = run->stop_rc && o->rc == run->stop_rc;
	bool own = !stopped && (!m->called_back || o->rc != -ECANCELED);

	if (own || run->stop_rc) {
		m->failed = own;
		m->refused = own && o->teardown && !o->unasked;
		op_vcpu_describe(m->entry, run->domain, o, !o->teardown);
	}
	m->called_back = !own;
	if (o->rollback_failed_at >= 0)
		op_move_stuck(m, run->domain, o);
	if (run->phase == RUN_SETTLE && !m->stuck) {
		/* A refused removal rests at standby: take it back to where it was. */
		m->goal = m->entry->from;
		m->undoing = m->todo = m->at != m->goal;
	}
	if (own && run->op->request.policy == OP_POLICY_ALL)
		op_moves_call_back(run, -ECANCELED);
	/* With what goes back for it, or the next daemon would bring that up again. */
	(void)domain_remember(run->domain);
}

/*
 * It was to leave, and has left the guest before it could be asked; or it was to go to standby, and
 * another has taken it offline meanwhile: what fails then is no failure. What failed must be the
 * agent's part: QEMU's own refusal is one, wherever the vCPU stands.
 */
static bool has_gone_by_itself(const struct move *m, const struct hostwalk_outcome *o)
{
	int state = m->v->state;
	bool wanted = m->undoing || !m->called_back;
	bool leaves = m->undoing ? m->goal < CPUHP_STANDBY
				 : m->entry->to < CPUHP_STANDBY && m->entry->to < m->entry->from;

	if (!wanted || !o->teardown || o->failed_at < CPUHP_AP_KICK || o->rollback_failed_at >= 0)
		return false;
	return (leaves && state >= 0 && state < CPUHP_STANDBY) ||
	       (m->goal == CPUHP_STANDBY && state == CPUHP_STANDBY && o->rc == -ENODEV);
}

/* QEMU may have it still: the rest is the host's alone. */
static void on_gone_by_itself(struct op_run *run, struct move *m)
{
	m->todo = run->phase == RUN_SETTLE && m->at != m->goal;
}

void op_moves_take(struct op_run *run, struct move *m, const struct hostwalk_outcome *o)
{
	m->walking = false;
	if (o->pending)
		on_walk_pending(run, m, o);
	else if (o->rc && has_gone_by_itself(m, o))
		on_gone_by_itself(run, m);
	else if (o->rc && m->undoing)
		op_move_stuck(m, run->domain, o);
	else if (o->rc)
		on_walk_failed(run, m, o);
	/* What came to rest before it, or by it; and the next daemon is not to keep that either. */
	if (op_moves_take_back(run))
		(void)domain_remember(run->domain);
	op_run_look_again(run);
}

static void on_walked(void *ctx, struct vcpu *v, const struct hostwalk_outcome *o)
{
	struct op_run *run = ctx;
	struct move *m = NULL;

	for (unsigned int i = 0; i < run->n_moves; i++)
		if (run->moves[i].v == v)
			m = &run->moves[i];
	assert(m);
	/* Left while it was walked, which failed for that: it is not where the walk saw it last. */
	if (o->rc && !o->pending && v->domain->agent_up && !v->guest_present &&
	    v->state >= CPUHP_STANDBY)
		vcpu_settle(v);
	m->at = v->state;
	op_moves_take(run, m, o);
}

static struct reconcile_answer next_of(const struct move *m)
{
	return reconcile(&(struct reconcile_view){
		.intent = RECONCILE_MOVE,
		.goal = m->goal,
		.undoing = m->undoing,
		.found = m->entry->from >= CPUHP_QEMU_DEVICE,
		.asked = m->asked,
		.present = m->v->present,
		.state = m->v->state,
		/* One that was admitted is not asked again; but this daemon may not have met the agent. */
		.no_agent = m->resumed && !m->v->domain->agent_up,
		/* The kick of an earlier daemon; another walk of the agent's gives way to ours. */
		.guest_walking = m->resumed && m->v->guest_walking,
	});
}

static bool is_startable(const struct move *m)
{
	return m->todo && !m->v->hw && next_of(m).action != RECONCILE_WAIT;
}

static struct move *highest_removal(struct op_run *run)
{
	struct move *best = NULL;

	for (unsigned int i = 0; i < run->n_moves; i++) {
		struct move *m = &run->moves[i];

		if (is_startable(m) && removes(m) && (!best || m->v->vcpu > best->v->vcpu))
			best = m;
	}
	return best;
}

static void give_up(struct op_run *run, struct move *m)
{
	struct hostwalk_outcome o = {
		.rc = -ENODEV,
		.failed_at = -1,
		.rollback_failed_at = -1,
		.text = "another took it away meanwhile, and it is not plugged anew",
	};

	if (!m->undoing) {
		on_walk_failed(run, m, &o);
		return;
	}
	o.rollback_rc = -ENODEV;
	o.rollback_failed_at = CPUHP_QEMU_DEVICE;
	op_move_stuck(m, run->domain, &o);
}

/* Its device has gone, and the one in its slot is no part of the operation. */
static bool is_replaced(const struct move *m)
{
	return m->owned && vcpu_is_anothers(m->v);
}

static void pass_over(struct op_run *run, struct move *m)
{
	if (m->goal < CPUHP_QEMU_DEVICE)
		m->at = CPUHP_OFFLINE;
	else
		give_up(run, m);
	op_run_look_again(run);
}

/*
 * What was there is not plugged anew: who took it away meanwhile has wished it so. One that was to
 * leave has left, if it was only on its way to standby.
 */
static void lose(struct op_run *run, struct move *m)
{
	if (m->undoing || m->entry->to >= CPUHP_QEMU_DEVICE) {
		give_up(run, m);
		return;
	}
	m->at = CPUHP_OFFLINE;
	op_run_look_again(run);
}

/* Its worker has run on it; else a kick to where it is has that shown (R4). */
static bool is_proved(const struct vcpu *v)
{
	return v->state < CPUHP_AP_THREADS || (v->cpu >= 0 && v->ran_on == v->cpu);
}

static int walk(struct op_run *run, struct move *m, bool asked)
{
	return asked ? hostwalk_go_on_removing(m->v, run->op, on_walked, run)
		     : hostwalk_start(m->v, run->op, m->goal, m->undoing, on_walked, run);
}

static void start_walk(struct op_run *run, struct move *m)
{
	enum reconcile_action next = next_of(m).action;

	m->todo = m->asked = false;
	m->started = true;
	if (is_replaced(m)) {
		pass_over(run, m);
		return;
	}
	if (next == RECONCILE_LOST) {
		lose(run, m);
		return;
	}
	/* It has come there while no daemon was looking. */
	if (next == RECONCILE_NOTHING && m->resumed && is_proved(m->v)) {
		m->at = m->v->state;
		op_run_look_again(run);
		return;
	}
	m->walking = walk(run, m, next == RECONCILE_AWAIT) >= 0;
	if (m->walking)
		return;
	m->failed = true;
	m->stuck = m->undoing;
	text_set(&m->entry->error, "vcpu %u: out of memory", m->entry->vcpu);
}

/* The vCPU under which this removal would leave a hole, or NULL. */
static const struct vcpu *find_keeper(const struct op_run *run, const struct move *m)
{
	const struct domain *d = run->domain;

	if (d->facts.kvm || m->undoing || m->asked)
		return NULL;
	for (unsigned int i = m->v->vcpu + 1; i < d->n_vcpus; i++)
		if (d->vcpus[i].present)
			return &d->vcpus[i];
	return NULL;
}

/* One of the operation's own is in its slot still; another's may be there where ours has gone. */
static bool is_kept_by_ours(const struct op_run *run, const struct vcpu *keeper)
{
	for (unsigned int i = 0; i < run->n_moves; i++)
		if (run->moves[i].v == keeper)
			return run->moves[i].at != CPUHP_OFFLINE;
	return false;
}

/* A removal that is not sent. Where one of ours above has not gone, that is what failed. */
static void keep_back(struct op_run *run, struct move *m, const struct vcpu *keeper)
{
	struct hostwalk_outcome o = {
		.rc = -EPERM,
		.failed_at = CPUHP_QEMU_DEVICE,
		.teardown = true,
		.rollback_failed_at = -1,
	};

	m->todo = false;
	snprintf(o.text, sizeof(o.text),
		 "vcpu %u above it stays, and without KVM a hole in the slots makes the guest lose "
		 "wakeups",
		 keeper->vcpu);
	op_run_look_again(run);
	if (!is_kept_by_ours(run, keeper)) {
		on_walk_failed(run, m, &o);
		return;
	}
	m->called_back = true;
	m->goal = m->entry->from;
	m->undoing = m->todo = m->at != m->goal;
	text_set(&m->entry->error, "vcpu %u: not removed: %s", m->entry->vcpu, o.text);
}

static void start_removals(struct op_run *run)
{
	struct move *m;

	for (m = highest_removal(run); m && may_start(run, m); m = highest_removal(run)) {
		const struct vcpu *keeper = find_keeper(run, m);

		if (keeper)
			keep_back(run, m, keeper);
		else
			start_walk(run, m);
	}
}

bool op_moves_start(struct op_run *run)
{
	struct move *m;
	bool busy = false;

	for (unsigned int i = 0; i < run->n_moves; i++) {
		m = &run->moves[i];
		if (is_startable(m) && !removes(m) && may_start(run, m))
			start_walk(run, m);
	}
	start_removals(run);
	for (unsigned int i = 0; i < run->n_moves; i++)
		busy |= run->moves[i].walking || run->moves[i].todo;
	return busy;
}
