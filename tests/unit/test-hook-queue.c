/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What waits to be told to hooks: in which order, what is joined, what gives way, what never does. */
#include "daemon/hook-queue.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check(struct hook_queue *q, enum hook_event event, const char *op, const char *text,
		  unsigned int dropped)
{
	struct hook_news *news = hook_queue_take(q, false);

	assert_non_null(news);
	assert_int_equal(news->event, event);
	assert_string_equal(news->op, op);
	assert_string_equal(news->text, text);
	assert_int_equal(news->dropped, dropped);
	free(news);
}

static void check_empty(struct hook_queue *q)
{
	assert_null(hook_queue_take(q, false));
	for (int e = 0; e < HOOK_EVENTS; e++)
		assert_int_equal(q->n[e], 0);
	hook_queue_done(q);
}

static void the_order_is_kept(void **ctx)
{
	struct hook_queue q;

	hook_queue_init(&q);
	hook_queue_put(&q, HOOK_DRIFT, NULL, -1, "d1");
	hook_queue_put(&q, HOOK_DONE, "a", -1, "r1");
	hook_queue_put(&q, HOOK_DRIFT, NULL, -1, "d2");
	hook_queue_put(&q, HOOK_FAILED, "b", -1, "r2");
	check(&q, HOOK_DRIFT, "", "d1", 0);
	check(&q, HOOK_DONE, "a", "r1", 0);
	check(&q, HOOK_DRIFT, "", "d2", 0);
	check(&q, HOOK_FAILED, "b", "r2", 0);
	check_empty(&q);
}

static void steps_of_one_operation_are_told_together(void **ctx)
{
	struct hook_queue q;

	hook_queue_init(&q);
	hook_queue_put(&q, HOOK_PROGRESS, "a", -1, "{1}");
	hook_queue_put(&q, HOOK_PROGRESS, "a", -1, "{2}");
	hook_queue_put(&q, HOOK_PROGRESS, "a", -1, "{3}");
	hook_queue_put(&q, HOOK_PROGRESS, "b", -1, "{4}");
	hook_queue_put(&q, HOOK_DONE, "b", -1, "r");
	hook_queue_put(&q, HOOK_PROGRESS, "b", -1, "{5}");
	check(&q, HOOK_PROGRESS, "a", "{1},{2},{3}", 0);
	check(&q, HOOK_PROGRESS, "b", "{4}", 0);
	check(&q, HOOK_DONE, "b", "r", 0);
	check(&q, HOOK_PROGRESS, "b", "{5}", 0);
	check_empty(&q);
}

static void the_oldest_steps_give_way_and_are_counted(void **ctx)
{
	enum { MORE = 44 };
	struct hook_queue q;
	struct hook_news *news;
	char step[16];

	hook_queue_init(&q);
	hook_queue_put(&q, HOOK_DONE, "z", -1, "r");
	for (unsigned int i = 0; i < HOOK_PROGRESS_MAX + MORE; i++) {
		snprintf(step, sizeof(step), "%u", i);
		assert_int_equal(hook_queue_put(&q, HOOK_PROGRESS, "a", -1, step),
				 i >= HOOK_PROGRESS_MAX);
	}
	assert_int_equal(q.n[HOOK_PROGRESS], HOOK_PROGRESS_MAX);
	check(&q, HOOK_DONE, "z", "r", 0);
	news = hook_queue_take(&q, false);
	assert_int_equal(news->dropped, MORE);
	assert_int_equal(strncmp(news->text, "44,45,46,", 9), 0);
	free(news);
	hook_queue_put(&q, HOOK_PROGRESS, "a", -1, "x");
	check(&q, HOOK_PROGRESS, "a", "x", 0);
	check_empty(&q);
}

/* One that flaps is no more work than one that does not. */
static void of_a_vcpu_only_the_newest_drift_waits(void **ctx)
{
	struct hook_queue q;

	hook_queue_init(&q);
	hook_queue_put(&q, HOOK_DRIFT, NULL, 3, "3 away");
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(hook_queue_put(&q, HOOK_DRIFT, NULL, 2, "2 away"), 0);
		assert_int_equal(hook_queue_put(&q, HOOK_DRIFT, NULL, 2, "2 back"), 0);
	}
	assert_int_equal(q.n[HOOK_DRIFT], 2);
	check(&q, HOOK_DRIFT, "", "3 away", 0);
	check(&q, HOOK_DRIFT, "", "2 back", 0);
	check_empty(&q);
}

