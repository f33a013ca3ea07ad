/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ladder.h"
#include "proto/walk.h"

enum { MAX_CALLS = 2 * CPUHP_STATES, NONE = -1 };

/* Which states have callbacks, one bit a state, for each direction. */
struct mask {
	uint64_t startup, teardown;
};

static const struct mask everything = { UINT64_MAX, UINT64_MAX };

static bool has(void *ctx, int state, bool startup)
{
	const struct mask *m = ctx;

	return (startup ? m->startup : m->teardown) >> state & 1;
}

/* A walk run to its end: @fail_call and @fail_again are indexes of calls, counted from 0. */
struct run {
	struct walk w;
	struct walk_call calls[MAX_CALLS];
	int n;
};

static void run_walk(struct run *r, int from, int target, const struct mask *m, int fail_call,
		     int fail_again)
{
	struct mask mask = *m;

	r->n = 0;
	walk_init(&r->w, from, target);
	while (walk_next(&r->w, has, &mask, &r->calls[r->n])) {
		int i = r->n++;

		assert_in_range(r->n, 1, MAX_CALLS - 1);
		assert_int_equal(r->w.step, r->calls[i].state);
		walk_result(&r->w, i == fail_call ? -EIO : i == fail_again ? 77 : 0);
	}
	assert_true(r->w.done);
	assert_int_equal(r->w.step, -1);
}

/* Spoken form: "+7 +8 !9 -8 -7" is startups of 7 and 8, a failure at 9, rolled back. */
static void speak(const struct run *r, int fail_call, int fail_again, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	for (int i = 0; i < r->n; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%s%c%d", i ? " " : "",
				       i == fail_call || i == fail_again ? "!" : "",
				       r->calls[i].startup ? '+' : '-', r->calls[i].state);
}

static const struct {
	const char *what;
	int from, target, fail_call, fail_again;
	const char *want;
	int state, rc, failed_at, rollback_rc, rollback_failed_at;
} cases[] = {
	{ "host up to standby", 0, 6, NONE, NONE, "+1 +2 +3 +4 +5 +6", 6, 0, -1, 0, -1 },
	{ "agent up to threads", 6, 8, NONE, NONE, "+7 +8", 8, 0, -1, 0, -1 },
	{ "agent down to standby", 8, 6, NONE, NONE, "-8 -7", 6, 0, -1, 0, -1 },
	{ "equal does nothing", 8, 8, NONE, NONE, "", 8, 0, -1, 0, -1 },
	{ "R8 a startup fails", 6, 10, 2, NONE, "+7 +8 !+9 -8 -7", 6, -EIO, 9, 0, -1 },
	{ "R8 the first startup fails", 6, 8, 0, NONE, "!+7", 6, -EIO, 7, 0, -1 },
	{ "R9 a teardown fails", 11, 8, 1, NONE, "-11 !-10 +11", 11, -EIO, 10, 0, -1 },
	{ "R9 the first teardown fails", 11, 8, 0, NONE, "!-11", 11, -EIO, 11, 0, -1 },
	{ "R17 stuck going up", 6, 10, 2, 3, "+7 +8 !+9 !-8", 8, -EIO, 9, 77, 8 },
	{ "R17 stuck later", 6, 10, 2, 4, "+7 +8 !+9 -8 !-7", 7, -EIO, 9, 77, 7 },
	{ "R17 stuck going down", 11, 8, 2, 3, "-11 -10 !-9 !+10", 9, -EIO, 9, 77, 10 },
	{ "R10 active passed in a rollback", 42, 44, 2, NONE, "+43 +44", 44, 0, -1, 0, -1 },
	{ "R10 active not withdrawn", 42, 44, 1, NONE, "+43 !+44", 42, -EIO, 44, 0, -1 },
	{ "R10 active not announced", 44, 41, 2, NONE, "-44 -43 !-42 +44", 44, -EIO, 42, 0, -1 },
};

static void the_cases(void **ctx)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char said[512];
		struct run r;

		run_walk(&r, cases[i].from, cases[i].target, &everything, cases[i].fail_call,
			 cases[i].fail_again);
		speak(&r, cases[i].fail_call, cases[i].fail_again, said, sizeof(said));
		assert_string_equal(said, cases[i].want);
		assert_int_equal(r.w.state, cases[i].state);
		assert_int_equal(r.w.rc, cases[i].rc);
		assert_int_equal(r.w.failed_at, cases[i].failed_at);
		assert_int_equal(r.w.rollback_rc, cases[i].rollback_rc);
		assert_int_equal(r.w.rollback_failed_at, cases[i].rollback_failed_at);
		assert_int_equal(walk_is_stuck(&r.w), cases[i].rollback_failed_at >= 0);
	}
}

