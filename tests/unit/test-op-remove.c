/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The engine removing vCPUs: all to standby first, device_del only when the policy is met.
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

static void no_device_del_before_all_are_at_standby(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 3);
	b->auto_agent = false;
	o = bench_count_op(b, 1, OP_POLICY_ALL, 0);
	bench_said(b, "kick 3 6");
	bench_said(b, "kick 2 6");
	bench_said(b, "kick 1 6");
	for (unsigned int i = 3; i >= 1; i--) {
		bench_silent(b);
		bench_kicked(b, i, 0);
		bench_row(b, i, CPUHP_STANDBY);
		bench_done(b, i, CPUHP_STANDBY, 0, 0);
	}
	memset(b->kick_due, 0, sizeof(b->kick_due));
	b->auto_agent = true;
	bench_check(b, o, OP_DONE);
	assert_int_equal(o->counts.present, 1);
	for (unsigned int i = 1; i <= 3; i++)
		assert_int_equal(b->removed[i], 1);
	bench_ends(b, o, OP_DONE, "3:ok 2:ok 1:ok");
	bench_stop(b);
}

static void a_refusal_takes_all_back_and_no_device_del_was_sent(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 3);
	bench_plant(b, 2, bench_busy_offline);
	o = bench_count_op(b, 1, OP_POLICY_ALL, 0);
	bench_check(b, o, OP_REFUSED);
	assert_int_equal(op_result_exit(o->result), EXIT_REFUSED);
	assert_string_equal(o->refused_by, "guest");
	assert_string_equal(
		text_of(&o->error),
		"vcpu 2: ap:online teardown failed with EBUSY (Device or resource busy)");
	assert_int_equal(bench_count(b, "unplug"), 0);
	assert_int_equal(bench_count(b, "plug"), 0);
	assert_int_equal(o->counts.online, 4);
	bench_states(b, 1, 3, CPUHP_ONLINE);
	bench_ends(b, o, OP_REFUSED, "3:rolled-back 2:refused 1:rolled-back");
	bench_stop(b);
}

/* virsh takes a vCPU while it goes to standby: by the guest's word, and QEMU's sooner or later. */
static void what_has_left_by_itself_is_removed(void **ctx)
{
	for (int qemu_first = 0; qemu_first < 2; qemu_first++) {
		struct bench *b = bench_start(NULL);
		struct op *o;

		bench_put_online(b, 1, 2);
		b->auto_agent = false;
		o = bench_count_op(b, 1, OP_POLICY_ALL, 0);
		bench_said(b, "kick 2 6");
		bench_said(b, "kick 1 6");
		for (unsigned int i = 1; i <= 2; i++)
			bench_kicked(b, i, 0);
		if (qemu_first)
			bench_eject(b, 2);
		bench_done(b, 2, CPUHP_OFFLINE, -ENODEV, CPUHP_AP_ONLINE);
		bench_turn(b);
		memset(b->kick_due, 0, sizeof(b->kick_due));
		b->auto_agent = true;
		bench_done(b, 1, CPUHP_STANDBY, 0, 0);
		bench_check(b, o, OP_DONE);
		assert_int_equal(bench_count(b, "unplug"), qemu_first ? 1 : 2);
		assert_int_equal(bench_count(b, "plug"), 0);
		bench_ends(b, o, OP_DONE, "2:ok 1:ok");
		bench_stop(b);
	}
}

/* The same, when the others are at standby and it was to be taken from QEMU: that is still due. */
static void what_leaves_the_guest_before_its_device_del_is_still_unplugged(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 1);
	b->auto_agent = false;
	o = bench_count_op(b, 1, OP_POLICY_ALL, 0);
	bench_said(b, "kick 1 6");
	bench_kicked(b, 1, 0);
	bench_done(b, 1, CPUHP_STANDBY, 0, 0);
	bench_wait_word(b, "kick 1 6");
	bench_kicked(b, 1, 0);
	bench_done(b, 1, CPUHP_OFFLINE, -ENODEV, CPUHP_AP_KICK);
	memset(b->kick_due, 0, sizeof(b->kick_due));
	bench_check(b, o, OP_DONE);
	assert_int_equal(bench_count(b, "unplug"), 1);
	assert_int_equal(o->counts.present, 1);
	bench_ends(b, o, OP_DONE, "1:ok");
	bench_stop(b);
}

