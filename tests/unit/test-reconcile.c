/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one decision about a vCPU: rows that read as sentences, and what holds over the whole space. */
#include "daemon/reconcile.h"
#include "proto/ladder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TEXT "cannot be parked again: busy"

static const struct {
	const char *what;
	struct reconcile_view v;
	enum reconcile_action action;
	int target;
	const char *why;
} rows[] = {
	/* at rest */
	{ "as wished",
	  { .present = true, .state = CPUHP_ONLINE, .wish = CPUHP_ONLINE },
	  RECONCILE_NOTHING,
	  -1,
	  "" },
	{ "nothing wished yet",
	  { .present = true, .state = CPUHP_ONLINE, .wish = -1 },
	  RECONCILE_NOTHING,
	  -1,
	  "" },
	{ "nothing known now",
	  { .present = true, .state = -1, .wish = CPUHP_ONLINE },
	  RECONCILE_NOTHING,
	  -1,
	  "" },
	{ "being removed",
	  { .present = true,
	    .state = CPUHP_STANDBY,
	    .wish = CPUHP_OFFLINE,
	    .removal_pending = true },
	  RECONCILE_NOTHING,
	  -1,
	  "" },
	{ "gone",
	  { .state = CPUHP_OFFLINE, .wish = CPUHP_ONLINE },
	  RECONCILE_DRIFT,
	  -1,
	  "it left QEMU without being asked" },
	{ "ours, and still there",
	  { .present = true, .owned = true, .state = CPUHP_STANDBY, .wish = CPUHP_OFFLINE },
	  RECONCILE_DRIFT,
	  -1,
	  "its removal did not happen" },
	{ "somebody's",
	  { .present = true, .state = CPUHP_STANDBY, .wish = CPUHP_OFFLINE },
	  RECONCILE_DRIFT,
	  -1,
	  "it was plugged by another" },
	{ "taken down",
	  { .present = true, .state = CPUHP_STANDBY, .wish = CPUHP_ONLINE },
	  RECONCILE_DRIFT,
	  -1,
	  "the guest took it down without being asked" },
	{ "brought up",
	  { .present = true, .state = CPUHP_ONLINE, .wish = CPUHP_STANDBY },
	  RECONCILE_DRIFT,
	  -1,
	  "the guest brought it up without being asked" },
	{ "somebody's, and the agent has a reason to tell",
	  { .present = true, .state = CPUHP_AP_ONLINE, .wish = CPUHP_OFFLINE, .guest_text = TEXT },
	  RECONCILE_DRIFT,
	  -1,
	  TEXT },
	{ "the agent knows better",
	  { .present = true, .state = CPUHP_AP_THREADS, .wish = CPUHP_ONLINE, .guest_text = TEXT },
	  RECONCILE_DRIFT,
	  -1,
	  TEXT },
	{ "the agent is still at it",
	  { .present = true,
	    .state = CPUHP_AP_THREADS,
	    .wish = CPUHP_ONLINE,
	    .guest_walking = true },
	  RECONCILE_WAIT,
	  -1,
	  "" },
	{ "brought up by a reboot of the guest",
	  { .present = true, .state = CPUHP_ONLINE, .wish = CPUHP_STANDBY, .park_again = true },
	  RECONCILE_OPERATE,
	  CPUHP_STANDBY,
	  "the guest brought it up without being asked" },
	{ "somebody's, to be online, and the guest has it",
	  { .present = true,
	    .guest_present = true,
	    .state = CPUHP_STANDBY,
	    .wish = CPUHP_OFFLINE,
	    .raise_foreign = true },
	  RECONCILE_OPERATE,
	  CPUHP_ONLINE,
	  "it was plugged by another" },
	{ "ours is never raised so",
	  { .present = true,
	    .owned = true,
	    .guest_present = true,
	    .state = CPUHP_STANDBY,
	    .wish = CPUHP_OFFLINE,
	    .raise_foreign = true },
	  RECONCILE_DRIFT,
	  -1,
	  "its removal did not happen" },
	/* in an operation */
	{ "arrived",
	  { .intent = RECONCILE_MOVE,
	    .goal = CPUHP_ONLINE,
	    .present = true,
	    .state = CPUHP_ONLINE },
	  RECONCILE_NOTHING,
	  -1,
	  "" },
	{ "plugged and not onlined",
	  { .intent = RECONCILE_MOVE,
	    .goal = CPUHP_ONLINE,
	    .present = true,
	    .state = CPUHP_HOST_PLACE },
	  RECONCILE_WALK,
	  CPUHP_ONLINE,
	  "" },
	{ "not plugged yet",
	  { .intent = RECONCILE_MOVE, .goal = CPUHP_ONLINE, .state = CPUHP_OFFLINE },
	  RECONCILE_WALK,
	  CPUHP_ONLINE,
	  "" },
	{ "it was there, and has left",
	  { .intent = RECONCILE_MOVE,
	    .goal = CPUHP_STANDBY,
	    .found = true,
	    .state = CPUHP_OFFLINE },
	  RECONCILE_LOST,
	  -1,
	  "" },
	{ "no agent has said where it is",
	  { .intent = RECONCILE_MOVE, .goal = CPUHP_ONLINE, .present = true, .state = -1 },
	  RECONCILE_WAIT,
	  -1,
	  "" },
	{ "not plugged yet, and nobody there to go on with it",
	  { .intent = RECONCILE_MOVE,
	    .goal = CPUHP_ONLINE,
	    .state = CPUHP_OFFLINE,
	    .no_agent = true },
	  RECONCILE_WAIT,
	  -1,
	  "" },
	{ "the way down needs nobody",
	  { .intent = RECONCILE_MOVE,
	    .present = true,
	    .state = CPUHP_HOST_PLACE,
	    .no_agent = true },
	  RECONCILE_WALK,
	  CPUHP_OFFLINE,
	  "" },
	{ "in a callback",
	  { .intent = RECONCILE_MOVE,
	    .goal = CPUHP_ONLINE,
	    .present = true,
	    .state = CPUHP_AP_DYN,
	    .guest_walking = true },
	  RECONCILE_WAIT,
	  -1,
	  "" },
	{ "its removal was asked for, whatever the guest says of it",
	  { .intent = RECONCILE_MOVE, .asked = true, .present = true, .state = -1 },
	  RECONCILE_AWAIT,
	  -1,
	  "" },
	{ "its removal was asked for, and the guest is at work on it",
	  { .intent = RECONCILE_MOVE,
	    .asked = true,
	    .present = true,
	    .state = CPUHP_AP_ONLINE,
	    .guest_walking = true },
	  RECONCILE_AWAIT,
	  -1,
	  "" },
	{ "its removal was asked for and has come true",
	  { .intent = RECONCILE_MOVE, .asked = true, .state = CPUHP_OFFLINE },
	  RECONCILE_NOTHING,
	  -1,
	  "" },
	{ "a rollback that was interrupted",
	  { .intent = RECONCILE_MOVE, .undoing = true, .present = true, .state = CPUHP_AP_KICK },
	  RECONCILE_WALK,
	  CPUHP_OFFLINE,
	  "" },
	{ "taken away by another on the way back",
	  { .intent = RECONCILE_MOVE,
	    .undoing = true,
	    .goal = CPUHP_ONLINE,
	    .state = CPUHP_OFFLINE },
	  RECONCILE_LOST,
	  -1,
	  "" },
	/* what an operation that has ended has left */
	{ "a removal nobody has confirmed",
	  { .intent = RECONCILE_LEAVE, .present = true, .state = CPUHP_STANDBY },
	  RECONCILE_AWAIT,
	  -1,
	  "" },
	{ "no agent is needed to watch it",
	  { .intent = RECONCILE_LEAVE, .present = true, .state = -1 },
	  RECONCILE_AWAIT,
	  -1,
	  "" },
	{ "it has come true meanwhile",
	  { .intent = RECONCILE_LEAVE, .state = CPUHP_OFFLINE },
	  RECONCILE_SETTLED,
	  -1,
	  "" },
	{ "a late plug goes back",
	  { .intent = RECONCILE_RETURN, .present = true, .state = CPUHP_STANDBY },
	  RECONCILE_WALK,
	  CPUHP_OFFLINE,
	  "" },
	{ "a late plug that never came",
	  { .intent = RECONCILE_RETURN, .state = CPUHP_OFFLINE },
	  RECONCILE_SETTLED,
	  -1,
	  "" },
};

