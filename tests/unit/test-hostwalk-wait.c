/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * One vCPU's walk when answers do not come, come late, or come from a session or a QEMU that has
 * been lost since: what is pending, what resumes, what is said again. Dialogues by hand, as in
 * test-hostwalk.c.
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

static void a_device_add_without_an_answer_is_pending_and_undone_later(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "plug 3");
	bench_answer_plug(b, 3, -ETIMEDOUT, "");
	assert_true(w.pending);
	assert_int_equal(w.outcome.rc, -ETIMEDOUT);
	assert_int_equal(w.outcome.failed_at, CPUHP_QEMU_DEVICE);
	bench_silent(b);
	assert_int_equal(b->d->vcpus[3].pending, VCPU_PENDING_PLUG);
	/* QEMU did it after all. */
	b->slots[3].present = b->slots[3].removable = true;
	vcpu_format_id(b->slots[3].id, 3, 1);
	bench_table(b);
	bench_said(b, "unplug 3");
	bench_answer_unplug(b, 3, 0, "");
	bench_eject(b, 3);
	bench_wait(b, bench_is_at_rest, &b->d->vcpus[3]);
	assert_int_equal(w.n_done, 1);
	assert_int_equal(bench_state(b, 3), CPUHP_OFFLINE);
	assert_int_equal(b->d->vcpus[3].pending, VCPU_PENDING_NONE);
	bench_stop(b);
}

static void a_device_add_that_never_was_settles_with_the_table(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "plug 3");
	bench_answer_plug(b, 3, -ETIMEDOUT, "");
	bench_table(b);
	bench_wait(b, bench_is_at_rest, &b->d->vcpus[3]);
	bench_silent(b);
	assert_int_equal(bench_state(b, 3), CPUHP_OFFLINE);
	assert_int_equal(b->d->vcpus[3].pending, VCPU_PENDING_NONE);
	bench_stop(b);
}

static void a_device_add_cut_off_goes_on_where_qemu_has_it(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "plug 3");
	bench_answer_plug(b, 3, -ECONNRESET, "");
	bench_silent(b);
	assert_int_equal(w.n_done, 0);
	b->slots[3].present = b->slots[3].removable = true;
	vcpu_format_id(b->slots[3].id, 3, 0);
	bench_attach(b);
	bench_row(b, 3, CPUHP_STANDBY);
	bench_said(b, "kick 3 44");
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_ONLINE, 0, 0xff);
	bench_walk_ends(b, &w, 0, -1);
	bench_stop(b);
}

static void a_device_add_cut_off_fails_where_qemu_has_it_not(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "plug 3");
	bench_answer_plug(b, 3, -ECONNRESET, "");
	bench_attach(b);
	bench_walk_ends(b, &w, -ECONNRESET, CPUHP_QEMU_DEVICE);
	assert_int_equal(bench_state(b, 3), CPUHP_OFFLINE);
	bench_stop(b);
}

static void a_device_add_cut_off_fails_where_another_has_the_slot(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "plug 3");
	bench_answer_plug(b, 3, -ECONNRESET, "");
	b->slots[3].present = b->slots[3].removable = true;
	strcpy(b->slots[3].id, "vcpu3");
	bench_attach(b);
	bench_walk_ends(b, &w, -EEXIST, CPUHP_QEMU_DEVICE);
	assert_non_null(strstr(w.outcome.text, "filled by another"));
	bench_stop(b);
}

static void a_device_add_cut_off_and_called_back_says_that_it_was_cut_off(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "plug 3");
	bench_answer_plug(b, 3, -ECONNRESET, "");
	hostwalk_cancel(&b->d->vcpus[3], -ECANCELED);
	bench_attach(b);
	bench_walk_ends(b, &w, -ECONNRESET, CPUHP_QEMU_DEVICE);
	assert_non_null(strstr(w.outcome.text, "was lost during device_add"));
	bench_stop(b);
}

