/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * What an operation's end says, held against what was asked and against the truth (checker.c keeps
 * where each slot stands and when it stood elsewhere last).
 *
 * The word follows from the vCPUs' own results by the rules of vcpuhpctl(1), which are written
 * down here once more, in another way than in op-judge.c. *done* is what the client asked for: the
 * count, the standby vCPUs, the vCPUs at their target. *failed*, *cancelled* and *refused* leave
 * every vCPU of the operation where it was; but a removal that QEMU has carried out cannot be undone.
 * Of the numbers shown beside it each that is known is right.
 *
 * All of that holds at the moment of the end, unless it was so while the operation ran and others
 * have changed it since: of that the daemon hears within HEARD_US of the time from which it could
 * hear.
 */
#include "tests/sim/world.h"

#include <stdio.h>
#include <string.h>

/* How much longer it may take to undo it: see check_time(). */
static const uint64_t UNDO_US = 180000000;

/* It was so at @last_us, and it may be that nobody has heard otherwise yet. */
static bool is_recent(const struct sim_domain *d, uint64_t last_us)
{
	const struct watch *w = d->watch;
	uint64_t heard_us = w->deaf_us > last_us ? w->deaf_us : last_us;

	return last_us && clock_us() <= heard_us + HEARD_US;
}

/* The same, and in the operation's time; @t: NULL that of none. */
static bool is_fresh(const struct sim_domain *d, const struct track *t, uint64_t last_us)
{
	return (!t || last_us + HEARD_US >= t->begun_us) && is_recent(d, last_us);
}

/* The slot is where @state is, or was until a moment ago. */
static bool is_at(const struct sim_domain *d, const struct track *t, unsigned int slot, int state)
{
	const struct watch *w = d->watch;

	return w->was[slot] == state || is_fresh(d, t, w->last_us[slot][state]);
}

/* So many slots as @n may be at @state: nobody need have heard yet of those that were moved just now. */
static bool may_be(const struct sim_domain *d, const struct track *t, int state, int n)
{
	const struct watch *w = d->watch;
	int least = 0, most = 0;

	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		least += w->was[i] == state && !is_recent(d, w->since_us[i]);
		most += is_at(d, t, i, state);
	}
	return n >= least && n <= most;
}

/* What the vCPUs' own results are, counted. */
struct tally {
	unsigned int n, of[VCPU_RESULTS], stuck, removed;
};

static bool is_removal(const struct op_vcpu *e)
{
	return e->to < e->from && e->to < CPUHP_STANDBY;
}

/* A slot counts as filled until QEMU has said that a pending removal is done, however late its word comes. */
static bool is_leaving(const struct op *op, unsigned int slot)
{
	for (unsigned int i = 0; i < op->n_vcpus; i++) {
		const struct op_vcpu *e = &op->vcpus[i];

		if (e->vcpu == slot)
			return e->result == VCPU_PENDING && is_removal(e);
	}
	return false;
}

static bool may_be_present(const struct sim_domain *d, const struct op *op, int n)
{
	const struct watch *w = d->watch;
	int least = 0, most = 0;

	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		bool there = w->was[i] != CPUHP_OFFLINE;

		least += there && !is_recent(d, w->last_us[i][CPUHP_OFFLINE]);
		most += there || is_recent(d, w->there_us[i]) || is_leaving(op, i);
	}
	return n >= least && n <= most;
}

static struct tally tally_of(const struct op *op)
{
	struct tally y = { .n = op->n_vcpus };

	for (unsigned int i = 0; i < op->n_vcpus; i++) {
		const struct op_vcpu *e = &op->vcpus[i];
		bool failed = e->result == VCPU_FAILED || e->result == VCPU_REFUSED;

		y.of[e->result]++;
		y.stuck += failed && e->rollback_failed_at >= 0;
		y.removed += e->result == VCPU_OK && is_removal(e);
	}
	return y;
}

/* The word */

/* K of the operation's vCPUs, where it has so many. */
static bool is_met(const struct op *op, const struct tally *y)
{
	unsigned int k = op->request.at_least < y->n ? op->request.at_least : y->n;

	return op->request.policy == OP_POLICY_AT_LEAST ? y->of[VCPU_OK] >= k
							: y->of[VCPU_OK] == y->n;
}

