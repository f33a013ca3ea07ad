/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The engine adding vCPUs: policies, rollback, what is reported of each.
 *
 * QEMU and the agent answer by themselves except where a test has planted a failure or holds an
 * answer back. What is checked is what the user gets (result, exit class, one entry a vCPU, the
 * sentences) and in which order QEMU and the agent were asked for things.
 */
#include "daemon/vcpu.h"
#include "tests/unit/host-bench.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_count_is_reached(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o = bench_count_op(b, 4, OP_POLICY_ALL, 0);

	assert_false(o->ended);
	assert_int_equal(o->result, OP_ACCEPTED);
	bench_check(b, o, OP_DONE);
	assert_int_equal(o->asked, 4);
	assert_int_equal(o->counts.present, 4);
	assert_int_equal(o->counts.online, 4);
	assert_int_equal(o->counts.standby, 0);
	assert_null(o->refused_by);
	assert_string_equal(text_of(&o->error), "");
	for (unsigned int i = 0; i < 3; i++) {
		const struct op_vcpu *e = &o->vcpus[i];

		assert_int_equal(e->state, CPUHP_ONLINE);
		assert_int_equal(e->cpu, BENCH_CPU(i + 1));
		assert_int_equal(e->ran_on, BENCH_CPU(i + 1));
		assert_int_equal(e->failed_at, -1);
		assert_int_equal(e->rollback_failed_at, -1);
		assert_true(op_vcpu_step_us(e, CPUHP_QEMU_DEVICE) >= 0);
		assert_int_equal(op_vcpu_step_us(e, CPUHP_HOST_PLACE), -1);
		assert_int_equal(b->d->vcpus[i + 1].wish, CPUHP_ONLINE);
	}
	bench_ends(b, o, OP_DONE, "1:ok 2:ok 3:ok");
	bench_stop(b);
}

static void the_proof_is_the_agents_and_no_step_is_forgotten(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->auto_agent = false;
	o = bench_target_op(b, 1, 1, CPUHP_ONLINE, OP_POLICY_ALL);
	bench_said(b, "plug 1");
	bench_row(b, 1, CPUHP_STANDBY);
	bench_said(b, "kick 1 44");
	assert_string_equal(b->kicks[1].op, o->id);
	assert_int_equal(b->kicks[1].cpu, BENCH_CPU(1));
	bench_kicked(b, 1, 0);
	/* Online by its row, but the kick's result is what counts. */
	bench_row(b, 1, CPUHP_ONLINE);
	bench_silent(b);
	assert_false(o->ended);
	bench_done(b, 1, CPUHP_ONLINE, 0, 0);
	bench_ends(b, o, OP_DONE, "1:ok");
	bench_stop(b);
}

static void adding_overlaps(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o = bench_count_op(b, 5, OP_POLICY_ALL, 0);

	b->auto_qemu = false;
	bench_said(b, "plug 1");
	bench_said(b, "plug 2");
	bench_said(b, "plug 3");
	bench_said(b, "plug 4");
	b->auto_qemu = true;
	bench_ends(b, o, OP_DONE, "1:ok 2:ok 3:ok 4:ok");
	bench_stop(b);
}

static void one_by_one_waits_for_the_firmwares_answer(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .one_by_one = ONE_BY_ONE_YES });
	struct op *o = bench_count_op(b, 3, OP_POLICY_ALL, 0);

	b->auto_qemu = b->auto_agent = false;
	bench_said(b, "plug 1");
	bench_silent(b);
	bench_answer_plug(b, 1, 0, "");
	bench_silent(b);
	bench_ost(b, 1, HV_OST_ADD, 0);
	bench_said(b, "plug 2");
	b->auto_agent = true;
	bench_row(b, 1, CPUHP_STANDBY);
	bench_answer_plug(b, 2, 0, "");
	bench_row(b, 2, CPUHP_STANDBY);
	bench_ends(b, o, OP_DONE, "1:ok 2:ok");
	bench_stop(b);
}

