/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Operations whose vCPUs others move as well: to where they were to go, or away from there; an agent
 * that has just started and adopts what it finds; and a QEMU whose process is there and that cannot
 * be attached.
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

/* The kernel has taken it offline for somebody else, and the agent's kick is void by that. */
static void is_taken_offline(struct bench *b, unsigned int slot)
{
	bench_done(b, slot, CPUHP_STANDBY, -ENODEV, 0xff);
	bench_row(b, slot, CPUHP_STANDBY);
}

static void what_another_takes_to_its_goal_has_come_there(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 1);
	b->agent_silent[1] = true;
	o = bench_target_op(b, 1, 1, CPUHP_STANDBY, OP_POLICY_ALL);
	bench_wait_word(b, "kick 1 6");
	bench_turn(b);
	is_taken_offline(b, 1);
	bench_ends(b, o, OP_DONE, "1:ok");
	bench_stop(b);
}

/* Its removal goes on, and so does that of the others. */
static void what_another_removes_as_well_is_removed(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 2);
	b->agent_silent[1] = true;
	o = bench_count_op(b, 1, OP_POLICY_ALL, 0);
	bench_wait_word(b, "kick 1 6");
	bench_turn(b);
	is_taken_offline(b, 1);
	b->agent_silent[1] = false;
	bench_ends(b, o, OP_DONE, "2:ok 1:ok");
	bench_states(b, 1, 2, CPUHP_OFFLINE);
	bench_stop(b);
}

/* It went down, failed all the same, and cannot be brought up: that is known, and nothing else. */
static void a_way_back_that_failed_is_no_coming_there(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 1);
	bench_plant(b, 1,
		    (struct bench_plant){ .rc = -EIO,
					  .failed_at = CPUHP_AP_ONLINE,
					  .rests_at = CPUHP_STANDBY,
					  .rollback_rc = -EBUSY,
					  .teardown = true });
	o = bench_target_op(b, 1, 1, CPUHP_STANDBY, OP_POLICY_ALL);
	bench_ends(b, o, OP_STUCK, "1:refused");
	bench_stop(b);
}

/* vCPU 1 has left, and a new agent is at work on vCPU 0. */
static struct op *remove_beside_an_adoption(struct bench *b, unsigned int timeout_ms)
{
	struct op *o;

	bench_put_online(b, 1, 1);
	b->agent_silent[1] = true;
	o = bench_submit_with(b, 1, OP_POLICY_ALL, timeout_ms);
	bench_wait_word(b, "kick 1 6");
	b->agent_silent[1] = false;
	b->guest_walking[0] = true;
	bench_row(b, 0, CPUHP_AP_ONLINE);
	bench_done(b, 1, CPUHP_STANDBY, 0, 0xff);
	bench_turn(b);
	assert_false(b->slots[1].present);
	assert_false(o->ended);
	return o;
}

/* It is there, and by its own word that is not what was asked for. */
static void a_step_that_failed_is_no_coming_there(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 1);
	b->agent_silent[1] = true;
	o = bench_target_op(b, 1, 1, CPUHP_STANDBY, OP_POLICY_ALL);
	bench_wait_word(b, "kick 1 6");
	b->agent_silent[1] = false;
	bench_done(b, 1, CPUHP_STANDBY, -EXDEV, CPUHP_AP_THREADS);
	bench_ends(b, o, OP_REFUSED, "1:refused");
	bench_stop(b);
}

static void an_adoption_is_waited_for(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o = remove_beside_an_adoption(b, 60000);

	b->guest_walking[0] = false;
	bench_row(b, 0, CPUHP_ONLINE);
	bench_ends(b, o, OP_DONE, "1:ok");
	bench_stop(b);
}

static void an_adoption_is_not_waited_for_beyond_the_deadline_nor_without_an_agent(void **ctx)
{
	for (int gone = 0; gone < 2; gone++) {
		struct bench *b = bench_start(NULL);
		struct op *o = remove_beside_an_adoption(b, gone ? 60000 : 200);

		if (gone)
			bench_agent_down(b);
		bench_wait_ended(b, o);
		bench_vcpus(o, "1:ok");
		op_unref(o);
		bench_stop(b);
	}
}

