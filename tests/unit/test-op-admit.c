/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Before the first step of an operation: what has to be there, what is waited for and how long,
 * and what is refused. None of it sends a word to QEMU.
 */
#include "daemon/op-run.h"
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

static void without_an_agent_nothing_is_sent_to_qemu(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .no_agent = true });
	struct op *o = bench_count_op(b, 3, OP_POLICY_ALL, 0);

	bench_check(b, o, OP_NO_AGENT);
	assert_int_equal(op_result_exit(o->result), EXIT_NO_AGENT);
	assert_string_equal(text_of(&o->error), "no agent answers in the guest: the test says so; "
						"nothing was sent to QEMU");
	bench_silent(b);
	bench_ends(b, o, OP_NO_AGENT, "");
	bench_stop(b);
}

static void an_agent_that_does_not_answer_is_none(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;
	struct bench_ping p;

	b->mute = true;
	o = bench_count_op(b, 3, OP_POLICY_ALL, 0);
	bench_turn(b);
	assert_int_equal(b->n_pings, 1);
	p = b->pings[--b->n_pings];
	p.cb(p.arg, -ETIMEDOUT);
	bench_silent(b);
	bench_ends(b, o, OP_NO_AGENT, "");
	bench_stop(b);
}

static void an_agent_that_goes_while_it_is_asked_is_none(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->mute = true;
	o = bench_count_op(b, 3, OP_POLICY_ALL, 0);
	bench_turn(b);
	bench_agent_down(b);
	bench_silent(b);
	bench_ends(b, o, OP_NO_AGENT, "");
	bench_stop(b);
}

static void an_agent_that_is_back_in_another_session_is_asked_again(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->mute = true;
	o = bench_count_op(b, 3, OP_POLICY_ALL, 0);
	bench_turn(b);
	bench_agent_down(b);
	bench_turn(b);
	assert_false(o->ended);
	b->mute = false;
	bench_agent_up(b, 1);
	bench_ends(b, o, OP_DONE, "1:ok 2:ok");
	bench_stop(b);
}

static void an_agent_that_comes_in_time_is_waited_for(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .no_agent = true });
	struct op *o = bench_count_op(b, 3, OP_POLICY_ALL, 0);

	bench_turn(b);
	bench_agent_hello(b, 1);
	/* Its table is not told yet: nothing can be planned. */
	bench_silent(b);
	bench_agent_table(b);
	bench_ends(b, o, OP_DONE, "1:ok 2:ok");
	bench_stop(b);
}

static void a_domain_that_attaches_late_is_waited_for(void **ctx)
{
	struct bench *b =
		bench_start(&(struct bench_options){ .no_attach = true, .no_agent = true });
	struct op *o = bench_count_op(b, 3, OP_POLICY_ALL, 0);

	bench_turn(b);
	bench_attach(b);
	bench_turn(b);
	assert_false(o->ended);
	bench_agent_up(b, 1);
	bench_ends(b, o, OP_DONE, "1:ok 2:ok");
	bench_stop(b);
}

static void an_agent_heard_before_qemu_is_asked_again(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .no_attach = true });
	struct op *o = bench_count_op(b, 3, OP_POLICY_ALL, 0);

	bench_turn(b);
	assert_false(b->d->agent_up);
	bench_attach(b);
	bench_silent(b);
	assert_false(b->d->agent_up);
	bench_agent_table(b);
	bench_ends(b, o, OP_DONE, "1:ok 2:ok");
	bench_stop(b);
}

static void a_domain_that_never_attaches_is_gone(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .no_attach = true });
	struct op *o = bench_submit_with(b, 3, OP_POLICY_ALL, 50);

	bench_check(b, o, OP_VM_GONE);
	assert_int_equal(op_result_exit(o->result), EXIT_VM_GONE);
	op_unref(o);
	bench_stop(b);
}

