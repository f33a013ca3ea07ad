/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/counters.h"

static const struct {
	const char *what;
	uint64_t us;
	unsigned int bucket;
	uint64_t sum_us;
} times[] = {
	{ "nothing", 0, 0, 0 },
	{ "just a millisecond", 1000, 0, 1000 },
	{ "a little more", 1001, 1, 1001 },
	{ "the kernel's online", 76000, 4, 76000 },
	{ "a minute", 60000000, 10, 60000000 },
	{ "more than that", 60000001, 11, 60000001 },
	{ "what no clock can have measured", UINT64_MAX, 11, UINT64_C(86400000000) },
};

static void a_time_is_in_one_bucket(void **state)
{
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		struct histogram h = { 0 };

		histogram_add(&h, times[i].us);
		if (h.n[times[i].bucket] != 1 || histogram_count(&h) != 1 ||
		    h.sum_us != times[i].sum_us)
			fail_msg("%s: in another bucket, or another sum", times[i].what);
	}
}

/* A label says what its bound is, and they ascend. */
static void bounds_are_what_their_labels_say(void **state)
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		const struct histogram_bound *b = &histogram_bounds[i];

		if (i + 1 == HISTOGRAM_BUCKETS) {
			assert_string_equal(b->le, "+Inf");
			break;
		}
		assert_true(b->us == (uint64_t)(strtod(b->le, NULL) * 1e6 + 0.5));
		assert_non_null(strchr(b->le, '.'));
		assert_true(b->us < b[1].us);
	}
	assert_int_equal(histogram_bounds[0].us, 1000);
	assert_int_equal(histogram_bounds[HISTOGRAM_BUCKETS - 2].us, 60000000);
}

static const struct state_counters *find(const struct domain_counters *c, const char *name)
{
	for (unsigned int i = 0; i < COUNTERS_ROWS; i++) {
		char found[COUNTERS_NAME_SIZE];
		const struct state_counters *s = counters_row(c, i, found);

		if (s && strcmp(found, name) == 0)
			return s;
	}
	return NULL;
}

static const struct state_counters *must_find(const struct domain_counters *c, const char *name)
{
	const struct state_counters *s = find(c, name);

	if (!s)
		fail_msg("no row of %s", name);
	return s;
}

static void each_state_has_a_row_of_its_own(void **state)
{
	struct domain_counters c = { 0 };

	for (int s = 0; s < CPUHP_STATES; s++) {
		uint64_t us = 1000 * (uint64_t)s;
		char name[16];

		snprintf(name, sizeof(name), "%d-x", s);
		counters_step(&c, s, name, true, &us, false);
	}
	for (int s = 0; s < CPUHP_STATES; s++) {
		const struct state_counters *row;
		char name[32];

		snprintf(name, sizeof(name), "ap:dyn.%d-x", s);
		row = must_find(&c, ladder_is_dyn(s) ? name : ladder_name(s));
		assert_int_equal(histogram_count(&row->up.time), 1);
		assert_int_equal(row->up.time.sum_us, 1000 * s);
		assert_int_equal(histogram_count(&row->down.time), 0);
	}
	counters_done(&c);
}

static void up_down_and_failures_are_told_apart(void **state)
{
	struct domain_counters c = { 0 };
	uint64_t us = 5000;
	const struct state_counters *row;

	counters_step(&c, CPUHP_AP_ONLINE, "", true, &us, false);
	counters_step(&c, CPUHP_AP_ONLINE, "", true, &us, true);
	counters_step(&c, CPUHP_AP_ONLINE, "", false, &us, false);
	counters_step(&c, CPUHP_AP_ONLINE, "", false, NULL, true);
	row = must_find(&c, "ap:online");
	assert_int_equal(histogram_count(&row->up.time), 2);
	assert_int_equal(row->up.failures, 1);
	assert_int_equal(histogram_count(&row->down.time), 1);
	assert_int_equal(row->down.failures, 1);
	assert_null(c.callbacks);
	counters_done(&c);
}

