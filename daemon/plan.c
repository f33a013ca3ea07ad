/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
/*
 * Theory of operation
 *
 * The plan answers one question: given what is known of every slot, which vCPUs move from where
 * to where so that a request comes true? It never says how; the engine does that.
 *
 * A draft holds the goal of each slot, at first the state it is in. Choosing changes goals: up
 * for the best candidates, down for the highest. At the end the goals that differ from the states
 * are the moves, and the checks look at the whole picture once: limits, ownership, the boot vCPU,
 * and where the slots have to stay a prefix, holes. Any refusal empties the moves: a plan is
 * carried out whole or not at all.
 *
 * A vCPU that is neither below standby nor at standby counts as in service although it may stand
 * below online (a failed adoption): a COUNT going up raises those first, and a COUNT going down
 * counts only what is really online.
 */
#include "daemon/plan.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct draft {
	const struct plan_input *in;
	const struct op_request *request;
	int *goal;
	struct plan *plan;
};

void plan_done(struct plan *p)
{
	free(p->moves);
	free(p->refusals);
	*p = (struct plan){ 0 };
}

__attribute__((format(printf, 3, 4))) static int refuse(struct plan *p, const char *by,
							const char *format, ...)
{
	va_list ap;
	char(*more)[OP_TEXT_MAX] =
		reallocarray(p->refusals, p->n_refusals + 1, sizeof(p->refusals[0]));

	if (!more)
		return -ENOMEM;
	p->refusals = more;
	va_start(ap, format);
	vsnprintf(p->refusals[p->n_refusals], OP_TEXT_MAX, format, ap);
	va_end(ap);
	p->n_refusals++;
	if (!p->refused_by)
		p->refused_by = by;
	return 0;
}

/* A vCPU we may not move: one waiting for QEMU or the guest to confirm an earlier step. */
static bool is_movable(const struct plan_vcpu *v)
{
	return !v->pending && v->state >= 0;
}

static bool is_removable(const struct draft *d, unsigned int i)
{
	const struct plan_vcpu *v = &d->in->vcpus[i];

	return i != 0 && v->removable && (v->owned || d->request->foreign);
}

static unsigned int count_at(const struct draft *d, int state)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < d->in->n; i++)
		n += d->goal[i] == state;
	return n;
}

/* Raise up to @need vCPUs whose goal lies in low..high to @to, lowest slot first. */
static unsigned int raise_from(struct draft *d, unsigned int need, int low, int high, int to)
{
	for (unsigned int i = 0; i < d->in->n && need; i++) {
		if (d->goal[i] < low || d->goal[i] > high || !is_movable(&d->in->vcpus[i]))
			continue;
		d->goal[i] = to;
		need--;
	}
	return need;
}

static int plan_up(struct draft *d, unsigned int need, int to)
{
	if (to == CPUHP_ONLINE) {
		need = raise_from(d, need, CPUHP_STANDBY + 1, CPUHP_ONLINE - 1, to);
		need = raise_from(d, need, CPUHP_STANDBY, CPUHP_STANDBY, to);
	}
	need = raise_from(d, need, CPUHP_OFFLINE + 1, CPUHP_STANDBY - 1, to);
	need = raise_from(d, need, CPUHP_OFFLINE, CPUHP_OFFLINE, to);
	return need ? refuse(d->plan, "limit", "%u vCPUs short: no free slot is left", need) : 0;
}

/**
 * struct cut - how many are to leave QEMU
 * @excess: so many
 * @of_online: at most so many of those online; the rest of them is in service and stays
 * @standby: those at standby may leave as well
 */
struct cut {
	unsigned int excess, of_online;
	bool standby;
};

static bool is_candidate(const struct draft *d, const struct cut *c, unsigned int i)
{
	return (d->goal[i] == CPUHP_ONLINE && c->of_online) ||
	       (d->goal[i] == CPUHP_STANDBY && c->standby);
}

/* Take them, the highest first. */
static int cut(struct draft *d, struct cut c)
{
	const char *why = "the boot vCPU stays";

	for (unsigned int i = d->in->n; i-- > 1 && c.excess;) {
		const struct plan_vcpu *v = &d->in->vcpus[i];

		if (!is_candidate(d, &c, i))
			continue;
		if (!is_movable(v) || !is_removable(d, i)) {
			why = !is_movable(v) ? "an earlier change of the rest is not confirmed yet"
			      : v->removable ? "vCPUs plugged by others need --foreign"
					     : "the rest was there at boot and cannot be unplugged";
			continue;
		}
		c.excess--;
		c.of_online -= d->goal[i] == CPUHP_ONLINE;
		d->goal[i] = CPUHP_OFFLINE;
	}
	return c.excess ? refuse(d->plan, "policy", "%u vCPUs cannot be removed: %s", c.excess, why)
			: 0;
}