static void a_device_del_that_cannot_be_sent_is_sent_when_qemu_is_back(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_put(b, 3, CPUHP_STANDBY);
	bench_walk(b, &w, 3, CPUHP_OFFLINE, false);
	bench_said(b, "kick 3 6");
	b->unplug_rc = -ENOTCONN;
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_STANDBY, 0, 0xff);
	bench_silent(b);
	b->unplug_rc = 0;
	bench_table(b);
	bench_said(b, "unplug 3");
	bench_answer_unplug(b, 3, 0, "");
	bench_eject(b, 3);
	bench_walk_ends(b, &w, 0, -1);
	assert_int_equal(b->removed[3], 1);
	bench_stop(b);
}

static void an_eject_is_asked_for_again_and_then_pending(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);
	unsigned int queries = b->queries;

	bench_answer_unplug(b, 3, 0, "");
	bench_wait(b, bench_is_over, &w);
	bench_said(b, "unplug 3");
	bench_silent(b);
	assert_true(b->queries > queries);
	assert_true(w.pending);
	assert_int_equal(w.outcome.rc, -ETIMEDOUT);
	assert_int_equal(w.outcome.failed_at, CPUHP_QEMU_DEVICE);
	assert_true(w.outcome.teardown);
	assert_int_equal(b->d->vcpus[3].pending, VCPU_PENDING_UNPLUG);
	/* Much later the guest says no. */
	b->d->vcpus[3].wish = CPUHP_OFFLINE;
	bench_ost(b, 3, HV_OST_REMOVE, 130);
	bench_said(b, "kick 3 6 rollback");
	bench_kicked(b, 3, 0);
	bench_wait(b, bench_is_at_rest, &b->d->vcpus[3]);
	assert_int_equal(w.n_done, 1);
	assert_int_equal(bench_state(b, 3), CPUHP_STANDBY);
	assert_int_equal(b->d->vcpus[3].pending, VCPU_PENDING_NONE);
	bench_stop(b);
}

static void a_kick_that_is_not_given_back_is_pending_and_resumes(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_climb_to_kick(b, &w, 3, CPUHP_ONLINE);
	bench_said(b, "kick 3 44");
	bench_kicked(b, 3, 0);
	hostwalk_cancel(&b->d->vcpus[3], -ETIMEDOUT);
	bench_said(b, "cancel 3");
	bench_wait(b, bench_is_over, &w);
	assert_true(w.pending);
	assert_int_equal(w.outcome.rc, -ETIMEDOUT);
	/* Nothing is undone beside a kick that is out. */
	bench_silent(b);
	/* It comes back at last, and what the host did is undone. */
	bench_done(b, 3, CPUHP_STANDBY, -ECANCELED, CPUHP_AP_ONLINE);
	bench_said(b, "kick 3 6 rollback");
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_STANDBY, 0, 0xff);
	bench_said(b, "unplug 3");
	bench_answer_unplug(b, 3, 0, "");
	bench_eject(b, 3);
	bench_wait(b, bench_is_at_rest, &b->d->vcpus[3]);
	assert_int_equal(w.n_done, 1);
	assert_int_equal(b->d->vcpus[3].wish, CPUHP_OFFLINE);
	bench_stop(b);
}

static void an_undoing_kick_is_bounded_by_itself(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_put(b, 3, CPUHP_ONLINE);
	bench_walk(b, &w, 3, CPUHP_OFFLINE, true);
	bench_said(b, "kick 3 6 rollback");
	bench_kicked(b, 3, 0);
	bench_wait(b, bench_is_over, &w);
	assert_true(w.pending);
	bench_silent(b);
	bench_stop(b);
}

/* The guest slept. Nobody has asked for the way back to be called off. */
static void an_undoing_kick_that_is_taken_late_goes_on(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	b->config.deadlines.operation_ms = 20;
	bench_put(b, 3, CPUHP_ONLINE);
	bench_walk(b, &w, 3, CPUHP_OFFLINE, true);
	bench_said(b, "kick 3 6 rollback");
	bench_wait(b, bench_is_over, &w);
	assert_true(w.pending);
	bench_kicked(b, 3, 0);
	bench_silent(b);
	/* Nor in the session after it. */
	bench_agent_up(b, 1);
	bench_said(b, "kick 3 6 rollback");
	bench_silent(b);
	bench_done(b, 3, CPUHP_STANDBY, 0, 0);
	bench_said(b, "unplug 3");
	bench_answer_unplug(b, 3, 0, "");
	bench_eject(b, 3);
	bench_wait(b, bench_is_at_rest, &b->d->vcpus[3]);
	assert_int_equal(bench_state(b, 3), CPUHP_OFFLINE);
	bench_stop(b);
}

