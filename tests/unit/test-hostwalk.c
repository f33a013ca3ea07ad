/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * One vCPU's walk on the host's side, told as dialogues: what QEMU and the agent are asked, in
 * order, and what they answer. QEMU and the agent answer by hand here, so that each wait is seen;
 * only queries are answered by themselves. What is not yet due must not have been said: most
 * dialogues end a line with bench_silent().
 */
#include "daemon/vcpu.h"
#include "tests/unit/host-bench.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void R2_the_host_aims_at_standby_and_its_last_step_is_the_kick(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_climb_to_kick(b, &w, 3, CPUHP_ONLINE);
	bench_said(b, "kick 3 44");
	bench_silent(b);
	assert_int_equal(bench_state(b, 3), CPUHP_GUEST_PRESENT);
	/* The walk's own step waits for that. */
	assert_false(b->kicks[3].flags & MSG_KICK_TAKEN_LATER);
	bench_kicked(b, 3, 0);
	/* Handed over: nothing of the host's runs above standby, whatever the agent does. */
	bench_silent(b);
	assert_int_equal(bench_state(b, 3), CPUHP_STANDBY);
	bench_step(b, 3, CPUHP_AP_ONLINE, true, 0);
	assert_int_equal(bench_state(b, 3), CPUHP_AP_ONLINE);
	bench_silent(b);
	assert_int_equal(w.n_done, 0);
	bench_done(b, 3, CPUHP_ONLINE, 0, 0xff);
	bench_walk_ends(b, &w, 0, -1);
	for (int s = CPUHP_STANDBY; s < CPUHP_STATES; s++)
		assert_int_equal(b->entered[s], 0);
	assert_int_equal(b->entered[CPUHP_AP_KICK], 1);
	assert_int_equal(bench_state(b, 3), CPUHP_ONLINE);
	bench_stop(b);
}

static void R2_a_target_of_standby_is_kicked_no_higher(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_climb_to_kick(b, &w, 3, CPUHP_STANDBY);
	bench_said(b, "kick 3 6");
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_STANDBY, 0, 0xff);
	bench_walk_ends(b, &w, 0, -1);
	assert_int_equal(bench_state(b, 3), CPUHP_STANDBY);
	bench_stop(b);
}

static void R4_at_standby_or_above_the_kick_comes_first(void **ctx)
{
	static const struct {
		int from, target;
		const char *kick;
	} cases[] = {
		{ CPUHP_STANDBY, CPUHP_ONLINE, "kick 3 44" },
		{ CPUHP_ONLINE, CPUHP_STANDBY, "kick 3 6" },
		{ CPUHP_ONLINE, CPUHP_OFFLINE, "kick 3 6" },
		{ CPUHP_STANDBY, CPUHP_OFFLINE, "kick 3 6" },
		{ CPUHP_AP_THREADS, CPUHP_AP_VERIFY, "kick 3 9" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_by_hand(NULL);
		struct bench_walk w;

		bench_put(b, 3, cases[i].from);
		bench_walk(b, &w, 3, cases[i].target, false);
		bench_said(b, cases[i].kick);
		assert_true(b->kicks[3].flags & MSG_KICK_TAKEN_LATER);
		bench_silent(b);
		bench_stop(b);
	}
}

static void R4_an_error_of_the_kick_is_returned_and_nothing_is_undone(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	/* The agent tries and rolls back. */
	bench_put(b, 3, CPUHP_ONLINE);
	bench_walk(b, &w, 3, CPUHP_OFFLINE, false);
	bench_said(b, "kick 3 6");
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_ONLINE, -EBUSY, CPUHP_AP_ONLINE);
	bench_walk_ends(b, &w, -EBUSY, CPUHP_AP_ONLINE);
	assert_true(w.outcome.teardown);
	assert_int_equal(bench_state(b, 3), CPUHP_ONLINE);
	/* It refuses at once. */
	bench_walk(b, &w, 3, CPUHP_OFFLINE, false);
	bench_said(b, "kick 3 6");
	bench_kicked(b, 3, -EINVAL);
	bench_walk_ends(b, &w, -EINVAL, CPUHP_AP_KICK);
	assert_int_equal(bench_count(b, "unplug"), 0);
	bench_stop(b);
}

static void R4_a_kick_to_the_state_it_is_in_succeeds(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_put(b, 3, CPUHP_ONLINE);
	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "kick 3 44");
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_ONLINE, 0, 0xff);
	bench_walk_ends(b, &w, 0, -1);
	bench_stop(b);
}