static void only_the_newest_load_waits(void **ctx)
{
	struct hook_queue q;

	hook_queue_init(&q);
	for (char load[2] = "0"; load[0] <= '9'; load[0]++)
		hook_queue_put(&q, HOOK_LOAD, NULL, -1, load);
	assert_int_equal(q.n[HOOK_LOAD], 1);
	check(&q, HOOK_LOAD, "", "9", 9);
	check_empty(&q);
}

/* Where there is no call for anything else: a result, and the steps before it in one call. */
static void results_come_by_themselves_with_their_steps(void **ctx)
{
	struct hook_queue q;
	struct hook_news *news;

	hook_queue_init(&q);
	hook_queue_put(&q, HOOK_DRIFT, NULL, 1, "d1");
	hook_queue_put(&q, HOOK_PROGRESS, "a", -1, "{1}");
	hook_queue_put(&q, HOOK_LOAD, NULL, -1, "l");
	hook_queue_put(&q, HOOK_PROGRESS, "a", -1, "{2}");
	assert_null(hook_queue_take(&q, true));
	hook_queue_put(&q, HOOK_DONE, "a", -1, "r");
	hook_queue_put(&q, HOOK_PROGRESS, "b", -1, "{3}");
	news = hook_queue_take(&q, true);
	assert_string_equal(news->text, "{1},{2}");
	free(news);
	news = hook_queue_take(&q, true);
	assert_string_equal(news->text, "r");
	free(news);
	assert_null(hook_queue_take(&q, true));
	check(&q, HOOK_DRIFT, "", "d1", 0);
	check(&q, HOOK_LOAD, "", "l", 0);
	check(&q, HOOK_PROGRESS, "b", "{3}", 0);
	check_empty(&q);
}

/* Beside a flood of everything else all of them are there, in their order. */
static void results_do_not_give_way(void **ctx)
{
	struct hook_queue q;
	unsigned int seen = 0;
	struct hook_news *news;
	char text[16];

	hook_queue_init(&q);
	for (unsigned int i = 0; i < HOOK_RESULTS_MAX; i++) {
		snprintf(text, sizeof(text), "%u", i);
		for (int k = 0; k < 5; k++)
			hook_queue_put(&q, HOOK_PROGRESS, "a", -1, "step");
		hook_queue_put(&q, HOOK_DRIFT, NULL, -1, "drift");
		assert_int_equal(hook_queue_put(&q, HOOK_DONE, "a", -1, text), 0);
		assert_int_equal(hook_queue_put(&q, HOOK_FAILED, "a", -1, text), 0);
	}
	assert_int_equal(q.n[HOOK_DRIFT], HOOK_DRIFT_MAX);
	while ((news = hook_queue_take(&q, false))) {
		if (news->event == HOOK_DONE || news->event == HOOK_FAILED)
			assert_int_equal(strtoul(news->text, NULL, 10), seen++ / 2);
		free(news);
	}
	assert_int_equal(seen, 2 * HOOK_RESULTS_MAX);
	check_empty(&q);
}

static void beyond_reason_a_result_is_lost_and_that_is_known(void **ctx)
{
	struct hook_queue q;

	hook_queue_init(&q);
	for (unsigned int i = 0; i < HOOK_RESULTS_MAX; i++)
		hook_queue_put(&q, HOOK_FAILED, "a", -1, "r");
	assert_int_equal(hook_queue_put(&q, HOOK_FAILED, "a", -1, "r"), 1);
	assert_int_equal(q.n[HOOK_FAILED], HOOK_RESULTS_MAX);
	hook_queue_done(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_order_is_kept),
		cmocka_unit_test(steps_of_one_operation_are_told_together),
		cmocka_unit_test(the_oldest_steps_give_way_and_are_counted),
		cmocka_unit_test(of_a_vcpu_only_the_newest_drift_waits),
		cmocka_unit_test(only_the_newest_load_waits),
		cmocka_unit_test(results_come_by_themselves_with_their_steps),
		cmocka_unit_test(results_do_not_give_way),
		cmocka_unit_test(beyond_reason_a_result_is_lost_and_that_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
