/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Drift: reality is not what was wished. It is noticed, shown and counted once, gone when they
 * agree again, and acted on only as configured. An observation never moves a wish.
 */
#include "daemon/drift.h"
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

static void what_is_found_first_is_what_is_wished(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .no_agent = true, .online = 2 });

	assert_int_equal(b->d->vcpus[1].wish, -1);
	b->guest_walking[0] = true;
	b->guest_state[0] = CPUHP_AP_THREADS;
	b->guest_state[1] = CPUHP_STANDBY;
	bench_agent_up(b, 1);
	bench_turn(b);
	/* Online in the kernel, and its adoption under way. */
	assert_int_equal(b->d->vcpus[0].wish, CPUHP_ONLINE);
	assert_int_equal(b->d->vcpus[1].wish, CPUHP_STANDBY);
	assert_int_equal(b->d->vcpus[2].wish, CPUHP_OFFLINE);
	bench_check_drift(b, 0, "", 0);
	b->guest_walking[0] = false;
	bench_row(b, 0, CPUHP_ONLINE);
	bench_check_drift(b, 1, "", 0);
	bench_silent(b);
	bench_stop(b);
}

static void an_eject_nobody_asked_for_is_shown(void **ctx)
{
	struct bench *b = bench_start(NULL);

	bench_put(b, 3, CPUHP_ONLINE);
	bench_eject(b, 3);
	bench_check_drift(b, 3, "it left QEMU without being asked", 1);
	assert_int_equal(bench_state(b, 3), CPUHP_OFFLINE);
	assert_int_equal(b->d->vcpus[3].wish, CPUHP_ONLINE);
	/* R14: nobody removed it. */
	assert_int_equal(b->removed[3], 0);
	bench_silent(b);
	bench_stop(b);
}

static void root_takes_one_offline(void **ctx)
{
	struct bench *b = bench_start(NULL);

	bench_put(b, 3, CPUHP_ONLINE);
	bench_row(b, 3, CPUHP_STANDBY);
	bench_check_drift(b, 3, "the guest took it down without being asked", 1);
	assert_int_equal(b->d->vcpus[3].wish, CPUHP_ONLINE);
	bench_silent(b);
	/* And brings it back. */
	bench_row(b, 3, CPUHP_ONLINE);
	bench_check_drift(b, 3, "", 1);
	bench_stop(b);
}

static void a_drift_that_changes_is_one(void **ctx)
{
	struct bench *b = bench_start(NULL);

	bench_put(b, 3, CPUHP_ONLINE);
	bench_row(b, 3, CPUHP_STANDBY);
	bench_check_drift(b, 3, "the guest took it down without being asked", 1);
	bench_eject(b, 3);
	bench_turn(b);
	assert_string_equal(b->d->vcpus[3].drift, "it left QEMU without being asked");
	assert_int_equal(b->d->counters.drift, 1);
	bench_stop(b);
}

static void asking_for_what_is_there_ends_the_drift(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put(b, 3, CPUHP_STANDBY);
	bench_row(b, 3, CPUHP_ONLINE);
	bench_check_drift(b, 3, "the guest brought it up without being asked", 1);
	o = bench_target_op(b, 3, 3, CPUHP_ONLINE, OP_POLICY_ALL);
	bench_ends(b, o, OP_DONE, "");
	bench_silent(b);
	bench_check_drift(b, 3, "", 1);
	assert_int_equal(b->d->vcpus[3].wish, CPUHP_ONLINE);
	bench_stop(b);
}

