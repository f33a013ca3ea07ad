/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * What becomes of a running operation's moves when they have come to rest, or cannot go on: which
 * of them are kept and which go back (once, when the climb is over), which are called back by a
 * cancel or by another's failure, and what is left when somebody else has taken a slot. Decided
 * here, carried out by op-moves.c. What device_del was sent for does not go back up (R9).
 */
#include "daemon/op-run.h"
#include <errno.h>
#include <stdio.h>

/* What an add found in its slot is not its own to take away. */
static bool is_in_the_way(const struct move *m)
{
	return m->entry->from < CPUHP_QEMU_DEVICE && vcpu_is_anothers(m->v);
}

void op_moves_settle(struct op_run *run)
{
	bool met = op_policy_met(run) && !run->stop_rc;

	for (unsigned int i = 0; i < run->n_moves; i++) {
		struct move *m = &run->moves[i];
		bool keep = met && !m->failed && !m->called_back;
		int at = m->v->state >= 0 ? m->v->state : m->at;
		/* An earlier daemon's kick, recalled: where it is now is not where it comes to rest. */
		bool on_its_way = m->resumed && m->v->guest_walking;

		if (m->pending || m->stuck || m->gone)
			continue;
		m->goal = keep ? m->entry->to : m->entry->from;
		m->todo = m->started && (at != m->goal || on_its_way) && !is_in_the_way(m);
		m->undoing = !keep && m->todo;
		/* A removal from standby has nothing to undo yet, and has not come true either. */
		m->called_back |= !keep && !m->failed;
	}
}

void op_moves_pass_over_filled(struct op_run *run)
{
	const struct hostwalk_outcome filled = {
		.rc = -EEXIST,
		.failed_at = CPUHP_QEMU_DEVICE,
		.rollback_failed_at = -1,
		.text = "the slot was filled by another meanwhile",
	};

	for (unsigned int i = 0; i < run->n_moves; i++) {
		struct move *m = &run->moves[i];

		if (!m->todo || !is_in_the_way(m) ||
		    (run->phase == RUN_SETTLE && m->goal >= CPUHP_QEMU_DEVICE))
			continue;
		m->todo = false;
		if (run->phase == RUN_CLIMB)
			op_moves_take(run, m, &filled);
	}
}

void op_moves_withdraw(struct op_run *run, unsigned int n)
{
	for (unsigned int i = n; i < run->n_moves; i++)
		op_vcpu_done(&run->op->vcpus[i]);
	run->n_moves = run->op->n_vcpus = n;
}

/* What was asked for cannot be (R9); what an earlier daemon had decided to keep is kept. */
static bool can_turn_round(const struct op_run *run, const struct move *m)
{
	return m->todo && !m->asked &&
	       (run->phase != RUN_SETTLE || !m->resumed || m->goal < CPUHP_STANDBY);
}

/*
 * Nothing of the operation is kept any more: with policy "all" one has failed, or it was stopped, and
 * that has turned another round.
 */
static bool is_all_to_go_back(const struct op_run *run)
{
	bool failed = false, called_back = false;

	for (unsigned int i = 0; i < run->n_moves; i++) {
		failed |= run->moves[i].failed;
		called_back |= run->moves[i].called_back;
	}
	return run->phase == RUN_SETTLE && ((failed && run->op->request.policy == OP_POLICY_ALL) ||
					    (called_back && run->stop_rc));
}

/*
 * It has come where it was to rest: also where that was while an earlier daemon looked, or none, and
 * this one has still to see it.
 */
static bool take_back(struct move *m)
{
	bool is_on_its_way = m->walking || (m->todo && !m->resumed);

	if (!m->started || is_on_its_way || move_judge(m) != VCPU_OK ||
	    m->entry->to < CPUHP_STANDBY || m->at == m->entry->from)
		return false;
	m->called_back = m->undoing = m->todo = true;
	m->goal = m->entry->from;
	return true;
}

bool op_moves_take_back(struct op_run *run)
{
	bool any = false;

	for (unsigned int i = 0; is_all_to_go_back(run) && i < run->n_moves; i++)
		any |= take_back(&run->moves[i]);
	return any;
}