static void one_by_one_does_not_hang_where_no_ost_comes(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .one_by_one = ONE_BY_ONE_YES });
	struct op *o = bench_count_op(b, 3, OP_POLICY_ALL, 0);

	b->auto_qemu = b->auto_agent = false;
	bench_said(b, "plug 1");
	bench_answer_plug(b, 1, 0, "");
	bench_silent(b);
	bench_row(b, 1, CPUHP_STANDBY);
	bench_said(b, "kick 1 44");
	bench_said(b, "plug 2");
	op_unref(o);
	bench_stop(b);
}

static void one_by_one_by_itself_goes_by_smm_and_where_that_is_not_known_by_pflash(void **ctx)
{
	static const struct {
		enum one_by_one config;
		enum hv_smm smm;
		bool pflash, want;
	} cases[] = {
		{ ONE_BY_ONE_AUTO, HV_SMM_ON, false, true },
		{ ONE_BY_ONE_AUTO, HV_SMM_ON, true, true },
		{ ONE_BY_ONE_AUTO, HV_SMM_OFF, true, false },
		{ ONE_BY_ONE_AUTO, HV_SMM_UNKNOWN, false, false },
		{ ONE_BY_ONE_AUTO, HV_SMM_UNKNOWN, true, true },
		{ ONE_BY_ONE_NO, HV_SMM_ON, true, false },
		{ ONE_BY_ONE_YES, HV_SMM_OFF, false, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b =
			bench_start(&(struct bench_options){ .one_by_one = cases[i].config });

		b->d->facts.smm = cases[i].smm;
		b->d->facts.pflash = cases[i].pflash;
		assert_int_equal(domain_is_one_by_one(b->d), cases[i].want);
		bench_stop(b);
	}
}

static void all_or_nothing_rolls_everything_back(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_plant(b, 2, bench_broken_verify);
	o = bench_count_op(b, 4, OP_POLICY_ALL, 0);
	bench_check(b, o, OP_FAILED);
	assert_int_equal(op_result_exit(o->result), EXIT_FAILED);
	assert_string_equal(text_of(&o->vcpus[1].error),
			    "vcpu 2: ap:verify startup failed with EIO (Input/output error)");
	assert_string_equal(text_of(&o->error), text_of(&o->vcpus[1].error));
	assert_int_equal(o->vcpus[1].rc, -EIO);
	assert_int_equal(o->vcpus[1].failed_at, CPUHP_AP_VERIFY);
	assert_string_equal(op_vcpu_failed_name(&o->vcpus[1]), "ap:verify");
	assert_string_equal(text_of(&o->vcpus[0].error), "");
	assert_int_equal(o->counts.present, 1);
	assert_int_equal(o->counts.online, 1);
	bench_states(b, 1, 3, CPUHP_OFFLINE);
	bench_ends(b, o, OP_FAILED, "1:rolled-back 2:failed 3:rolled-back");
	/* And the way is free for the next. */
	bench_plant(b, 2, (struct bench_plant){ 0 });
	bench_ends(b, bench_count_op(b, 4, OP_POLICY_ALL, 0), OP_DONE, "1:ok 2:ok 3:ok");
	bench_stop(b);
}

static void a_first_failure_calls_the_others_back(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->auto_agent = false;
	o = bench_count_op(b, 3, OP_POLICY_ALL, 0);
	bench_turn(b);
	bench_row(b, 1, CPUHP_STANDBY);
	bench_row(b, 2, CPUHP_STANDBY);
	bench_wait_word(b, "kick 2 44");
	bench_kicked(b, 1, 0);
	bench_kicked(b, 2, 0);
	b->n_read = b->n_words;
	bench_done(b, 2, CPUHP_STANDBY, -EIO, CPUHP_AP_ONLINE);
	bench_said(b, "cancel 1");
	/* Nothing is undone while the other is still out. */
	bench_silent(b);
	memset(b->kick_due, 0, sizeof(b->kick_due));
	b->auto_agent = true;
	bench_done(b, 1, CPUHP_STANDBY, -ECANCELED, CPUHP_AP_ONLINE);
	bench_check(b, o, OP_FAILED);
	assert_string_equal(text_of(&o->error), text_of(&o->vcpus[1].error));
	assert_string_equal(text_of(&o->vcpus[0].error), "");
	bench_ends(b, o, OP_FAILED, "1:rolled-back 2:failed");
	bench_stop(b);
}

static void one_that_comes_through_after_being_called_back_goes_back_too(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->agent_silent[1] = true;
	bench_plant(b, 2, bench_broken_verify);
	o = bench_count_op(b, 3, OP_POLICY_ALL, 0);
	bench_wait_word(b, "cancel 1");
	b->agent_silent[1] = false;
	bench_row(b, 1, CPUHP_ONLINE);
	bench_done(b, 1, CPUHP_ONLINE, 0, 0);
	bench_ends(b, o, OP_FAILED, "1:rolled-back 2:failed");
	bench_states(b, 1, 2, CPUHP_OFFLINE);
	bench_stop(b);
}

static void at_least_k_is_success(void **ctx)
{
	static const struct {
		unsigned int k;
		enum op_result result;
		const char *vcpus;
		unsigned int online;
	} cases[] = {
		{ 1, OP_DONE, "1:ok 2:failed 3:ok", 3 },
		{ 2, OP_DONE, "1:ok 2:failed 3:ok", 3 },
		{ 3, OP_FAILED, "1:rolled-back 2:failed 3:rolled-back", 1 },
		{ 9, OP_FAILED, "1:rolled-back 2:failed 3:rolled-back", 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_start(NULL);
		struct op *o;

		bench_plant(b, 2, bench_broken_verify);
		o = bench_count_op(b, 4, OP_POLICY_AT_LEAST, cases[i].k);
		bench_check(b, o, cases[i].result);
		assert_int_equal(o->counts.online, cases[i].online);
		assert_int_equal(o->counts.present, cases[i].online);
		bench_ends(b, o, cases[i].result, cases[i].vcpus);
		bench_stop(b);
	}
}

static void at_least_more_than_there_are_moves_is_met_by_all(void **ctx)
{
	struct bench *b = bench_start(NULL);

	bench_ends(b, bench_count_op(b, 2, OP_POLICY_AT_LEAST, 5), OP_DONE, "1:ok");
	bench_ends(b, bench_count_op(b, 2, OP_POLICY_AT_LEAST, 5), OP_DONE, "");
	bench_stop(b);
}

static void best_effort_undoes_each_failure_alone(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_plant(b, 2, bench_broken_verify);
	o = bench_count_op(b, 4, OP_POLICY_BEST_EFFORT, 0);
	bench_check(b, o, OP_PARTIAL);
	assert_int_equal(op_result_exit(o->result), EXIT_PARTIAL);
	assert_int_equal(o->counts.online, 3);
	assert_int_equal(bench_count(b, "unplug"), 1);
	assert_false(b->slots[2].present);
	bench_ends(b, o, OP_PARTIAL, "1:ok 2:failed 3:ok");
	bench_stop(b);
}

static void best_effort_that_reaches_nobody_has_failed(void **ctx)
{
	struct bench *b = bench_start(NULL);

	bench_plant(b, 1, bench_broken_verify);
	bench_plant(b, 2, bench_broken_verify);
	bench_ends(b, bench_count_op(b, 3, OP_POLICY_BEST_EFFORT, 0), OP_FAILED,
		   "1:failed 2:failed");
	bench_stop(b);
}

static void a_rollback_that_fails_is_stuck_and_says_both(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_plant(b, 1, bench_broken_verify);
	b->qemu_refuses[1] = true;
	o = bench_target_op(b, 1, 1, CPUHP_ONLINE, OP_POLICY_ALL);
	bench_check(b, o, OP_STUCK);
	assert_int_equal(op_result_exit(o->result), EXIT_STUCK);
	assert_int_equal(o->vcpus[0].rc, -EIO);
	assert_int_equal(o->vcpus[0].failed_at, CPUHP_AP_VERIFY);
	assert_int_equal(o->vcpus[0].rollback_rc, -EBUSY);
	assert_int_equal(o->vcpus[0].rollback_failed_at, CPUHP_QEMU_DEVICE);
	assert_int_equal(o->vcpus[0].state, CPUHP_STANDBY);
	/* R17: what is, is what is wished now; and nothing is left pending. */
	assert_int_equal(b->d->vcpus[1].wish, CPUHP_STANDBY);
	assert_int_equal(b->d->vcpus[1].pending, VCPU_PENDING_NONE);
	bench_ends(b, o, OP_STUCK, "1:failed");
	b->qemu_refuses[1] = false;
	bench_ends(b, bench_target_op(b, 1, 1, CPUHP_OFFLINE, OP_POLICY_ALL), OP_DONE, "1:ok");
	bench_stop(b);
}

static void an_agents_stuck_rollback_is_stuck(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_plant(b, 1,
		    (struct bench_plant){ .rc = 3,
					  .failed_at = CPUHP_AP_DYN,
					  .rests_at = CPUHP_AP_VERIFY,
					  .rollback_rc = 137 });
	o = bench_target_op(b, 1, 1, CPUHP_ONLINE, OP_POLICY_ALL);
	bench_check(b, o, OP_STUCK);
	assert_int_equal(o->vcpus[0].rc, 3);
	assert_int_equal(o->vcpus[0].rollback_rc, 137);
	assert_int_equal(o->vcpus[0].state, CPUHP_AP_VERIFY);
	assert_non_null(
		strstr(text_of(&o->vcpus[0].error), "ap:dyn startup failed with exit status 3"));
	op_unref(o);
	bench_stop(b);
}

static void sentences_name_the_callback_the_vcpu_and_the_code(void **ctx)
{
	static const struct {
		int rc;
		const char *text; /* the agent's */
		const char *want; /* behind "failed with " */
	} cases[] = {
		{ 3, "", "exit status 3" },
		{ 137, "", "signal 9" },
		{ -ETIMEDOUT, "", "ETIMEDOUT (Connection timed out)" },
		{ 3, "no disk", "exit status 3: no disk" },
		{ 3, "ap:dyn.10-log: no disk", "exit status 3: no disk" },
		{ 137, "signal 10 first", "signal 9: signal 10 first" },
		/* The code in other words is no reason. */
		{ 7, "exit status 7", "exit status 7" },
		{ 7, "ap:dyn.10-log: exit status 7", "exit status 7" },
		{ 137, "killed by signal 9", "signal 9" },
		{ -EIO, "Input/output error", "EIO (Input/output error)" },
	};
	const struct record name = { .type = RECORD_STATE,
				     .state = { .state = CPUHP_AP_DYN, .name = "10-log" } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct bench_plant plant = { .rc = cases[i].rc,
						   .failed_at = CPUHP_AP_DYN,
						   .rests_at = -1,
						   .text = cases[i].text };
		struct bench *b = bench_start(NULL);
		struct op *o;
		char want[128];

		snprintf(want, sizeof(want), "vcpu 1: ap:dyn.10-log startup failed with %s",
			 cases[i].want);
		b->link_ops->on_record(b->link_ctx, &name);
		bench_plant(b, 1, plant);
		o = bench_target_op(b, 1, 1, CPUHP_ONLINE, OP_POLICY_ALL);
		bench_check(b, o, OP_FAILED);
		assert_string_equal(text_of(&o->vcpus[0].error), want);
		assert_string_equal(op_vcpu_failed_name(&o->vcpus[0]), "ap:dyn.10-log");
		assert_int_equal(o->vcpus[0].rc, cases[i].rc);
		op_unref(o);
		bench_stop(b);
	}
}

/* vCPU 1, which is no part of the operation, is taken offline in the guest while it runs. */
static struct op *count_missed(struct bench *b, struct op *o)
{
	bench_wait_word(b, "kick 2");
	bench_row(b, 1, CPUHP_STANDBY);
	b->agent_silent[2] = false;
	bench_kicked(b, 2, 0);
	bench_row(b, 2, CPUHP_ONLINE);
	bench_done(b, 2, CPUHP_ONLINE, 0, 0xff);
	bench_turn(b);
	return o;
}

static void a_count_missed_because_of_others_is_planned_once_more(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 1);
	b->agent_silent[2] = true;
	o = count_missed(b, bench_count_op(b, 3, OP_POLICY_ALL, 0));
	assert_int_equal(bench_state(b, 1), CPUHP_ONLINE);
	assert_int_equal(o->counts.online, 3);
	bench_ends(b, o, OP_DONE, "2:ok 1:ok");
	bench_stop(b);
}

static void a_vcpu_that_leaves_at_the_last_moment_is_no_success(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	for (int targeted = 0; targeted < 2; targeted++) {
		b->agent_silent[1] = true;
		o = targeted ? bench_target_op(b, 1, 1, CPUHP_ONLINE, OP_POLICY_ALL)
			     : bench_count_op(b, 2, OP_POLICY_ALL, 0);
		bench_wait_word(b, "kick 1 44");
		b->agent_silent[1] = false;
		bench_turn(b);
		bench_done(b, 1, CPUHP_ONLINE, 0, 0xff);
		/* Before the loop has come to what follows from that. */
		bench_eject(b, 1);
		bench_check(b, o, OP_FAILED);
		assert_int_equal(o->counts.online, 1);
		assert_int_equal(o->vcpus[0].state, CPUHP_OFFLINE);
		assert_non_null(strstr(text_of(&o->error), "vcpu 1: another took it away"));
		bench_ends(b, o, OP_FAILED, "1:failed");
	}
	bench_stop(b);
}

static void a_count_that_stays_missed_is_no_success(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 1);
	b->agent_silent[2] = true;
	o = bench_count_op(b, 3, OP_POLICY_ALL, 0);
	bench_wait_word(b, "kick 2");
	o->run->planned_anew = true;
	count_missed(b, o);
	assert_int_equal(o->counts.online, 2);
	assert_non_null(strstr(text_of(&o->error), "others were moved meanwhile"));
	bench_ends(b, o, OP_PARTIAL, "2:ok");
	bench_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_count_is_reached),
		cmocka_unit_test(the_proof_is_the_agents_and_no_step_is_forgotten),
		cmocka_unit_test(adding_overlaps),
		cmocka_unit_test(one_by_one_waits_for_the_firmwares_answer),
		cmocka_unit_test(one_by_one_does_not_hang_where_no_ost_comes),
		cmocka_unit_test(
			one_by_one_by_itself_goes_by_smm_and_where_that_is_not_known_by_pflash),
		cmocka_unit_test(all_or_nothing_rolls_everything_back),
		cmocka_unit_test(a_first_failure_calls_the_others_back),
		cmocka_unit_test(one_that_comes_through_after_being_called_back_goes_back_too),
		cmocka_unit_test(at_least_k_is_success),
		cmocka_unit_test(at_least_more_than_there_are_moves_is_met_by_all),
		cmocka_unit_test(best_effort_undoes_each_failure_alone),
		cmocka_unit_test(best_effort_that_reaches_nobody_has_failed),
		cmocka_unit_test(a_rollback_that_fails_is_stuck_and_says_both),
		cmocka_unit_test(an_agents_stuck_rollback_is_stuck),
		cmocka_unit_test(sentences_name_the_callback_the_vcpu_and_the_code),
		cmocka_unit_test(a_vcpu_that_leaves_at_the_last_moment_is_no_success),
		cmocka_unit_test(a_count_missed_because_of_others_is_planned_once_more),
		cmocka_unit_test(a_count_that_stays_missed_is_no_success),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