/* Bring @excess online vCPUs to standby, the highest first. */
static int rest(struct draft *d, unsigned int excess)
{
	for (unsigned int i = d->in->n; i-- > 1 && excess;) {
		if (d->goal[i] != CPUHP_ONLINE || !is_movable(&d->in->vcpus[i]))
			continue;
		d->goal[i] = CPUHP_STANDBY;
		excess--;
	}
	return excess ? refuse(d->plan, "policy", "%u vCPUs cannot rest at standby", excess) : 0;
}

static unsigned int above(unsigned int a, unsigned int b)
{
	return a > b ? a - b : 0;
}

/*
 * Who leaves QEMU for a COUNT. Where the number at standby is part of the wish the highest of all
 * leave, and the lowest stay for standby; but what is online and wanted online is not taken down to
 * be made up for by one at standby, unless the slots have to stay without a hole.
 */
static int cut_to_count(struct draft *d, unsigned int wanted_standby)
{
	const struct op_request *r = d->request;
	unsigned int online = count_at(d, CPUHP_ONLINE), standby = count_at(d, CPUHP_STANDBY);
	struct cut c = { .excess = above(online, r->count), .of_online = above(online, r->count) };

	if (r->standby >= 0 || (d->in->contiguous && c.excess)) {
		c.standby = true;
		c.excess = above(online + standby, r->count + wanted_standby);
	}
	if (d->in->contiguous)
		c.of_online = c.excess;
	return cut(d, c);
}

/* What stays is brought to its place: so many online, and so many at standby where that was asked. */
static int fill_to_count(struct draft *d)
{
	const struct op_request *r = d->request;
	unsigned int online = count_at(d, CPUHP_ONLINE), standby, wanted;
	int rc = r->count > online ? plan_up(d, r->count - online, CPUHP_ONLINE)
				   : rest(d, online - r->count);

	if (rc || d->plan->n_refusals || r->standby < 0)
		return rc;
	standby = count_at(d, CPUHP_STANDBY);
	wanted = (unsigned int)r->standby;
	if (standby < wanted)
		return plan_up(d, wanted - standby, CPUHP_STANDBY);
	return cut(d, (struct cut){ .excess = standby - wanted, .standby = true });
}

static int plan_count(struct draft *d)
{
	const struct op_request *r = d->request;
	unsigned int wanted =
		r->standby < 0 ? count_at(d, CPUHP_STANDBY) : (unsigned int)r->standby;
	int rc;

	if (r->count > d->in->n)
		return refuse(d->plan, "limit", "%u vCPUs asked, the domain's maximum is %u",
			      r->count, d->in->n);
	if (r->standby >= 0 && r->count + wanted > d->in->n)
		return refuse(d->plan, "limit",
			      "%u online and %u standby vCPUs asked, the domain's maximum is %u",
			      r->count, wanted, d->in->n);
	rc = cut_to_count(d, wanted);
	return rc || d->plan->n_refusals ? rc : fill_to_count(d);
}

static int plan_one(struct draft *d, unsigned int i)
{
	const struct plan_vcpu *v = &d->in->vcpus[i];
	int to = d->request->target;

	if (v->pending)
		return refuse(d->plan, "policy", "vcpu %u: an earlier change is not confirmed yet",
			      i);
	if (to == v->state)
		return 0;
	if (v->state < 0)
		return refuse(d->plan, "guest", "vcpu %u: its state in the guest is not known", i);
	if (to < v->state && i == 0)
		return refuse(d->plan, "policy", "vcpu 0 is the boot vCPU and stays online");
	if (to < CPUHP_STANDBY && !v->removable)
		return refuse(d->plan, "policy",
			      "vcpu %u was there at boot and cannot be unplugged", i);
	if (to < CPUHP_STANDBY && !is_removable(d, i))
		return refuse(d->plan, "policy",
			      "vcpu %u was plugged by another; --foreign removes it", i);
	d->goal[i] = to;
	return 0;
}

static int plan_target(struct draft *d)
{
	int rc = 0;

	for (int i = cpulist_next(&d->request->list, 0); i >= 0 && !rc;
	     i = cpulist_next(&d->request->list, (unsigned int)i + 1)) {
		if ((unsigned int)i >= d->in->n)
			return refuse(d->plan, "limit",
				      "there is no vcpu %d, the domain's maximum is %u", i,
				      d->in->n);
		rc = plan_one(d, (unsigned int)i);
	}
	return rc;
}

