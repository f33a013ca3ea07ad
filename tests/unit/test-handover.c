/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The agent's stretch of the ladder with workers that die: whatever is under way when one does,
 * the next one finds out, and no callback is ever run that does not fit what was run before.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guest-agent/handover.h"
#include "proto/ladder.h"

enum { DYN = 0x25 }; /* callbacks at 12, 14 and 17 */

/* What is true of the CPU: done, not done, or left in doubt by a worker that died. */
enum truth { OUT, IN, DOUBT };

struct world {
	enum truth states[CPUHP_STATES];
};

static bool has_pair(int state)
{
	struct handover h = { .dyn = DYN };
	struct handover done = { .dyn = DYN, .dyn_done = DYN };

	return handover_has(&h, state, true) && handover_has(&done, state, false);
}

static void begin(struct handover *h, struct world *w, int from, int target)
{
	*h = (struct handover){ .cpu = 1, .slow = 1, .dyn = DYN };
	walk_init(&h->walk, from, target);
	memset(w, 0, sizeof(*w));
	for (int s = CPUHP_AP_ONLINE; s <= from; s++) {
		if (!has_pair(s))
			continue;
		w->states[s] = IN;
		if (s >= CPUHP_AP_DYN && ladder_is_dyn(s))
			h->dyn_done |= UINT32_C(1) << (s - CPUHP_AP_DYN);
	}
}

/* A call must fit what is: no startup of what is done, no teardown of what is not. */
static void check_call(const struct world *w, const struct walk_call *call)
{
	enum truth t = w->states[call->state];

	if (has_pair(call->state))
		assert_true(call->startup ? t == OUT : t != OUT);
}

/*
 * Walk with the @n-th call of the worker's cut off by its death and, where @again is set, the next
 * one too. Return: the number of calls.
 */
static int walk_dying(struct handover *h, struct world *w, int n, bool again)
{
	struct walk_call call;
	int calls = 0;

	while (handover_next(h, &call)) {
		bool dies = (calls == n || (again && calls == n + 1)) &&
			    ladder_side(call.state) == CPUHP_SIDE_WORKER;

		assert_true(calls++ < 200);
		check_call(w, &call);
		if (dies) {
			w->states[call.state] = DOUBT;
			handover_break(h, &call, -EIO);
			continue;
		}
		w->states[call.state] = call.startup ? IN : OUT;
		handover_result(h, &call, 0);
	}
	return calls;
}

static void settled(const struct handover *h, const struct world *w, int state)
{
	assert_int_equal(h->walk.state, state);
	for (int s = CPUHP_AP_ONLINE; s < CPUHP_STATES; s++) {
		/* Rollbacks pass this one; control puts the announcement right. */
		if (s == CPUHP_AP_ACTIVE || !has_pair(s))
			continue;
		assert_int_equal(w->states[s], s <= state ? IN : OUT);
	}
}

static void R8_R9_a_worker_that_dies_anywhere_is_rolled_back_without_a_doubt_left(void **ctx)
{
	struct handover h;
	struct world w;

	for (int from = CPUHP_STANDBY; from < CPUHP_STATES; from++) {
		for (int target = CPUHP_STANDBY; target < CPUHP_STATES; target++) {
			for (int n = 0; n < 20; n++) {
				begin(&h, &w, from, target);
				walk_dying(&h, &w, n, false);
				settled(&h, &w, h.walk.rc ? from : target);
				assert_false(walk_is_stuck(&h.walk));
			}
		}
	}
}

static void R17_one_that_dies_again_stops_the_walk_where_it_stands(void **ctx)
{
	struct handover h;
	struct world w;

	begin(&h, &w, CPUHP_STANDBY, CPUHP_ONLINE);
	/* 7, 8, 9, 10, 11, 12, then 14 dies, and its teardown too. */
	walk_dying(&h, &w, 6, true);
	assert_true(walk_is_stuck(&h.walk));
	assert_int_equal(h.walk.rc, -EIO);
	assert_int_equal(h.walk.failed_at, 14);
	assert_int_equal(h.walk.rollback_failed_at, 14);
	assert_int_equal(h.walk.state, 13);
}