/* vCPU 1 rests at standby, while vCPU 2 has not left yet. */
static void what_is_moved_on_behind_its_back_is_no_success(void **ctx)
{
	struct op_request r = { .goal = OP_GOAL_COUNT, .count = 1, .standby = 1 };
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 2);
	b->qemu_silent[2] = true;
	o = bench_submit(b, &r);
	bench_wait_word(b, "unplug 2");
	bench_turn(b);
	assert_int_equal(bench_state(b, 1), CPUHP_STANDBY);
	bench_row(b, 1, CPUHP_ONLINE);
	bench_eject(b, 2);
	bench_check(b, o, OP_PARTIAL);
	assert_string_equal(text_of(&o->error),
			    "vcpu 1: it came there, and the guest brought it up meanwhile");
	bench_ends(b, o, OP_PARTIAL, "2:ok 1:failed");
	bench_stop(b);
}

/* vCPU 1 has come up, and goes down again by another's hand, while vCPU 2 is on its way. */
static struct op *lose_one_in_the_climb(struct bench *b, enum op_policy policy, bool eject)
{
	struct op *o;

	b->agent_silent[2] = true;
	o = bench_count_op(b, 3, policy, 1);
	bench_wait_word(b, "kick 2 44");
	bench_turn(b);
	assert_int_equal(bench_state(b, 1), CPUHP_ONLINE);
	if (eject)
		bench_eject(b, 1);
	else
		bench_row(b, 1, CPUHP_STANDBY);
	b->agent_silent[2] = false;
	bench_done(b, 2, CPUHP_ONLINE, 0, 0xff);
	return o;
}

/* It is not brought up, nor plugged, once more: nobody has decided that. */
static void what_another_takes_away_in_the_climb_has_failed(void **ctx)
{
	for (int eject = 0; eject < 2; eject++) {
		struct bench *b = bench_start(NULL);

		bench_ends(b, lose_one_in_the_climb(b, OP_POLICY_ALL, eject), OP_FAILED,
			   "1:failed 2:rolled-back");
		bench_states(b, 1, 2, CPUHP_OFFLINE);
		assert_int_equal(bench_count(b, "plug 1"), 1);
		assert_int_equal(bench_count(b, "kick 1 44"), 1);
		bench_stop(b);
	}
}

static void the_others_are_enough_where_that_was_asked(void **ctx)
{
	for (int eject = 0; eject < 2; eject++) {
		struct bench *b = bench_start(NULL);

		bench_ends(b, lose_one_in_the_climb(b, OP_POLICY_AT_LEAST, eject), OP_DONE,
			   "1:failed 2:ok");
		assert_int_equal(bench_state(b, 1), CPUHP_OFFLINE);
		assert_int_equal(bench_state(b, 2), CPUHP_ONLINE);
		bench_stop(b);
	}
}

/* The same, lost only when what failed has gone back. */
static void so_they_are_at_the_very_end(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_plant(b, 3, bench_broken_verify);
	b->qemu_silent[3] = true;
	o = bench_count_op(b, 4, OP_POLICY_AT_LEAST, 1);
	bench_wait_word(b, "unplug 3");
	bench_turn(b);
	bench_row(b, 1, CPUHP_STANDBY);
	bench_eject(b, 3);
	bench_ends(b, o, OP_DONE, "1:failed 2:ok 3:failed");
	bench_stop(b);
}

/* One comes up and one is to leave QEMU, in one request: neither without the other. */
static void a_refused_removal_takes_back_what_has_come_up(void **ctx)
{
	struct op_request r = { .goal = OP_GOAL_COUNT, .count = 2, .standby = 0 };
	struct bench *b = bench_start(NULL);

	bench_put(b, 1, CPUHP_STANDBY);
	bench_put(b, 2, CPUHP_STANDBY);
	b->qemu_refuses[2] = true;
	bench_ends(b, bench_submit(b, &r), OP_REFUSED, "1:rolled-back 2:refused");
	bench_states(b, 1, 2, CPUHP_STANDBY);
	bench_stop(b);
}

