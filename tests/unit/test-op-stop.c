/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The engine being stopped: deadlines and cancels, in each phase.
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

static void an_add_past_its_deadline_is_rolled_back(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->agent_silent[2] = true;
	o = bench_submit_with(b, 3, OP_POLICY_ALL, 60);
	bench_wait_word(b, "cancel 2");
	b->agent_silent[2] = false;
	bench_done(b, 2, CPUHP_STANDBY, -ECANCELED, CPUHP_AP_VERIFY);
	bench_check(b, o, OP_FAILED);
	assert_string_equal(text_of(&o->error), "the operation's deadline passed");
	assert_int_equal(o->vcpus[1].rc, -ETIMEDOUT);
	assert_int_equal(o->counts.online, 1);
	assert_int_equal(o->counts.present, 1);
	bench_ends(b, o, OP_FAILED, "1:rolled-back 2:rolled-back");
	bench_stop(b);
}

static void a_deadline_with_an_agent_that_gives_nothing_back_is_pending(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->agent_silent[1] = true;
	o = bench_submit_with(b, 2, OP_POLICY_ALL, 60);
	bench_check(b, o, OP_PENDING);
	assert_int_equal(bench_count(b, "unplug"), 0);
	assert_int_equal(b->d->vcpus[1].wish, CPUHP_OFFLINE);
	/* A step that ends later is no part of the result any more. */
	bench_step(b, 1, CPUHP_AP_ONLINE, true, 0);
	assert_int_equal(op_vcpu_step_us(&o->vcpus[0], CPUHP_AP_ONLINE), -1);
	bench_ends(b, o, OP_PENDING, "1:pending");
	/* It comes through after all: taken back, for nobody waits for it any more. */
	b->agent_silent[1] = false;
	bench_row(b, 1, CPUHP_ONLINE);
	bench_done(b, 1, CPUHP_ONLINE, 0, 0);
	bench_wait_word(b, "unplug 1");
	bench_turn(b);
	assert_false(b->slots[1].present);
	assert_int_equal(b->d->vcpus[1].pending, VCPU_PENDING_NONE);
	bench_stop(b);
}

static void a_deadline_while_an_eject_is_awaited_is_pending_at_once(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .tcg = true });
	struct op *o;

	bench_put_online(b, 1, 2);
	b->qemu_silent[2] = true;
	o = bench_submit_with(b, 1, OP_POLICY_ALL, 60);
	bench_check(b, o, OP_PENDING);
	/* What had not been sent is not sent any more. */
	assert_int_equal(bench_count(b, "unplug 1"), 0);
	assert_int_equal(bench_state(b, 1), CPUHP_ONLINE);
	bench_ends(b, o, OP_PENDING, "2:pending 1:rolled-back");
	bench_eject(b, 2);
	bench_turn(b);
	assert_int_equal(bench_count(b, "plug"), 0);
	assert_int_equal(b->removed[2], 1);
	bench_stop(b);
}

static void an_undoing_eject_past_the_deadline_keeps_the_first_error(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	/* The eject's own deadline is far. */
	b->config.deadlines.eject_soft_ms = b->config.deadlines.eject_hard_ms = 60000;
	bench_plant(b, 1, bench_broken_verify);
	b->qemu_silent[1] = true;
	o = bench_submit_with(b, 2, OP_POLICY_ALL, 60);
	bench_check(b, o, OP_PENDING);
	assert_int_equal(o->vcpus[0].rc, -EIO);
	assert_int_equal(o->vcpus[0].failed_at, CPUHP_AP_VERIFY);
	assert_int_equal(o->vcpus[0].rollback_rc, -ETIMEDOUT);
	assert_int_equal(o->vcpus[0].rollback_failed_at, CPUHP_QEMU_DEVICE);
	assert_int_equal(b->d->vcpus[1].wish, CPUHP_OFFLINE);
	op_unref(o);
	bench_stop(b);
}

static void a_cancel_in_each_waiting_phase_changes_nothing(void **ctx)
{
	static const struct bench_options options[] = {
		{ .no_attach = true }, { .no_agent = true },  { .no_agent = false },
		{ .no_agent = false }, { .no_agent = false },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		struct bench *b = bench_start(&options[i]);
		struct bench_ping p;
		struct op *o;

		b->mute = i != ADMISSION_REST;
		b->hold_queries = i == ADMISSION_MUTE;
		b->guest_walking[0] = i == ADMISSION_REST;
		if (i == ADMISSION_REST)
			bench_row(b, 0, CPUHP_AP_ONLINE);
		o = bench_count_op(b, 3, OP_POLICY_ALL, 0);
		bench_turn(b);
		if (i == ADMISSION_MUTE) {
			p = b->pings[--b->n_pings];
			p.cb(p.arg, -ETIMEDOUT);
			bench_turn(b);
		}
		assert_true(o->running);
		assert_int_equal(o->run->phase, RUN_ADMIT);
		assert_int_equal(o->run->admission.phase, i);
		assert_int_equal(domain_cancel(o), 0);
		bench_check(b, o, OP_CANCELLED);
		assert_int_equal(domain_cancel(o), -EALREADY);
		assert_string_equal(text_of(&o->error), "cancelled before anything was changed");
		bench_ends(b, o, OP_CANCELLED, "");
		b->hold_queries = false;
		bench_silent(b);
		assert_int_equal(b->n_pings, 0);
		bench_stop(b);
	}
}