static void a_domain_that_does_not_run_is_refused(void **ctx)
{
	static const struct {
		enum hv_status status;
		enum op_result result;
		const char *error;
	} cases[] = {
		{ HV_PAUSED, OP_REFUSED,
		  "the domain is paused, so its guest can take no part; resume it first" },
		{ HV_MIGRATING, OP_REFUSED, "the domain is migrating" },
		{ HV_SHUT_DOWN, OP_VM_GONE, "the VM has shut down" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_start(NULL);
		struct op *o;

		bench_status(b, cases[i].status);
		o = bench_count_op(b, 3, OP_POLICY_ALL, 0);
		bench_check(b, o, cases[i].result);
		assert_string_equal(text_of(&o->error), cases[i].error);
		if (o->result == OP_REFUSED)
			assert_string_equal(o->refused_by, "policy");
		bench_silent(b);
		op_unref(o);
		bench_stop(b);
	}
}

static void a_domain_just_resumed_is_not_refused_by_its_old_word(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_status(b, HV_PAUSED);
	b->resumed = true;
	o = bench_count_op(b, 3, OP_POLICY_ALL, 0);
	bench_ends(b, o, OP_DONE, "1:ok 2:ok");
	bench_stop(b);
}

static void a_pause_between_question_and_plan_is_seen(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;
	struct bench_ping p;

	b->mute = true;
	o = bench_count_op(b, 3, OP_POLICY_ALL, 0);
	bench_turn(b);
	p = b->pings[--b->n_pings];
	p.cb(p.arg, 0);
	bench_status(b, HV_PAUSED);
	bench_silent(b);
	bench_ends(b, o, OP_REFUSED, "");
	bench_stop(b);
}

static void a_guest_that_cannot_hotplug_is_refused(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->d->hello.features = 0;
	o = bench_count_op(b, 3, OP_POLICY_ALL, 0);
	bench_check(b, o, OP_REFUSED);
	assert_string_equal(o->refused_by, "guest");
	bench_silent(b);
	op_unref(o);
	bench_stop(b);
}

static void a_plans_refusal_is_the_operations(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .max_vcpus = 3 });
	struct op *o = bench_count_op(b, 4, OP_POLICY_ALL, 0);

	bench_check(b, o, OP_REFUSED);
	assert_int_equal(op_result_exit(o->result), EXIT_REFUSED);
	assert_string_equal(o->refused_by, "policy");
	assert_string_equal(text_of(&o->error), "4 vCPUs would be plugged, MaxVcpus= is 3");
	bench_silent(b);
	op_unref(o);
	bench_stop(b);
}

static void what_no_answer_can_mend_is_refused_without_an_agent(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .no_agent = true, .online = 4 });
	struct op *o = bench_count_op(b, 9, OP_POLICY_ALL, 0);

	bench_ends(b, o, OP_REFUSED, "");
	o = bench_target_op(b, 0, 0, CPUHP_STANDBY, OP_POLICY_ALL);
	bench_ends(b, o, OP_REFUSED, "");
	/* Three of the four may rest at standby: that is for the agent to say. */
	o = bench_count_op(b, 2, OP_POLICY_ALL, 0);
	bench_turn(b);
	assert_false(o->ended);
	for (unsigned int i = 1; i < 4; i++)
		b->guest_state[i] = CPUHP_STANDBY;
	bench_agent_up(b, 1);
	bench_ends(b, o, OP_DONE, "1:ok");
	bench_stop(b);
}

static void more_than_kvm_recommends_is_done_with_a_warning(void **ctx)
{
	for (int tcg = 0; tcg < 2; tcg++) {
		struct bench *b = bench_start(&(struct bench_options){ .tcg = tcg });
		struct op *o;

		b->manager->kvm.nr_vcpus = 3;
		o = bench_count_op(b, 3, OP_POLICY_ALL, 0);
		bench_check(b, o, OP_DONE);
		assert_string_equal(text_of(&o->warning), "");
		assert_int_equal(b->n_warnings, 0);
		op_unref(o);
		o = bench_count_op(b, 5, OP_POLICY_ALL, 0);
		bench_check(b, o, OP_DONE);
		assert_string_equal(text_of(&o->warning),
				    tcg ? ""
					: "5 vCPUs would be plugged, and KVM recommends no more "
					  "than 3 on this host");
		assert_int_equal(b->n_warnings, tcg ? 0 : 1);
		if (!tcg)
			assert_non_null(strstr(b->last_warning, text_of(&o->warning)));
		bench_ends(b, o, OP_DONE, "3:ok 4:ok");
		bench_stop(b);
	}
}

