/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * An operation is a transaction over several vCPUs. It is first admitted (admission.c), which
 * changes nothing and ends with a plan of what is known at that moment; every line of it becomes a
 * move. Where the host has hooks that may object they are asked before that: op-vet.c.
 *
 * Climb. All moves start at once and overlap as the guest allows: those going up go all the way,
 * those going down go to standby (or to where they rest above it). Nothing is taken from QEMU
 * here, so whatever fails can be undone without a device_add. With policy "all" the first failure
 * calls the others back.
 *
 * Settle. When every walk has come to rest the policy is judged. Met: what is to leave QEMU
 * leaves, and a vCPU that failed goes back to where it was. Not met: everything goes back. Removal
 * is highest slot first and, without KVM, one at a time: QEMU's TCG loses wakeups when the slots
 * are not a contiguous prefix (and on libvirt, whose call waits for the guest). A removal that is refused comes back to standby by its own walk
 * and from there to where it was; with policy "all" removals not yet sent are then not sent.
 *
 * What the moves do in detail is op-moves.c.
 *
 * Where the persistent configuration is to be changed as well, it is looked at before all this, and
 * changed after it: op-persist.c.
 *
 * A COUNT is a promise about the domain, not about the moves: where every move succeeded and the
 * count is missed all the same, since others moved vCPUs meanwhile, what is left is planned once
 * more; missed again it is said, and the result is partial.
 *
 * Nothing here waits for ever: the operation's deadline calls back what can be called back and
 * names the rest pending. Walks told pending go on without the operation.
 */
#include "daemon/op-run.h"
#include "daemon/deferred.h"
#include "daemon/domain-guest.h"
#include "daemon/intent-domain.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void go_on(struct op_run *run);

static void end_with(struct op_run *run, enum op_result result, const char *by, const char *text)
{
	struct op *op = run->op;

	op->refused_by = by;
	text_set(&op->error, "%s", text);
	op_end(op, result);
}

int op_run_on_next(sd_event_source *s, void *userdata)
{
	go_on(userdata);
	return 0;
}

void op_run_look_again(struct op_run *run)
{
	if (run->phase != RUN_OVER)
		deferred_call(run->next);
}

/* One that was accepted before QEMU was there could not know that everything takes longer. */
static void stretch_deadline(struct op_run *run)
{
	struct op *op = run->op;
	uint64_t more_ms = (uint64_t)(domain_slow_factor(run->domain) - 1) *
			   run->domain->settings->deadlines.operation_ms;
	uint64_t at;

	if (op->stretched)
		return;
	op->stretched = true;
	if (sd_event_source_get_time(op->deadline, &at) >= 0)
		sd_event_source_set_time(op->deadline, at + more_ms * 1000);
}

static int on_give_up(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct op_run *run = userdata;

	run->give_up = sd_event_source_disable_unref(run->give_up);
	op_moves_give_up(run);
	op_run_look_again(run);
	return 0;
}

/* Nobody waits for it. */
static void on_pong(void *arg, int rc)
{
}

enum { PING_US = 1000000 };

void op_run_doubt(struct domain *d)
{
	struct op_run *run = d->running ? d->running->run : NULL;
	bool moves = run && run->moves;

	/* Its word may have been lost on the way; the next frame shows that (link.c). */
	if (admission_doubt(d) || (moves && (d->table_due || op_moves_lack_agent(run))))
		domain_guest_doubt(d);
	else if (moves)
		(void)link_ping(d->link, PING_US, on_pong, d);
}

/* Stopped, and what is left to undo needs an agent that is away: not for ever. */
static void bound_undoing(struct op_run *run)
{
	const struct domain *d = run->domain;
	const struct deadlines *t = &d->settings->deadlines;
	uint64_t recall_ms =
		(2ULL * t->guest_present_ms + t->agent_ping_ms) * domain_slow_factor(d);
	uint64_t wait_us = 1000 * (recall_ms > t->agent_wait_ms ? recall_ms : t->agent_wait_ms);

	if (!run->stop_rc || run->give_up || !op_moves_lack_agent(run))
		return;
	if (sd_event_add_time(d->manager->event, &run->give_up, CLOCK_MONOTONIC, now_us() + wait_us,
			      1000, on_give_up, run) < 0)
		op_moves_give_up(run);
}

static void warn(struct op *op, const char *warning)
{
	text_set(&op->warning, "%s", warning);
	if (*warning)
		op_log_warning(op);
}

/* Nothing has been sent yet, and nothing will be. */
static void end_unremembered(struct op_run *run, const char *why)
{
	for (unsigned int i = 0; i < run->n_moves; i++)
		run->moves[i].called_back = true;
	end_with(run, OP_REFUSED, "policy", why);
}