/* What should run, told by lists and not by a state machine: no code shared with the walker. */
struct plan {
	struct walk_call calls[MAX_CALLS];
	int n;
};

static void plan_add(struct plan *p, const struct mask *m, int state, bool startup, bool rollback)
{
	uint64_t bits = startup ? m->startup : m->teardown;

	if (!(bits >> state & 1) || (rollback && state == CPUHP_AP_ACTIVE))
		return;
	p->calls[p->n++] = (struct walk_call){ state, startup, rollback };
}

static void plan_forward(struct plan *p, const struct mask *m, int from, int target)
{
	p->n = 0;
	for (int s = from + 1; s <= target; s++)
		plan_add(p, m, s, true, false);
	for (int s = from; s > target; s--)
		plan_add(p, m, s, false, false);
}

/* After the call at index @failed: forget what was to follow, add the way back. */
static void plan_rollback(struct plan *p, const struct mask *m, int from, int failed)
{
	int k = p->calls[failed].state;
	bool up = p->calls[failed].startup;

	p->n = failed + 1;
	for (int s = k - 1; up && s > from; s--)
		plan_add(p, m, s, false, true);
	for (int s = k + 1; !up && s <= from; s++)
		plan_add(p, m, s, true, true);
}

static bool same_calls(const struct run *r, const struct plan *p, int n)
{
	if (r->n != n)
		return false;
	for (int i = 0; i < n; i++)
		if (r->calls[i].state != p->calls[i].state ||
		    r->calls[i].startup != p->calls[i].startup ||
		    r->calls[i].rollback != p->calls[i].rollback)
			return false;
	return true;
}

static const struct mask masks[] = {
	{ UINT64_MAX, UINT64_MAX },
	{ 0, 0 },
	{ UINT64_MAX, 0 },
	{ 0, UINT64_MAX },
	{ 0x5555555555555555, 0xaaaaaaaaaaaaaaaa },
	{ 0x0000080000001fbe, 0x0000080000001d8e }, /* the ladder with one callback program */
	{ 0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9 },
	{ 0x94d049bb133111eb, 0xd6e8feb86659fd93 },
};

typedef void (*visit_fn)(const struct mask *m, int from, int target, const struct plan *forward);

static void for_all_walks(visit_fn visit)
{
	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++)
		for (int from = 0; from < CPUHP_STATES; from++)
			for (int target = 0; target < CPUHP_STATES; target++) {
				struct plan forward;

				plan_forward(&forward, &masks[i], from, target);
				visit(&masks[i], from, target, &forward);
			}
}

static void visit_success(const struct mask *m, int from, int target, const struct plan *forward)
{
	struct run r;

	run_walk(&r, from, target, m, NONE, NONE);
	assert_true(same_calls(&r, forward, forward->n));
	assert_int_equal(r.w.state, target);
	assert_int_equal(r.w.rc, 0);
}

static void every_walk_without_failure_reaches_its_target(void **ctx)
{
	for_all_walks(visit_success);
}

static void check_rolled_back(const struct mask *m, int from, int target,
			      const struct plan *forward, bool up)
{
	if ((from < target) != up)
		return;
	for (int fail = 0; fail < forward->n; fail++) {
		struct plan want = *forward;
		struct run r;

		plan_rollback(&want, m, from, fail);
		run_walk(&r, from, target, m, fail, NONE);
		assert_true(same_calls(&r, &want, want.n));
		assert_int_equal(r.w.state, from);
		assert_int_equal(r.w.rc, -EIO);
		assert_int_equal(r.w.failed_at, forward->calls[fail].state);
		assert_false(walk_is_stuck(&r.w));
	}
}

static void visit_up(const struct mask *m, int from, int target, const struct plan *forward)
{
	check_rolled_back(m, from, target, forward, true);
}

static void visit_down(const struct mask *m, int from, int target, const struct plan *forward)
{
	check_rolled_back(m, from, target, forward, false);
}

static void R8_every_failed_startup_is_torn_down_in_reverse(void **ctx)
{
	for_all_walks(visit_up);
}

static void R9_every_failed_teardown_is_started_up_again(void **ctx)
{
	for_all_walks(visit_down);
}

/* By name, not by the table's column: the announcement is what a rollback passes. */
static void visit_skips(const struct mask *m, int from, int target, const struct plan *forward)
{
	for (int fail = 0; fail < forward->n; fail++) {
		struct run r;

		run_walk(&r, from, target, m, fail, NONE);
		for (int i = 0; i < r.n; i++)
			assert_false(r.calls[i].rollback && r.calls[i].state == CPUHP_AP_ACTIVE);
	}
}