/* What a callback has cost stays its own when another one comes to stand at its state. */
static void a_callback_is_counted_by_its_name(void **state)
{
	struct domain_counters c = { 0 };
	uint64_t us = 1;

	counters_step(&c, CPUHP_AP_DYN, "10-a", true, &us, false);
	counters_step(&c, CPUHP_AP_DYN, "20-b", true, &us, false);
	counters_step(&c, CPUHP_AP_DYN + 1, "10-a", true, &us, false);
	counters_step(&c, CPUHP_AP_DYN + 1, "", true, &us, false);
	assert_int_equal(histogram_count(&must_find(&c, "ap:dyn.10-a")->up.time), 2);
	assert_int_equal(histogram_count(&must_find(&c, "ap:dyn.20-b")->up.time), 1);
	assert_int_equal(histogram_count(&must_find(&c, "ap:dyn")->up.time), 1);
	counters_done(&c);
}

/* However many names it invents, a guest makes so many rows and no more, and none is lost. */
static void a_guest_that_invents_names_has_few_rows(void **state)
{
	static const char *const odd[] = { "*", "a b", "a\"b", "a\nb", "others?" };
	struct domain_counters c = { 0 };
	uint64_t us = 1, counted = 0;
	unsigned int rows = 0;

	for (unsigned int i = 0; i < 1000; i++) {
		char name[MSG_NAME_MAX + 1];

		snprintf(name, sizeof(name), "%02u-name-%u", i % 100, i);
		counters_step(&c, CPUHP_AP_DYN + (int)(i % COUNTERS_DYNS), name, true, &us, false);
	}
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++)
		counters_step(&c, CPUHP_AP_DYN, odd[i], true, &us, false);
	for (unsigned int i = COUNTERS_FIXED; i < COUNTERS_ROWS; i++) {
		char name[COUNTERS_NAME_SIZE];
		const struct state_counters *s = counters_row(&c, i, name);

		counted += s ? histogram_count(&s->up.time) : 0;
		rows += s && histogram_count(&s->up.time) > 0;
	}
	assert_int_equal(rows, COUNTERS_DYNS + 1);
	assert_int_equal(counted, 1005);
	assert_int_equal(histogram_count(&must_find(&c, "ap:dyn.*")->up.time),
			 1005 - COUNTERS_DYNS);
	counters_done(&c);
}

/* No two rows are called the same: two series of one name and nothing is read of either. */
static void no_two_rows_have_one_name(void **state)
{
	struct domain_counters c = { 0 };
	uint64_t us = 1;

	for (unsigned int i = 0; i < 40; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%02u-x", i);
		counters_step(&c, CPUHP_AP_DYN, name, true, &us, false);
	}
	for (unsigned int i = 0; i < COUNTERS_ROWS; i++)
		for (unsigned int k = 0; k < i; k++) {
			char a[COUNTERS_NAME_SIZE], b[COUNTERS_NAME_SIZE];

			if (counters_row(&c, i, a) && counters_row(&c, k, b))
				assert_string_not_equal(a, b);
		}
	counters_done(&c);
}

static void a_domain_has_little_of_it(void **state)
{
	assert_in_range(sizeof(struct domain_counters), 1, 5 * 1024);
	assert_in_range(COUNTERS_CALLBACKS * sizeof(struct callback_counters), 1, 10 * 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_time_is_in_one_bucket),
		cmocka_unit_test(bounds_are_what_their_labels_say),
		cmocka_unit_test(each_state_has_a_row_of_its_own),
		cmocka_unit_test(up_down_and_failures_are_told_apart),
		cmocka_unit_test(a_callback_is_counted_by_its_name),
		cmocka_unit_test(a_guest_that_invents_names_has_few_rows),
		cmocka_unit_test(no_two_rows_have_one_name),
		cmocka_unit_test(a_domain_has_little_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