static void begin(struct op_run *run)
{
	struct domain *d = run->domain;

	run->kick_base = link_last_kick(d->link);
	run->phase = RUN_CLIMB;
	if (domain_remember(d) < 0)
		end_unremembered(run, d->store_why);
	else
		go_on(run);
}

static void on_admitted(void *ctx, const struct verdict *v)
{
	struct op_run *run = ctx;

	if (v->result != OP_ACCEPTED) {
		run->op->denied = v->denied;
		run->op->denial = v->denial;
		end_with(run, v->result, v->refused_by, v->text);
	} else if (!run->vetted) {
		op_vet_begin(run, v->plan);
	} else if (op_moves_add(run, v->plan) < 0) {
		end_with(run, OP_FAILED, NULL, "out of memory");
	} else {
		warn(run->op, v->plan->warning);
		begin(run);
	}
}

/* True while moves are under way, or to be started. */
static bool is_busy(struct op_run *run)
{
	if (!run->n_moves || !op_moves_start(run))
		return false;
	bound_undoing(run);
	return true;
}

/* Every move succeeded, and yet the domain has not what was asked for. */
static bool is_count_missed(const struct op_run *run)
{
	const struct op_request *r = &run->op->request;
	struct vcpu_counts c = domain_counts(run->domain);

	if (r->goal != OP_GOAL_COUNT || !run->domain->agent_up || !op_moves_all_reached(run))
		return false;
	return c.online >= 0 &&
	       (c.online != (int)r->count || (r->standby >= 0 && c.standby != r->standby));
}

/* An agent that has just started adopts what it finds: that is not judged before it is over. */
static bool is_to_be_seen(const struct op_run *run, bool off)
{
	if (!off || run->stop_rc || !run->domain->agent_up)
		return false;
	for (unsigned int i = 0; i < run->domain->n_vcpus; i++)
		if (run->domain->vcpus[i].guest_walking)
			return true;
	return false;
}

/* Others moved vCPUs meanwhile. True when there is something to do about it, and it has begun. */
static bool plan_again(struct op_run *run)
{
	unsigned int before = run->n_moves;
	enum run_phase phase = run->phase;
	struct plan plan;
	bool begun;

	if (run->planned_anew || run->stop_rc)
		return false;
	run->planned_anew = true;
	if (domain_plan(run->domain, &run->op->request, &plan) < 0)
		return false;
	begun = !plan.n_refusals && op_moves_add(run, &plan) > 0;
	plan_done(&plan);
	if (!begun)
		return false;
	run->phase = RUN_CLIMB;
	if (domain_remember(run->domain) == 0)
		return true;
	op_moves_withdraw(run, before);
	run->phase = phase;
	return false;
}

static void say_missed(struct op_run *run)
{
	const char *why = run->domain->store_why;

	if (*why)
		text_set(&run->op->error,
			 "others were moved meanwhile, and that is left so: %.190s", why);
	else
		text_set(&run->op->error,
			 "every vCPU of the operation is where it should be, but others were moved "
			 "meanwhile");
}

/* The running domain's part ended as its policy says, and yet the other half is not due. */
static const char *why_not_persist(const struct op_run *run)
{
	if (run->stop_rc == -ECANCELED)
		return "the operation was cancelled";
	return run->stop_rc ? "the operation's deadline passed"
			    : "not every vCPU is where it should be";
}

/*
 * Not all of it has come where it was to go, and of what had others have moved some: these are not ok. The
 * operation's own sentence stays that of what failed.
 */
static void note_lost_beside(struct op_run *run)
{
	struct op *op = run->op;

	for (unsigned int i = 0; i < op->n_vcpus && !text_is_set(&op->error); i++)
		if (text_is_set(&op->vcpus[i].error))
			text_set(&op->error, "%s", text_of(&op->vcpus[i].error));
	(void)op_moves_note_lost(run);
}

static void conclude(struct op_run *run)
{
	struct op *op = run->op;
	enum op_result result = op_judge(run);

	if (result == OP_REFUSED)
		op->refused_by = op_find_refuser(run);
	op_moves_look(run);
	if (is_to_be_seen(run,
			  (result == OP_DONE && is_count_missed(run)) || op_moves_are_off(run)))
		return;
	if (result == OP_DONE && is_count_missed(run) && plan_again(run)) {
		op_run_look_again(run);
		return;
	}
	if (result == OP_DONE && op_moves_note_lost(run)) {
		/* Nothing goes back any more; but K of them may be enough as it is. */
		result = op_judge(run) == OP_DONE ? OP_DONE : OP_PARTIAL;
	} else if (result == OP_DONE && is_count_missed(run)) {
		result = OP_PARTIAL;
		say_missed(run);
	} else if (result != OP_DONE) {
		note_lost_beside(run);
	}
	if (result == OP_DONE && op->request.persist) {
		if (!run->stop_rc && op_moves_all_reached(run)) {
			op_persist_begin(run);
			return;
		}
		result = OP_PARTIAL;
		text_set(&op->error, "the persistent configuration was left as it is: %s",
			 why_not_persist(run));
	}
	op_end(op, result);
}