/* And before it is kicked at all: the agent refuses what is not there. */
static void what_leaves_the_guest_before_its_kick_is_removed(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 2);
	b->auto_agent = false;
	o = bench_count_op(b, 1, OP_POLICY_ALL, 0);
	bench_said(b, "kick 2 6");
	bench_said(b, "kick 1 6");
	bench_row(b, 2, CPUHP_OFFLINE);
	bench_kicked(b, 2, -ENODEV);
	bench_eject(b, 2);
	bench_kicked(b, 1, 0);
	memset(b->kick_due, 0, sizeof(b->kick_due));
	b->auto_agent = true;
	bench_done(b, 1, CPUHP_STANDBY, 0, 0);
	bench_ends(b, o, OP_DONE, "2:ok 1:ok");
	bench_stop(b);
}

static void a_way_back_never_plugs(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 2);
	b->auto_agent = false;
	o = bench_count_op(b, 1, OP_POLICY_ALL, 0);
	bench_said(b, "kick 2 6");
	bench_said(b, "kick 1 6");
	for (unsigned int i = 1; i <= 2; i++)
		bench_kicked(b, i, 0);
	bench_done(b, 2, CPUHP_STANDBY, 0, 0);
	bench_turn(b);
	bench_eject(b, 2);
	bench_done(b, 1, CPUHP_ONLINE, -EBUSY, CPUHP_AP_ONLINE);
	bench_check(b, o, OP_STUCK);
	assert_int_equal(bench_count(b, "plug"), 0);
	assert_string_equal(text_of(&o->vcpus[0].error),
			    "vcpu 2: another took it away meanwhile, and it is not plugged anew");
	bench_ends(b, o, OP_STUCK, "2:failed 1:refused");
	bench_stop(b);
}

static void at_least_one_removed_is_judged_before_device_del(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 3);
	bench_plant(b, 2, bench_busy_offline);
	o = bench_count_op(b, 1, OP_POLICY_AT_LEAST, 2);
	bench_check(b, o, OP_DONE);
	assert_int_equal(bench_count(b, "unplug"), 2);
	assert_int_equal(bench_state(b, 2), CPUHP_ONLINE);
	bench_ends(b, o, OP_DONE, "3:ok 2:refused 1:ok");
	bench_stop(b);
}

static void under_kvm_all_are_removed_at_once(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 3);
	b->auto_qemu = false;
	o = bench_count_op(b, 1, OP_POLICY_ALL, 0);
	bench_wait_word(b, "unplug 1");
	assert_int_equal(bench_count(b, "unplug"), 3);
	b->auto_qemu = true;
	bench_ends(b, o, OP_DONE, "3:ok 2:ok 1:ok");
	bench_stop(b);
}

static void under_tcg_one_at_a_time_the_highest_first(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .tcg = true });
	struct op *o;

	bench_put_online(b, 1, 3);
	b->auto_qemu = false;
	o = bench_target_op(b, 1, 3, CPUHP_OFFLINE, OP_POLICY_ALL);
	for (unsigned int i = 3; i >= 1; i--) {
		char word[32];

		snprintf(word, sizeof(word), "unplug %u", i);
		bench_wait_word(b, word);
		assert_int_equal(bench_count(b, "unplug"), 4 - i);
		bench_answer_unplug(b, i, 0, "");
		bench_turn(b);
		assert_int_equal(bench_count(b, "unplug"), 4 - i);
		bench_eject(b, i);
	}
	bench_ends(b, o, OP_DONE, "3:ok 2:ok 1:ok");
	bench_stop(b);
}

static void under_tcg_an_add_is_undone_the_highest_first(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .tcg = true });

	bench_plant(b, 1, bench_broken_verify);
	bench_ends(b, bench_count_op(b, 4, OP_POLICY_ALL, 0), OP_FAILED,
		   "1:failed 2:rolled-back 3:rolled-back");
	assert_true(bench_place(b, "unplug 3") < bench_place(b, "unplug 2"));
	assert_true(bench_place(b, "unplug 2") < bench_place(b, "unplug 1"));
	bench_stop(b);
}