/* When several apply: gone, stuck, pending, and then all else. */
static bool fits_order(const struct op *op, const struct tally *y)
{
	if (y->of[VCPU_GONE] || op->result == OP_VM_GONE)
		return op->result == OP_VM_GONE && y->of[VCPU_GONE] == y->n;
	if (y->stuck || op->result == OP_STUCK)
		return op->result == OP_STUCK && y->stuck;
	if (y->of[VCPU_PENDING] || op->result == OP_PENDING)
		return op->result == OP_PENDING && y->of[VCPU_PENDING];
	return true;
}

static bool fits_result(const struct track *t, const struct op *op, const struct tally *y)
{
	switch (op->result) {
	case OP_DONE:
		return is_met(op, y);
	case OP_PARTIAL:
		return text_is_set(&op->error) && y->n;
	case OP_CANCELLED:
		return t->cancelled && y->of[VCPU_OK] == y->removed;
	case OP_FAILED:
		return text_is_set(&op->error) && y->of[VCPU_OK] == y->removed;
	case OP_REFUSED:
		return text_is_set(&op->error) && op->refused_by && y->of[VCPU_OK] == y->removed;
	case OP_NO_AGENT:
		return text_is_set(&op->error) && y->n == 0;
	case OP_VM_GONE:
	case OP_STUCK:
	case OP_PENDING:
		return text_is_set(&op->error);
	default:
		return false;
	}
}

static void check_word(struct sim_domain *d, const struct track *t, const struct op *op)
{
	const struct tally y = tally_of(op);

	if (!fits_order(op, &y) || !fits_result(t, op, &y))
		sim_breach(d,
			   "op %u is %s (%s), and of its %u vCPUs %u are ok (%u removed), %u "
			   "failed, %u refused, %u pending, %u gone, %u stuck",
			   t->number, op_result_name(op->result), text_of(&op->error), y.n,
			   y.of[VCPU_OK], y.removed, y.of[VCPU_FAILED], y.of[VCPU_REFUSED],
			   y.of[VCPU_PENDING], y.of[VCPU_GONE], y.stuck);
	if (op->refused_by && op->result != OP_REFUSED)
		sim_breach(d, "op %u is %s, and refused by %s", t->number,
			   op_result_name(op->result), op->refused_by);
}

/* vcpuhpctl(1), EXIT STATUS. */
static void check_exit(struct sim_domain *d, const struct track *t, const struct op *op)
{
	static const int exits[OP_RESULTS] = {
		[OP_DONE] = 0,    [OP_PARTIAL] = 3,  [OP_FAILED] = 1,
		[OP_REFUSED] = 4, [OP_PENDING] = 5,  [OP_CANCELLED] = 1,
		[OP_STUCK] = 12,  [OP_NO_AGENT] = 6, [OP_VM_GONE] = 11,
	};

	if ((int)op_result_exit(op->result) != exits[op->result])
		sim_breach(d, "op %u is %s, which is not exit status %d", t->number,
			   op_result_name(op->result), op_result_exit(op->result));
}

/* Why, where it is not ok; and not a word where it is. */
static void check_entry(struct sim_domain *d, const struct track *t, const struct op_vcpu *e)
{
	bool well = true;

	if (e->result == VCPU_OK)
		well = !e->rc && e->failed_at < 0 && e->rollback_failed_at < 0;
	else if (e->result != VCPU_ROLLED_BACK && e->result != VCPU_SKIPPED)
		well = text_is_set(&e->error);
	if (!well)
		sim_breach(d, "op %u: vcpu %u is %s with %d at %d: %s", t->number, e->vcpu,
			   vcpu_result_name(e->result), e->rc, e->failed_at, text_of(&e->error));
}

/* The goal */

static void check_count(struct sim_domain *d, const struct track *t, const struct op *op)
{
	const struct op_request *r = &op->request;
	bool well = may_be(d, t, CPUHP_ONLINE, (int)r->count) &&
		    (r->standby < 0 || may_be(d, t, CPUHP_STANDBY, r->standby));

	if (!well)
		sim_breach(d,
			   "op %u: done, %u online and %d standby asked, and there are %u and %u",
			   t->number, r->count, r->standby, d->watch->online, d->watch->standby);
}

