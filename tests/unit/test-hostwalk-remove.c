/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * One vCPU's removal: device_del refused by QEMU or by the guest, answered late or not at all, and
 * what may lead back up (R9) and what may be called removed (R14). Dialogues by hand, as in
 * test-hostwalk.c.
 */
#include "daemon/vcpu.h"
#include "tests/unit/host-bench.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void ends_back_at_standby(struct bench *b, struct bench_walk *w, int rc)
{
	bench_said(b, "kick 3 6 rollback");
	bench_kicked(b, 3, 0);
	bench_walk_ends(b, w, rc, CPUHP_QEMU_DEVICE);
	assert_true(w->outcome.teardown);
	assert_int_equal(bench_state(b, 3), CPUHP_STANDBY);
	assert_int_equal(b->d->vcpus[3].pending, VCPU_PENDING_NONE);
	assert_int_equal(b->removed[3], 0);
	assert_int_equal(bench_count(b, "plug"), 0);
}

static void R9_device_del_that_qemu_refuses_is_taken_back(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);

	bench_answer_unplug(b, 3, -EIO, "acpi: device unplug request for not supported device");
	ends_back_at_standby(b, &w, -EIO);
	assert_non_null(strstr(w.outcome.text, "acpi: device unplug request"));
	bench_stop(b);
}

static void R9_a_refusal_with_the_slot_still_filled_is_taken_back(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);

	bench_answer_unplug(b, 3, 0, "");
	b->hold_queries = true;
	bench_ost(b, 3, HV_OST_REMOVE, 132);
	bench_silent(b);
	bench_ost(b, 3, HV_OST_REMOVE, 130);
	/* Not before QEMU has said that the slot is still filled. */
	bench_silent(b);
	assert_int_equal(w.n_done, 0);
	b->hold_queries = false;
	ends_back_at_standby(b, &w, -EBUSY);
	bench_stop(b);
}

/* Such as by a reset, which does not sweep the request away: the agent has a way to go to standby. */
static void R9_one_refused_that_was_brought_up_meanwhile_is_waited_for(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);

	bench_answer_unplug(b, 3, 0, "");
	bench_row(b, 3, CPUHP_ONLINE);
	bench_ost(b, 3, HV_OST_REMOVE, 130);
	bench_said(b, "kick 3 6 rollback");
	bench_kicked(b, 3, 0);
	bench_turn(b);
	assert_int_equal(w.n_done, 0);
	bench_done(b, 3, CPUHP_STANDBY, 0, 0xff);
	bench_walk_ends(b, &w, -EBUSY, CPUHP_QEMU_DEVICE);
	assert_int_equal(bench_state(b, 3), CPUHP_STANDBY);
	bench_stop(b);
}

static void R9_a_refusal_that_overtakes_qemus_reply_is_not_lost(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);

	bench_ost(b, 3, HV_OST_REMOVE, 130);
	bench_silent(b);
	bench_answer_unplug(b, 3, 0, "");
	ends_back_at_standby(b, &w, -EBUSY);
	bench_stop(b);
}

static void R9_a_refusal_of_a_slot_that_is_empty_is_a_removal(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);

	bench_answer_unplug(b, 3, 0, "");
	b->slots[3] = (struct hv_slot){ .props = b->slots[3].props };
	bench_ost(b, 3, HV_OST_REMOVE, 130);
	bench_walk_ends(b, &w, 0, -1);
	assert_int_equal(b->removed[3], 1);
	assert_int_equal(bench_state(b, 3), CPUHP_OFFLINE);
	bench_stop(b);
}

static void R9_no_startup_once_device_del_is_out_and_unanswered(void **ctx)
{
	static const int rcs[] = { 0, -ETIMEDOUT, -ECONNRESET, -ENODEV };

	for (size_t i = 0; i < sizeof(rcs) / sizeof(rcs[0]); i++) {
		struct bench_walk w;
		struct bench *b = bench_start_removal(&w);

		b->hold_queries = true;
		bench_answer_unplug(b, 3, rcs[i], "");
		hostwalk_cancel(&b->d->vcpus[3], -ECANCELED);
		bench_silent(b);
		assert_int_equal(w.n_done, 0);
		assert_int_equal(b->d->vcpus[3].pending, VCPU_PENDING_UNPLUG);
		b->hold_queries = false;
		bench_eject(b, 3);
		/* Gone, and not plugged again although it was cancelled meanwhile. */
		bench_walk_ends(b, &w, 0, -1);
		assert_int_equal(bench_count(b, "plug"), 0);
		assert_int_equal(b->removed[3], 1);
		bench_stop(b);
	}
}