static void a_cancel_between_kick_and_hand_over_waits_for_the_result(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_climb_to_kick(b, &w, 3, CPUHP_ONLINE);
	bench_said(b, "kick 3 44");
	hostwalk_cancel(&b->d->vcpus[3], -ECANCELED);
	bench_silent(b);
	bench_kicked(b, 3, 0);
	bench_said(b, "cancel 3");
	bench_silent(b);
	bench_done(b, 3, CPUHP_STANDBY, -ECANCELED, CPUHP_AP_ONLINE);
	bench_walk_ends(b, &w, -ECANCELED, CPUHP_AP_ONLINE);
	assert_int_equal(bench_state(b, 3), CPUHP_STANDBY);
	bench_stop(b);
}

static void a_cancel_while_the_guest_is_waited_for_goes_back(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "plug 3");
	bench_answer_plug(b, 3, 0, "");
	hostwalk_cancel(&b->d->vcpus[3], -ECANCELED);
	bench_said(b, "unplug 3");
	bench_answer_unplug(b, 3, 0, "");
	bench_eject(b, 3);
	bench_walk_ends(b, &w, -ECANCELED, CPUHP_GUEST_PRESENT);
	assert_int_equal(bench_state(b, 3), CPUHP_OFFLINE);
	bench_stop(b);
}

static void a_lost_session_sends_the_same_kick_again(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;
	uint32_t kick;

	bench_climb_to_kick(b, &w, 3, CPUHP_ONLINE);
	bench_said(b, "kick 3 44");
	kick = b->kicks[3].kick;
	bench_kicked(b, 3, 0);
	bench_agent_down(b);
	bench_silent(b);
	bench_agent_up(b, 1);
	bench_said(b, "kick 3 44");
	assert_int_equal(b->kicks[3].kick, kick);
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_ONLINE, 0, 0xff);
	bench_walk_ends(b, &w, 0, -1);
	bench_stop(b);
}

/* The connection has broken, and nobody has been told so yet. */
static void a_kick_that_cannot_be_sent_is_sent_in_the_next_session(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_put(b, 3, CPUHP_STANDBY);
	b->up = false;
	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_silent(b);
	assert_int_equal(w.n_done, 0);
	bench_agent_down(b);
	bench_agent_up(b, 1);
	bench_said(b, "kick 3 44");
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_ONLINE, 0, 0xff);
	bench_walk_ends(b, &w, 0, -1);
	bench_stop(b);
}

static void a_restarted_agent_gets_a_fresh_kick(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;
	uint32_t kick;

	bench_climb_to_kick(b, &w, 3, CPUHP_ONLINE);
	bench_said(b, "kick 3 44");
	kick = b->kicks[3].kick;
	bench_agent_down(b);
	bench_agent_up(b, 1);
	bench_said(b, "kick 3 44");
	bench_kicked(b, 3, -EPROTO);
	bench_said(b, "kick 3 44");
	assert_true(b->kicks[3].kick > kick);
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_ONLINE, 0, 0xff);
	bench_walk_ends(b, &w, 0, -1);
	bench_stop(b);
}

static void a_result_that_comes_before_the_hand_over_counts(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_climb_to_kick(b, &w, 3, CPUHP_ONLINE);
	bench_said(b, "kick 3 44");
	bench_done(b, 3, CPUHP_ONLINE, 0, 0xff);
	bench_walk_ends(b, &w, 0, -1);
	assert_int_equal(bench_state(b, 3), CPUHP_ONLINE);
	bench_stop(b);
}

static void a_cancel_outlives_the_session(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_climb_to_kick(b, &w, 3, CPUHP_ONLINE);
	bench_said(b, "kick 3 44");
	bench_kicked(b, 3, 0);
	bench_agent_down(b);
	hostwalk_cancel(&b->d->vcpus[3], -ECANCELED);
	bench_silent(b);
	bench_agent_up(b, 1);
	bench_said(b, "kick 3 44");
	bench_said(b, "cancel 3");
	bench_kicked(b, 3, -EPROTO);
	bench_walk_ends(b, &w, -ECANCELED, CPUHP_AP_KICK);
	bench_stop(b);
}