static void check_target(struct sim_domain *d, const struct track *t, const struct op *op)
{
	for (unsigned int i = 0; i < SIM_SLOTS; i++)
		if (cpulist_has(&op->request.list, i) && !is_at(d, t, i, op->request.target))
			sim_breach(d, "op %u: done, and vcpu %u is at %d instead of %d", t->number,
				   i, d->watch->was[i], op->request.target);
}

/* At-least may be met by fewer than all: then each that is ok is looked at alone. */
static void check_goal(struct sim_domain *d, const struct track *t, const struct op *op)
{
	const struct tally y = tally_of(op);

	if (op->result != OP_DONE || y.of[VCPU_OK] != y.n || !d->trusted)
		return;
	if (op->request.goal == OP_GOAL_COUNT)
		check_count(d, t, op);
	else
		check_target(d, t, op);
}

/* The numbers beside it */

static void check_counts(struct sim_domain *d, const struct track *t, const struct op *op)
{
	const struct vcpu_counts *c = &op->counts;
	bool present = c->present < 0 || may_be_present(d, op, c->present);
	bool guest = c->online < 0 || (may_be(d, NULL, CPUHP_ONLINE, c->online) &&
				       may_be(d, NULL, CPUHP_STANDBY, c->standby));

	if ((c->online < 0) != (c->standby < 0) || (c->present < 0 && c->online >= 0))
		sim_breach(d, "op %u: of its numbers only some are known", t->number);
	if (op->result == OP_VM_GONE && c->present >= 0)
		sim_breach(d, "op %u: the VM is gone and has %d vCPUs", t->number, c->present);
	if (!present || (!guest && d->trusted))
		sim_breach(d,
			   "op %u: %d present, %d online, %d standby are told, and there are %u, "
			   "%u and %u",
			   t->number, c->present, c->online, c->standby, d->watch->present,
			   d->watch->online, d->watch->standby);
}

/* Each vCPU */

/*
 * Who changes a vCPU that has come where it was to go is heard a moment later. It must have come there:
 * that others were at work excuses nothing.
 */
static void check_claim(struct sim_domain *d, const struct track *t, const struct op_vcpu *e,
			int claim)
{
	const struct watch *w = d->watch;
	int truth = w->was[e->vcpu];

	if (claim < 0 || is_at(d, t, e->vcpu, claim))
		return;
	/* Between offline and standby it was only found, by a table that a slow QEMU may have let
	 * grow old. */
	if (claim == CPUHP_OFFLINE && truth >= CPUHP_QEMU_DEVICE)
		sim_breach(d, "op %u: vcpu %u is said to be away and QEMU has it", t->number,
			   e->vcpu);
	if (claim >= CPUHP_STANDBY && truth == CPUHP_OFFLINE &&
	    !is_fresh(d, t, w->there_us[e->vcpu]))
		sim_breach(d, "op %u: vcpu %u is said to be at %d, QEMU does not have it",
			   t->number, e->vcpu, claim);
	if (claim >= CPUHP_STANDBY && d->trusted)
		sim_breach(d, "op %u: vcpu %u is said to be at %d and is at %d", t->number, e->vcpu,
			   claim, truth);
}

/* What was last sent for it a guest has answered that lied, and nothing else is known of what came of it. */
static bool is_a_lie(const struct sim_domain *d, const struct op_vcpu *e)
{
	const struct watch *w = d->watch;

	return w->lied_us && w->lied_us >= w->sent_us[e->vcpu];
}

/*
 * It says of itself that it was back and that others have moved it since: it was, after the last thing
 * that the daemon has sent for it, and where it is now is said as well.
 */
static bool is_said_moved(const struct sim_domain *d, const struct op_vcpu *e)
{
	const struct watch *w = d->watch;

	return strstr(text_of(&e->error), "it was back, and ") &&
	       is_at(d, NULL, e->vcpu, e->state) &&
	       (w->last_us[e->vcpu][e->from] >= w->sent_us[e->vcpu] || is_a_lie(d, e));
}

static bool is_failed(const struct op_vcpu *e)
{
	return (e->result == VCPU_FAILED || e->result == VCPU_REFUSED) && e->rollback_failed_at < 0;
}

