/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon is replaced in the middle of an operation, between a QEMU and an agent that are played. */
#include "daemon/intent-file.h"
#include "daemon/op-run.h"
#include "daemon/vcpu.h"
#include "tests/unit/host-bench.h"
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int make_folder(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/vhp-resume-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

static int drop_folder(void **state)
{
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct bench *start(bool by_hand)
{
	struct bench *b = bench_start(&(struct bench_options){ .runtime_dir = folder });

	b->auto_qemu = b->auto_agent = !by_hand;
	return b;
}

static struct op *submit(struct bench *b, unsigned int count, const char *id)
{
	struct op_request r = { .goal = OP_GOAL_COUNT, .count = count, .standby = -1 };

	snprintf(r.id, sizeof(r.id), "%s", id);
	return bench_submit(b, &r);
}

/* The operation of that id, in this daemon. */
static struct op *find(struct bench *b, const char *id)
{
	struct op *o = manager_find_op(b->manager, id);

	if (!o)
		fail_msg("there is no operation %s", id);
	return o;
}

static void ends(struct bench *b, const char *id, enum op_result result, const char *vcpus)
{
	bench_ends(b, op_ref(find(b, id)), result, vcpus);
}

/* Everything of the next daemon but the table of the agent's that has come by then. */
static void replace_daemon(struct bench *b)
{
	bench_restart(b);
	bench_attach(b);
}

static void an_add_goes_on_from_where_each_vcpu_is(void **state)
{
	struct bench *b = start(true);

	op_unref(submit(b, 5, "add"));
	bench_said(b, "plug 1");
	bench_said(b, "plug 2");
	bench_said(b, "plug 3");
	bench_said(b, "plug 4");
	/* 1 is online, 2 at standby, 3 in QEMU alone, 4 nowhere. */
	for (unsigned int slot = 1; slot < 4; slot++)
		bench_answer_plug(b, slot, 0, "");
	bench_row(b, 1, CPUHP_ONLINE);
	bench_row(b, 2, CPUHP_STANDBY);
	bench_turn(b);
	replace_daemon(b);
	b->n_read = b->n_words;
	assert_true(find(b, "add")->running);
	bench_silent(b);
	bench_agent_up(b, 1);
	bench_said(b, "kick 2 44");
	bench_said(b, "plug 4");
	bench_silent(b);
	b->auto_qemu = b->auto_agent = true;
	bench_done(b, 2, CPUHP_ONLINE, 0, 0xff);
	bench_row(b, 3, CPUHP_STANDBY);
	ends(b, "add", OP_DONE, "1:ok 2:ok 3:ok 4:ok");
	bench_states(b, 0, 4, CPUHP_ONLINE);
	bench_stop(b);
}

static void a_failure_meanwhile(bool agent_first)
{
	struct bench *b = start(true);
	struct record_done r = { .slot = 1,
				 .cpu = BENCH_CPU(1),
				 .state = CPUHP_STANDBY,
				 .rc = 3,
				 .failed_at = CPUHP_AP_DYN,
				 .rollback_failed_at = 0xff,
				 .ran_on = BENCH_CPU(1),
				 .text = "exit status 3" };

	op_unref(submit(b, 2, "add"));
	bench_said(b, "plug 1");
	bench_answer_plug(b, 1, 0, "");
	bench_row(b, 1, CPUHP_STANDBY);
	bench_said(b, "kick 1 44");
	r.kick = b->kicks[1].kick;
	bench_restart(b);
	if (!agent_first)
		bench_attach(b);
	/* It is told in the new session, before the table. */
	bench_agent_hello(b, 1);
	bench_record_done(b, &r);
	if (agent_first)
		bench_attach(b);
	b->auto_qemu = b->auto_agent = true;
	b->n_read = b->n_words;
	bench_agent_table(b);
	ends(b, "add", OP_FAILED, "1:failed");
	assert_int_equal(find(b, "add")->vcpus[0].failed_at, CPUHP_AP_DYN);
	assert_int_equal(find(b, "add")->vcpus[0].rc, 3);
	/* The others are called back, by number alone. No step was run once more to hear of it. */
	bench_said(b, "cancel 1");
	bench_said(b, "kick 1 6 rollback");
	bench_said(b, "unplug 1");
	assert_false(b->slots[1].present);
	bench_stop(b);
}

static void a_failure_meanwhile_is_the_operations(void **state)
{
	a_failure_meanwhile(false);
}

static void also_where_the_agent_comes_before_qemu(void **state)
{
	a_failure_meanwhile(true);
}

static void what_the_agent_is_still_at_is_waited_for(void **state)
{
	struct bench *b = start(true);

	op_unref(submit(b, 2, "add"));
	bench_said(b, "plug 1");
	bench_answer_plug(b, 1, 0, "");
	bench_row(b, 1, CPUHP_STANDBY);
	bench_said(b, "kick 1 44");
	replace_daemon(b);
	b->guest_walking[1] = true;
	b->guest_state[1] = CPUHP_AP_VERIFY;
	bench_agent_up(b, 1);
	b->n_read = b->n_words;
	bench_silent(b);
	b->guest_walking[1] = false;
	bench_row(b, 1, CPUHP_ONLINE);
	bench_silent(b);
	ends(b, "add", OP_DONE, "1:ok");
	bench_stop(b);
}

static void a_removal_goes_on_to_its_end(void **state)
{
	struct bench *b = start(false);

	bench_put_online(b, 1, 3);
	b->qemu_silent[3] = true;
	op_unref(submit(b, 2, "cut"));
	bench_wait_word(b, "unplug 3");
	replace_daemon(b);
	b->qemu_silent[3] = false;
	b->n_read = b->n_words;
	bench_agent_up(b, 1);
	ends(b, "cut", OP_DONE, "3:ok 2:ok");
	bench_states(b, 2, 3, CPUHP_OFFLINE);
	bench_stop(b);
}

static bool is_pending(struct bench *b, void *arg)
{
	return b->d->vcpus && b->d->vcpus[3].pending == VCPU_PENDING_UNPLUG;
}

/* The operation has ended, and its removal has not: it is watched, and asked for nothing. */
/* On its way to standby, or to be brought up from there, and ejected while nobody looked. */
static void what_has_left_meanwhile_is_not_plugged_anew(void **state)
{
	for (int up = 0; up < 2; up++) {
		struct bench *b = start(false);

		bench_put(b, 1, up ? CPUHP_STANDBY : CPUHP_ONLINE);
		b->agent_silent[1] = true;
		op_unref(submit(b, up ? 2 : 1, up ? "up" : "down"));
		bench_wait_word(b, up ? "kick 1 44" : "kick 1 6");
		bench_turn(b);
		bench_restart(b);
		b->slots[1].present = b->guest_present[1] = false;
		bench_attach(b);
		bench_agent_up(b, 1);
		ends(b, up ? "up" : "down", up ? OP_STUCK : OP_DONE, up ? "1:failed" : "1:ok");
		assert_int_equal(bench_count(b, "plug 1"), 0);
		bench_stop(b);
	}
}

static void a_removal_left_pending_is_watched(void **state)
{
	struct bench *b = start(false);

	bench_put_online(b, 1, 3);
	b->qemu_silent[3] = true;
	op_unref(submit(b, 3, "cut"));
	ends(b, "cut", OP_PENDING, "3:pending");
	replace_daemon(b);
	b->n_read = b->n_words;
	bench_wait(b, is_pending, NULL);
	bench_agent_up(b, 1);
	bench_silent(b);
	assert_int_equal(find(b, "cut")->result, OP_PENDING);
	bench_eject(b, 3);
	bench_wait(b, bench_is_at_rest, &b->d->vcpus[3]);
	assert_int_equal(b->d->vcpus[3].wish, CPUHP_OFFLINE);
	assert_int_equal(b->d->vcpus[3].pending, VCPU_PENDING_NONE);
	bench_check_drift(b, 3, "", 0);
	bench_stop(b);
}

static void what_only_waited_has_failed(void **state)
{
	struct bench *b = start(true);

	op_unref(submit(b, 2, "first"));
	op_unref(submit(b, 3, "second"));
	bench_said(b, "plug 1");
	replace_daemon(b);
	assert_true(find(b, "first")->running);
	assert_int_equal(find(b, "second")->result, OP_FAILED);
	assert_string_equal(text_of(&find(b, "second")->error), "daemon restarted");
	/* The same the next time. */
	bench_restart(b);
	assert_string_equal(text_of(&find(b, "second")->error), "daemon restarted");
	bench_stop(b);
}

static void a_result_is_the_same_in_the_next_daemon(void **state)
{
	struct bench *b = start(false);

	b->plants[2] = bench_broken_verify;
	op_unref(submit(b, 3, "add"));
	ends(b, "add", OP_FAILED, "1:rolled-back 2:failed");
	for (int i = 0; i < 2; i++) {
		bench_restart(b);
		assert_int_equal(find(b, "add")->result, OP_FAILED);
		bench_vcpus(find(b, "add"), "1:rolled-back 2:failed");
		assert_int_equal(find(b, "add")->vcpus[1].failed_at, CPUHP_AP_VERIFY);
		assert_int_equal(find(b, "add")->counts.online, 1);
	}
	bench_stop(b);
}

static void another_vm_is_not_touched(void **state)
{
	struct bench *b = start(true);

	op_unref(submit(b, 3, "add"));
	bench_said(b, "plug 1");
	bench_restart(b);
	snprintf(b->d->facts.uuid, sizeof(b->d->facts.uuid),
		 "c7a5fdbd-cdaf-9455-926a-d65c16db1809");
	bench_attach(b);
	bench_agent_up(b, 1);
	b->n_read = b->n_words;
	ends(b, "add", OP_VM_GONE, "1:gone 2:gone");
	bench_silent(b);
	bench_stop(b);
}

/* Accepted by a daemon that never saw QEMU; what the next one accepted meanwhile is about this VM. */
static void what_was_accepted_before_qemu_came_waits_for_it(void **state)
{
	struct bench *b = start(false);

	bench_stop(b);
	b = bench_start(&(struct bench_options){
		.runtime_dir = folder, .no_attach = true, .no_agent = true });
	op_unref(submit(b, 2, "early"));
	bench_restart(b);
	assert_string_equal(text_of(&find(b, "early")->error), "daemon restarted");
	op_unref(submit(b, 2, "add"));
	bench_attach(b);
	bench_agent_up(b, 1);
	ends(b, "add", OP_DONE, "1:ok");
	bench_stop(b);
}

static void what_is_left_of_its_time_is_all_it_has(void **state)
{
	struct bench *b = start(true);

	op_unref(submit(b, 3, "add"));
	bench_said(b, "plug 1");
	bench_said(b, "plug 2");
	bench_answer_plug(b, 1, 0, "");
	replace_daemon(b);
	b->auto_qemu = true;
	/* No agent comes; what it is in QEMU alone goes back without one. */
	ends(b, "add", OP_STUCK, "1:failed 2:rolled-back");
	bench_stop(b);
}

static void a_cancel_reaches_a_kick_of_the_daemon_before(void **state)
{
	struct bench *b = start(true);
	struct record_done r = { .slot = 1,
				 .cpu = BENCH_CPU(1),
				 .state = CPUHP_STANDBY,
				 .rc = -ECANCELED,
				 .failed_at = CPUHP_AP_VERIFY,
				 .rollback_failed_at = 0xff,
				 .ran_on = MSG_NO_CPU };

	op_unref(submit(b, 2, "add"));
	bench_said(b, "plug 1");
	bench_answer_plug(b, 1, 0, "");
	bench_row(b, 1, CPUHP_STANDBY);
	bench_said(b, "kick 1 44");
	r.kick = b->kicks[1].kick;
	replace_daemon(b);
	b->guest_walking[1] = true;
	bench_agent_up(b, 1);
	b->n_read = b->n_words;
	assert_int_equal(domain_cancel(find(b, "add")), 0);
	bench_said(b, "cancel 1");
	b->guest_walking[1] = false;
	b->auto_qemu = b->auto_agent = true;
	bench_record_done(b, &r);
	bench_row(b, 1, CPUHP_STANDBY);
	ends(b, "add", OP_CANCELLED, "1:rolled-back");
	bench_states(b, 1, 1, CPUHP_OFFLINE);
	bench_stop(b);
}

static bool has_1_left(struct bench *b, void *arg)
{
	return b->d->vcpus && !b->d->vcpus[1].present && !b->d->vcpus[1].hw;
}

/* vCPU 1 is at standby, and the agent has been told to take it online. */
static void add_up_to_the_kick(struct bench *b, unsigned int timeout_ms)
{
	op_unref(bench_submit(b, &(struct op_request){ .id = "add",
						       .goal = OP_GOAL_COUNT,
						       .count = 2,
						       .standby = -1,
						       .timeout_ms = timeout_ms }));
	bench_said(b, "plug 1");
	bench_answer_plug(b, 1, 0, "");
	bench_row(b, 1, CPUHP_STANDBY);
	bench_said(b, "kick 1 44");
}

/* It was cancelled before, so it was being stopped already. */
static void one_whose_qemu_never_comes_ends_and_what_is_out_goes_back(void **state)
{
	struct bench *b = start(true);

	add_up_to_the_kick(b, 0);
	assert_int_equal(domain_cancel(find(b, "add")), 0);
	bench_restart(b);
	ends(b, "add", OP_PENDING, "1:pending");
	b->auto_qemu = b->auto_agent = true;
	bench_attach(b);
	bench_agent_up(b, 1);
	bench_wait(b, has_1_left, NULL);
	bench_check_drift(b, 1, "", 0);
	bench_stop(b);
}

static void one_whose_time_has_passed_meanwhile_is_undone(void **state)
{
	struct bench *b = start(true);
	uint64_t end = now_us() + 150ULL * 1000;

	b->config.deadlines.agent_wait_ms = 2000;
	add_up_to_the_kick(b, 150);
	bench_restart(b);
	while (now_us() < end)
		;
	b->auto_qemu = b->auto_agent = true;
	bench_turn(b);
	bench_attach(b);
	bench_agent_up(b, 1);
	ends(b, "add", OP_FAILED, "1:rolled-back");
	bench_states(b, 1, 1, CPUHP_OFFLINE);
	bench_stop(b);
}

/* Whoever has slot 1 now, it is not this daemon's kind. */
static void replace_device(struct bench *b)
{
	b->slots[1].present = b->slots[1].removable = true;
	snprintf(b->slots[1].id, sizeof(b->slots[1].id), "vcpu1");
	b->guest_present[1] = true;
	b->guest_state[1] = CPUHP_STANDBY;
	b->auto_qemu = b->auto_agent = true;
	bench_attach(b);
	bench_agent_up(b, 1);
}

static void is_left_alone(struct bench *b)
{
	bench_turn(b);
	assert_true(b->slots[1].present);
	assert_int_equal(bench_count(b, "unplug 1"), 0);
	bench_stop(b);
}

static void what_another_plugged_instead_is_no_success(void **state)
{
	struct bench *b = start(true);

	op_unref(submit(b, 2, "add"));
	bench_said(b, "plug 1");
	bench_restart(b);
	replace_device(b);
	ends(b, "add", OP_FAILED, "1:failed");
	is_left_alone(b);
}

static void what_another_plugged_is_not_undone(void **state)
{
	struct bench *b = start(true);

	op_unref(submit(b, 3, "add"));
	bench_said(b, "plug 1");
	bench_said(b, "plug 2");
	bench_answer_plug(b, 2, 0, "");
	bench_row(b, 2, CPUHP_STANDBY);
	bench_said(b, "kick 2 44");
	bench_kicked(b, 2, 0);
	bench_plug_foreign(b, 1);
	bench_answer_plug(b, 1, -EEXIST, "it exists");
	bench_said(b, "cancel 2");
	bench_done(b, 2, CPUHP_STANDBY, -ECANCELED, CPUHP_AP_ONLINE);
	bench_said(b, "kick 2 6 rollback");
	bench_restart(b);
	replace_device(b);
	ends(b, "add", OP_FAILED, "1:failed 2:rolled-back");
	is_left_alone(b);
}

static void what_another_plugged_is_not_taken_back(void **state)
{
	struct bench *b = start(false);

	b->agent_silent[1] = true;
	op_unref(submit(b, 2, "add"));
	ends(b, "add", OP_PENDING, "1:pending");
	bench_restart(b);
	b->agent_silent[1] = false;
	replace_device(b);
	is_left_alone(b);
}

static void what_was_accepted_before_any_qemu_is_known_to_the_next_daemon(void **state)
{
	struct bench *b = bench_start(&(struct bench_options){
		.runtime_dir = folder, .no_attach = true, .no_agent = true });

	op_unref(submit(b, 2, "early"));
	bench_restart(b);
	assert_string_equal(text_of(&find(b, "early")->error), "daemon restarted");
	bench_stop(b);
}

static void what_is_to_go_back_is_nobody_elses_until_then(void **state)
{
	struct bench *b = start(false);

	b->agent_silent[1] = true;
	op_unref(submit(b, 2, "add"));
	ends(b, "add", OP_PENDING, "1:pending");
	replace_daemon(b);
	b->agent_silent[1] = false;
	b->guest_walking[1] = true;
	bench_agent_up(b, 1);
	bench_ends(b, bench_target_op(b, 1, 1, CPUHP_ONLINE, OP_POLICY_ALL), OP_REFUSED, "");
	b->guest_walking[1] = false;
	bench_row(b, 1, CPUHP_ONLINE);
	bench_wait(b, has_1_left, NULL);
	bench_stop(b);
}

static void wishes_outlive_the_daemon(void **state)
{
	struct bench *b = start(false);

	bench_put_online(b, 1, 2);
	op_unref(submit(b, 2, "cut"));
	ends(b, "cut", OP_DONE, "2:ok");
	bench_row(b, 1, CPUHP_STANDBY);
	bench_check_drift(b, 1, "the guest took it down without being asked", 1);
	replace_daemon(b);
	bench_plug_foreign(b, 2);
	bench_agent_up(b, 1);
	assert_string_equal(b->d->vcpus[1].drift, "the guest took it down without being asked");
	bench_turn(b);
	assert_string_equal(b->d->vcpus[2].drift, "it was plugged by another");
	bench_stop(b);
}

static void a_store_that_fails_refuses_and_touches_nothing(void **state)
{
	struct bench *b = start(true);
	struct op_request r = { .goal = OP_GOAL_COUNT, .count = 3, .standby = -1 };
	enum request_error error = REQUEST_ERRORS;
	char *text = NULL, away[80];
	struct op *o = NULL;

	snprintf(away, sizeof(away), "%s.away", folder);
	assert_int_equal(rename(folder, away), 0);
	assert_int_equal(domain_submit(b->d, &r, &o, &error, &text), -EINVAL);
	assert_int_equal(error, ERR_REFUSED);
	assert_non_null(strstr(text, "intent/qmp-web1"));
	assert_non_null(strstr(text, strerror(ENOENT)));
	free(text);
	bench_silent(b);
	assert_int_equal(rename(away, folder), 0);
	op_unref(submit(b, 2, "add"));
	bench_said(b, "plug 1");
	/* What is under way goes on. */
	assert_int_equal(rename(folder, away), 0);
	b->auto_qemu = b->auto_agent = true;
	bench_answer_plug(b, 1, 0, "");
	bench_row(b, 1, CPUHP_STANDBY);
	ends(b, "add", OP_DONE, "1:ok");
	assert_int_equal(rename(away, folder), 0);
	bench_stop(b);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(an_add_goes_on_from_where_each_vcpu_is),
		IN_FOLDER(a_failure_meanwhile_is_the_operations),
		IN_FOLDER(also_where_the_agent_comes_before_qemu),
		IN_FOLDER(what_the_agent_is_still_at_is_waited_for),
		IN_FOLDER(a_removal_goes_on_to_its_end),
		IN_FOLDER(what_has_left_meanwhile_is_not_plugged_anew),
		IN_FOLDER(a_removal_left_pending_is_watched),
		IN_FOLDER(what_only_waited_has_failed),
		IN_FOLDER(a_result_is_the_same_in_the_next_daemon),
		IN_FOLDER(another_vm_is_not_touched),
		IN_FOLDER(what_was_accepted_before_qemu_came_waits_for_it),
		IN_FOLDER(what_is_left_of_its_time_is_all_it_has),
		IN_FOLDER(a_cancel_reaches_a_kick_of_the_daemon_before),
		IN_FOLDER(one_whose_qemu_never_comes_ends_and_what_is_out_goes_back),
		IN_FOLDER(one_whose_time_has_passed_meanwhile_is_undone),
		IN_FOLDER(what_another_plugged_instead_is_no_success),
		IN_FOLDER(what_another_plugged_is_not_undone),
		IN_FOLDER(what_another_plugged_is_not_taken_back),
		IN_FOLDER(what_was_accepted_before_any_qemu_is_known_to_the_next_daemon),
		IN_FOLDER(what_is_to_go_back_is_nobody_elses_until_then),
		IN_FOLDER(wishes_outlive_the_daemon),
		IN_FOLDER(a_store_that_fails_refuses_and_touches_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