static void one_taken_away_is_told_once(void **ctx)
{
	struct bench *b = bench_start(NULL);

	bench_put(b, 3, CPUHP_ONLINE);
	/* The late teardown is under way: that it was taken is told, and no drift yet. */
	b->guest_taken[3] = b->guest_walking[3] = true;
	bench_row(b, 3, CPUHP_AP_DYN);
	bench_turn(b);
	assert_int_equal(b->drifts, 1);
	b->guest_walking[3] = false;
	bench_row(b, 3, CPUHP_STANDBY);
	bench_turn(b);
	assert_int_equal(b->drifts, 2);
	/* Row after row and session after session say so still. */
	bench_row(b, 3, CPUHP_STANDBY);
	bench_agent_down(b);
	bench_agent_up(b, 1);
	bench_turn(b);
	assert_int_equal(b->drifts, 2);
	/* Back in service, and taken once more. */
	b->guest_taken[3] = false;
	bench_row(b, 3, CPUHP_ONLINE);
	bench_turn(b);
	assert_int_equal(b->drifts, 2);
	b->guest_taken[3] = b->guest_walking[3] = true;
	bench_row(b, 3, CPUHP_AP_DYN);
	bench_turn(b);
	assert_int_equal(b->drifts, 3);
	bench_stop(b);
}

static void one_taken_away_from_qemu_is_told_once(void **ctx)
{
	struct bench *b = bench_start(NULL);

	bench_put(b, 3, CPUHP_ONLINE);
	b->guest_taken[3] = b->guest_walking[3] = true;
	bench_row(b, 3, CPUHP_AP_DYN);
	bench_turn(b);
	assert_int_equal(b->drifts, 1);
	bench_eject(b, 3);
	b->guest_walking[3] = false;
	/* Its last row comes when QEMU has nothing there any more. */
	bench_row(b, 3, CPUHP_OFFLINE);
	bench_turn(b);
	assert_string_equal(b->d->vcpus[3].drift, "it left QEMU without being asked");
	assert_int_equal(b->drifts, 2);
	bench_stop(b);
}

static void one_taken_away_while_no_agent_ran_is_told(void **ctx)
{
	struct bench *b = bench_start(NULL);

	bench_put(b, 3, CPUHP_ONLINE);
	bench_agent_down(b);
	b->guest_taken[3] = b->guest_walking[3] = true;
	b->guest_state[3] = CPUHP_AP_DYN;
	bench_agent_up(b, 1);
	bench_turn(b);
	assert_int_equal(b->drifts, 1);
	bench_stop(b);
}

static void one_found_taken_away_at_first_is_no_news(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .no_agent = true, .online = 2 });

	b->guest_taken[1] = true;
	b->guest_state[1] = CPUHP_STANDBY;
	bench_agent_up(b, 1);
	bench_row(b, 1, CPUHP_STANDBY);
	bench_check_drift(b, 1, "", 0);
	bench_stop(b);
}

static void the_boot_vcpus_drift_as_well(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .online = 2 });

	bench_row(b, 1, CPUHP_STANDBY);
	bench_check_drift(b, 1, "the guest took it down without being asked", 1);
	bench_stop(b);
}

static void standby_is_parked_again_after_a_reboot_once(void **ctx)
{
	struct bench *b = bench_start(NULL);

	bench_put(b, 3, CPUHP_STANDBY);
	bench_agent_down(b);
	/* The new kernel brings all of them online. */
	b->guest_state[3] = CPUHP_ONLINE;
	bench_agent_up(b, 2);
	bench_said(b, "kick 3 6");
	bench_turn(b);
	assert_int_equal(bench_state(b, 3), CPUHP_STANDBY);
	bench_check_drift(b, 3, "", 0);
	/* Brought up again in the same boot: only shown. */
	bench_row(b, 3, CPUHP_ONLINE);
	bench_check_drift(b, 3, "the guest brought it up without being asked", 1);
	bench_agent_down(b);
	bench_agent_up(b, 2);
	bench_silent(b);
	assert_int_equal(b->d->vcpus[3].wish, CPUHP_STANDBY);
	bench_stop(b);
}

/* The guest is rebooted, and the new kernel brings vCPUs 1 to @last online. */
static void reboot(struct bench *b, unsigned int last)
{
	bench_agent_down(b);
	for (unsigned int i = 1; i <= last; i++)
		b->guest_state[i] = CPUHP_ONLINE;
	bench_agent_up(b, 2);
}

