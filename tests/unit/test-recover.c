/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * What must not be forgotten or done twice when a daemon follows one that was killed in an operation,
 * and what an operation must not do that cannot be written down: cancels, device_del that was sent
 * (R9), results that the agent still keeps. The rest of an operation's second life is test-resume.c's.
 */
#include "daemon/intent-domain.h"
#include "daemon/op-run.h"
#include "daemon/vcpu.h"
#include "tests/unit/host-bench.h"
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

static char folder[64];

static int make_folder(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/vhp-recover-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

/* No file takes a byte: -EFBIG. */
static void stop_writing(void)
{
	struct rlimit r;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void allow_writing(void)
{
	struct rlimit r;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = r.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static int drop_folder(void **state)
{
	allow_writing();
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct bench *start(bool tcg)
{
	return bench_start(&(struct bench_options){ .runtime_dir = folder, .tcg = tcg });
}

static struct op *find(struct bench *b)
{
	struct op *o = manager_find_op(b->manager, "op");

	if (!o) {
		fail_msg("there is no operation");
		abort();
	}
	return o;
}

static void submit(struct bench *b, unsigned int count, enum op_policy policy)
{
	op_unref(bench_submit(b, &(struct op_request){ .id = "op",
						       .goal = OP_GOAL_COUNT,
						       .count = count,
						       .standby = -1,
						       .policy = policy }));
}

static void ends(struct bench *b, enum op_result result, const char *vcpus)
{
	bench_ends(b, op_ref(find(b)), result, vcpus);
}

/* The next daemon, which QEMU has told its table. */
static void replace_daemon(struct bench *b)
{
	bench_restart(b);
	b->n_read = b->n_words;
	bench_attach(b);
}

/* 3 and 2 are to leave, one after the other; device_del of 3 is out. */
static struct bench *start_cut(void)
{
	struct bench *b = start(true);

	bench_put_online(b, 1, 3);
	b->qemu_silent[3] = true;
	submit(b, 2, OP_POLICY_ALL);
	bench_wait_word(b, "unplug 3");
	assert_int_equal(bench_count(b, "unplug 2"), 0);
	return b;
}

/* 3 is ejected at last; of 2 nothing was asked. */
static void is_half_cut(struct bench *b)
{
	assert_true(find(b)->running);
	b->qemu_silent[3] = false;
	bench_eject(b, 3);
	ends(b, OP_CANCELLED, "3:ok 2:rolled-back");
	assert_int_equal(bench_count(b, "unplug 2"), 0);
	assert_int_equal(bench_count(b, "kick 3 44"), 0);
	assert_int_equal(bench_state(b, 2), CPUHP_ONLINE);
	bench_stop(b);
}

static void a_cancel_of_removals_is_known_to_the_next_daemon(void **state)
{
	struct bench *b = start_cut();

	assert_int_equal(domain_cancel(find(b)), 0);
	replace_daemon(b);
	bench_agent_up(b, 1);
	bench_turn(b);
	is_half_cut(b);
}

static void R9_a_cancel_leaves_a_removal_that_an_earlier_daemon_asked_for(void **state)
{
	struct bench *b = start_cut();

	replace_daemon(b);
	bench_agent_up(b, 1);
	assert_int_equal(domain_cancel(find(b)), 0);
	bench_turn(b);
	is_half_cut(b);
}

/* A removal that was asked for is QEMU's matter: the agent is not waited for. */
static void R9_a_removal_that_was_asked_for_needs_no_agent(void **state)
{
	struct bench *b = start(false);

	bench_put_online(b, 1, 3);
	b->qemu_silent[3] = true;
	submit(b, 3, OP_POLICY_ALL);
	bench_wait_word(b, "unplug 3");
	replace_daemon(b);
	bench_said(b, "unplug 3");
	bench_eject(b, 3);
	ends(b, OP_DONE, "3:ok");
	assert_int_equal(bench_count(b, "kick 3 44"), 0);
	bench_stop(b);
}

/* The guest did not take it in time, so it was being removed again; now it has it. */
static void R9_an_add_that_was_being_removed_is_not_gone_on_with(void **state)
{
	struct bench *b = start(false);

	b->auto_qemu = b->auto_agent = false;
	submit(b, 2, OP_POLICY_ALL);
	bench_said(b, "plug 1");
	bench_answer_plug(b, 1, 0, "");
	bench_wait_word(b, "unplug 1");
	b->guest_present[1] = true;
	b->guest_state[1] = CPUHP_STANDBY;
	replace_daemon(b);
	bench_agent_up(b, 1);
	bench_said(b, "unplug 1");
	bench_silent(b);
	bench_eject(b, 1);
	ends(b, OP_FAILED, "1:failed");
	assert_int_equal(find(b)->vcpus[0].failed_at, CPUHP_GUEST_PRESENT);
	assert_int_equal(find(b)->vcpus[0].rc, -ETIMEDOUT);
	assert_int_equal(bench_count(b, "kick 1"), 0);
	bench_stop(b);
}

/* In the slot that is left is another's now. */
static void another_s_device_is_not_removed_in_the_place_of_ours(void **state)
{
	for (int restarted = 0; restarted < 2; restarted++) {
		struct bench *b = start_cut();

		snprintf(b->slots[2].id, sizeof(b->slots[2].id), "vcpu2");
		if (restarted)
			replace_daemon(b);
		else
			bench_table(b);
		bench_agent_up(b, 1);
		bench_turn(b);
		b->qemu_silent[3] = false;
		bench_eject(b, 3);
		ends(b, OP_DONE, "3:ok 2:ok");
		assert_int_equal(bench_count(b, "unplug 2"), 0);
		assert_true(b->d->vcpus[2].present);
		bench_stop(b);
		drop_folder(state);
		make_folder(state);
	}
}

static struct record_done failure_of(struct bench *b, unsigned int slot)
{
	return (struct record_done){ .kick = b->kicks[slot].kick,
				     .slot = (uint16_t)slot,
				     .cpu = BENCH_CPU(slot),
				     .state = CPUHP_STANDBY,
				     .rc = 3,
				     .failed_at = CPUHP_AP_DYN,
				     .rollback_failed_at = 0xff,
				     .ran_on = BENCH_CPU(slot),
				     .text = "exit status 3" };
}

/* Both 1 and 2 are at standby, and the agent has been told to take them online. */
static struct bench *start_adding(void)
{
	struct bench *b = start(false);

	b->auto_qemu = b->auto_agent = false;
	submit(b, 3, OP_POLICY_BEST_EFFORT);
	bench_turn(b);
	for (unsigned int slot = 1; slot < 3; slot++) {
		bench_answer_plug(b, slot, 0, "");
		bench_row(b, slot, CPUHP_STANDBY);
	}
	bench_wait_word(b, "kick 2");
	return b;
}

static void a_failure_of_before_is_acknowledged_when_it_is_written_down(void **state)
{
	struct bench *b = start_adding();
	struct record_done r = failure_of(b, 1);
	unsigned int acks;

	replace_daemon(b);
	bench_agent_hello(b, 1);
	acks = b->acks;
	bench_record_done(b, &r);
	/* Whatever else there is to be written: the operation has not taken it over yet. */
	assert_int_equal(domain_remember(b->d), 0);
	assert_int_equal(b->acks, acks);
	bench_agent_table(b);
	bench_turn(b);
	assert_int_equal(find(b)->run->moves[0].failed, true);
	assert_int_equal(b->acks, acks + 1);
	bench_stop(b);
}

static void a_failure_is_acknowledged_when_it_is_written_down(void **state)
{
	struct bench *b = start_adding();
	struct record_done r = failure_of(b, 1);
	unsigned int acks = b->acks;

	bench_record_done(b, &r);
	assert_int_equal(domain_remember(b->d), 0);
	assert_int_equal(b->acks, acks);
	/* And not where that is not possible. */
	stop_writing();
	bench_turn(b);
	assert_true(find(b)->run->moves[0].failed);
	assert_int_equal(b->acks, acks);
	allow_writing();
	assert_int_equal(domain_remember(b->d), 0);
	assert_int_equal(b->acks, acks + 1);
	bench_stop(b);
}

/* vCPU 1 is taken offline in the guest while 2 is added; that cannot be mended without a word of it. */
static void what_cannot_be_written_down_is_not_planned_again(void **state)
{
	struct bench *b = start(false);

	bench_put_online(b, 1, 1);
	b->agent_silent[2] = true;
	submit(b, 3, OP_POLICY_ALL);
	bench_wait_word(b, "kick 2");
	stop_writing();
	bench_row(b, 1, CPUHP_STANDBY);
	bench_kicked(b, 2, 0);
	bench_row(b, 2, CPUHP_ONLINE);
	bench_done(b, 2, CPUHP_ONLINE, 0, 0xff);
	ends(b, OP_PARTIAL, "2:ok");
	assert_int_equal(bench_count(b, "kick 1"), 0);
	assert_non_null(strstr(text_of(&find(b)->error), "intent/qmp-web1"));
	bench_stop(b);
}

/* The agent's last word of it was lost: it is not at work any more, and the CPU has gone. */
static void a_table_asked_for_in_doubt_has_an_end(void **state)
{
	struct bench *b = start_adding();

	replace_daemon(b);
	b->guest_walking[1] = true;
	bench_agent_up(b, 1);
	bench_turn(b);
	assert_true(b->d->vcpus[1].guest_walking);
	b->guest_present[1] = b->guest_walking[1] = false;
	op_run_doubt(b->d);
	bench_agent_table(b);
	assert_false(b->d->vcpus[1].guest_walking);
	assert_false(b->d->vcpus[1].guest_present);
	bench_turn(b);
	assert_non_null(b->d->vcpus[1].hw);
	bench_stop(b);
}

/* In the frame that was lost there was the result. */
static void a_result_that_was_lost_is_asked_for_again(void **state)
{
	struct bench *b = start(false);
	uint32_t kick;

	b->agent_silent[1] = true;
	submit(b, 2, OP_POLICY_ALL);
	bench_wait_word(b, "kick 1 44");
	bench_turn(b);
	b->n_read = b->n_words;
	kick = b->kicks[1].kick;
	b->link_ops->on_missed(b->link_ctx);
	bench_silent(b);
	b->agent_silent[1] = false;
	bench_agent_end(b);
	bench_said(b, "kick 1 44");
	assert_int_equal(b->kicks[1].kick, kick);
	bench_agent_table(b);
	ends(b, OP_DONE, "1:ok");
	bench_stop(b);
}

/* The rows that are missing may have been in the frame that was lost. */
static void a_table_with_a_hole_takes_nothing_away(void **state)
{
	struct bench *b = start(false);

	bench_put_online(b, 1, 1);
	b->link_ops->on_missed(b->link_ctx);
	bench_agent_end(b);
	assert_true(b->d->vcpus[1].guest_present);
	bench_agent_table(b);
	assert_true(b->d->vcpus[1].guest_present);
	/* That was the whole; nobody has asked for this one. */
	bench_agent_end(b);
	assert_true(b->d->vcpus[1].guest_present);
	bench_check_drift(b, 1, "", 0);
	/* The first table of a session is no whole one either. */
	bench_agent_hello(b, 1);
	b->link_ops->on_missed(b->link_ctx);
	bench_agent_end(b);
	assert_false(b->d->agent_up);
	bench_agent_table(b);
	assert_true(b->d->agent_up);
	assert_true(b->d->vcpus[1].guest_present);
	bench_stop(b);
}

/* Who asks the next daemon gets the same result, with the callback's name and the times. */
static void times_and_names_outlive_the_daemon(void **state)
{
	struct bench *b = start(false);
	const int dyn = CPUHP_AP_DYN;
	int64_t us;

	snprintf(b->d->dyn_names[0], sizeof(b->d->dyn_names[0]), "10-log");
	b->agent_silent[1] = true;
	submit(b, 2, OP_POLICY_ALL);
	bench_wait_word(b, "kick 1 44");
	bench_turn(b);
	bench_step(b, 1, dyn, true, 0);
	bench_done(b, 1, CPUHP_ONLINE, 0, 0xff);
	bench_row(b, 1, CPUHP_ONLINE);
	ends(b, OP_DONE, "1:ok");
	us = op_vcpu_step_us(&find(b)->vcpus[0], CPUHP_GUEST_PRESENT);
	assert_true(us >= 0);
	for (int i = 0; i < 2; i++) {
		bench_restart(b);
		assert_int_equal(op_vcpu_step_us(&find(b)->vcpus[0], CPUHP_GUEST_PRESENT), us);
		assert_true(op_vcpu_step_us(&find(b)->vcpus[0], dyn) >= 0);
		assert_true(op_vcpu_step_us(&find(b)->vcpus[0], dyn + 1) == -1);
		assert_string_equal(op_find_callback(find(b), CPUHP_AP_DYN), "10-log");
		assert_null(op_find_callback(find(b), CPUHP_AP_DYN + 1));
	}
	bench_stop(b);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(a_cancel_of_removals_is_known_to_the_next_daemon),
		IN_FOLDER(R9_a_cancel_leaves_a_removal_that_an_earlier_daemon_asked_for),
		IN_FOLDER(R9_a_removal_that_was_asked_for_needs_no_agent),
		IN_FOLDER(R9_an_add_that_was_being_removed_is_not_gone_on_with),
		IN_FOLDER(another_s_device_is_not_removed_in_the_place_of_ours),
		IN_FOLDER(a_failure_of_before_is_acknowledged_when_it_is_written_down),
		IN_FOLDER(a_failure_is_acknowledged_when_it_is_written_down),
		IN_FOLDER(what_cannot_be_written_down_is_not_planned_again),
		IN_FOLDER(a_table_asked_for_in_doubt_has_an_end),
		IN_FOLDER(a_result_that_was_lost_is_asked_for_again),
		IN_FOLDER(a_table_with_a_hole_takes_nothing_away),
		IN_FOLDER(times_and_names_outlive_the_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