static void R9_a_removal_told_pending_ends_empty_and_stays_so(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);

	bench_answer_unplug(b, 3, 0, "");
	hostwalk_cancel(&b->d->vcpus[3], -ETIMEDOUT);
	assert_int_equal(w.n_done, 1);
	assert_true(w.pending);
	assert_int_equal(w.outcome.failed_at, CPUHP_QEMU_DEVICE);
	bench_eject(b, 3);
	bench_wait(b, bench_is_at_rest, &b->d->vcpus[3]);
	bench_silent(b);
	assert_int_equal(w.n_done, 1);
	assert_int_equal(bench_count(b, "plug"), 0);
	assert_int_equal(bench_state(b, 3), CPUHP_OFFLINE);
	assert_int_equal(b->removed[3], 1);
	bench_stop(b);
}

static void R9_an_armed_admission_cannot_turn_a_finished_removal_round(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);

	b->d->vcpus[3].armed = CPUHP_HOST_ADMIT;
	bench_answer_unplug(b, 3, 0, "");
	bench_eject(b, 3);
	bench_walk_ends(b, &w, 0, -1);
	assert_int_equal(bench_count(b, "plug"), 0);
	bench_stop(b);
}

static void R14_removed_is_said_when_the_slot_is_empty_and_not_before(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);

	bench_answer_unplug(b, 3, 0, "");
	/* The guest claims success; QEMU's table is the authority. */
	bench_ost(b, 3, HV_OST_REMOVE, 0);
	bench_row(b, 3, CPUHP_OFFLINE);
	bench_table(b);
	bench_silent(b);
	assert_int_equal(b->removed[3], 0);
	assert_int_equal(b->d->vcpus[3].pending, VCPU_PENDING_UNPLUG);
	bench_eject(b, 3);
	bench_walk_ends(b, &w, 0, -1);
	assert_int_equal(b->removed[3], 1);
	bench_stop(b);
}

/* Whoever fills slot 3 now, between two looks at QEMU's table. */
static void replace(struct bench *b)
{
	snprintf(b->slots[3].id, sizeof(b->slots[3].id), "vcpu3");
	b->guest_present[3] = false;
	bench_table(b);
}

static void is_anothers(struct bench *b, unsigned int asked)
{
	const struct vcpu *v = &b->d->vcpus[3];

	assert_int_equal(bench_count(b, "unplug 3"), asked);
	assert_int_equal(b->removed[3], 1);
	assert_true(v->present);
	assert_false(v->owned);
	assert_int_equal(v->pending, VCPU_PENDING_NONE);
	bench_silent(b);
}

static void R14_one_that_another_took_the_place_of_has_left(void **ctx)
{
	for (int answered = 0; answered < 2; answered++) {
		struct bench_walk w;
		struct bench *b = bench_start_removal(&w);

		if (answered)
			bench_answer_unplug(b, 3, 0, "");
		replace(b);
		bench_walk_ends(b, &w, 0, -1);
		is_anothers(b, 1);
		bench_stop(b);
	}
}

/* A removal whose kick the agent has taken. */
static struct bench *start_parking(struct bench_walk *w)
{
	struct bench *b = bench_by_hand(NULL);

	bench_put(b, 3, CPUHP_ONLINE);
	bench_walk(b, w, 3, CPUHP_OFFLINE, false);
	bench_said(b, "kick 3 6");
	bench_kicked(b, 3, 0);
	return b;
}

static void one_that_is_replaced_while_the_agent_parks_it_is_not_asked_for(void **ctx)
{
	struct bench_walk w;
	struct bench *b = start_parking(&w);

	replace(b);
	bench_done(b, 3, CPUHP_STANDBY, 0, 0xff);
	bench_walk_ends(b, &w, 0, -1);
	is_anothers(b, 0);
	bench_stop(b);
}