static void many_are_parked_again_by_one_operation(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .slots = 16 });
	unsigned int last = OP_QUEUE_MAX + 4;

	for (unsigned int i = 1; i <= last; i++)
		bench_put(b, i, CPUHP_STANDBY);
	/* One that cannot holds the others up no more than it must. */
	bench_plant(b, 3, bench_busy_offline);
	reboot(b, last);
	bench_turn(b);
	assert_int_equal(bench_count(b, "kick"), last);
	bench_states(b, 4, last, CPUHP_STANDBY);
	bench_states(b, 1, 2, CPUHP_STANDBY);
	assert_int_equal(bench_state(b, 3), CPUHP_ONLINE);
	assert_int_equal(b->d->n_kept, 1);
	assert_int_equal(b->d->kept[0]->request.policy, OP_POLICY_BEST_EFFORT);
	bench_check_drift(b, 3, "the guest brought it up without being asked", 1);
	b->n_read = b->n_words;
	bench_table(b);
	bench_silent(b);
	bench_stop(b);
}

/* Ours makes nobody wait and is refused by nobody: it comes when nothing else is to be done. */
static void parking_again_gives_way_to_what_was_asked_for(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *ops[OP_QUEUE_MAX + 1];

	for (unsigned int i = 1; i <= 3; i++)
		bench_put(b, i, CPUHP_STANDBY);
	b->mute = true;
	for (unsigned int i = 0; i <= OP_QUEUE_MAX; i++) {
		ops[i] = bench_count_op(b, 4, OP_POLICY_ALL, 0);
		bench_turn(b);
	}
	assert_int_equal(b->d->n_queued, OP_QUEUE_MAX);
	reboot(b, 3);
	for (int i = 0; i < 5; i++)
		bench_table(b);
	bench_silent(b);
	/* Until then it is shown. */
	bench_check_drift(b, 1, "the guest brought it up without being asked", 3);
	b->mute = false;
	for (unsigned int i = 0; i <= OP_QUEUE_MAX; i++)
		bench_ends(b, ops[i], OP_DONE, "");
	bench_turn(b);
	bench_states(b, 1, 3, CPUHP_STANDBY);
	assert_int_equal(bench_count(b, "kick"), 3);
	assert_string_equal(b->d->vcpus[1].drift, "");
	bench_stop(b);
}

/* Who has asked for something else meanwhile is not overruled. */
static void parking_again_is_void_where_another_wish_came_first(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put(b, 3, CPUHP_STANDBY);
	b->mute = true;
	o = bench_target_op(b, 3, 3, CPUHP_ONLINE, OP_POLICY_ALL);
	bench_turn(b);
	reboot(b, 3);
	bench_turn(b);
	b->mute = false;
	bench_ends(b, o, OP_DONE, "");
	bench_silent(b);
	assert_int_equal(bench_state(b, 3), CPUHP_ONLINE);
	bench_stop(b);
}

static void an_agent_restart_parks_nothing(void **ctx)
{
	struct bench *b = bench_start(NULL);

	bench_put(b, 3, CPUHP_STANDBY);
	bench_agent_down(b);
	b->guest_state[3] = CPUHP_ONLINE;
	bench_agent_up(b, 1);
	bench_check_drift(b, 3, "the guest brought it up without being asked", 1);
	bench_silent(b);
	bench_stop(b);
}

static void an_agent_that_is_away_is_no_drift(void **ctx)
{
	struct bench *b = bench_start(NULL);

	bench_put(b, 3, CPUHP_ONLINE);
	bench_agent_down(b);
	bench_table(b);
	bench_check_drift(b, 3, "", 0);
	assert_int_equal(bench_state(b, 3), -1);
	bench_agent_up(b, 1);
	bench_check_drift(b, 3, "", 0);
	bench_stop(b);
}

