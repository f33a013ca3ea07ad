/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_RECONCILE_H
#define DAEMON_RECONCILE_H

#include <stdbool.h>

/* What is intended with a vCPU. */
enum reconcile_intent {
	RECONCILE_REST,   /* no operation is about it: it is to be where it is wished */
	RECONCILE_MOVE,   /* an operation takes it to @goal */
	RECONCILE_LEAVE,  /* an operation that has ended has asked for its removal, unconfirmed */
	RECONCILE_RETURN, /* one that has ended has left it plugged: it goes back to @goal */
};

/**
 * struct reconcile_view - what is intended with a vCPU, what QEMU shows of it, and what the guest says
 * @goal: of RECONCILE_MOVE and RECONCILE_RETURN
 * @undoing: that is a way back
 * @found: the operation has found it in QEMU
 * @asked: its removal was asked for, by an earlier daemon: nothing leads back up but the guest's refusal
 * @wish: of RECONCILE_REST; -1 nothing is wished
 * @no_agent: nobody is there in the guest to go up with
 * @present, @boot, @owned: QEMU's word; @owned: plugged by this daemon's kind
 * @arrived: others plugged it at rest, and nobody has asked for anything since
 * @removal_pending: its removal is under way
 * @state: what both words add up to; -1 the guest has not been heard
 * @guest_present, @guest_walking: the guest's word; @guest_walking: the agent is at work on it
 * @guest_online: the guest's kernel has it online
 * @parked: the agent was asked to park it, by whomever
 * @park_again: the guest was rebooted while it was to rest at standby
 * @raise_foreign: Foreign=online
 * @guest_text: the agent's own reason, "" none; borrowed
 */
struct reconcile_view {
	enum reconcile_intent intent;
	int goal;
	bool undoing, found, asked, no_agent;
	int wish;
	bool present, boot, owned, arrived, removal_pending;
	int state;
	bool guest_present, guest_online, guest_walking, parked, park_again;
	bool raise_foreign;
	const char *guest_text;
};

enum reconcile_action {
	RECONCILE_NOTHING, /* it is as intended */
	RECONCILE_WAIT,    /* for the guest's word, or for the agent to come to an end */
	RECONCILE_WALK,    /* take it to @target */
	RECONCILE_AWAIT,   /* a removal that was asked for: watch it, ask for nothing */
	RECONCILE_SETTLED, /* what was pending has come to its end: it is to stay where it is */
	RECONCILE_LOST,    /* it has left, and the way would be a plug: it is not made */
	RECONCILE_DRIFT,   /* it is not where it is wished: @why */
	RECONCILE_OPERATE, /* that is ours to mend, once, by an operation to @target; until then @why */
	RECONCILE_ACTIONS
};

/**
 * struct reconcile_answer - what is to be done with it next
 * @target: of RECONCILE_WALK and RECONCILE_OPERATE, else -1
 * @why: the drift, a sentence; "" none. Static or the view's
 */
struct reconcile_answer {
	enum reconcile_action action;
	int target;
	const char *why;
};

/**
 * reconcile() - what is intended, QEMU's slots, the guest's word -> what to do next
 *
 * The one decision about a vCPU that is in no walk: at the start, when something was heard, with
 * every tick and when an operation goes on. PURE.
 */
struct reconcile_answer reconcile(const struct reconcile_view *v);

/* The wish of a vCPU whose past nobody knows, from what is found: a state, -1 not known yet. PURE. */
int reconcile_wish_as_found(const struct reconcile_view *v);

#endif