/* Where it is said to be: where it was to go, or back where it was; -1 it is not said. */
static int claim_of(const struct sim_domain *d, const struct track *t, const struct op *op,
		    const struct op_vcpu *e)
{
	/* Of a slot that others have moved, or had filled before anybody heard: there is nothing to be
	 * taken back. */
	bool others = t->moved & UINT32_C(1) << e->vcpu ||
		      (e->from < CPUHP_QEMU_DEVICE && d->m.slots[e->vcpu].foreign);

	if (e->result == VCPU_OK)
		return e->to;
	if (is_said_moved(d, e))
		return -1;
	/* Back by the word of a guest that lied, and shown as unknown: no honest one has said where it is. */
	if (e->state < 0 && is_a_lie(d, e))
		return -1;
	if (e->result == VCPU_ROLLED_BACK)
		return e->from;
	return is_failed(e) && !others && op->result != OP_PARTIAL ? e->from : -1;
}

/* It is said that these vCPUs are where they were to go, or where they were: they are. */
static void check_claims(struct sim_domain *d, const struct track *t, const struct op *op)
{
	for (unsigned int i = 0; i < op->n_vcpus; i++) {
		const struct op_vcpu *e = &op->vcpus[i];

		check_entry(d, t, e);
		check_claim(d, t, e, claim_of(d, t, op, e));
	}
}

/* An operation that has no vCPUs, or none that was begun, has sent nothing: no agent, refused, cancelled. */
static void check_sent(struct sim_domain *d, const struct track *t, const struct op *op)
{
	const struct tally y = tally_of(op);

	if (y.of[VCPU_SKIPPED] == y.n && t->sent)
		sim_breach(d, "op %u is %s (%s), and %u times something was sent for it", t->number,
			   op_result_name(op->result), text_of(&op->error), t->sent);
}

/*
 * However it ends it does so by then. After its deadline nothing begins but a way back, whose parts
 * have deadlines of their own, one vCPU after the other where it has to be: a kick that undoes has as
 * much as an operation has. And while no daemon runs none ends.
 */
static void check_time(struct sim_domain *d, const struct track *t)
{
	uint64_t slow = d->m.kvm ? 1 : 6, own_us = t->request.timeout_ms * UINT64_C(1000);
	uint64_t by_us = t->accepted_us + (own_us ? own_us : slow * OPERATION_US);
	uint64_t late_us = clock_us() > by_us ? clock_us() - by_us : 0;

	if (late_us > d->world->result->latest_us)
		d->world->result->latest_us = late_us;
	if (late_us > slow * UNDO_US)
		sim_breach(d, "op %u ends %llu s after its deadline", t->number,
			   (unsigned long long)late_us / 1000000);
}

/* How an operation may end that was never taken from the queue. */
static void check_unbegun(struct sim_domain *d, const struct track *t, const struct op *op)
{
	bool well = op->result == OP_VM_GONE ||
		    (op->result == OP_CANCELLED &&
		     strcmp(text_of(&op->error), "cancelled before it began") == 0) ||
		    (op->result == OP_FAILED &&
		     strstr(text_of(&op->error), "its deadline passed while"));

	if (!t->begun && !well)
		sim_breach(d, "op %u never began, and is %s: %s", t->number,
			   op_result_name(op->result), text_of(&op->error));
}

void claims_check(struct sim_domain *d, const struct track *t, const struct op *op)
{
	check_word(d, t, op);
	check_exit(d, t, op);
	check_goal(d, t, op);
	check_counts(d, t, op);
	check_claims(d, t, op);
	check_sent(d, t, op);
	check_unbegun(d, t, op);
	check_time(d, t);
}

void claims_drill(struct sim_domain *d, unsigned int drill)
{
	const struct watch *w = d->watch;

	checker_watch(d);
	if (drill == 1 && (w->online != 5 || w->standby != 0 || w->present != 5))
		sim_breach(d, "5 were asked for, and of %u vCPUs %u are online and %u at standby",
			   w->present, w->online, w->standby);
	for (unsigned int i = d->m.boot_cpus; drill != 1 && i < SIM_SLOTS; i++)
		if (w->was[i] != CPUHP_OFFLINE)
			sim_breach(d, "vcpu %u was to leave, and is at %d", i, w->was[i]);
}