static void nothing_to_do_is_done(void **ctx)
{
	struct bench *b = bench_start(NULL);

	bench_ends(b, bench_count_op(b, 1, OP_POLICY_ALL, 0), OP_DONE, "");
	bench_silent(b);
	bench_stop(b);
}

/* vCPUs 1 and 2 are ours, and an agent that has just come is taking all CPUs into service. */
static struct bench *start_with_adoptions(void)
{
	struct bench *b = bench_start(NULL);

	bench_put_online(b, 1, 2);
	bench_agent_down(b);
	for (unsigned int i = 0; i < 3; i++) {
		b->guest_walking[i] = true;
		b->guest_state[i] = CPUHP_AP_ONLINE;
	}
	bench_agent_up(b, 2);
	return b;
}

static void adopt(struct bench *b, unsigned int slot)
{
	b->guest_walking[slot] = false;
	bench_row(b, slot, CPUHP_ONLINE);
	bench_turn(b);
}

static void what_the_agent_is_at_work_on_is_counted_once_it_rests(void **ctx)
{
	struct bench *b = start_with_adoptions();
	struct op *o = bench_count_op(b, 1, OP_POLICY_ALL, 0);

	bench_turn(b);
	/* One of them online for a moment is not what was asked for. */
	adopt(b, 0);
	adopt(b, 1);
	assert_false(o->ended);
	bench_silent(b);
	adopt(b, 2);
	bench_ends(b, o, OP_DONE, "2:ok 1:ok");
	bench_stop(b);
}

static void a_state_on_the_way_is_no_target_reached(void **ctx)
{
	struct bench *b = start_with_adoptions();
	struct op *o;

	b->guest_state[2] = CPUHP_AP_VERIFY;
	bench_row(b, 2, CPUHP_AP_VERIFY);
	o = bench_target_op(b, 2, 2, CPUHP_AP_VERIFY, OP_POLICY_ALL);
	bench_turn(b);
	assert_false(o->ended);
	bench_silent(b);
	/* The others may take as long as they like. */
	adopt(b, 2);
	bench_ends(b, o, OP_DONE, "2:ok");
	bench_stop(b);
}

static void an_agent_at_work_for_ever_ends_it_at_its_deadline(void **ctx)
{
	struct bench *b = start_with_adoptions();
	unsigned int asked = b->agent_queries;
	struct op *o = bench_submit_with(b, 1, OP_POLICY_ALL, 50);

	bench_hold_tick(b);
	bench_turn(b);
	assert_int_equal(b->agent_queries, asked);
	/* Its word of the end may be lost. */
	op_run_doubt(b->d);
	assert_int_equal(b->agent_queries, asked + 1);
	bench_check(b, o, OP_FAILED);
	assert_string_equal(text_of(&o->error),
			    "vcpu 0: the agent's own work on it did not end in time; "
			    "nothing was sent to QEMU");
	bench_silent(b);
	op_run_doubt(b->d);
	assert_int_equal(b->agent_queries, asked + 1);
	op_unref(o);
	bench_stop(b);
}

static void an_agent_that_dies_at_its_own_work_is_none(void **ctx)
{
	struct bench *b = start_with_adoptions();
	struct op *o = bench_count_op(b, 1, OP_POLICY_ALL, 0);
	struct bench_ping p;

	bench_turn(b);
	b->mute = true;
	op_run_doubt(b->d);
	bench_turn(b);
	assert_int_equal(b->n_pings, 1);
	p = b->pings[--b->n_pings];
	p.cb(p.arg, -ETIMEDOUT);
	bench_silent(b);
	bench_ends(b, o, OP_NO_AGENT, "");
	bench_stop(b);
}

/* Arming */

static void on_armed(void *arg, int rc, const char *text)
{
	int *ret = arg;

	*ret = rc;
}

static bool is_armed(struct bench *b, void *arg)
{
	int *rc = arg;

	return *rc != 1;
}