/* The same, of one that was taken down to rest at standby. */
static void a_refused_removal_takes_back_what_has_gone_to_standby(void **ctx)
{
	struct op_request r = { .goal = OP_GOAL_COUNT, .count = 1, .standby = 1 };
	struct bench *b = bench_start(NULL);

	bench_put(b, 1, CPUHP_ONLINE);
	bench_put(b, 2, CPUHP_ONLINE);
	b->qemu_refuses[2] = true;
	bench_ends(b, bench_submit(b, &r), OP_REFUSED, "2:refused 1:rolled-back");
	bench_states(b, 1, 2, CPUHP_ONLINE);
	bench_stop(b);
}

/* One of two is back, the other's eject takes its time, and the guest changes its mind about the first. */
static void who_is_back_and_is_moved_again_says_so(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 2);
	b->qemu_refuses[1] = b->qemu_silent[2] = true;
	o = bench_count_op(b, 1, OP_POLICY_ALL, 0);
	bench_wait_word(b, "kick 1 44 rollback");
	bench_turn(b);
	assert_int_equal(bench_state(b, 1), CPUHP_ONLINE);
	bench_row(b, 1, CPUHP_STANDBY);
	bench_eject(b, 2);
	bench_wait_ended(b, o);
	assert_int_equal(o->result, OP_REFUSED);
	assert_int_equal(o->vcpus[1].vcpu, 1);
	assert_int_equal(o->vcpus[1].state, CPUHP_STANDBY);
	assert_non_null(
		strstr(text_of(&o->vcpus[1].error), "it was back, and the guest took it down"));
	assert_null(strstr(text_of(&o->error), "it was back"));
	op_unref(o);
	bench_stop(b);
}

/* However much there is to say of what had failed. */
static void who_has_failed_at_length_says_so_too(void **ctx)
{
	struct bench *b = bench_start(NULL);
	char text[MSG_TEXT_MAX + 1];
	struct op *o;

	memset(text, 'x', MSG_TEXT_MAX);
	text[MSG_TEXT_MAX] = '\0';
	bench_put_online(b, 1, 2);
	b->qemu_silent[2] = true;
	bench_plant(b, 1,
		    (struct bench_plant){ .rc = -EILSEQ,
					  .failed_at = CPUHP_AP_ONLINE,
					  .rests_at = -1,
					  .teardown = true,
					  .text = text });
	o = bench_count_op(b, 1, OP_POLICY_BEST_EFFORT, 0);
	bench_wait_word(b, "unplug 2");
	bench_row(b, 1, CPUHP_STANDBY);
	bench_eject(b, 2);
	bench_check(b, o, OP_PARTIAL);
	assert_int_equal(o->vcpus[1].state, CPUHP_STANDBY);
	assert_non_null(strstr(text_of(&o->vcpus[1].error),
			       "it was back, and the guest took it down meanwhile"));
	bench_ends(b, o, OP_PARTIAL, "2:ok 1:refused");
	bench_stop(b);
}

/* One rests where it was to go, the other's eject takes its time, and the guest brings up the first. */
static void who_has_come_and_is_moved_again_is_not_ok(void **ctx)
{
	const struct op_request q = {
		.goal = OP_GOAL_COUNT,
		.count = 1,
		.standby = 1,
		.policy = OP_POLICY_BEST_EFFORT,
	};
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 2);
	b->qemu_silent[2] = true;
	o = bench_submit(b, &q);
	bench_wait_word(b, "unplug 2");
	bench_turn(b);
	assert_int_equal(bench_state(b, 1), CPUHP_STANDBY);
	bench_row(b, 1, CPUHP_ONLINE);
	bench_ost(b, 2, HV_OST_REMOVE, 1);
	bench_wait_ended(b, o);
	assert_non_null(strstr(text_of(&o->error), "vcpu 2: qemu:device teardown failed"));
	assert_non_null(strstr(text_of(&o->vcpus[1].error),
			       "it came there, and the guest brought it up meanwhile"));
	bench_ends(b, o, OP_PARTIAL, "2:refused 1:failed");
	bench_stop(b);
}