/* How one of three vCPUs stays: not even to standby, not out of the slot, or without a word. */
enum stays { BUSY, REFUSED, SILENT };

static const struct {
	const char *sentence;
	unsigned int vcpu;
	enum stays stays;
	enum op_policy policy;
	enum op_result result;
	const char *vcpus;
	const char *error; /* of vCPU 1 */
	unsigned int unplugs;
} stayers[] = {
	{ "the highest refuses to rest", 3, BUSY, OP_POLICY_BEST_EFFORT, OP_REFUSED,
	  "3:refused 2:rolled-back 1:rolled-back", "vcpu 2 above it stays", 0 },
	{ "the highest refuses to leave", 3, REFUSED, OP_POLICY_BEST_EFFORT, OP_REFUSED,
	  "3:refused 2:rolled-back 1:rolled-back", "vcpu 2 above it stays", 1 },
	{ "the one between refuses to leave", 2, REFUSED, OP_POLICY_BEST_EFFORT, OP_PARTIAL,
	  "3:ok 2:refused 1:rolled-back", "vcpu 2 above it stays", 2 },
	{ "the one between refuses to rest", 2, BUSY, OP_POLICY_BEST_EFFORT, OP_PARTIAL,
	  "3:ok 2:refused 1:rolled-back", "vcpu 2 above it stays", 1 },
	{ "the lowest refuses", 1, REFUSED, OP_POLICY_BEST_EFFORT, OP_PARTIAL,
	  "3:ok 2:ok 1:refused", "EBUSY", 3 },
	{ "nobody knows of the highest", 3, SILENT, OP_POLICY_BEST_EFFORT, OP_PENDING,
	  "3:pending 2:rolled-back 1:rolled-back", "vcpu 2 above it stays", 2 /* sent twice */ },
	{ "enough would go, but for the hole", 3, BUSY, OP_POLICY_AT_LEAST, OP_REFUSED,
	  "3:refused 2:rolled-back 1:rolled-back", "vcpu 2 above it stays", 0 },
};

static void let_stay(struct bench *b, unsigned int vcpu, enum stays stays)
{
	if (stays == BUSY)
		bench_plant(b, vcpu, bench_busy_offline);
	b->qemu_refuses[vcpu] = stays == REFUSED;
	b->qemu_silent[vcpu] = stays == SILENT;
}

static void under_tcg_nothing_leaves_below_one_that_stays(void **ctx)
{
	for (size_t i = 0; i < sizeof(stayers) / sizeof(stayers[0]); i++) {
		struct bench *b = bench_start(&(struct bench_options){ .tcg = true });
		struct op *o;

		print_message("# %s\n", stayers[i].sentence);
		bench_put_online(b, 1, 3);
		let_stay(b, stayers[i].vcpu, stayers[i].stays);
		o = bench_count_op(b, 1, stayers[i].policy, 2);
		bench_check(b, o, stayers[i].result);
		assert_int_equal(bench_count(b, "unplug"), stayers[i].unplugs);
		assert_int_equal(bench_state(b, 1), CPUHP_ONLINE);
		assert_non_null(strstr(text_of(&o->vcpus[2].error), stayers[i].error));
		bench_ends(b, o, stayers[i].result, stayers[i].vcpus);
		bench_stop(b);
	}
}

static void under_tcg_nothing_leaves_below_one_that_another_plugged_meanwhile(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .tcg = true });
	struct op *o;

	bench_put_online(b, 1, 2);
	b->auto_agent = false;
	o = bench_count_op(b, 1, OP_POLICY_ALL, 0);
	bench_wait_word(b, "kick 1 6");
	bench_plug_foreign(b, 3);
	b->auto_agent = true;
	bench_check(b, o, OP_REFUSED);
	assert_string_equal(o->refused_by, "policy");
	assert_non_null(strstr(text_of(&o->error), "vcpu 3 above it stays, and without KVM"));
	assert_int_equal(bench_count(b, "unplug"), 0);
	bench_states(b, 1, 2, CPUHP_ONLINE);
	bench_ends(b, o, OP_REFUSED, "2:refused 1:rolled-back");
	bench_stop(b);
}