static void an_agent_that_restarts_for_ever_is_given_up(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_put(b, 3, CPUHP_STANDBY);
	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "kick 3 44");
	for (int i = 0; i < 4; i++) {
		bench_agent_down(b);
		bench_agent_up(b, 1);
		bench_said(b, "kick 3 44");
		bench_kicked(b, 3, -EPROTO);
		if (i < 3)
			bench_said(b, "kick 3 44");
	}
	bench_walk_ends(b, &w, -ECONNRESET, CPUHP_AP_KICK);
	bench_stop(b);
}

static void a_reset_voids_the_kick(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_climb_to_kick(b, &w, 3, CPUHP_ONLINE);
	bench_said(b, "kick 3 44");
	bench_kicked(b, 3, 0);
	bench_agent_down(b);
	bench_agent_up(b, 2);
	bench_walk_ends(b, &w, -ECONNRESET, CPUHP_AP_KICK);
	assert_string_equal(w.outcome.text, "the guest was reset");
	assert_false(w.outcome.teardown);
	bench_stop(b);
}

/* The row that the walk waits for comes before the table has ended. */
static void a_kick_of_this_session_is_not_voided_by_the_reset_before(void **ctx)
{
	for (unsigned int boot = 1; boot <= 2; boot++) {
		struct bench *b = bench_by_hand(NULL);
		struct bench_walk w;

		bench_walk(b, &w, 3, CPUHP_ONLINE, false);
		bench_said(b, "plug 3");
		bench_answer_plug(b, 3, 0, "");
		bench_agent_down(b);
		bench_agent_hello(b, boot);
		bench_row(b, 3, CPUHP_STANDBY);
		bench_said(b, "kick 3 44");
		bench_agent_end(b);
		bench_silent(b);
		assert_int_equal(w.n_done, 0);
		bench_kicked(b, 3, 0);
		bench_done(b, 3, CPUHP_ONLINE, 0, 0xff);
		bench_walk_ends(b, &w, 0, -1);
		bench_stop(b);
	}
}

/* The new kernel has brought the CPU up: what was to leave is asked to leave anew. */
static void a_reset_does_not_end_a_way_back(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;
	uint32_t first;

	bench_put(b, 3, CPUHP_ONLINE);
	bench_walk(b, &w, 3, CPUHP_OFFLINE, true);
	bench_said(b, "kick 3 6 rollback");
	bench_kicked(b, 3, 0);
	first = b->kicks[3].kick;
	bench_agent_up(b, 2);
	bench_said(b, "kick 3 6 rollback");
	assert_true(b->kicks[3].kick > first);
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_STANDBY, 0, 0xff);
	bench_said(b, "unplug 3");
	bench_answer_unplug(b, 3, 0, "");
	bench_eject(b, 3);
	bench_walk_ends(b, &w, 0, -1);
	bench_stop(b);
}

static void a_cpu_that_left_by_itself_needs_no_device_del(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "plug 3");
	bench_answer_plug(b, 3, 0, "");
	bench_eject(b, 3);
	bench_walk_ends(b, &w, -ETIMEDOUT, CPUHP_GUEST_PRESENT);
	assert_int_equal(bench_state(b, 3), CPUHP_OFFLINE);
	bench_stop(b);
}

static void what_the_guest_said_of_a_former_cpu_is_void(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_climb_to_kick(b, &w, 3, CPUHP_ONLINE);
	bench_said(b, "kick 3 44");
	bench_kicked(b, 3, -EIO);
	bench_said(b, "unplug 3");
	bench_answer_unplug(b, 3, 0, "");
	bench_eject(b, 3);
	bench_walk_ends(b, &w, -EIO, CPUHP_AP_KICK);
	/* The slot is filled again: the CPU of before does not stand for this one. */
	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "plug 3");
	bench_answer_plug(b, 3, 0, "");
	bench_silent(b);
	bench_row(b, 3, CPUHP_STANDBY);
	bench_said(b, "kick 3 44");
	bench_stop(b);
}