static void R10_no_rollback_calls_the_announcement(void **ctx)
{
	for_all_walks(visit_skips);
}

static void visit_stuck(const struct mask *m, int from, int target, const struct plan *forward)
{
	for (int fail = 0; fail < forward->n; fail++) {
		struct plan want = *forward;

		plan_rollback(&want, m, from, fail);
		for (int again = fail + 1; again < want.n; again++) {
			const struct walk_call *last = &want.calls[again];
			struct run r;

			run_walk(&r, from, target, m, fail, again);
			assert_true(same_calls(&r, &want, again + 1));
			assert_true(walk_is_stuck(&r.w));
			assert_int_equal(r.w.rc, -EIO);
			assert_int_equal(r.w.rollback_rc, 77);
			assert_int_equal(r.w.rollback_failed_at, last->state);
			assert_int_equal(r.w.state, last->startup ? last->state - 1 : last->state);
		}
	}
}

static void R17_every_failed_rollback_stops_where_it_stands(void **ctx)
{
	for_all_walks(visit_stuck);
}

static void visit_abort(const struct mask *m, int from, int target, const struct plan *forward)
{
	for (int after = 0; after < forward->n; after++) {
		struct walk w;
		struct walk_call call = { 0 };
		struct mask mask = *m;
		int forwards = 0;

		walk_init(&w, from, target);
		while (forwards < after && walk_next(&w, has, &mask, &call)) {
			walk_result(&w, 0);
			forwards++;
		}
		walk_abort(&w, -ECANCELED);
		while (walk_next(&w, has, &mask, &call)) {
			assert_true(call.rollback);
			walk_result(&w, 0);
		}
		assert_int_equal(w.state, from);
		assert_int_equal(w.rc, -ECANCELED);
		assert_int_equal(w.failed_at, -1);
	}
}

static void R8_an_abort_between_steps_rolls_back(void **ctx)
{
	for_all_walks(visit_abort);
}

static void an_abort_too_late_changes_nothing(void **ctx)
{
	struct mask mask = everything;
	struct walk_call call;
	struct walk w;

	walk_init(&w, 6, 7);
	assert_true(walk_next(&w, has, &mask, &call));
	walk_result(&w, 0);
	walk_abort(&w, -ECANCELED);
	assert_true(w.done);
	assert_int_equal(w.rc, 0);
	assert_int_equal(w.state, 7);
}

static void an_abort_in_a_rollback_keeps_the_first_error(void **ctx)
{
	struct mask mask = everything;
	struct walk_call call;
	struct walk w;

	walk_init(&w, 6, 9);
	assert_true(walk_next(&w, has, &mask, &call));
	walk_result(&w, 0);
	assert_true(walk_next(&w, has, &mask, &call));
	walk_result(&w, -EIO);
	walk_abort(&w, -ECANCELED);
	assert_int_equal(w.rc, -EIO);
	assert_true(walk_next(&w, has, &mask, &call));
	assert_int_equal(call.state, 7);
	assert_false(call.startup);
}

/* The masks above are few; here each subset of a short ladder stands for itself. */
static void R8_R9_hold_for_every_subset_of_callbacks(void **ctx)
{
	for (unsigned int bits = 0; bits < 1u << 12; bits++) {
		struct mask m = { (uint64_t)(bits & 63) << 6, (uint64_t)(bits >> 6) << 6 };

		for (int from = 6; from <= 11; from++)
			for (int target = 6; target <= 11; target++) {
				struct plan forward;

				plan_forward(&forward, &m, from, target);
				visit_success(&m, from, target, &forward);
				visit_up(&m, from, target, &forward);
				visit_down(&m, from, target, &forward);
				visit_stuck(&m, from, target, &forward);
			}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cases),
		cmocka_unit_test(every_walk_without_failure_reaches_its_target),
		cmocka_unit_test(R8_every_failed_startup_is_torn_down_in_reverse),
		cmocka_unit_test(R9_every_failed_teardown_is_started_up_again),
		cmocka_unit_test(R10_no_rollback_calls_the_announcement),
		cmocka_unit_test(R17_every_failed_rollback_stops_where_it_stands),
		cmocka_unit_test(R8_an_abort_between_steps_rolls_back),
		cmocka_unit_test(an_abort_too_late_changes_nothing),
		cmocka_unit_test(an_abort_in_a_rollback_keeps_the_first_error),
		cmocka_unit_test(R8_R9_hold_for_every_subset_of_callbacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