static void R4_in_a_fresh_add_the_agents_failure_undoes_4_to_1(void **ctx)
{
	struct bench *b = bench_by_hand(&(struct bench_options){ .has_place = true });
	struct op *o = bench_target_op(b, 3, 3, CPUHP_ONLINE, OP_POLICY_ALL);

	bench_said(b, "plug 3");
	bench_answer_plug(b, 3, 0, "");
	bench_said(b, "place 3");
	bench_row(b, 3, CPUHP_STANDBY);
	bench_said(b, "kick 3 44");
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_STANDBY, -EIO, CPUHP_AP_VERIFY);
	/* Asked first once more: it is at standby, and the agent shall know. */
	bench_said(b, "kick 3 6 rollback");
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_STANDBY, 0, 0xff);
	bench_said(b, "unplace 3");
	bench_said(b, "unplug 3");
	bench_answer_unplug(b, 3, 0, "");
	bench_silent(b);
	assert_false(o->ended);
	bench_eject(b, 3);
	bench_check(b, o, OP_FAILED);
	assert_int_equal(o->vcpus[0].rc, -EIO);
	assert_int_equal(o->vcpus[0].failed_at, CPUHP_AP_VERIFY);
	assert_int_equal(o->vcpus[0].state, CPUHP_OFFLINE);
	assert_int_equal(b->rolled_back[CPUHP_HOST_ADMIT], 1);
	assert_int_equal(b->d->vcpus[3].pending, VCPU_PENDING_NONE);
	op_unref(o);
	bench_stop(b);
}

static void R5_above_standby_or_standby_as_asked_is_success(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_put(b, 3, CPUHP_ONLINE);
	bench_walk(b, &w, 3, CPUHP_AP_THREADS, false);
	bench_said(b, "kick 3 8");
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_AP_THREADS, 0, 0xff);
	bench_walk_ends(b, &w, 0, -1);
	assert_int_equal(bench_state(b, 3), CPUHP_AP_THREADS);
	bench_walk(b, &w, 3, CPUHP_STANDBY, false);
	bench_said(b, "kick 3 6");
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_STANDBY, 0, 0xff);
	bench_walk_ends(b, &w, 0, -1);
	assert_int_equal(bench_count(b, "unplug"), 0);
	bench_stop(b);
}

static void R6_standby_with_a_lower_target_leaves_the_rest_to_the_host(void **ctx)
{
	struct bench *b = bench_by_hand(&(struct bench_options){ .has_place = true });
	struct bench_walk w;

	bench_put(b, 3, CPUHP_ONLINE);
	bench_walk(b, &w, 3, CPUHP_OFFLINE, false);
	bench_said(b, "kick 3 6");
	bench_kicked(b, 3, 0);
	bench_silent(b);
	bench_done(b, 3, CPUHP_STANDBY, 0, 0xff);
	bench_said(b, "unplace 3");
	bench_said(b, "unplug 3");
	assert_int_equal(b->d->vcpus[3].pending, VCPU_PENDING_UNPLUG);
	bench_answer_unplug(b, 3, 0, "");
	bench_silent(b);
	bench_eject(b, 3);
	bench_walk_ends(b, &w, 0, -1);
	assert_int_equal(bench_state(b, 3), CPUHP_OFFLINE);
	assert_int_equal(b->d->vcpus[3].pending, VCPU_PENDING_NONE);
	bench_stop(b);
}

static void R6_any_other_state_after_a_kick_is_a_protocol_error(void **ctx)
{
	static const struct {
		int from, target, said;
	} cases[] = {
		{ CPUHP_STANDBY, CPUHP_ONLINE, CPUHP_STANDBY },
		{ CPUHP_STANDBY, CPUHP_ONLINE, CPUHP_AP_ACTIVE },
		{ CPUHP_ONLINE, CPUHP_OFFLINE, CPUHP_ONLINE },
		{ CPUHP_ONLINE, CPUHP_OFFLINE, CPUHP_AP_ONLINE },
		{ CPUHP_ONLINE, CPUHP_OFFLINE, CPUHP_OFFLINE },
		{ CPUHP_ONLINE, CPUHP_STANDBY, CPUHP_GUEST_PRESENT },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_by_hand(NULL);
		struct bench_walk w;

		bench_put(b, 3, cases[i].from);
		bench_walk(b, &w, 3, cases[i].target, false);
		bench_turn(b);
		b->n_read = b->n_words;
		bench_kicked(b, 3, 0);
		bench_done(b, 3, cases[i].said, 0, 0xff);
		bench_walk_ends(b, &w, -EPROTO, CPUHP_AP_KICK);
		assert_false(w.outcome.teardown);
		/* Never shown below what QEMU has. */
		assert_true(bench_state(b, 3) >= CPUHP_HOST_PLACE);
		bench_stop(b);
	}
}

