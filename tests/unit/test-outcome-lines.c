/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One line an outcome, with the fields that say what it is about, and quiet otherwise. */
#include "daemon/log.h"
#include "daemon/vcpu.h"
#include "tests/unit/host-bench.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What the last line had, besides the operation's id: "VCPU=4 STATE=online". */
static void check_fields(const struct bench *b, const char *wanted)
{
	char text[1024] = "";
	size_t len = 0;

	for (unsigned int i = 0; i < b->last_fields.n; i++) {
		const char *field = journal_field_at(&b->last_fields, i);

		assert_int_equal(strncmp(field, "VCPUHP_", 7), 0);
		if (strncmp(field, "VCPUHP_OP=", 10) != 0)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
						len ? " " : "", field + 7);
	}
	assert_string_equal(text, wanted);
}

static bool has_field(const struct bench *b, const char *name, const char *value)
{
	char field[128];

	snprintf(field, sizeof(field), "%s=%s", name, value);
	for (unsigned int i = 0; i < b->last_fields.n; i++)
		if (strcmp(journal_field_at(&b->last_fields, i), field) == 0)
			return true;
	return false;
}

static void check_line(struct bench *b, enum journal_message message, const char *wanted,
		       const char *fields)
{
	assert_int_equal(b->n_logs, 1);
	assert_int_equal(b->last_message, message);
	assert_non_null(strstr(b->last_log, wanted));
	check_fields(b, fields);
	b->n_logs = 0;
}

static void an_operation_that_is_done_has_one_line(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->n_logs = 0;
	o = bench_count_op(b, 3, OP_POLICY_ALL, 0);
	bench_check(b, o, OP_DONE);
	assert_true(has_field(b, "VCPUHP_OP", o->id));
	check_line(b, JOURNAL_OPERATION_DONE, ": done: 3 online, 0 standby, 3 present",
		   "RESULT=done VCPU=1 STATE=online VCPU=2");
	op_unref(o);
	bench_stop(b);
}

static void one_that_failed_has_one_line_with_all_reasons(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_plant(b, 1, bench_broken_verify);
	bench_plant(b, 2, bench_broken_verify);
	b->n_logs = 0;
	o = bench_count_op(b, 3, OP_POLICY_BEST_EFFORT, 0);
	bench_check(b, o, OP_FAILED);
	assert_non_null(strstr(b->last_log, text_of(&o->vcpus[0].error)));
	assert_non_null(strstr(b->last_log, text_of(&o->vcpus[1].error)));
	check_line(b, JOURNAL_OPERATION_FAILED,
		   ": failed: ", "RESULT=failed VCPU=1 STATE=offline FAILED_AT=ap:verify VCPU=2");
	op_unref(o);
	bench_stop(b);
}

static void a_refusal_says_by_whom(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 2);
	bench_plant(b, 2, bench_busy_offline);
	b->n_logs = 0;
	o = bench_count_op(b, 2, OP_POLICY_ALL, 0);
	bench_check(b, o, OP_REFUSED);
	check_line(b, JOURNAL_OPERATION_REFUSED, ": refused: ",
		   "RESULT=refused REFUSED_BY=guest VCPU=2 STATE=online FAILED_AT=ap:online");
	op_unref(o);
	bench_stop(b);
}

static void a_drift_has_a_line_as_it_begins_and_one_as_it_ends(void **ctx)
{
	struct bench *b = bench_start(NULL);

	bench_put_online(b, 3, 3);
	b->n_logs = 0;
	bench_row(b, 3, CPUHP_STANDBY);
	bench_turn(b);
	check_line(b, JOURNAL_DRIFT_BEGUN, "vcpu 3: drift: the guest took it down",
		   "VCPU=3 STATE=standby");
	bench_row(b, 3, CPUHP_ONLINE);
	bench_turn(b);
	check_line(b, JOURNAL_DRIFT_ENDED, "vcpu 3: its drift is over", "VCPU=3 STATE=online");
	bench_table(b);
	bench_turn(b);
	assert_int_equal(b->n_logs, 0);
	bench_stop(b);
}

static void an_agent_and_a_qemu_come_and_go_with_a_line_each(void **ctx)
{
	struct bench *b = bench_start(NULL);

	b->n_logs = 0;
	bench_agent_down(b);
	check_line(b, JOURNAL_AGENT_GONE, "the agent is gone: ", "");
	bench_agent_up(b, 1);
	check_line(b, JOURNAL_AGENT_CONNECTED, "is connected", "");
	bench_lose_qemu(b);
	bench_turn(b);
	check_line(b, JOURNAL_DOMAIN_LOST, "QEMU is gone", "");
	bench_attach(b);
	bench_turn(b);
	check_line(b, JOURNAL_DOMAIN_ATTACHED, "attached: QEMU", "");
	bench_stop(b);
}

static void a_state_of_qemus_has_none(void **ctx)
{
	struct bench *b = bench_start(NULL);

	b->n_logs = 0;
	bench_status(b, HV_PAUSED);
	bench_status(b, HV_RUNNING);
	assert_int_equal(b->n_logs, 0);
	bench_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_operation_that_is_done_has_one_line),
		cmocka_unit_test(one_that_failed_has_one_line_with_all_reasons),
		cmocka_unit_test(a_refusal_says_by_whom),
		cmocka_unit_test(a_drift_has_a_line_as_it_begins_and_one_as_it_ends),
		cmocka_unit_test(an_agent_and_a_qemu_come_and_go_with_a_line_each),
		cmocka_unit_test(a_state_of_qemus_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