static void what_an_operation_moves_is_no_drift(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o = bench_count_op(b, 4, OP_POLICY_ALL, 0);

	bench_ends(b, o, OP_DONE, "1:ok 2:ok 3:ok");
	bench_table(b);
	bench_check_drift(b, 3, "", 0);
	o = bench_count_op(b, 2, OP_POLICY_ALL, 0);
	bench_ends(b, o, OP_DONE, "3:ok 2:ok");
	bench_table(b);
	bench_check_drift(b, 3, "", 0);
	bench_stop(b);
}

static bool has_asked(struct bench *b, void *arg)
{
	return b->queries > *(unsigned int *)arg;
}

/* What nobody tells is found by asking QEMU, at the latest 5 s after it happened. */
static void qemu_is_asked_within_5_s_of_the_last_time(void **ctx)
{
	struct bench *b = bench_start(NULL);
	sd_event_source *tick = b->manager->tick;

	for (int i = 0; i < 3; i++) {
		unsigned int before = b->queries;
		uint64_t asked = now_us(), at, slack;

		/* The slack is the kernel's to use up; some of the rest is for QEMU's answer. The moment
		 * is one that others keep as well. */
		assert_return_code(sd_event_source_get_time(tick, &at), 0);
		assert_return_code(sd_event_source_get_time_accuracy(tick, &slack), 0);
		assert_in_range(at + slack - asked, 500000, 4600000);
		assert_int_equal(at % 2000000, 0);
		assert_return_code(sd_event_source_set_time(tick, asked), 0);
		bench_wait(b, has_asked, &before);
		assert_int_equal(b->queries, before + 1);
	}
	bench_stop(b);
}

/* Whatever is seen in whatever order, the wish is what was asked for. */
static void no_observation_moves_a_wish(void **ctx)
{
	static const int wishes[] = { CPUHP_ONLINE, CPUHP_STANDBY };

	for (size_t w = 0; w < sizeof(wishes) / sizeof(wishes[0]); w++) {
		struct bench *b = bench_start(NULL);

		for (unsigned int seen = 0; seen < 5 * 5 * 5; seen++) {
			bench_put(b, 3, wishes[w]);
			for (unsigned int i = 0, n = seen; i < 3; i++, n /= 5) {
				switch (n % 5) {
				case 0:
					bench_row(b, 3, CPUHP_STANDBY);
					break;
				case 1:
					bench_row(b, 3, CPUHP_ONLINE);
					break;
				case 2:
					bench_eject(b, 3);
					break;
				case 3:
					bench_plug_foreign(b, 3);
					break;
				case 4:
					bench_agent_down(b);
					bench_agent_up(b, 1);
					break;
				}
				bench_turn(b);
				assert_int_equal(b->d->vcpus[3].wish, wishes[w]);
			}
		}
		bench_silent(b);
		bench_stop(b);
	}
}

static void a_guest_that_contradicts_qemu_is_not_believed(void **ctx)
{
	struct bench *b = bench_start(NULL);

	/* A CPU in an empty slot. */
	bench_row(b, 5, CPUHP_ONLINE);
	assert_int_equal(bench_state(b, 5), CPUHP_OFFLINE);
	/* A slot that is not there: past the end of the table. */
	bench_row(b, 9, CPUHP_ONLINE);
	/* Present, and in one of the host's states. */
	bench_put(b, 3, CPUHP_ONLINE);
	b->guest_present[3] = true;
	for (int s = CPUHP_OFFLINE; s < CPUHP_STANDBY; s++) {
		const struct record r = { .type = RECORD_CPU,
					  .cpu = { .cpu = BENCH_CPU(3),
						   .slot = 3,
						   .state = (uint8_t)s,
						   .flags = RECORD_CPU_PRESENT } };

		b->link_ops->on_record(b->link_ctx, &r);
		assert_int_equal(bench_state(b, 3), CPUHP_ONLINE);
	}
	bench_silent(b);
	bench_stop(b);
}

