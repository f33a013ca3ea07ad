/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/qmp-budget.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char event[] = "{\"timestamp\": {\"seconds\": 1}, \"event\": \"STOP\"}";
static const char other_event[] = "{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 1}}";
static const char reply[] = "{\"return\": {}, \"id\": 1}";

static enum qmp_verdict judge(struct qmp_budget *b, const char *line)
{
	return qmp_budget_judge(b, line, strlen(line));
}

/* How many of these are read until none is any more. */
static int read_until_spent(struct qmp_budget *b, const char *line, size_t len)
{
	int n = 0;

	while (n < 100000 && judge(b, line) == QMP_READ) {
		qmp_budget_pay(b, len);
		n++;
	}
	return n;
}

static void events_beyond_the_tokens_are_passed_over_and_noted(void **state)
{
	struct qmp_budget b;

	qmp_budget_init(&b, 0);
	assert_int_equal(read_until_spent(&b, event, strlen(event)), 1000);
	assert_true(b.missed);
	assert_int_equal(judge(&b, event), QMP_PASS_OVER);
	assert_true(qmp_budget_is_spent(&b, 0));
	assert_false(qmp_budget_is_spent(&b, 1000000));
	assert_int_equal(read_until_spent(&b, event, strlen(event)), 250);
}

static void replies_are_read_however_many_events_came(void **state)
{
	struct qmp_budget b;

	qmp_budget_init(&b, 0);
	read_until_spent(&b, event, strlen(event));
	for (int i = 0; i < 10000; i++)
		assert_int_equal(judge(&b, reply), QMP_READ);
}

static void events_of_another_form_are_read_on_credit_and_then_wait(void **state)
{
	struct qmp_budget b;

	qmp_budget_init(&b, 0);
	assert_int_equal(read_until_spent(&b, other_event, strlen(other_event)), 1100);
	assert_int_equal(judge(&b, other_event), QMP_WAIT);
	assert_int_equal(judge(&b, event), QMP_PASS_OVER);
	qmp_budget_is_spent(&b, qmp_budget_when(&b));
	assert_int_equal(judge(&b, other_event), QMP_READ);
}

static void a_long_event_costs_as_many(void **state)
{
	struct qmp_budget b;

	qmp_budget_init(&b, 0);
	assert_int_equal(read_until_spent(&b, event, 100UL * 1024), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_beyond_the_tokens_are_passed_over_and_noted),
		cmocka_unit_test(replies_are_read_however_many_events_came),
		cmocka_unit_test(events_of_another_form_are_read_on_credit_and_then_wait),
		cmocka_unit_test(a_long_event_costs_as_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