static void R7_a_result_of_an_earlier_kick_never_answers_for_a_later_one(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct record_done stale;
	struct bench_walk w;

	bench_put(b, 3, CPUHP_STANDBY);
	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "kick 3 44");
	stale = (struct record_done){
		.kick = b->kicks[3].kick, .slot = 3, .state = CPUHP_ONLINE, .ran_on = BENCH_CPU(3)
	};
	bench_kicked(b, 3, -EBUSY);
	bench_walk_ends(b, &w, -EBUSY, CPUHP_AP_KICK);
	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "kick 3 44");
	assert_true(b->kicks[3].kick > stale.kick);
	bench_kicked(b, 3, 0);
	bench_record_done(b, &stale);
	bench_turn(b);
	assert_int_equal(w.n_done, 0);
	assert_int_equal(bench_state(b, 3), CPUHP_STANDBY);
	/* A success that the rows contradict would be doubted first. */
	stale.state = CPUHP_STANDBY;
	stale.rc = -EIO;
	bench_record_done(b, &stale);
	bench_turn(b);
	assert_int_equal(w.n_done, 0);
	/* Acknowledged all the same: the agent must be able to forget it. */
	assert_int_equal(b->acks, 2);
	bench_done(b, 3, CPUHP_ONLINE, 0, 0xff);
	bench_walk_ends(b, &w, 0, -1);
	bench_stop(b);
}

static void R7_a_hand_over_that_timed_out_cannot_be_answered_later(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_climb_to_kick(b, &w, 3, CPUHP_ONLINE);
	bench_said(b, "kick 3 44");
	bench_turn(b);
	while (bench_count(b, "unplug") == 0)
		sd_event_run(b->event, 20000);
	bench_said(b, "cancel 3");
	bench_said(b, "unplug 3");
	bench_answer_unplug(b, 3, 0, "");
	bench_kicked(b, 3, -EBUSY);
	bench_done(b, 3, CPUHP_ONLINE, 0, 0xff);
	bench_turn(b);
	assert_int_equal(w.n_done, 0);
	bench_eject(b, 3);
	bench_walk_ends(b, &w, -ETIMEDOUT, CPUHP_AP_KICK);
	assert_int_equal(bench_state(b, 3), CPUHP_OFFLINE);
	bench_stop(b);
}

static void R7_steps_of_no_kick_or_another_move_nothing(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_put(b, 3, CPUHP_STANDBY);
	bench_walk(b, &w, 3, CPUHP_OFFLINE, false);
	bench_said(b, "kick 3 6");
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_STANDBY, 0, 0xff);
	bench_said(b, "unplug 3");
	b->kicks[3].kick = 0;
	bench_step(b, 3, CPUHP_AP_VERIFY, true, 0);
	assert_int_equal(bench_state(b, 3), CPUHP_STANDBY);
	b->kicks[3].kick = 77;
	bench_step(b, 3, CPUHP_AP_VERIFY, true, 0);
	assert_int_equal(bench_state(b, 3), CPUHP_STANDBY);
	bench_answer_unplug(b, 3, 0, "");
	bench_eject(b, 3);
	bench_walk_ends(b, &w, 0, -1);
	bench_stop(b);
}

/* A failure planted at each of the host's steps: what was done is undone, highest first. */
static void R8_a_startup_that_fails_is_undone_in_reverse(void **ctx)
{
	static const int cases[] = { CPUHP_HOST_ADMIT, CPUHP_QEMU_DEVICE, CPUHP_HOST_PLACE,
				     CPUHP_GUEST_PRESENT, CPUHP_AP_KICK };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_start(&(struct bench_options){ .has_place = true });
		struct bench_walk w;

		b->d->vcpus[3].armed = cases[i];
		bench_walk(b, &w, 3, CPUHP_ONLINE, false);
		bench_wait(b, bench_is_over, &w);
		assert_int_equal(w.outcome.rc, -EAGAIN);
		assert_int_equal(w.outcome.failed_at, cases[i]);
		assert_int_equal(w.outcome.rollback_failed_at, -1);
		assert_int_equal(b->d->vcpus[3].armed, 0);
		assert_int_equal(bench_count(b, "kick"), 0);
		for (int s = CPUHP_HOST_ADMIT; s < CPUHP_GUEST_PRESENT; s++)
			assert_int_equal(b->rolled_back[s], s < cases[i]);
		assert_int_equal(bench_state(b, 3), CPUHP_OFFLINE);
		assert_false(b->slots[3].present);
		assert_int_equal(b->d->vcpus[3].pending, VCPU_PENDING_NONE);
		/* R14: nothing was removed, for nothing had been there. */
		assert_int_equal(b->removed[3], 0);
		bench_stop(b);
	}
}