/* Without KVM what the guest has brought up cannot leave below the one that the operation has plugged. */
static void what_is_planned_again_leaves_no_hole(void **ctx)
{
	struct op_request r = { .goal = OP_GOAL_COUNT, .count = 1, .standby = 1 };
	struct bench *b = bench_start(&(struct bench_options){ .tcg = true });
	struct op *o;

	bench_put(b, 1, CPUHP_AP_DYN);
	bench_put(b, 2, CPUHP_AP_DYN);
	b->agent_silent[3] = true;
	o = bench_submit(b, &r);
	bench_wait_word(b, "plug 3");
	bench_turn(b);
	bench_row(b, 3, CPUHP_STANDBY);
	bench_wait_word(b, "kick 3 6");
	bench_row(b, 1, CPUHP_ONLINE);
	bench_row(b, 2, CPUHP_ONLINE);
	bench_done(b, 3, CPUHP_STANDBY, 0, 0xff);
	bench_ends(b, o, OP_PARTIAL, "3:ok");
	bench_states(b, 1, 2, CPUHP_ONLINE);
	assert_int_equal(bench_count(b, "unplug"), 0);
	bench_stop(b);
}

static bool is_out_of_reach(struct bench *b, void *arg)
{
	return b->d->out_of_reach;
}

static bool is_given_up(struct bench *b, void *arg)
{
	return !b->d->lost;
}

/* device_add is out, and QEMU's process is there still. */
static struct op *lose_qemu_in_an_add(struct bench *b, unsigned int timeout_ms)
{
	struct op *o;

	b->auto_qemu = false;
	o = bench_submit_with(b, 2, OP_POLICY_ALL, timeout_ms);
	bench_wait_word(b, "plug 1");
	b->is_there = true;
	bench_lose_qemu(b);
	return o;
}

static void a_qemu_that_speaks_is_not_gone(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o = lose_qemu_in_an_add(b, 4000);

	bench_wait(b, is_out_of_reach, NULL);
	assert_false(o->ended);
	b->slots[1].present = b->slots[1].removable = true;
	vcpu_format_id(b->slots[1].id, 1, o->tag);
	b->auto_qemu = true;
	bench_attach(b);
	assert_false(b->d->out_of_reach);
	bench_row(b, 1, CPUHP_STANDBY);
	bench_ends(b, o, OP_DONE, "1:ok");
	bench_stop(b);
}

/* Until it falls silent. */
static void a_qemu_out_of_reach_holds_nobody_up(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o = lose_qemu_in_an_add(b, 1500);

	bench_check(b, o, OP_PENDING);
	assert_non_null(strstr(text_of(&o->error), "the operation's deadline passed"));
	assert_non_null(b->d->vcpus[1].hw);
	bench_ends(b, o, OP_PENDING, "1:pending");
	b->is_there = false;
	bench_wait(b, is_given_up, NULL);
	assert_null(b->d->vcpus[1].hw);
	assert_int_equal(domain_counts(b->d).present, -1);
	bench_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_another_takes_to_its_goal_has_come_there),
		cmocka_unit_test(what_another_removes_as_well_is_removed),
		cmocka_unit_test(a_way_back_that_failed_is_no_coming_there),
		cmocka_unit_test(a_step_that_failed_is_no_coming_there),
		cmocka_unit_test(an_adoption_is_waited_for),
		cmocka_unit_test(
			an_adoption_is_not_waited_for_beyond_the_deadline_nor_without_an_agent),
		cmocka_unit_test(what_is_moved_on_behind_its_back_is_no_success),
		cmocka_unit_test(what_another_takes_away_in_the_climb_has_failed),
		cmocka_unit_test(the_others_are_enough_where_that_was_asked),
		cmocka_unit_test(so_they_are_at_the_very_end),
		cmocka_unit_test(a_refused_removal_takes_back_what_has_come_up),
		cmocka_unit_test(a_refused_removal_takes_back_what_has_gone_to_standby),
		cmocka_unit_test(who_is_back_and_is_moved_again_says_so),
		cmocka_unit_test(who_has_failed_at_length_says_so_too),
		cmocka_unit_test(who_has_come_and_is_moved_again_is_not_ok),
		cmocka_unit_test(what_is_planned_again_leaves_no_hole),
		cmocka_unit_test(a_qemu_that_speaks_is_not_gone),
		cmocka_unit_test(a_qemu_out_of_reach_holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
