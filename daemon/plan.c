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
 * are the moves, and the checks look at the whole picture once: limits, ownership, the boot vCPU.
 * Any refusal empties the moves: a plan is carried out whole or not at all.
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

/* One way down through the online vCPUs, the highest first. Return: how many are still too many. */
static unsigned int lower(struct draft *d, unsigned int excess, unsigned int keep_standby,
			  const char **why)
{
	for (unsigned int i = d->in->n; i-- > 1 && excess;) {
		bool to_standby = excess <= keep_standby;

		if (d->goal[i] != CPUHP_ONLINE || !is_movable(&d->in->vcpus[i]))
			continue;
		if (!to_standby && !is_removable(d, i)) {
			*why = d->in->vcpus[i].removable
				       ? "vCPUs plugged by others need --foreign"
				       : "the rest was there at boot and cannot be unplugged";
			continue;
		}
		d->goal[i] = to_standby ? CPUHP_STANDBY : CPUHP_OFFLINE;
		excess--;
	}
	return excess;
}

/* Lower @excess online vCPUs, the highest first, keeping @keep_standby of them at standby. */
static int plan_down(struct draft *d, unsigned int excess, unsigned int keep_standby)
{
	const char *why = "the boot vCPU stays";

	excess = lower(d, excess, keep_standby, &why);
	/* What cannot leave QEMU was passed over, but can rest at standby for those below it. */
	if (excess && excess <= keep_standby)
		excess = lower(d, excess, keep_standby, &why);
	return excess ? refuse(d->plan, "policy", "%u vCPUs cannot be removed: %s", excess, why)
		      : 0;
}

/* Remove @excess vCPUs from standby, the highest first. */
static int plan_drop_standby(struct draft *d, unsigned int excess)
{
	for (unsigned int i = d->in->n; i-- > 1 && excess;) {
		if (d->goal[i] != CPUHP_STANDBY || !is_movable(&d->in->vcpus[i]) ||
		    !is_removable(d, i))
			continue;
		d->goal[i] = CPUHP_OFFLINE;
		excess--;
	}
	return excess ? refuse(d->plan, "policy", "%u standby vCPUs cannot be removed", excess) : 0;
}

static int plan_count(struct draft *d)
{
	const struct op_request *r = d->request;
	unsigned int online = count_at(d, CPUHP_ONLINE);
	unsigned int standby, wanted = r->standby < 0 ? 0 : (unsigned int)r->standby;
	int rc = 0;

	if (r->count > d->in->n)
		return refuse(d->plan, "limit", "%u vCPUs asked, the domain's maximum is %u",
			      r->count, d->in->n);
	if (r->standby >= 0 && r->count + wanted > d->in->n)
		return refuse(d->plan, "limit",
			      "%u online and %u standby vCPUs asked, the domain's maximum is %u",
			      r->count, wanted, d->in->n);
	if (r->count > online)
		rc = plan_up(d, r->count - online, CPUHP_ONLINE);
	standby = count_at(d, CPUHP_STANDBY);
	if (!rc && r->count < online)
		rc = plan_down(d, online - r->count, wanted > standby ? wanted - standby : 0);
	if (rc || r->standby < 0)
		return rc;
	standby = count_at(d, CPUHP_STANDBY);
	if (standby < wanted)
		return plan_up(d, wanted - standby, CPUHP_STANDBY);
	return plan_drop_standby(d, standby - wanted);
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
	if (d->in->guest_possible && present > d->in->guest_possible)
		return refuse(d->plan, "guest",
			      "%u vCPUs would be plugged, the guest kernel has room for %u",
			      present, d->in->guest_possible);
	return 0;
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
	if (in->why_unsupported)
		rc = refuse(&plan, "policy", "%s", in->why_unsupported);
	else if (request->goal == OP_GOAL_COUNT)
		rc = plan_count(&d);
	else
		rc = plan_target(&d);
	if (!rc && !plan.n_refusals)
		rc = check_limits(&d);
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