static void R8_qemus_refusal_is_the_result_in_its_own_words(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "plug 3");
	bench_answer_plug(b, 3, -EIO, "CPU[3] with APIC ID 3 exists");
	bench_walk_ends(b, &w, -EIO, CPUHP_QEMU_DEVICE);
	assert_non_null(strstr(w.outcome.text, "CPU[3] with APIC ID 3 exists"));
	bench_stop(b);
}

static void R8_the_first_reason_outlives_the_way_back(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "plug 3");
	bench_answer_plug(b, 3, 0, "");
	while (bench_count(b, "unplug") == 0)
		sd_event_run(b->event, 20000);
	bench_said(b, "unplug 3");
	bench_answer_unplug(b, 3, 0, "");
	hostwalk_cancel(&b->d->vcpus[3], -ECANCELED);
	bench_eject(b, 3);
	bench_walk_ends(b, &w, -ETIMEDOUT, CPUHP_GUEST_PRESENT);
	assert_string_equal(w.outcome.text, "the guest did not report the CPU present");
	bench_stop(b);
}

static void R17_a_way_back_that_fails_stops_there(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	/* The guest never sees the CPU, and then does not let go of it either. */
	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "plug 3");
	bench_answer_plug(b, 3, 0, "");
	while (bench_count(b, "unplug") == 0)
		sd_event_run(b->event, 20000);
	bench_said(b, "unplug 3");
	bench_answer_unplug(b, 3, 0, "");
	bench_ost(b, 3, HV_OST_REMOVE, 1);
	bench_wait(b, bench_is_over, &w);
	assert_int_equal(w.outcome.rc, -ETIMEDOUT);
	assert_int_equal(w.outcome.failed_at, CPUHP_GUEST_PRESENT);
	assert_int_equal(w.outcome.rollback_rc, -EBUSY);
	assert_int_equal(w.outcome.rollback_failed_at, CPUHP_QEMU_DEVICE);
	assert_string_equal(w.outcome.text, "the guest did not report the CPU present");
	bench_silent(b);
	assert_true(b->d->vcpus[3].present);
	/* Nothing is under way any more, so it may be tried again. */
	assert_int_equal(b->d->vcpus[3].pending, VCPU_PENDING_NONE);
	bench_stop(b);
}

static void R17_the_agents_stuck_rollback_is_passed_on(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct record_done r = { .slot = 3,
				 .state = CPUHP_AP_VERIFY,
				 .rc = -EIO,
				 .failed_at = CPUHP_AP_DYN,
				 .rollback_rc = 7,
				 .rollback_failed_at = CPUHP_AP_VERIFY };
	struct bench_walk w;

	bench_put(b, 3, CPUHP_STANDBY);
	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "kick 3 44");
	bench_kicked(b, 3, 0);
	r.kick = b->kicks[3].kick;
	bench_record_done(b, &r);
	bench_wait(b, bench_is_over, &w);
	assert_int_equal(w.outcome.rc, -EIO);
	assert_int_equal(w.outcome.failed_at, CPUHP_AP_DYN);
	assert_int_equal(w.outcome.rollback_rc, 7);
	assert_int_equal(w.outcome.rollback_failed_at, CPUHP_AP_VERIFY);
	bench_silent(b);
	bench_stop(b);
}

static void R1_a_proof_from_another_cpu_is_a_failure(void **ctx)
{
	static const int proofs[] = { 0, 3, MSG_NO_CPU };

	for (size_t i = 0; i < sizeof(proofs) / sizeof(proofs[0]); i++) {
		struct bench *b = bench_by_hand(NULL);
		struct record_done r = { .slot = 3, .state = CPUHP_ONLINE };
		struct bench_walk w;

		bench_put(b, 3, CPUHP_STANDBY);
		bench_walk(b, &w, 3, CPUHP_ONLINE, false);
		bench_said(b, "kick 3 44");
		bench_kicked(b, 3, 0);
		r.kick = b->kicks[3].kick;
		r.ran_on = (uint16_t)proofs[i];
		bench_record_done(b, &r);
		bench_walk_ends(b, &w, -EXDEV, CPUHP_AP_THREADS);
		assert_false(w.outcome.teardown);
		bench_stop(b);
	}
}

