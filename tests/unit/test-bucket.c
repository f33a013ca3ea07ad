/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/bucket.h"

#define SECOND UINT64_C(1000000)

static uint32_t drain(struct bucket *b)
{
	uint32_t n = 0;

	for (; bucket_has(b); n++)
		bucket_take(b, 1);
	return n;
}

static void it_starts_full_and_ends_empty(void **ctx)
{
	struct bucket b;

	bucket_init(&b, 50, 500, 7 * SECOND);
	assert_int_equal(drain(&b), 500);
	assert_false(bucket_has(&b));
}

static void it_refills_by_its_rate_and_never_above_the_burst(void **ctx)
{
	struct bucket b;

	bucket_init(&b, 50, 500, 0);
	(void)drain(&b);
	bucket_refill(&b, SECOND - 1);
	assert_int_equal(drain(&b), 49);
	bucket_refill(&b, SECOND);
	assert_int_equal(drain(&b), 1);
	bucket_refill(&b, 11 * SECOND + 1);
	assert_int_equal(drain(&b), 500);
	bucket_refill(&b, UINT64_MAX);
	assert_int_equal(drain(&b), 500);
}

static void a_clock_that_stands_or_goes_back_gives_nothing(void **ctx)
{
	struct bucket b;

	bucket_init(&b, 50, 500, 5 * SECOND);
	(void)drain(&b);
	bucket_refill(&b, 5 * SECOND);
	bucket_refill(&b, 4 * SECOND);
	assert_false(bucket_has(&b));
}

static void a_debt_is_paid_back_first(void **ctx)
{
	struct bucket b;

	bucket_init(&b, 50, 500, 0);
	bucket_take(&b, 600);
	bucket_refill(&b, 2 * SECOND);
	assert_false(bucket_has(&b));
	bucket_refill(&b, 3 * SECOND);
	assert_int_equal(drain(&b), 50);
}

/* However the time is cut into refills, the sum is the same: nothing is lost to rounding. */
static void many_small_refills_are_one_large_one(void **ctx)
{
	for (uint64_t step = 1; step < 50000; step = step * 3 + 1) {
		struct bucket b;
		uint64_t end = 200000 / step * step;

		bucket_init(&b, 50, 500, 0);
		(void)drain(&b);
		for (uint64_t at = step; at <= end; at += step)
			bucket_refill(&b, at);
		assert_int_equal(b.level_us, end * 50);
	}
}

static void it_says_when_tokens_will_be_there(void **ctx)
{
	for (uint32_t tokens = 1; tokens <= 500; tokens++) {
		struct bucket b;
		uint64_t when;

		bucket_init(&b, 50, 500, 100);
		bucket_take(&b, 507);
		when = bucket_when(&b, tokens);
		bucket_refill(&b, when - 1);
		assert_true(b.level_us < tokens * INT64_C(1000000));
		bucket_refill(&b, when);
		assert_true(b.level_us >= tokens * INT64_C(1000000));
		assert_true(bucket_when(&b, tokens) == when);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_starts_full_and_ends_empty),
		cmocka_unit_test(it_refills_by_its_rate_and_never_above_the_burst),
		cmocka_unit_test(a_clock_that_stands_or_goes_back_gives_nothing),
		cmocka_unit_test(a_debt_is_paid_back_first),
		cmocka_unit_test(many_small_refills_are_one_large_one),
		cmocka_unit_test(it_says_when_tokens_will_be_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