static void the_rows(void **ctx)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reconcile_view v = rows[i].v;
		struct reconcile_answer a;

		v.guest_text = v.guest_text ? v.guest_text : "";
		a = reconcile(&v);
		if (a.action != rows[i].action || a.target != rows[i].target ||
		    strcmp(a.why, rows[i].why) != 0)
			fail_msg("%s: action %d to %d, \"%s\"", rows[i].what, a.action, a.target,
				 a.why);
	}
}

/* Where a vCPU can stand, by kinds that the decision can tell apart. */
static const int states[] = { -1,
			      CPUHP_OFFLINE,
			      CPUHP_HOST_ADMIT,
			      CPUHP_QEMU_DEVICE,
			      CPUHP_HOST_PLACE,
			      CPUHP_GUEST_PRESENT,
			      CPUHP_AP_KICK,
			      CPUHP_STANDBY,
			      CPUHP_AP_ONLINE,
			      CPUHP_AP_THREADS,
			      CPUHP_AP_DYN,
			      CPUHP_AP_ACTIVE,
			      CPUHP_ONLINE };

enum { STATES = sizeof(states) / sizeof(*states), FLAGS = 14 };

static struct reconcile_view make_view(unsigned int bits, int intent, int state, int other)
{
	return (struct reconcile_view){ .intent = (enum reconcile_intent)intent,
					.goal = other < 0 ? 0 : other,
					.wish = other,
					.state = state,
					.undoing = bits & 1,
					.present = bits & 2,
					.boot = bits & 4,
					.owned = bits & 8,
					.arrived = bits & 16,
					.removal_pending = bits & 32,
					.guest_present = bits & 64,
					.guest_online = bits & 128,
					.guest_walking = bits & 256,
					.parked = bits & 512,
					.park_again = bits & 1024,
					.raise_foreign = bits & 2048,
					.guest_text = bits & 4096 ? TEXT : "",
					.no_agent = bits & 8192 };
}

