/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * What is shown of a vCPU in a walk where the walk cannot know it: nobody waits for it any more, the
 * guest has been asked to let go of it, or the agent that has it is away. And what a boot of the
 * guest makes of a removal that is under way. Dialogues by hand, as in test-hostwalk.c.
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

static void walks_at(struct bench *b, int state)
{
	b->guest_walking[3] = true;
	bench_row(b, 3, state);
}

/* An agent that is away may be at work still: where it is by now nobody knows. */
static void without_an_agent_nothing_is_shown_of_its_walk(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_climb_to_kick(b, &w, 3, CPUHP_ONLINE);
	bench_said(b, "kick 3 44");
	bench_kicked(b, 3, 0);
	bench_step(b, 3, CPUHP_AP_ONLINE, true, 0);
	assert_int_equal(bench_state(b, 3), CPUHP_AP_ONLINE);
	bench_agent_down(b);
	assert_int_equal(bench_state(b, 3), -1);
	b->guest_walking[3] = true;
	b->guest_state[3] = CPUHP_AP_VERIFY;
	bench_agent_up(b, 1);
	bench_said(b, "kick 3 44");
	assert_int_equal(bench_state(b, 3), CPUHP_AP_VERIFY);
	/* From there on the steps tell. */
	bench_kicked(b, 3, 0);
	bench_step(b, 3, CPUHP_AP_ACTIVE, true, 0);
	assert_int_equal(bench_state(b, 3), CPUHP_AP_ACTIVE);
	bench_done(b, 3, CPUHP_ONLINE, 0, 0xff);
	bench_walk_ends(b, &w, 0, -1);
	bench_stop(b);
}

static void what_nobody_waits_for_is_shown_as_observed(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_climb_to_kick(b, &w, 3, CPUHP_ONLINE);
	bench_said(b, "kick 3 44");
	bench_kicked(b, 3, 0);
	bench_step(b, 3, CPUHP_AP_ONLINE, true, 0);
	walks_at(b, CPUHP_AP_ONLINE);
	hostwalk_cancel(&b->d->vcpus[3], -ETIMEDOUT);
	bench_said(b, "cancel 3");
	bench_wait(b, bench_is_over, &w);
	assert_true(w.pending);
	assert_int_equal(bench_state(b, 3), CPUHP_AP_ONLINE);
	bench_agent_down(b);
	assert_int_equal(bench_state(b, 3), -1);
	/* The next boot has it online, and what was plugged goes back from there. */
	b->guest_walking[3] = false;
	b->guest_state[3] = CPUHP_ONLINE;
	bench_agent_up(b, 2);
	bench_wait_word(b, "kick 3 6 rollback");
	assert_int_equal(w.n_done, 1);
	bench_stop(b);
}

/* A plug that nobody waits for any more, and what QEMU says to its removal, without an agent. */
static void what_is_to_go_back_waits_for_the_guests_word(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "plug 3");
	bench_answer_plug(b, 3, -ETIMEDOUT, "");
	assert_true(w.pending);
	bench_agent_down(b);
	b->slots[3].present = b->slots[3].removable = true;
	vcpu_format_id(b->slots[3].id, 3, 0);
	bench_table(b);
	bench_said(b, "unplug 3");
	bench_answer_unplug(b, 3, -EIO, "no");
	bench_wait(b, bench_is_at_rest, &b->d->vcpus[3]);
	assert_int_equal(bench_state(b, 3), -1);
	assert_true(b->d->vcpus[3].returning);
	bench_silent(b);
	b->guest_present[3] = true;
	b->guest_state[3] = CPUHP_STANDBY;
	bench_agent_up(b, 1);
	bench_said(b, "kick 3 6 rollback");
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_STANDBY, 0, 0xff);
	bench_said(b, "unplug 3");
	bench_answer_unplug(b, 3, 0, "");
	bench_eject(b, 3);
	bench_wait(b, bench_is_at_rest, &b->d->vcpus[3]);
	assert_false(b->d->vcpus[3].returning);
	bench_stop(b);
}

static void what_is_to_leave_is_where_the_guest_says(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);

	bench_answer_unplug(b, 3, 0, "");
	assert_int_equal(bench_state(b, 3), CPUHP_STANDBY);
	bench_agent_down(b);
	assert_int_equal(bench_state(b, 3), -1);
	assert_int_equal(b->d->vcpus[3].pending, VCPU_PENDING_UNPLUG);
	b->guest_state[3] = CPUHP_ONLINE;
	bench_agent_up(b, 1);
	assert_int_equal(bench_state(b, 3), CPUHP_ONLINE);
	bench_eject(b, 3);
	bench_walk_ends(b, &w, 0, -1);
	assert_int_equal(bench_state(b, 3), CPUHP_OFFLINE);
	bench_stop(b);
}