static void R18_arming_is_answered_whatever_the_agent_does(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct msg_armed m = { .slot = 1, .state = CPUHP_AP_VERIFY, .rc = -EPERM };
	int rc = 1, other = 1;

	assert_int_equal(domain_arm_failure(b->d, 0, CPUHP_AP_VERIFY, on_armed, &rc), 0);
	bench_said(b, "arm 0 9");
	assert_int_equal(domain_arm_failure(b->d, 0, CPUHP_AP_VERIFY, on_armed, &other), -EBUSY);
	b->link_ops->on_armed(b->link_ctx, &m);
	assert_int_equal(rc, 1);
	m.slot = 0;
	b->link_ops->on_armed(b->link_ctx, &m);
	assert_int_equal(rc, -EPERM);
	/* It says nothing. */
	rc = 1;
	assert_int_equal(domain_arm_failure(b->d, 0, CPUHP_AP_VERIFY, on_armed, &rc), 0);
	bench_wait(b, is_armed, &rc);
	assert_int_equal(rc, -ETIMEDOUT);
	/* It goes. */
	rc = 1;
	assert_int_equal(domain_arm_failure(b->d, 0, CPUHP_AP_VERIFY, on_armed, &rc), 0);
	bench_agent_down(b);
	assert_int_equal(rc, -ENOTCONN);
	assert_int_equal(domain_arm_failure(b->d, 0, CPUHP_AP_VERIFY, on_armed, &rc), -ENOTCONN);
	bench_stop(b);
	assert_int_equal(other, 1);
}

static void R18_only_states_with_a_callback_can_be_armed(void **ctx)
{
	struct bench *b = bench_start(NULL);
	int rc = 1;

	assert_int_equal(domain_arm_failure(b->d, 1, CPUHP_OFFLINE, on_armed, &rc), -EINVAL);
	assert_int_equal(domain_arm_failure(b->d, 1, CPUHP_STANDBY, on_armed, &rc), -EINVAL);
	assert_int_equal(domain_arm_failure(b->d, 1, CPUHP_ONLINE, on_armed, &rc), -EINVAL);
	assert_int_equal(domain_arm_failure(b->d, 1, CPUHP_HOST_PLACE, on_armed, &rc), -EINVAL);
	assert_int_equal(domain_arm_failure(b->d, 99, CPUHP_AP_KICK, on_armed, &rc), -ENOENT);
	assert_int_equal(rc, 1);
	assert_int_equal(domain_arm_failure(b->d, 1, CPUHP_AP_KICK, on_armed, &rc), 0);
	assert_int_equal(rc, 0);
	bench_ends(b, bench_count_op(b, 2, OP_POLICY_ALL, 0), OP_FAILED, "1:failed");
	bench_ends(b, bench_count_op(b, 2, OP_POLICY_ALL, 0), OP_DONE, "1:ok");
	bench_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_an_agent_nothing_is_sent_to_qemu),
		cmocka_unit_test(an_agent_that_does_not_answer_is_none),
		cmocka_unit_test(an_agent_that_goes_while_it_is_asked_is_none),
		cmocka_unit_test(an_agent_that_is_back_in_another_session_is_asked_again),
		cmocka_unit_test(an_agent_that_comes_in_time_is_waited_for),
		cmocka_unit_test(a_domain_that_attaches_late_is_waited_for),
		cmocka_unit_test(an_agent_heard_before_qemu_is_asked_again),
		cmocka_unit_test(a_domain_that_never_attaches_is_gone),
		cmocka_unit_test(a_domain_that_does_not_run_is_refused),
		cmocka_unit_test(a_domain_just_resumed_is_not_refused_by_its_old_word),
		cmocka_unit_test(a_pause_between_question_and_plan_is_seen),
		cmocka_unit_test(a_guest_that_cannot_hotplug_is_refused),
		cmocka_unit_test(a_plans_refusal_is_the_operations),
		cmocka_unit_test(what_no_answer_can_mend_is_refused_without_an_agent),
		cmocka_unit_test(more_than_kvm_recommends_is_done_with_a_warning),
		cmocka_unit_test(nothing_to_do_is_done),
		cmocka_unit_test(what_the_agent_is_at_work_on_is_counted_once_it_rests),
		cmocka_unit_test(a_state_on_the_way_is_no_target_reached),
		cmocka_unit_test(an_agent_at_work_for_ever_ends_it_at_its_deadline),
		cmocka_unit_test(an_agent_that_dies_at_its_own_work_is_none),
		cmocka_unit_test(R18_arming_is_answered_whatever_the_agent_does),
		cmocka_unit_test(R18_only_states_with_a_callback_can_be_armed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
