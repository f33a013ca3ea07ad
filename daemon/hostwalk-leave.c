/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A walk that is not waited for any more: the step that cannot be recalled is named pending, and a
 * removal is watched past its deadlines, also by the daemon after the one that has asked for it. And
 * where the vCPU is shown meanwhile.
 */
#include "daemon/hostwalk-ops.h"
#include <errno.h>
#include <stdio.h>

bool hostwalk_is_leaving(const struct vcpu *v)
{
	return v->hw && (v->hw->wait == WAIT_EJECT || v->hw->wait == WAIT_UNPLUG_REPLY);
}

/* The agent has the ladder, and is away, or has not told yet where the vCPU is. */
static bool is_out_of_hearing(const struct hostwalk *h)
{
	return h->kick && !h->ap_done && h->wait == WAIT_NOTHING &&
	       (!h->v->domain->agent_up || h->v->state < 0);
}

bool hostwalk_says(const struct vcpu *v)
{
	const struct hostwalk *h = v->hw;

	return h && !h->told_pending && !hostwalk_is_leaving(v) && !is_out_of_hearing(h);
}

void hostwalk_reach(struct hostwalk *h, int state)
{
	if (h->told_pending)
		vcpu_settle(h->v);
	else
		vcpu_set_state(h->v, state);
}

static struct hostwalk_outcome pending_outcome(const struct hostwalk *h)
{
	bool in_step = h->wait != WAIT_NOTHING;
	struct hostwalk_outcome o = {
		.rc = h->cancel_rc ? h->cancel_rc : -ETIMEDOUT,
		.pending = true,
		.teardown = in_step ? !h->call.startup : h->target < h->from,
		.failed_at = in_step ? h->call.state : CPUHP_AP_KICK,
		.rollback_failed_at = -1,
	};

	snprintf(o.text, sizeof(o.text), "%s", h->text);
	if (!h->w.rc)
		return o;
	/* It is the way back that hangs: the failure it comes from stays the result. */
	o.rollback_failed_at = o.failed_at;
	o.rollback_rc = -ETIMEDOUT;
	o.rc = h->w.rc;
	o.failed_at = h->w.failed_at;
	o.teardown = h->w.target < h->w.from;
	snprintf(o.text, sizeof(o.text), "%s", h->why);
	return o;
}

void hostwalk_tell_pending(struct hostwalk *h)
{
	struct hostwalk_outcome o = pending_outcome(h);

	if (h->told_pending)
		return;
	h->told_pending = true;
	vcpu_settle(h->v);
	/* Forwards it goes no more, once the step returns; a way back is to come to its end. */
	if (!h->rollback)
		h->cancel_rc = o.rc;
	h->done(h->ctx, h->v, &o);
}

/* QEMU was asked after the deadline, and behind all that it had been sent before. */
static void on_still_there(void *arg, int rc, const char *text)
{
	struct vcpu *v = arg;

	if (!v->hw || !v->hw->asking)
		return;
	v->hw->asking = false;
	if (v->hw->wait != WAIT_EJECT || !v->present)
		return;
	if (rc == 0)
		host_unplug_again(v->hw);
	else
		v->hw->unsent = true;
}

static void ask_again(struct hostwalk *h)
{
	struct hv *hv = h->v->domain->hv;

	/* One look at a time: two would have it sent twice behind both. */
	if (h->asking)
		return;
	/* One that cannot tell now tells by its next table. */
	h->asking = hv->ops->query(hv, on_still_there, h->v) == 0;
	h->unsent |= !h->asking;
}

void hostwalk_eject_anew(struct hostwalk *h)
{
	if (!h->v->domain->hv->ops->one_unplug)
		ask_again(h);
}

/*
 * It is asked for again, and that only when a table has shown the slot filled after the deadline: one
 * that was asked for earlier may be older than the first device_del.
 * When it has been told pending that goes on, for a reset may sweep the request away at any time;
 * where each asking holds the domain up it does not.
 */
void hostwalk_eject_late(struct hostwalk *h)
{
	struct domain *d = h->v->domain;
	const struct deadlines *t = &d->settings->deadlines;
	bool first = !h->reissued;
	unsigned int wait_ms = !first ? t->eject_hard_ms
			       : t->eject_hard_ms > t->eject_soft_ms
				       ? t->eject_hard_ms - t->eject_soft_ms
				       : 1;

	h->reissued = true;
	if (first || !d->hv->ops->one_unplug)
		hostwalk_arm(h, wait_ms * domain_slow_factor(d));
	if (!first && !h->told_pending) {
		hostwalk_say(h, "the guest has not let go of it; it may leave any time");
		hostwalk_tell_pending(h);
	} else if (first || !d->hv->ops->one_unplug) {
		ask_again(h);
	}
}

int hostwalk_await(struct vcpu *v)
{
	struct hostwalk *h = hostwalk_make(v, NULL, CPUHP_STANDBY, CPUHP_OFFLINE);

	if (!h)
		return -ENOMEM;
	h->asked_before = h->told_pending = true;
	h->cancel_rc = -ETIMEDOUT;
	hostwalk_run(h);
	return 0;
}

int hostwalk_back(const struct hostwalk *h)
{
	return !h->rollback && h->target > h->from ? h->back : -1;
}

int hostwalk_go_on_removing(struct vcpu *v, struct op *op, hostwalk_done_fn done, void *ctx)
{
	struct hostwalk *h = hostwalk_make(v, op, CPUHP_STANDBY, CPUHP_OFFLINE);

	if (!h)
		return -ENOMEM;
	h->asked_before = true;
	h->done = done;
	h->ctx = ctx;
	hostwalk_run(h);
	return 0;
}

bool hostwalk_is_going_back(const struct vcpu *v, struct hostwalk_outcome *ret)
{
	const struct hostwalk *h = v->hw;

	if (!h || !h->w.rc || h->told_pending)
		return false;
	*ret = (struct hostwalk_outcome){
		.rc = h->w.rc,
		.failed_at = h->w.failed_at,
		.teardown = h->w.target < h->w.from,
		.rollback_failed_at = -1,
	};
	snprintf(ret->text, sizeof(ret->text), "%s", h->why);
	return true;
}

void hostwalk_pending(const struct vcpu *v, bool *ret_leaving, bool *ret_returning, int *ret_back)
{
	const struct hostwalk *h = v->hw;

	if (!h)
		return;
	if (h->told_pending && h->target < h->from) {
		*ret_leaving |= h->target < CPUHP_STANDBY;
	} else if (h->told_pending ? hostwalk_back(h) >= 0 : !h->op && h->rollback) {
		*ret_returning = true;
		*ret_back = h->told_pending ? hostwalk_back(h) : h->target;
	}
}