/* QEMU says so before the first guest has booted, and no reset brings that back. */
static void what_qemu_says_before_the_first_boot_is_a_refusal(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);

	bench_answer_unplug(b, 3, -EAGAIN, "acpi: device unplug request for not supported device");
	bench_said(b, "kick 3 6 rollback");
	bench_kicked(b, 3, 0);
	bench_walk_ends(b, &w, -EAGAIN, CPUHP_QEMU_DEVICE);
	bench_stop(b);
}

static void a_reset_has_a_removal_asked_for_anew(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);

	bench_answer_unplug(b, 3, 0, "");
	bench_agent_down(b);
	bench_silent(b);
	b->guest_state[3] = CPUHP_ONLINE;
	b->hold_queries = true;
	bench_agent_up(b, 2);
	/* Not before QEMU has said that it is there still. */
	bench_silent(b);
	b->hold_queries = false;
	bench_said(b, "unplug 3");
	bench_answer_unplug(b, 3, 0, "");
	bench_eject(b, 3);
	bench_walk_ends(b, &w, 0, -1);
	bench_stop(b);
}

/* A QEMU that stands still does not say whether it is there, but its next table does. */
static void a_question_without_an_answer_waits_for_the_next_table(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);
	struct bench_request *q = b->requests;

	bench_answer_unplug(b, 3, 0, "");
	bench_agent_down(b);
	b->hold_queries = true;
	bench_agent_up(b, 2);
	assert_int_equal(b->n_requests, 1);
	assert_int_equal(q->kind, REQUEST_QUERY);
	b->n_requests = 0;
	q->cb(q->arg, -ETIMEDOUT, "");
	bench_silent(b);
	bench_table(b);
	bench_said(b, "unplug 3");
	bench_answer_unplug(b, 3, 0, "");
	bench_eject(b, 3);
	bench_walk_ends(b, &w, 0, -1);
	bench_stop(b);
}

/* The same boot has the request still. */
static void a_new_session_has_nothing_asked_for_anew(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);

	bench_answer_unplug(b, 3, 0, "");
	bench_agent_down(b);
	bench_agent_up(b, 1);
	bench_silent(b);
	bench_eject(b, 3);
	bench_walk_ends(b, &w, 0, -1);
	bench_stop(b);
}

/* The guest boots on the way back from a refusal: its new kernel has the CPU online. */
static void a_reset_does_not_end_the_way_back_from_a_refusal(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);

	bench_answer_unplug(b, 3, -EIO, "no");
	bench_said(b, "kick 3 6 rollback");
	bench_agent_down(b);
	b->guest_state[3] = CPUHP_ONLINE;
	bench_agent_up(b, 2);
	bench_said(b, "kick 3 6 rollback");
	bench_kicked(b, 3, 0);
	bench_silent(b);
	assert_int_equal(w.n_done, 0);
	bench_done(b, 3, CPUHP_STANDBY, 0, 0xff);
	bench_walk_ends(b, &w, -EIO, CPUHP_QEMU_DEVICE);
	bench_stop(b);
}

/* What he had said before is all that is known of it: no news, however the walk has ended. */
static void the_guests_word_is_as_old_as_it_is_after_the_walk(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);
	const struct vcpu *v = &b->d->vcpus[3];
	uint64_t said_us;

	bench_row(b, 3, CPUHP_STANDBY);
	said_us = now_us();
	bench_answer_unplug(b, 3, -EIO, "no");
	bench_said(b, "kick 3 6 rollback");
	assert_int_equal(bench_state(b, 3), CPUHP_GUEST_PRESENT);
	bench_wait(b, bench_is_over, &w);
	vcpu_settle(&b->d->vcpus[3]);
	assert_int_equal(bench_state(b, 3), CPUHP_STANDBY);
	assert_true(v->since_us <= said_us);
	assert_true(v->shown_us > said_us);
	bench_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_an_agent_nothing_is_shown_of_its_walk),
		cmocka_unit_test(what_nobody_waits_for_is_shown_as_observed),
		cmocka_unit_test(what_is_to_go_back_waits_for_the_guests_word),
		cmocka_unit_test(what_is_to_leave_is_where_the_guest_says),
		cmocka_unit_test(what_qemu_says_before_the_first_boot_is_a_refusal),
		cmocka_unit_test(a_reset_has_a_removal_asked_for_anew),
		cmocka_unit_test(a_question_without_an_answer_waits_for_the_next_table),
		cmocka_unit_test(a_new_session_has_nothing_asked_for_anew),
		cmocka_unit_test(a_reset_does_not_end_the_way_back_from_a_refusal),
		cmocka_unit_test(the_guests_word_is_as_old_as_it_is_after_the_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