static void R1_a_step_reported_from_another_cpu_is_a_failure(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct record_step step = { .slot = 3,
				    .state = CPUHP_AP_DYN,
				    .flags = RECORD_STEP_EXIT | RECORD_STEP_STARTUP,
				    .ran_on = 0 };
	struct bench_walk w;

	bench_put(b, 3, CPUHP_STANDBY);
	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "kick 3 44");
	bench_kicked(b, 3, 0);
	step.kick = b->kicks[3].kick;
	b->link_ops->on_record(b->link_ctx, &(struct record){ .type = RECORD_STEP, .step = step });
	/* The proof at the end is the right one, and does not make it good. */
	bench_done(b, 3, CPUHP_ONLINE, 0, 0xff);
	bench_walk_ends(b, &w, -EXDEV, CPUHP_AP_DYN);
	assert_string_equal(w.outcome.text,
			    "the agent reports that it ran on CPU 0, not on CPU 23");
	bench_stop(b);
}

static void a_result_of_a_vcpu_that_qemu_has_not_is_no_success(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_put(b, 3, CPUHP_STANDBY);
	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "kick 3 44");
	bench_kicked(b, 3, 0);
	bench_eject(b, 3);
	bench_done(b, 3, CPUHP_ONLINE, 0, 0xff);
	bench_walk_ends(b, &w, -ENODEV, CPUHP_AP_KICK);
	assert_int_equal(bench_state(b, 3), CPUHP_OFFLINE);
	assert_int_equal(domain_counts(b->d).online, 1);
	bench_stop(b);
}

static void what_waits_goes_behind_the_kernels_steps_where_nothing_is_asked(void **ctx)
{
	const struct record step = { .type = RECORD_KSTEP, .kstep = { .slot = 3, .step = 5 } };
	struct bench *b = bench_by_hand(NULL);
	struct op asked = { .domain = b->d };

	b->d->running = &asked;
	b->link_ops->on_record(b->link_ctx, &step);
	assert_int_equal(b->rests, 0);
	b->d->running = NULL;
	b->link_ops->on_record(b->link_ctx, &step);
	assert_int_equal(b->rests, 1);
	bench_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(R2_the_host_aims_at_standby_and_its_last_step_is_the_kick),
		cmocka_unit_test(R2_a_target_of_standby_is_kicked_no_higher),
		cmocka_unit_test(R4_at_standby_or_above_the_kick_comes_first),
		cmocka_unit_test(R4_an_error_of_the_kick_is_returned_and_nothing_is_undone),
		cmocka_unit_test(R4_a_kick_to_the_state_it_is_in_succeeds),
		cmocka_unit_test(R4_in_a_fresh_add_the_agents_failure_undoes_4_to_1),
		cmocka_unit_test(R5_above_standby_or_standby_as_asked_is_success),
		cmocka_unit_test(R6_standby_with_a_lower_target_leaves_the_rest_to_the_host),
		cmocka_unit_test(R6_any_other_state_after_a_kick_is_a_protocol_error),
		cmocka_unit_test(R7_a_result_of_an_earlier_kick_never_answers_for_a_later_one),
		cmocka_unit_test(R7_a_hand_over_that_timed_out_cannot_be_answered_later),
		cmocka_unit_test(R7_steps_of_no_kick_or_another_move_nothing),
		cmocka_unit_test(R8_a_startup_that_fails_is_undone_in_reverse),
		cmocka_unit_test(R8_qemus_refusal_is_the_result_in_its_own_words),
		cmocka_unit_test(R8_the_first_reason_outlives_the_way_back),
		cmocka_unit_test(R17_a_way_back_that_fails_stops_there),
		cmocka_unit_test(R17_the_agents_stuck_rollback_is_passed_on),
		cmocka_unit_test(R1_a_proof_from_another_cpu_is_a_failure),
		cmocka_unit_test(R1_a_step_reported_from_another_cpu_is_a_failure),
		cmocka_unit_test(a_result_of_a_vcpu_that_qemu_has_not_is_no_success),
		cmocka_unit_test(what_waits_goes_behind_the_kernels_steps_where_nothing_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