/* The limits on how many vCPUs are plugged, and on the numbers of those that are added. */
static int check_limits(struct draft *d)
{
	unsigned int present = 0, added = 0, highest = 0; /* by its id */

	for (unsigned int i = 0; i < d->in->n; i++) {
		bool adds = !d->in->vcpus[i].present && d->goal[i] > CPUHP_OFFLINE;
		bool leaves = d->in->vcpus[i].present && d->goal[i] == CPUHP_OFFLINE;

		present += (d->in->vcpus[i].present && !leaves) || adds;
		added += adds;
		if (adds && d->in->vcpus[i].apic_id >= d->in->vcpus[highest].apic_id)
			highest = i;
	}
	if (!added)
		return 0;
	if (d->in->max_present && present > d->in->max_present)
		return refuse(d->plan, "policy", "%u vCPUs would be plugged, MaxVcpus= is %u",
			      present, d->in->max_present);
	if (d->in->kvm_max && present > d->in->kvm_max)
		return refuse(d->plan, "limit", "%u vCPUs would be plugged, KVM's limit is %u",
			      present, d->in->kvm_max);
	if (d->in->kvm_max_id && d->in->vcpus[highest].apic_id >= d->in->kvm_max_id)
		return refuse(d->plan, "limit",
			      "vcpu %u has the APIC id %u, and KVM's highest vCPU id is %u",
			      highest, d->in->vcpus[highest].apic_id, d->in->kvm_max_id - 1);
	if (d->in->kvm_recommended && present > d->in->kvm_recommended)
		snprintf(d->plan->warning, sizeof(d->plan->warning),
			 "%u vCPUs would be plugged, and KVM recommends no more than %u on this "
			 "host",
			 present, d->in->kvm_recommended);
	if (d->in->guest_possible && present > d->in->guest_possible)
		return refuse(d->plan, "guest",
			      "%u vCPUs would be plugged, the guest kernel has room for %u",
			      present, d->in->guest_possible);
	return 0;
}

#define WITHOUT_KVM "without KVM a hole in the slots makes the guest lose wakeups"

/* Will the slot hold a vCPU for sure? One that is on its way out or in may be gone or there. */
static bool stays_filled(const struct draft *d, unsigned int i)
{
	return d->goal[i] != CPUHP_OFFLINE && !d->in->vcpus[i].pending;
}

static int check_plugs(struct draft *d)
{
	unsigned int hole = 0;

	while (hole < d->in->n && stays_filled(d, hole))
		hole++;
	for (unsigned int i = hole + 1; i < d->in->n; i++)
		if (!d->in->vcpus[i].present && d->goal[i] > CPUHP_OFFLINE)
			return refuse(
				d->plan, "policy",
				"vcpu %u cannot be plugged above slot %u, which is %s: " WITHOUT_KVM
				"; %s",
				i, hole, d->in->vcpus[hole].present ? "in doubt" : "free",
				d->in->vcpus[hole].present ? "wait until it is not pending"
							   : "plug that one as well");
	return 0;
}

static int check_removals(struct draft *d)
{
	unsigned int top = 0; /* the highest that stays, whatever becomes of what is pending */

	for (unsigned int i = 0; i < d->in->n; i++)
		if (d->in->vcpus[i].present && d->goal[i] != CPUHP_OFFLINE)
			top = i;
	for (unsigned int i = top; i-- > 0;)
		if (d->in->vcpus[i].present && d->goal[i] == CPUHP_OFFLINE)
			return refuse(
				d->plan, "policy",
				"vcpu %u cannot leave below vcpu %u, which stays: " WITHOUT_KVM
				"; remove vcpu %u as well, or let vcpu %u rest "
				"at standby",
				i, top, top, i);
	return 0;
}

/* QEMU's TCG wants the slots to be a prefix. A hole that is there already is nobody's fault now. */
static int check_holes(struct draft *d)
{
	int rc = d->in->contiguous ? check_plugs(d) : 0;

	return rc || d->plan->n_refusals || !d->in->contiguous ? rc : check_removals(d);
}

static int collect_moves(struct draft *d)
{
	struct plan *p = d->plan;

	p->moves = calloc(d->in->n ? d->in->n : 1, sizeof(*p->moves));
	if (!p->moves)
		return -ENOMEM;
	for (unsigned int i = 0; i < d->in->n; i++)
		if (d->goal[i] > d->in->vcpus[i].state)
			p->moves[p->n_moves++] =
				(struct plan_move){ i, d->in->vcpus[i].state, d->goal[i] };
	for (unsigned int i = d->in->n; i-- > 0;)
		if (d->goal[i] < d->in->vcpus[i].state)
			p->moves[p->n_moves++] =
				(struct plan_move){ i, d->in->vcpus[i].state, d->goal[i] };
	return 0;
}

int plan_make(const struct plan_input *in, const struct op_request *request, struct plan *ret)
{
	struct plan plan = { 0 };
	struct draft d = { .in = in, .request = request, .plan = &plan };
	int rc;

	d.goal = calloc(in->n ? in->n : 1, sizeof(*d.goal));
	if (!d.goal)
		return -ENOMEM;
	for (unsigned int i = 0; i < in->n; i++)
		d.goal[i] = in->vcpus[i].state;
	if (request->goal == OP_GOAL_COUNT)
		rc = plan_count(&d);
	else
		rc = plan_target(&d);
	if (!rc && !plan.n_refusals)
		rc = check_limits(&d);
	if (!rc && !plan.n_refusals)
		rc = check_holes(&d);
	if (!rc && !plan.n_refusals)
		rc = collect_moves(&d);
	free(d.goal);
	if (rc) {
		plan_done(&plan);
		return rc;
	}
	*ret = plan;
	return 0;
}
