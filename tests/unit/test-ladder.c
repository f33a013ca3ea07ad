/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ladder.h"

/* The contract, written down a second time so that a slip in the table shows. */
static const struct {
	const char *name;
	enum cpuhp_side side;
	bool is_target;
	unsigned int startup_ms, teardown_ms;
} rows[] = {
	{ "offline", CPUHP_SIDE_REST, true, 0, 0 },
	{ "host:admit", CPUHP_SIDE_HOST, false, 10000, 0 },
	{ "qemu:device", CPUHP_SIDE_HOST, false, 5000, 30000 },
	{ "host:place", CPUHP_SIDE_HOST, false, 5000, 5000 },
	{ "guest:present", CPUHP_SIDE_HOST, false, 10000, 0 },
	{ "ap:kick", CPUHP_SIDE_HOST, false, 5000, 0 },
	{ "standby", CPUHP_SIDE_REST, true, 0, 0 },
	{ "ap:online", CPUHP_SIDE_CONTROL, false, 10000, 10000 },
	{ "ap:threads", CPUHP_SIDE_CONTROL, true, 5000, 5000 },
	{ "ap:verify", CPUHP_SIDE_WORKER, true, 5000, 5000 },
	{ "ap:cpuset", CPUHP_SIDE_WORKER, true, 5000, 5000 },
	{ "ap:irq", CPUHP_SIDE_WORKER, true, 5000, 5000 },
	[12 ... 42] = { "ap:dyn", CPUHP_SIDE_WORKER, true, 10000, 10000 },
	[43] = { "ap:active", CPUHP_SIDE_WORKER, true, 5000, 5000 },
	[44] = { "online", CPUHP_SIDE_REST, true, 0, 0 },
};

static void every_row_has_name_meaning_side_and_deadlines(void **ctx)
{
	assert_int_equal(CPUHP_STATES, sizeof(rows) / sizeof(rows[0]));
	for (int i = 0; i < CPUHP_STATES; i++) {
		const struct cpuhp_step *step = ladder_step(i);

		assert_non_null(step);
		assert_non_null(step->name);
		assert_string_equal(step->name, rows[i].name);
		assert_non_null(step->meaning);
		assert_in_range(strlen(step->meaning), 5, 80);
		assert_int_equal(step->side, rows[i].side);
		assert_int_equal(step->startup_ms, rows[i].startup_ms);
		assert_int_equal(step->teardown_ms, rows[i].teardown_ms);
		/* Nobody works in a state of rest; whatever works has a limit on the way up. */
		assert_int_equal(step->startup_ms != 0, step->side != CPUHP_SIDE_REST);
	}
}

static void names_are_unique_but_for_the_dynamic_range(void **ctx)
{
	for (int i = 0; i < CPUHP_STATES; i++)
		for (int j = 0; j < i; j++)
			if (!ladder_is_dyn(i) || !ladder_is_dyn(j))
				assert_string_not_equal(ladder_name(i), ladder_name(j));
}

static void R15_the_side_is_asked_by_one_function(void **ctx)
{
	for (int i = 0; i < CPUHP_STATES; i++)
		assert_int_equal(ladder_side(i), rows[i].side);
	assert_int_equal(ladder_side(-1), CPUHP_SIDE_REST);
	assert_int_equal(ladder_side(CPUHP_STATES), CPUHP_SIDE_REST);
	/* Each side owns one stretch: a walk crosses each seam once. */
	for (int i = CPUHP_HOST_ADMIT; i < CPUHP_STANDBY; i++)
		assert_int_equal(ladder_side(i), CPUHP_SIDE_HOST);
	for (int i = CPUHP_AP_VERIFY; i < CPUHP_ONLINE; i++)
		assert_int_equal(ladder_side(i), CPUHP_SIDE_WORKER);
}

static void R10_only_marked_states_are_targets(void **ctx)
{
	for (int i = 0; i < CPUHP_STATES; i++) {
		assert_int_equal(ladder_is_target(i, true), rows[i].is_target);
		assert_int_equal(ladder_is_target(i, false),
				 rows[i].is_target && !ladder_is_dyn(i));
	}
	assert_false(ladder_is_target(-1, true));
	assert_false(ladder_is_target(CPUHP_STATES, true));
}

static void R10_active_alone_is_skipped_in_a_rollback(void **ctx)
{
	for (int i = 0; i < CPUHP_STATES; i++)
		assert_int_equal(ladder_step(i)->skip_rollback, i == CPUHP_AP_ACTIVE);
}

static void beyond_the_ladder_there_is_nothing(void **ctx)
{
	assert_null(ladder_step(-1));
	assert_null(ladder_step(CPUHP_STATES));
	assert_string_equal(ladder_name(-1), "unknown");
	assert_string_equal(ladder_name(CPUHP_STATES), "unknown");
	assert_false(ladder_is_dyn(11));
	assert_true(ladder_is_dyn(12));
	assert_true(ladder_is_dyn(42));
	assert_false(ladder_is_dyn(43));
}

static const struct {
	const char *word;
	int want;
} words[] = {
	{ "offline", 0 },      { "0", 0 },
	{ "standby", 6 },      { "6", 6 },
	{ "ap:verify", 9 },    { "12", 12 },
	{ "42", 42 },          { "ap:active", 43 },
	{ "online", 44 },      { "44", 44 },
	{ "45", -EINVAL },     { "999999999999", -EINVAL },
	{ "", -EINVAL },       { "-1", -EINVAL },
	{ "+1", -EINVAL },     { "6x", -EINVAL },
	{ "ap:dyn", -EINVAL }, { "Online", -EINVAL },
	{ " 6", -EINVAL },     { "unknown", -EINVAL },
};

static void a_state_is_found_by_number_or_name(void **ctx)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_int_equal(ladder_find(words[i].word), words[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_has_name_meaning_side_and_deadlines),
		cmocka_unit_test(names_are_unique_but_for_the_dynamic_range),
		cmocka_unit_test(R15_the_side_is_asked_by_one_function),
		cmocka_unit_test(R10_only_marked_states_are_targets),
		cmocka_unit_test(R10_active_alone_is_skipped_in_a_rollback),
		cmocka_unit_test(beyond_the_ladder_there_is_nothing),
		cmocka_unit_test(a_state_is_found_by_number_or_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
