/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
/*
 * Theory of operation
 *
 * Nothing here knows whether the daemon has just started or has run for a year: what a vCPU needs
 * next follows from what is intended with it and from what QEMU and the guest say of it now. So the
 * way out of a crash is the way taken all day.
 *
 * A step is never repeated from memory. Whoever asks has QEMU's table and the guest's word before
 * him; where one of them is missing the answer is to wait. A removal that was asked for is watched
 * and not asked for again; what is plugged is not plugged; and what the operation has found in QEMU is not plugged anew, nor is
 * it by a way back.
 */
#include "daemon/reconcile.h"
#include "proto/ladder.h"
#include <stddef.h>

static struct reconcile_answer just(enum reconcile_action action)
{
	return (struct reconcile_answer){ .action = action, .target = -1, .why = "" };
}

static struct reconcile_answer to(enum reconcile_action action, int target, const char *why)
{
	return (struct reconcile_answer){ .action = action, .target = target, .why = why };
}

static struct reconcile_answer decide_move(const struct reconcile_view *v)
{
	if (v->asked && v->present)
		return just(RECONCILE_AWAIT);
	if (v->state < 0 || v->guest_walking)
		return just(RECONCILE_WAIT);
	if (v->state == v->goal)
		return just(RECONCILE_NOTHING);
	if ((v->undoing || v->found) && v->state < CPUHP_QEMU_DEVICE &&
	    v->goal >= CPUHP_QEMU_DEVICE)
		return just(RECONCILE_LOST);
	if (v->no_agent && v->goal > v->state)
		return just(RECONCILE_WAIT);
	return to(RECONCILE_WALK, v->goal, "");
}

static struct reconcile_answer decide_return(const struct reconcile_view *v)
{
	if (!v->present)
		return just(RECONCILE_SETTLED);
	if (v->state < 0 || v->guest_walking)
		return just(RECONCILE_WAIT);
	return v->state > v->goal ? to(RECONCILE_WALK, v->goal, "") : just(RECONCILE_SETTLED);
}

static bool is_foreign(const struct reconcile_view *v)
{
	return v->present && !v->owned && !v->boot;
}

static const char *drift(const struct reconcile_view *v)
{
	if (v->wish < 0 || v->state < 0 || v->state == v->wish || v->removal_pending)
		return "";
	if (!v->present)
		return "it left QEMU without being asked";
	if (*v->guest_text)
		return v->guest_text;
	if (v->wish == CPUHP_OFFLINE)
		return v->owned ? "its removal did not happen" : "it was plugged by another";
	if (v->state < v->wish)
		return "the guest took it down without being asked";
	return "the guest brought it up without being asked";
}

/* Others plugged it, the guest has left it offline, and that was not asked for. */
static bool is_to_be_raised(const struct reconcile_view *v)
{
	bool unasked = v->wish == CPUHP_OFFLINE || (v->arrived && v->wish > CPUHP_STANDBY);

	return v->raise_foreign && is_foreign(v) && unasked && v->guest_present &&
	       !v->guest_walking && v->state == CPUHP_STANDBY;
}

static struct reconcile_answer decide_rest(const struct reconcile_view *v)
{
	const char *why = drift(v);

	if (v->park_again && v->wish == CPUHP_STANDBY && v->state > CPUHP_STANDBY)
		return to(RECONCILE_OPERATE, CPUHP_STANDBY, why);
	if (is_to_be_raised(v))
		return to(RECONCILE_OPERATE, CPUHP_ONLINE, why);
	/* An adoption or a registration is at work on it: where it comes to rest is what counts. */
	if (v->guest_walking)
		return just(RECONCILE_WAIT);
	return *why ? to(RECONCILE_DRIFT, -1, why) : just(RECONCILE_NOTHING);
}

struct reconcile_answer reconcile(const struct reconcile_view *v)
{
	switch (v->intent) {
	case RECONCILE_REST:
		return decide_rest(v);
	case RECONCILE_MOVE:
		return decide_move(v);
	case RECONCILE_LEAVE:
		return just(v->present ? RECONCILE_AWAIT : RECONCILE_SETTLED);
	case RECONCILE_RETURN:
		return decide_return(v);
	}
	return just(RECONCILE_NOTHING);
}

/*
 * What the kernel has online is in service; its adoption may still be under way. What another
 * plugged he may have wished online or not: where the configuration decides that, it decides it for
 * those found as well. One that the agent was asked to park was not left offline: that wish came
 * along in the guest's memory, from before a restore, from the host it was migrated from, or from a
 * daemon before this one.
 */
int reconcile_wish_as_found(const struct reconcile_view *v)
{
	if (v->present && v->guest_online)
		return CPUHP_ONLINE;
	if (v->raise_foreign && is_foreign(v) && !v->parked)
		return CPUHP_OFFLINE;
	return v->state;
}