/*
 * QEMU is back in a moment, or the VM is gone: only then there is something to judge. libvirtd may
 * be away for ever, and so may a QEMU that is out of reach; an operation that is stopped does not
 * wait for them: what the agent can take back is taken back, and what needs them is pending.
 */
static bool is_given_up(const struct op_run *run)
{
	const struct domain *d = run->domain;

	return run->stop_rc && (d->hv->ops->lost_ms == 0 || d->out_of_reach);
}

static void go_on(struct op_run *run)
{
	switch (run->phase) {
	case RUN_ADMIT:
		if (run->domain->attached)
			stretch_deadline(run);
		return;
	case RUN_LOOK:
	case RUN_VET:
	case RUN_PERSIST:
	case RUN_OVER:
		return;
	case RUN_RESUME:
		if (!op_resume_bind(run))
			return;
		break;
	case RUN_CLIMB:
	case RUN_SETTLE:
		break;
	}
	if (!run->domain->attached && !is_given_up(run))
		return;
	if (is_busy(run))
		return;
	if (run->phase == RUN_CLIMB) {
		op_moves_look(run);
		if (is_to_be_seen(run, op_moves_are_off(run)))
			return;
		/* What others took away during the climb has failed like any other. */
		if (!run->stop_rc)
			op_moves_note_lost(run);
		run->phase = RUN_SETTLE;
		op_moves_settle(run);
		/* What is taken away, or undone, is decided now; the next daemon does not decide anew. */
		if (op_moves_have_work(run))
			(void)domain_remember(run->domain);
		if (is_busy(run))
			return;
	}
	conclude(run);
}

int op_run_admit(struct op_run *run)
{
	struct op *op = run->op;
	int rc;

	op_vet_look(run);
	run->phase = RUN_ADMIT;
	rc = admission_start(&run->admission, op->domain,
			     run->vetted ? ADMISSION_MOVE : ADMISSION_VET, &op->request, 0,
			     on_admitted, run);
	if (rc >= 0 && op->domain->attached)
		stretch_deadline(run);
	return rc < 0 ? rc : 0;
}

int op_run_start(struct op *op)
{
	int r = op_run_new(op);

	if (r < 0)
		return r;
	op->running = true;
	return op->request.persist ? op_persist_look(op->run) : op_run_admit(op->run);
}

void op_run_poke(struct domain *d)
{
	admission_poke(d);
	if (d->running && d->running->run)
		op_run_look_again(d->running->run);
}

void op_run_stop(struct op *op, int rc)
{
	struct op_run *run = op->run;

	if (!run)
		return;
	/* Also where it was being stopped already: QEMU may never come. */
	if (run->phase == RUN_RESUME && op_resume_stop(run, rc))
		return;
	if (run->stop_rc) {
		/* Cancelled, and now too late as well: what cannot be recalled is not waited for. */
		if (rc == -ETIMEDOUT)
			op_moves_call_back(run, rc);
		return;
	}
	if (run->phase == RUN_LOOK || run->phase == RUN_PERSIST) {
		op_persist_stop(run, rc);
		return;
	}
	if (run->phase == RUN_VET) {
		op_vet_stop(run, rc);
		return;
	}
	if (run->phase == RUN_ADMIT) {
		if (rc == -ECANCELED)
			end_with(run, OP_CANCELLED, NULL, "cancelled before anything was changed");
		else
			admission_expire(&run->admission);
		return;
	}
	run->stop_rc = rc;
	text_set(&op->error, "%s",
		 rc == -ETIMEDOUT ? "the operation's deadline passed" : "cancelled");
	op_moves_call_back(run, rc);
	(void)domain_remember(run->domain);
	op_run_look_again(run);
}

void op_run_vm_gone(struct domain *d, const char *why)
{
	struct op *op = d->running;
	struct op_run *run = op ? op->run : NULL;

	if (run) {
		if (run->phase == RUN_RESUME)
			op_resume_fail(run, VCPU_GONE, "the VM is gone");
		op_moves_gone(run);
		op_persist_drop(run);
		end_with(run, OP_VM_GONE, NULL, why);
	}
	admission_end_all(d, OP_VM_GONE, why);
	op_end_queued(d, OP_VM_GONE, why);
}

void op_run_drop(struct op *op)
{
	struct op_run *run = op->run;

	if (!run)
		return;
	run->phase = RUN_OVER;
	op_persist_drop(run);
	op_vet_drop(run);
	admission_drop(&run->admission);
	sd_event_source_disable_unref(run->give_up);
	sd_event_source_disable_unref(run->next);
	op_resume_drop(run);
	free(run->moves);
	free(run);
	op->run = NULL;
}