static void a_guest_that_invents_numbers_hurts_nobody(void **ctx)
{
	static const int rcs[] = { INT32_MIN, INT32_MAX, -4096, 1, 300 };

	for (size_t i = 0; i < sizeof(rcs) / sizeof(rcs[0]); i++) {
		struct bench *b = bench_by_hand(NULL);
		struct op *o;

		bench_put(b, 3, CPUHP_STANDBY);
		o = bench_target_op(b, 3, 3, CPUHP_ONLINE, OP_POLICY_ALL);
		bench_said(b, "kick 3 44");
		if (i % 2)
			bench_kicked(b, 3, rcs[i]);
		else
			bench_done(b, 3, CPUHP_STANDBY, rcs[i], 200);
		bench_check(b, o, OP_FAILED);
		assert_int_equal(o->vcpus[0].rc, rcs[i]);
		assert_int_equal(o->vcpus[0].failed_at, CPUHP_AP_KICK);
		assert_non_null(strstr(text_of(&o->vcpus[0].error),
				       "vcpu 3: ap:kick startup failed with "));
		assert_null(strstr(text_of(&o->vcpus[0].error), "null"));
		op_unref(o);
		bench_stop(b);
	}
}

/* An agent is replaced at the very moment when something is to be taken back. */
static void a_way_back_waits_for_a_session(void **ctx)
{
	for (int comes = 0; comes < 2; comes++) {
		struct bench *b = bench_by_hand(NULL);
		struct bench_walk w;

		bench_put(b, 3, CPUHP_ONLINE);
		b->up = false;
		bench_walk(b, &w, 3, CPUHP_STANDBY, true);
		bench_silent(b);
		assert_int_equal(w.n_done, 0);
		if (comes) {
			bench_agent_up(b, 1);
			bench_said(b, "kick 3 6 rollback");
			bench_kicked(b, 3, 0);
			bench_done(b, 3, CPUHP_STANDBY, 0, 0xff);
		}
		bench_wait(b, bench_is_over, &w);
		bench_walk_ends(b, &w, comes ? 0 : -ENOTCONN, comes ? -1 : CPUHP_AP_KICK);
		bench_stop(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_add_without_an_answer_is_pending_and_undone_later),
		cmocka_unit_test(a_device_add_that_never_was_settles_with_the_table),
		cmocka_unit_test(a_device_add_cut_off_goes_on_where_qemu_has_it),
		cmocka_unit_test(a_device_add_cut_off_fails_where_qemu_has_it_not),
		cmocka_unit_test(a_device_add_cut_off_fails_where_another_has_the_slot),
		cmocka_unit_test(a_device_add_cut_off_and_called_back_says_that_it_was_cut_off),
		cmocka_unit_test(a_device_del_that_cannot_be_sent_is_sent_when_qemu_is_back),
		cmocka_unit_test(an_eject_is_asked_for_again_and_then_pending),
		cmocka_unit_test(a_kick_that_is_not_given_back_is_pending_and_resumes),
		cmocka_unit_test(an_undoing_kick_is_bounded_by_itself),
		cmocka_unit_test(an_undoing_kick_that_is_taken_late_goes_on),
		cmocka_unit_test(a_cancel_between_kick_and_hand_over_waits_for_the_result),
		cmocka_unit_test(a_cancel_while_the_guest_is_waited_for_goes_back),
		cmocka_unit_test(a_lost_session_sends_the_same_kick_again),
		cmocka_unit_test(a_kick_that_cannot_be_sent_is_sent_in_the_next_session),
		cmocka_unit_test(a_restarted_agent_gets_a_fresh_kick),
		cmocka_unit_test(a_result_that_comes_before_the_hand_over_counts),
		cmocka_unit_test(a_cancel_outlives_the_session),
		cmocka_unit_test(an_agent_that_restarts_for_ever_is_given_up),
		cmocka_unit_test(a_reset_voids_the_kick),
		cmocka_unit_test(a_kick_of_this_session_is_not_voided_by_the_reset_before),
		cmocka_unit_test(a_reset_does_not_end_a_way_back),
		cmocka_unit_test(a_cpu_that_left_by_itself_needs_no_device_del),
		cmocka_unit_test(what_the_guest_said_of_a_former_cpu_is_void),
		cmocka_unit_test(a_guest_that_invents_numbers_hurts_nobody),
		cmocka_unit_test(a_way_back_waits_for_a_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