/* Ours has left that slot: who is there now is another's, and what cannot leave below has failed. */
static void under_tcg_nothing_leaves_below_one_that_took_the_place_of_ours(void **ctx)
{
	const struct op_request q = {
		.goal = OP_GOAL_COUNT, .count = 1, .standby = 1, .policy = OP_POLICY_ALL
	};
	struct bench *b = bench_start(&(struct bench_options){ .tcg = true });
	struct op *o;

	bench_put_online(b, 1, 4);
	b->qemu_silent[3] = true;
	o = bench_submit(b, &q);
	bench_wait_word(b, "unplug 3");
	bench_plug_foreign(b, 4);
	bench_eject(b, 3);
	bench_check(b, o, OP_REFUSED);
	assert_string_equal(o->refused_by, "policy");
	bench_states(b, 1, 2, CPUHP_ONLINE);
	bench_ends(b, o, OP_REFUSED, "4:ok 3:ok 2:refused 1:rolled-back");
	bench_stop(b);
}

static void a_refused_eject_takes_back_what_was_not_sent(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .tcg = true });
	struct op *o;

	bench_put_online(b, 1, 3);
	b->qemu_refuses[2] = true;
	o = bench_count_op(b, 1, OP_POLICY_ALL, 0);
	bench_check(b, o, OP_REFUSED);
	assert_string_equal(o->refused_by, "guest");
	assert_int_equal(bench_count(b, "unplug 1"), 0);
	assert_int_equal(bench_count(b, "plug"), 0);
	bench_states(b, 1, 2, CPUHP_ONLINE);
	assert_int_equal(bench_state(b, 3), CPUHP_OFFLINE);
	assert_non_null(
		strstr(text_of(&o->error), "vcpu 2: qemu:device teardown failed with EBUSY"));
	bench_ends(b, o, OP_REFUSED, "3:ok 2:refused 1:rolled-back");
	bench_stop(b);
}

static void what_qemu_refuses_is_refused_by_policy(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 1);
	b->auto_qemu = false;
	o = bench_count_op(b, 1, OP_POLICY_ALL, 0);
	bench_wait_word(b, "unplug 1");
	bench_answer_unplug(b, 1, -EIO, "acpi: device unplug request for not supported device");
	bench_check(b, o, OP_REFUSED);
	assert_string_equal(o->refused_by, "policy");
	bench_ends(b, o, OP_REFUSED, "1:refused");
	assert_int_equal(bench_state(b, 1), CPUHP_ONLINE);
	bench_stop(b);
}

/* Row: who would not; only the guest's own refusals are counted as such. */
static const struct {
	const char *by;
	unsigned int count; /* what was asked for */
	bool busy, paused;
	uint64_t counted;
} refusals[] = {
	{ "guest", 1, true, false, 1 },
	{ "limit", 9, false, false, 0 },
	{ "policy", 7, false, false, 0 },
	{ "policy", 1, false, true, 0 },
};

static void only_what_the_guest_refused_is_counted_as_that(void **ctx)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct bench *b = bench_start(&(struct bench_options){ .max_vcpus = 6 });
		struct op *o;

		bench_put_online(b, 1, 1);
		if (refusals[i].busy)
			bench_plant(b, 1, bench_busy_offline);
		if (refusals[i].paused)
			bench_status(b, HV_PAUSED);
		o = bench_count_op(b, refusals[i].count, OP_POLICY_ALL, 0);
		bench_check(b, o, OP_REFUSED);
		assert_string_equal(o->refused_by, refusals[i].by);
		assert_int_equal(b->d->counters.guest_refusals, refusals[i].counted);
		op_unref(o);
		bench_stop(b);
	}
}

static void what_the_guest_never_showed_can_be_removed(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->slots[2].present = b->slots[2].removable = true;
	vcpu_format_id(b->slots[2].id, 2, 1);
	bench_table(b);
	assert_int_equal(bench_state(b, 2), CPUHP_HOST_PLACE);
	o = bench_target_op(b, 2, 2, CPUHP_OFFLINE, OP_POLICY_ALL);
	bench_ends(b, o, OP_DONE, "2:ok");
	assert_int_equal(bench_count(b, "kick"), 0);
	assert_int_equal(b->removed[2], 1);
	bench_stop(b);
}