static void call_back(struct op_run *run, struct move *m, int rc)
{
	if (m->undoing) {
		/* The way back goes on; but an eject that is awaited is not waited for any longer. */
		if (m->walking && rc == -ETIMEDOUT)
			hostwalk_cancel(m->v, rc);
	} else if (can_turn_round(run, m)) {
		m->called_back = true;
		m->goal = m->entry->from;
		m->undoing = m->todo = run->phase == RUN_SETTLE && m->at != m->goal;
	} else if (m->walking && run->phase == RUN_CLIMB) {
		m->called_back = true;
		hostwalk_cancel(m->v, rc);
	} else if (m->walking && rc == -ETIMEDOUT) {
		hostwalk_cancel(m->v, rc);
	}
}

void op_moves_call_back(struct op_run *run, int rc)
{
	for (unsigned int i = 0; i < run->n_moves; i++)
		call_back(run, &run->moves[i], rc);
	(void)op_moves_take_back(run);
	op_resume_recall(run);
}

bool op_moves_have_work(const struct op_run *run)
{
	for (unsigned int i = 0; i < run->n_moves; i++)
		if (run->moves[i].todo)
			return true;
	return false;
}

void op_moves_look(struct op_run *run)
{
	for (unsigned int i = 0; i < run->n_moves; i++)
		vcpu_settle(run->moves[i].v);
}

/* Without an agent to say otherwise it is where it was proved to be, as long as QEMU has it. */
static bool is_off(const struct move *m)
{
	const struct vcpu *v = m->v;

	if (move_judge(m) != VCPU_OK || m->entry->to < CPUHP_STANDBY)
		return false;
	return !v->present || (v->state >= 0 && v->state != m->entry->to);
}

bool op_moves_are_off(const struct op_run *run)
{
	for (unsigned int i = 0; i < run->n_moves; i++)
		if (is_off(&run->moves[i]))
			return true;
	return false;
}

bool op_moves_note_lost(struct op_run *run)
{
	bool lost = false;

	for (unsigned int i = 0; i < run->n_moves; i++) {
		struct move *m = &run->moves[i];
		const struct vcpu *v = m->v;

		if (!is_off(m))
			continue;
		m->failed = lost = true;
		m->entry->rc = v->present ? -EAGAIN : -ENODEV;
		text_set(&m->entry->error, "vcpu %u: %s", v->vcpu,
			 !v->present ? "another took it away meanwhile"
			 : v->state < m->entry->to
				 ? "it came there, and the guest took it down meanwhile"
				 : "it came there, and the guest brought it up meanwhile");
	}
	return lost;
}

/* Where it is the agent has to say, or an earlier daemon has sent it on its way. */
static bool waits_for_agent(const struct move *m)
{
	return m->todo && !m->v->hw && (m->v->state < 0 || (m->resumed && m->v->guest_walking));
}

bool op_moves_lack_agent(const struct op_run *run)
{
	for (unsigned int i = 0; i < run->n_moves; i++)
		if (waits_for_agent(&run->moves[i]))
			return true;
	return false;
}

/* What an earlier daemon has asked the agent for cannot be recalled: an add goes back afterwards. */
static void leave_to_agent(struct op_run *run, struct move *m)
{
	struct hostwalk_outcome o = {
		.rc = -ETIMEDOUT,
		.pending = true,
		.failed_at = CPUHP_AP_KICK,
		.rollback_failed_at = -1,
		.text = "the agent has not given the vCPU back",
	};

	m->v->returning = m->undoing && m->goal < m->entry->to;
	m->v->back = m->goal;
	op_moves_take(run, m, &o);
}

void op_moves_give_up(struct op_run *run)
{
	const struct hostwalk_outcome gone = {
		.rc = -ENOTCONN,
		.failed_at = CPUHP_AP_KICK,
		.rollback_failed_at = -1,
		.text = "the agent is gone, so it could not be taken back",
	};

	for (unsigned int i = 0; i < run->n_moves; i++) {
		struct move *m = &run->moves[i];

		if (!waits_for_agent(m))
			continue;
		m->todo = false;
		if (m->v->state < 0)
			op_move_stuck(m, run->domain, &gone);
		else
			leave_to_agent(run, m);
	}
}

void op_moves_gone(struct op_run *run)
{
	for (unsigned int i = 0; i < run->n_moves; i++) {
		struct move *m = &run->moves[i];

		m->gone = true;
		m->todo = m->walking = false;
		hostwalk_drop(m->v);
		text_set(&m->entry->error, "vcpu %u: the VM is gone", m->entry->vcpu);
	}
}