static const struct {
	const char *what;
	int state;
	bool adopt, rollback, late;
	int only;
	bool startup, teardown;
} table[] = {
	{ "below the agent", CPUHP_AP_KICK, false, false, false, 0, false, false },
	{ "a resting state", CPUHP_STANDBY, false, false, false, 0, false, false },
	{ "the kernel's", CPUHP_AP_ONLINE, false, false, false, 0, true, true },
	{ "verify has no way down", CPUHP_AP_VERIFY, false, false, false, 0, true, false },
	{ "cpuset", CPUHP_AP_CPUSET, false, false, false, 0, true, true },
	{ "R19 cpuset is not adopted", CPUHP_AP_CPUSET, true, false, false, 0, false, false },
	{ "R19 irq is not adopted", CPUHP_AP_IRQ, true, false, false, 0, false, false },
	{ "R19 verify is", CPUHP_AP_VERIFY, true, false, false, 0, true, false },
	{ "a callback", 14, false, false, false, 0, true, true },
	{ "no callback", 13, false, false, false, 0, false, false },
	{ "active", CPUHP_AP_ACTIVE, false, false, false, 0, true, true },
	{ "R10 active in the host's rollback", CPUHP_AP_ACTIVE, false, true, false, 0, false,
	  false },
	{ "R13 the one callback", 14, false, false, false, 14, true, true },
	{ "R13 and no other", 12, false, false, false, 14, false, false },
	{ "R13 and nothing of ours", CPUHP_AP_VERIFY, false, false, false, 14, false, false },
	{ "the top", CPUHP_ONLINE, false, false, false, 0, false, false },
};

static void which_states_have_a_callback(void **ctx)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct handover h = {
			.adopt = table[i].adopt,
			.rollback = table[i].rollback,
			.late = table[i].late,
			.only = table[i].only,
			.dyn = DYN,
		};

		if (handover_has(&h, table[i].state, true) != table[i].startup)
			fail_msg("%s: startup", table[i].what);
		h.dyn_done = DYN;
		if (handover_has(&h, table[i].state, false) != table[i].teardown)
			fail_msg("%s: teardown", table[i].what);
	}
}

static void a_callback_that_is_done_is_not_due_again(void **ctx)
{
	struct handover h = { .dyn = DYN, .dyn_done = 0x4 };

	assert_false(handover_has(&h, 14, true));
	assert_true(handover_has(&h, 12, true));
	assert_false(handover_has(&h, 12, false));
}

static void a_late_teardown_goes_on_past_every_failure(void **ctx)
{
	struct handover h;
	struct world w;
	struct walk_call call;
	int calls = 0;

	begin(&h, &w, CPUHP_ONLINE, CPUHP_AP_THREADS);
	h.late = true;
	for (; handover_next(&h, &call); calls++) {
		assert_false(call.startup);
		if (calls % 2)
			handover_break(&h, &call, -EIO);
		else
			handover_result(&h, &call, 3);
	}
	assert_int_equal(calls, 6); /* 43, 17, 14, 12, 11, 10 */
	assert_int_equal(h.walk.rc, 0);
	assert_int_equal(h.dyn_done, 0);
}

static void R3_the_next_call_below_the_worker_is_not_its(void **ctx)
{
	struct handover h;
	struct world w;
	struct walk_call call;

	begin(&h, &w, CPUHP_ONLINE, CPUHP_STANDBY);
	while (handover_is_workers(&h)) {
		assert_true(handover_next(&h, &call));
		assert_true(call.state > CPUHP_AP_THREADS);
		handover_result(&h, &call, 0);
	}
	assert_true(handover_next(&h, &call));
	assert_int_equal(call.state, CPUHP_AP_THREADS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			R8_R9_a_worker_that_dies_anywhere_is_rolled_back_without_a_doubt_left),
		cmocka_unit_test(R17_one_that_dies_again_stops_the_walk_where_it_stands),
		cmocka_unit_test(which_states_have_a_callback),
		cmocka_unit_test(a_callback_that_is_done_is_not_due_again),
		cmocka_unit_test(a_late_teardown_goes_on_past_every_failure),
		cmocka_unit_test(R3_the_next_call_below_the_worker_is_not_its),
	};

	return cmocka_run_group_tests_name("handover", tests, NULL, NULL);
}