static void what_the_guest_never_showed_and_qemu_keeps_is_refused(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->slots[2].present = b->slots[2].removable = true;
	vcpu_format_id(b->slots[2].id, 2, 1);
	bench_table(b);
	b->qemu_refuses[2] = true;
	o = bench_target_op(b, 2, 2, CPUHP_OFFLINE, OP_POLICY_ALL);
	bench_check(b, o, OP_REFUSED);
	assert_int_equal(o->counts.present, 2);
	bench_ends(b, o, OP_REFUSED, "2:refused");
	assert_int_equal(b->removed[2], 0);
	bench_stop(b);
}

static void a_removal_that_is_not_confirmed_is_pending_and_completes_later(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	bench_put_online(b, 1, 1);
	b->qemu_silent[1] = true;
	o = bench_count_op(b, 1, OP_POLICY_ALL, 0);
	bench_check(b, o, OP_PENDING);
	assert_int_equal(op_result_exit(o->result), EXIT_PENDING);
	assert_int_equal(o->counts.present, 2);
	assert_int_equal(b->d->vcpus[1].pending, VCPU_PENDING_UNPLUG);
	assert_int_equal(b->d->vcpus[1].wish, CPUHP_OFFLINE);
	assert_non_null(
		strstr(text_of(&o->vcpus[0].error), "vcpu 1: qemu:device teardown failed with "));
	bench_ends(b, o, OP_PENDING, "1:pending");
	/* Nobody may change it meanwhile. */
	o = bench_target_op(b, 1, 1, CPUHP_ONLINE, OP_POLICY_ALL);
	bench_check(b, o, OP_REFUSED);
	assert_string_equal(o->refused_by, "policy");
	op_unref(o);
	assert_int_equal(b->removed[1], 0);
	bench_eject(b, 1);
	bench_turn(b);
	assert_int_equal(b->removed[1], 1);
	assert_int_equal(b->d->vcpus[1].pending, VCPU_PENDING_NONE);
	assert_int_equal(bench_state(b, 1), CPUHP_OFFLINE);
	assert_int_equal(b->drifts, 0);
	b->qemu_silent[1] = false;
	bench_ends(b, bench_count_op(b, 2, OP_POLICY_ALL, 0), OP_DONE, "1:ok");
	bench_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_device_del_before_all_are_at_standby),
		cmocka_unit_test(a_refusal_takes_all_back_and_no_device_del_was_sent),
		cmocka_unit_test(what_has_left_by_itself_is_removed),
		cmocka_unit_test(what_leaves_the_guest_before_its_device_del_is_still_unplugged),
		cmocka_unit_test(what_leaves_the_guest_before_its_kick_is_removed),
		cmocka_unit_test(a_way_back_never_plugs),
		cmocka_unit_test(at_least_one_removed_is_judged_before_device_del),
		cmocka_unit_test(under_kvm_all_are_removed_at_once),
		cmocka_unit_test(under_tcg_one_at_a_time_the_highest_first),
		cmocka_unit_test(under_tcg_an_add_is_undone_the_highest_first),
		cmocka_unit_test(under_tcg_nothing_leaves_below_one_that_stays),
		cmocka_unit_test(under_tcg_nothing_leaves_below_one_that_another_plugged_meanwhile),
		cmocka_unit_test(under_tcg_nothing_leaves_below_one_that_took_the_place_of_ours),
		cmocka_unit_test(a_refused_eject_takes_back_what_was_not_sent),
		cmocka_unit_test(what_qemu_refuses_is_refused_by_policy),
		cmocka_unit_test(only_what_the_guest_refused_is_counted_as_that),
		cmocka_unit_test(what_the_guest_never_showed_can_be_removed),
		cmocka_unit_test(what_the_guest_never_showed_and_qemu_keeps_is_refused),
		cmocka_unit_test(a_removal_that_is_not_confirmed_is_pending_and_completes_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