static void a_cancel_in_the_climb_takes_everything_back(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->agent_silent[2] = true;
	o = bench_count_op(b, 3, OP_POLICY_ALL, 0);
	bench_wait_word(b, "kick 2 44");
	bench_turn(b);
	assert_int_equal(domain_cancel(o), 0);
	bench_turn(b);
	assert_int_equal(bench_count(b, "cancel 2"), 1);
	b->agent_silent[2] = false;
	bench_done(b, 2, CPUHP_STANDBY, -ECANCELED, CPUHP_AP_VERIFY);
	bench_check(b, o, OP_CANCELLED);
	assert_string_equal(text_of(&o->error), "cancelled");
	bench_states(b, 1, 2, CPUHP_OFFLINE);
	bench_ends(b, o, OP_CANCELLED, "1:rolled-back 2:rolled-back");
	bench_stop(b);
}

static void a_cancel_while_settling_sends_no_more_device_del(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .tcg = true });
	struct op *o;

	bench_put_online(b, 1, 2);
	b->auto_qemu = false;
	o = bench_count_op(b, 1, OP_POLICY_ALL, 0);
	bench_wait_word(b, "unplug 2");
	assert_int_equal(domain_cancel(o), 0);
	bench_answer_unplug(b, 2, 0, "");
	bench_turn(b);
	bench_eject(b, 2);
	bench_check(b, o, OP_CANCELLED);
	assert_int_equal(bench_count(b, "unplug 1"), 0);
	assert_int_equal(bench_state(b, 1), CPUHP_ONLINE);
	assert_int_equal(bench_state(b, 2), CPUHP_OFFLINE);
	bench_ends(b, o, OP_CANCELLED, "2:ok 1:rolled-back");
	bench_stop(b);
}

/* It needs no way back, and yet it did not come true. */
static void a_removal_from_standby_that_is_not_sent_is_no_success(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put(b, 2, CPUHP_STANDBY);
	bench_put(b, 1, CPUHP_ONLINE);
	bench_plant(b, 1, bench_busy_offline);
	o = bench_target_op(b, 1, 2, CPUHP_OFFLINE, OP_POLICY_ALL);
	bench_check(b, o, OP_REFUSED);
	assert_int_equal(bench_count(b, "unplug"), 0);
	assert_int_equal(b->d->vcpus[2].wish, CPUHP_STANDBY);
	bench_ends(b, o, OP_REFUSED, "2:rolled-back 1:refused");
	/* Stopped where nothing fails: not done either. */
	bench_plant(b, 1, (struct bench_plant){ 0 });
	b->auto_agent = false;
	o = bench_target_op(b, 2, 2, CPUHP_OFFLINE, OP_POLICY_ALL);
	bench_wait_word(b, "kick 2 6");
	bench_kicked(b, 2, 0);
	bench_done(b, 2, CPUHP_STANDBY, 0, 0xff);
	assert_int_equal(domain_cancel(o), 0);
	bench_ends(b, o, OP_CANCELLED, "2:rolled-back");
	assert_int_equal(bench_count(b, "unplug"), 0);
	bench_stop(b);
}

/* The agent is asked once more, at standby, before device_del. */
static void a_deadline_at_the_last_consent_is_no_refusal(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 1);
	o = bench_submit_with(b, 1, OP_POLICY_ALL, 60);
	b->auto_agent = false;
	bench_wait_word(b, "kick 1 6");
	bench_kicked(b, 1, 0);
	bench_done(b, 1, CPUHP_STANDBY, 0, 0xff);
	bench_turn(b);
	assert_int_equal(bench_count(b, "kick 1 6"), 2);
	bench_kicked(b, 1, 0);
	bench_wait_word(b, "cancel 1");
	bench_done(b, 1, CPUHP_STANDBY, -ECANCELED, 0xff);
	memset(b->kick_due, 0, sizeof(b->kick_due));
	b->auto_agent = true;
	bench_check(b, o, OP_FAILED);
	assert_int_equal(bench_count(b, "unplug"), 0);
	bench_ends(b, o, OP_FAILED, "1:rolled-back");
	bench_stop(b);
}