/* Where the vCPU is in the guest is not known then, but what QEMU has is. */
static void one_that_is_replaced_while_no_agent_is_heard_is_not_asked_for(void **ctx)
{
	struct bench_walk w;
	struct bench *b = start_parking(&w);

	bench_agent_down(b);
	replace(b);
	b->guest_present[3] = true;
	b->guest_state[3] = CPUHP_STANDBY;
	bench_agent_up(b, 1);
	bench_said(b, "kick 3 6");
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_STANDBY, 0, 0xff);
	assert_int_equal(bench_count(b, "unplug 3"), 0);
	bench_stop(b);
}

static void R14_a_device_not_found_waits_for_the_table(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);

	bench_answer_unplug(b, 3, -ENODEV, "Device not found");
	bench_silent(b);
	assert_int_equal(w.n_done, 0);
	assert_int_equal(b->removed[3], 0);
	bench_eject(b, 3);
	bench_walk_ends(b, &w, 0, -1);
	assert_int_equal(b->removed[3], 1);
	bench_stop(b);
}

static bool is_asked_again(struct bench *b, void *arg)
{
	return bench_count(b, "unplug 3") >= *(unsigned int *)arg;
}

static bool is_looked_for(struct bench *b, void *arg)
{
	return b->n_requests > 0;
}

static void device_del_is_sent_again_only_after_a_look(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);
	unsigned int times = 2;

	bench_answer_unplug(b, 3, 0, "");
	b->hold_queries = true;
	bench_wait(b, is_looked_for, NULL);
	bench_silent(b);
	b->hold_queries = false;
	bench_wait(b, is_asked_again, &times);
	/* A reset may sweep the request away at any time: it is not given up when it is told pending. */
	bench_wait(b, bench_is_over, &w);
	assert_true(w.pending);
	times = 4;
	bench_wait(b, is_asked_again, &times);
	bench_eject(b, 3);
	bench_wait(b, bench_is_at_rest, &b->d->vcpus[3]);
	assert_int_equal(b->removed[3], 1);
	bench_stop(b);
}

static bool has_passed(struct bench *b, void *arg)
{
	return now_us() >= *(const uint64_t *)arg;
}

/* QEMU is slower than EjectMaxSec=. */
static void a_look_that_takes_long_is_one_look(void **ctx)
{
	struct bench_walk w;
	struct bench *b = bench_start_removal(&w);
	unsigned int times, looks;
	uint64_t until;

	bench_hold_tick(b);
	bench_answer_unplug(b, 3, 0, "");
	bench_wait(b, bench_is_over, &w);
	b->config.deadlines.eject_soft_ms = b->config.deadlines.eject_hard_ms = 5;
	b->hold_queries = true;
	looks = b->queries + 1;
	times = bench_count(b, "unplug 3") + 1;
	until = now_us() + 200000;
	bench_wait(b, has_passed, &until);
	assert_int_equal(b->queries, looks);
	b->hold_queries = false;
	bench_turn(b);
	assert_int_equal(bench_count(b, "unplug 3"), times);
	times++;
	bench_wait(b, is_asked_again, &times);
	bench_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(R9_device_del_that_qemu_refuses_is_taken_back),
		cmocka_unit_test(R9_a_refusal_with_the_slot_still_filled_is_taken_back),
		cmocka_unit_test(R9_one_refused_that_was_brought_up_meanwhile_is_waited_for),
		cmocka_unit_test(R9_a_refusal_that_overtakes_qemus_reply_is_not_lost),
		cmocka_unit_test(R9_a_refusal_of_a_slot_that_is_empty_is_a_removal),
		cmocka_unit_test(R9_no_startup_once_device_del_is_out_and_unanswered),
		cmocka_unit_test(R9_a_removal_told_pending_ends_empty_and_stays_so),
		cmocka_unit_test(R9_an_armed_admission_cannot_turn_a_finished_removal_round),
		cmocka_unit_test(R14_removed_is_said_when_the_slot_is_empty_and_not_before),
		cmocka_unit_test(one_that_is_replaced_while_no_agent_is_heard_is_not_asked_for),
		cmocka_unit_test(R14_one_that_another_took_the_place_of_has_left),
		cmocka_unit_test(one_that_is_replaced_while_the_agent_parks_it_is_not_asked_for),
		cmocka_unit_test(R14_a_device_not_found_waits_for_the_table),
		cmocka_unit_test(device_del_is_sent_again_only_after_a_look),
		cmocka_unit_test(a_look_that_takes_long_is_one_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