/* What must hold of any answer, whatever was seen. */
static void check(const struct reconcile_view *v, const struct reconcile_answer *a)
{
	bool acts = a->action == RECONCILE_WALK || a->action == RECONCILE_OPERATE;

	assert_in_range(a->action, 0, RECONCILE_ACTIONS - 1);
	assert_non_null(a->why);
	assert_int_equal(acts, a->target >= 0);
	/* Nothing is begun from a place that nobody has told, nor beside the agent. */
	if (acts)
		assert_true(v->state >= 0 && (!v->guest_walking || v->park_again));
	if (acts)
		assert_int_not_equal(a->target, v->state);
	/* A way back never plugs. */
	if (a->action == RECONCILE_WALK && v->undoing && v->intent == RECONCILE_MOVE)
		assert_true(v->state >= CPUHP_QEMU_DEVICE || a->target < CPUHP_QEMU_DEVICE);
	/* A removal that was asked for is asked for no more, and none is begun by itself. */
	if (v->intent == RECONCILE_LEAVE)
		assert_true(a->action == RECONCILE_AWAIT || a->action == RECONCILE_SETTLED);
	if (v->intent == RECONCILE_REST)
		assert_true(a->action != RECONCILE_WALK && a->action != RECONCILE_AWAIT);
	if (a->action == RECONCILE_OPERATE)
		assert_true(a->target == CPUHP_STANDBY || a->target == CPUHP_ONLINE);
	/* Only at rest there is a drift, and it has a reason. */
	if (a->action == RECONCILE_DRIFT)
		assert_true(v->intent == RECONCILE_REST && *a->why && v->state != v->wish);
	/* Agreement is no reason to do anything. */
	if (v->intent == RECONCILE_REST && v->state == v->wish)
		assert_true(a->action == RECONCILE_NOTHING || a->action == RECONCILE_WAIT ||
			    (a->action == RECONCILE_OPERATE && v->raise_foreign));
}

static void what_holds_over_the_whole_space(void **ctx)
{
	for (int intent = RECONCILE_REST; intent <= RECONCILE_RETURN; intent++)
		for (int s = 0; s < STATES; s++)
			for (int w = 0; w < STATES; w++)
				for (unsigned int bits = 0; bits < 1U << FLAGS; bits++) {
					struct reconcile_view v =
						make_view(bits, intent, states[s], states[w]);
					struct reconcile_answer a = reconcile(&v);

					check(&v, &a);
				}
}

/* Doing what it says, and seeing it done, leads to rest: it never asks for the same thing twice. */
static void it_comes_to_rest(void **ctx)
{
	for (int s = 1; s < STATES; s++)
		for (int w = 1; w < STATES; w++)
			for (int undoing = 0; undoing < 2; undoing++) {
				struct reconcile_view v =
					make_view((unsigned int)undoing, RECONCILE_MOVE, states[s],
						  states[w]);
				struct reconcile_answer a = reconcile(&v);

				if (a.action == RECONCILE_WALK)
					v.state = a.target;
				a = reconcile(&v);
				assert_true(a.action == RECONCILE_NOTHING ||
					    a.action == RECONCILE_LOST);
			}
}

static void a_wish_is_what_is_found(void **ctx)
{
	struct reconcile_view v = { .present = true, .state = CPUHP_STANDBY, .guest_text = "" };

	assert_int_equal(reconcile_wish_as_found(&v), CPUHP_STANDBY);
	v.guest_online = true;
	assert_int_equal(reconcile_wish_as_found(&v), CPUHP_ONLINE);
	v.guest_online = false;
	v.raise_foreign = true;
	assert_int_equal(reconcile_wish_as_found(&v), CPUHP_OFFLINE);
	v.parked = true;
	assert_int_equal(reconcile_wish_as_found(&v), CPUHP_STANDBY);
	v.parked = false;
	v.owned = true;
	assert_int_equal(reconcile_wish_as_found(&v), CPUHP_STANDBY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rows),
		cmocka_unit_test(what_holds_over_the_whole_space),
		cmocka_unit_test(it_comes_to_rest),
		cmocka_unit_test(a_wish_is_what_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