/* What is to be taken back is not there any more: that is no rollback that failed. */
static void what_leaves_the_guest_before_its_way_back_is_removed(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->auto_agent = false;
	o = bench_count_op(b, 2, OP_POLICY_ALL, 0);
	bench_wait_word(b, "plug 1");
	bench_turn(b);
	bench_row(b, 1, CPUHP_STANDBY);
	bench_wait_word(b, "kick 1 44");
	bench_kicked(b, 1, 0);
	assert_int_equal(domain_cancel(o), 0);
	bench_done(b, 1, CPUHP_ONLINE, 0, 0xff);
	bench_wait_word(b, "kick 1 6 rollback");
	bench_row(b, 1, CPUHP_OFFLINE);
	bench_kicked(b, 1, -ENODEV);
	bench_ends(b, o, OP_CANCELLED, "1:rolled-back");
	bench_states(b, 1, 1, CPUHP_OFFLINE);
	bench_stop(b);
}

/* One of two removals is out, and one is not: without that the rest has not come true either. */
static void a_cancel_that_turns_one_round_takes_back_what_rests(void **ctx)
{
	struct op_request r = { .goal = OP_GOAL_COUNT, .count = 1, .standby = 1 };
	struct bench *b = bench_start(&(struct bench_options){ .tcg = true });
	struct op *o;

	bench_put_online(b, 1, 3);
	b->qemu_silent[3] = true;
	o = bench_submit(b, &r);
	bench_wait_word(b, "unplug 3");
	bench_turn(b);
	assert_int_equal(domain_cancel(o), 0);
	bench_eject(b, 3);
	bench_ends(b, o, OP_CANCELLED, "3:ok 2:rolled-back 1:rolled-back");
	bench_states(b, 1, 2, CPUHP_ONLINE);
	bench_stop(b);
}

/* What it came too late for is as it would be without it. */
static void a_cancel_beside_a_removal_takes_nothing_back(void **ctx)
{
	struct op_request r = {
		.goal = OP_GOAL_COUNT, .count = 1, .standby = 1, .policy = OP_POLICY_BEST_EFFORT
	};
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put(b, 1, CPUHP_ONLINE);
	bench_put(b, 2, CPUHP_ONLINE);
	b->qemu_silent[2] = true;
	o = bench_submit(b, &r);
	bench_wait_word(b, "unplug 2");
	bench_turn(b);
	assert_int_equal(domain_cancel(o), 0);
	bench_ost(b, 2, HV_OST_REMOVE, 130);
	bench_ends(b, o, OP_PARTIAL, "2:refused 1:ok");
	assert_int_equal(bench_state(b, 1), CPUHP_STANDBY);
	assert_int_equal(bench_state(b, 2), CPUHP_ONLINE);
	bench_stop(b);
}

/* A removal that has not been sent, with the agent still to consent, when the time is over. */
static void a_deadline_that_turns_a_removal_takes_back_what_has_come_up(void **ctx)
{
	struct op_request r = {
		.goal = OP_GOAL_COUNT, .count = 2, .standby = 0, .timeout_ms = 300
	};
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put(b, 1, CPUHP_STANDBY);
	bench_put(b, 2, CPUHP_STANDBY);
	b->agent_silent[1] = true;
	o = bench_submit(b, &r);
	bench_wait_word(b, "kick 2 6");
	bench_turn(b);
	b->agent_silent[1] = false;
	b->agent_silent[2] = true;
	bench_done(b, 1, CPUHP_ONLINE, 0, 0xff);
	bench_wait_word(b, "cancel 2");
	bench_done(b, 2, CPUHP_STANDBY, -ECANCELED, 0xff);
	bench_ends(b, o, OP_FAILED, "1:rolled-back 2:rolled-back");
	bench_states(b, 1, 2, CPUHP_STANDBY);
	assert_int_equal(bench_count(b, "unplug"), 0);
	bench_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_add_past_its_deadline_is_rolled_back),
		cmocka_unit_test(a_deadline_with_an_agent_that_gives_nothing_back_is_pending),
		cmocka_unit_test(a_deadline_while_an_eject_is_awaited_is_pending_at_once),
		cmocka_unit_test(an_undoing_eject_past_the_deadline_keeps_the_first_error),
		cmocka_unit_test(a_cancel_in_each_waiting_phase_changes_nothing),
		cmocka_unit_test(a_cancel_in_the_climb_takes_everything_back),
		cmocka_unit_test(a_cancel_while_settling_sends_no_more_device_del),
		cmocka_unit_test(a_removal_from_standby_that_is_not_sent_is_no_success),
		cmocka_unit_test(a_deadline_at_the_last_consent_is_no_refusal),
		cmocka_unit_test(what_leaves_the_guest_before_its_way_back_is_removed),
		cmocka_unit_test(a_cancel_beside_a_removal_takes_nothing_back),
		cmocka_unit_test(a_cancel_that_turns_one_round_takes_back_what_rests),
		cmocka_unit_test(a_deadline_that_turns_a_removal_takes_back_what_has_come_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