static void two_slots_cannot_claim_one_cpu(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct record r = { .type = RECORD_CPU,
			    .cpu = { .slot = 4,
				     .cpu = BENCH_CPU(3),
				     .state = CPUHP_ONLINE,
				     .flags = RECORD_CPU_PRESENT | RECORD_CPU_ONLINE } };

	bench_put(b, 3, CPUHP_ONLINE);
	bench_put(b, 4, CPUHP_STANDBY);
	b->link_ops->on_record(b->link_ctx, &r);
	assert_int_equal(bench_state(b, 4), CPUHP_STANDBY);
	assert_int_equal(b->d->vcpus[4].cpu, BENCH_CPU(4));
	bench_stop(b);
}

static bool is_given_up(struct bench *b, void *arg)
{
	return !b->d->vcpus[0].present;
}

static void a_vm_given_up_and_found_again_is_taken_as_it_is(void **ctx)
{
	struct bench *b = bench_start(NULL);

	bench_put(b, 3, CPUHP_ONLINE);
	bench_lose_qemu(b);
	bench_wait(b, is_given_up, NULL);
	assert_int_equal(b->d->vcpus[3].wish, -1);
	b->guest_state[3] = CPUHP_STANDBY;
	bench_attach(b);
	assert_int_equal(bench_state(b, 3), -1);
	bench_agent_table(b);
	assert_int_equal(bench_state(b, 3), CPUHP_STANDBY);
	assert_int_equal(b->d->vcpus[3].wish, CPUHP_STANDBY);
	bench_check_drift(b, 3, "", 0);
	bench_stop(b);
}

static void another_vm_voids_the_wishes(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct hv_facts f = b->d->facts;

	bench_put(b, 3, CPUHP_ONLINE);
	strcpy(f.uuid, "another");
	b->hv_events->on_attached(b->hv_ctx, &f);
	b->slots[3] = (struct hv_slot){ .props = b->slots[3].props };
	b->guest_present[3] = false;
	bench_table(b);
	assert_false(b->d->agent_up);
	bench_agent_table(b);
	bench_check_drift(b, 3, "", 0);
	assert_int_equal(b->d->vcpus[3].wish, CPUHP_OFFLINE);
	bench_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_found_first_is_what_is_wished),
		cmocka_unit_test(an_eject_nobody_asked_for_is_shown),
		cmocka_unit_test(root_takes_one_offline),
		cmocka_unit_test(a_drift_that_changes_is_one),
		cmocka_unit_test(asking_for_what_is_there_ends_the_drift),
		cmocka_unit_test(one_taken_away_is_told_once),
		cmocka_unit_test(one_taken_away_from_qemu_is_told_once),
		cmocka_unit_test(one_taken_away_while_no_agent_ran_is_told),
		cmocka_unit_test(one_found_taken_away_at_first_is_no_news),
		cmocka_unit_test(the_boot_vcpus_drift_as_well),
		cmocka_unit_test(standby_is_parked_again_after_a_reboot_once),
		cmocka_unit_test(many_are_parked_again_by_one_operation),
		cmocka_unit_test(parking_again_gives_way_to_what_was_asked_for),
		cmocka_unit_test(parking_again_is_void_where_another_wish_came_first),
		cmocka_unit_test(an_agent_restart_parks_nothing),
		cmocka_unit_test(an_agent_that_is_away_is_no_drift),
		cmocka_unit_test(what_an_operation_moves_is_no_drift),
		cmocka_unit_test(qemu_is_asked_within_5_s_of_the_last_time),
		cmocka_unit_test(no_observation_moves_a_wish),
		cmocka_unit_test(a_guest_that_contradicts_qemu_is_not_believed),
		cmocka_unit_test(two_slots_cannot_claim_one_cpu),
		cmocka_unit_test(a_vm_given_up_and_found_again_is_taken_as_it_is),
		cmocka_unit_test(another_vm_voids_the_wishes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
