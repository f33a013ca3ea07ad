/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "guest-agent/handover.h"
#include "proto/ladder.h"

static uint32_t dyn_bit(int state)
{
	return ladder_is_dyn(state) ? UINT32_C(1) << (state - CPUHP_AP_DYN) : 0;
}

/* The states of the agent with a callback that way; dynamic ones where one stands and is due. */
bool handover_has(void *ctx, int state, bool startup)
{
	const struct handover *h = ctx;

	if (h->only && state != h->only)
		return false;
	if (h->rollback && ladder_step(state)->skip_rollback)
		return false;
	if (ladder_is_dyn(state))
		return (h->dyn & dyn_bit(state)) && startup != !!(h->dyn_done & dyn_bit(state));
	switch (state) {
	case CPUHP_AP_ONLINE:
	case CPUHP_AP_THREADS:
	case CPUHP_AP_ACTIVE:
		return true;
	case CPUHP_AP_VERIFY:
		return startup;
	case CPUHP_AP_CPUSET:
	case CPUHP_AP_IRQ:
		return !h->adopt;
	default:
		return false;
	}
}

bool handover_is_workers(const struct handover *h)
{
	struct handover peek = *h;
	struct walk_call call;

	return handover_next(&peek, &call) && ladder_side(call.state) == CPUHP_SIDE_WORKER;
}

/* What stood at @state is gone: the walk is below it. */
static void settle_unknown(struct handover *h, int state)
{
	struct walk *w = &h->walk;

	if (w->state >= state)
		w->state = state - 1;
	w->done = w->state == (w->rolling_back ? w->from : w->target);
	h->unknown = 0;
}

bool handover_next(struct handover *h, struct walk_call *call)
{
	if (h->unknown && handover_has(h, h->unknown, false)) {
		*call = (struct walk_call){ .state = h->unknown, .rollback = true };
		return true;
	}
	if (h->unknown)
		settle_unknown(h, h->unknown);
	return walk_next(&h->walk, handover_has, h, call);
}

static void unknown_result(struct handover *h, int rc)
{
	int state = h->unknown;

	settle_unknown(h, state);
	if (rc == 0 || h->late)
		return;
	if (h->walk.rolling_back)
		handover_stop(h, state, rc);
	else
		walk_abort(&h->walk, rc);
}

void handover_result(struct handover *h, const struct walk_call *call, int rc)
{
	if (call->startup && rc == 0)
		h->dyn_done |= dyn_bit(call->state);
	else if (!call->startup && (rc == 0 || h->late || (h->only && h->unknown)))
		h->dyn_done &= ~dyn_bit(call->state);
	if (h->unknown)
		unknown_result(h, rc);
	else
		walk_result(&h->walk, h->late ? 0 : rc);
}

void handover_break(struct handover *h, const struct walk_call *call, int rc)
{
	bool rolling_back = h->walk.rolling_back;

	if (!call) {
		walk_abort(&h->walk, rc);
		return;
	}
	handover_result(h, call, rc);
	/* A rollback that breaks stops there; a teardown that nothing rolls back is not tried twice. */
	if (rolling_back || call->rollback || h->late || (h->only && !call->startup))
		return;
	handover_doubt(h, call->state);
}

void handover_doubt(struct handover *h, int state)
{
	h->unknown = state;
	h->dyn_done |= dyn_bit(state) & h->dyn;
}

void handover_stop(struct handover *h, int state, int rc)
{
	struct walk *w = &h->walk;

	w->step = -1;
	w->done = true;
	w->rollback_failed_at = state;
	w->rollback_rc = rc;
	h->unknown = 0;
}
