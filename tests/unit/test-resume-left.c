/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * What an operation leaves at work in the agent when it ends, with a change of daemons before or after
 * that: it is taken up as the same daemon would.
 */
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

#include <cmocka.h>

static char folder[64];

static int make_folder(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/vhp-left-XXXXXX");
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

static struct bench *start(void)
{
	return bench_start(&(struct bench_options){ .runtime_dir = folder });
}

/* The next one has seen QEMU, and not the agent yet. */
static void replace_daemon(struct bench *b)
{
	bench_restart(b);
	bench_attach(b);
}

static void walks_at(struct bench *b, int state)
{
	b->guest_walking[1] = true;
	b->guest_state[1] = state;
}

static bool has_1_left(struct bench *b, void *arg)
{
	return !b->d->vcpus[1].present && !b->d->vcpus[1].hw;
}

/* What an earlier daemon has kicked cannot be recalled where the agent does not give it back. */
static void what_the_agent_keeps_is_pending_and_goes_back_later(void **state)
{
	struct bench *b = start();
	struct op_request r = { .id = "add", .goal = OP_GOAL_COUNT, .count = 2, .standby = -1 };
	struct op *o;

	b->agent_silent[1] = true;
	op_unref(bench_submit(b, &r));
	bench_wait_word(b, "kick 1 44");
	bench_turn(b);
	replace_daemon(b);
	walks_at(b, CPUHP_AP_VERIFY);
	bench_agent_up(b, 1);
	o = manager_find_op(b->manager, "add");
	assert_non_null(o);
	assert_int_equal(domain_cancel(o), 0);
	bench_ends(b, op_ref(o), OP_PENDING, "1:pending");
	assert_true(b->d->vcpus[1].returning);
	b->agent_silent[1] = b->guest_walking[1] = false;
	bench_row(b, 1, CPUHP_ONLINE);
	bench_wait(b, has_1_left, NULL);
	bench_stop(b);
}

/* An add that the daemon before had begun, and this one has gone on with: by a kick of its own. */
static void is_kicked_by_the_next_daemon(int stands)
{
	struct bench *b = start();
	struct op_request r = { .id = "add", .goal = OP_GOAL_COUNT, .count = 2, .standby = -1 };
	struct op *o;

	b->auto_qemu = false;
	op_unref(bench_submit(b, &r));
	bench_wait_word(b, "plug 1");
	b->auto_agent = false;
	bench_answer_plug(b, 1, 0, "");
	replace_daemon(b);
	b->auto_qemu = b->auto_agent = b->agent_silent[1] = true;
	b->guest_present[1] = stands == CPUHP_STANDBY;
	b->guest_state[1] = stands;
	bench_agent_up(b, 1);
	if (stands < CPUHP_STANDBY)
		bench_row(b, 1, CPUHP_STANDBY);
	bench_wait_word(b, "kick 1 44");
	bench_turn(b);
	o = manager_find_op(b->manager, "add");
	assert_non_null(o);
	assert_int_equal(domain_cancel(o), 0);
	bench_ends(b, op_ref(o), OP_PENDING, "1:pending");
	b->agent_silent[1] = false;
	bench_done(b, 1, CPUHP_STANDBY, -ECANCELED, 0xff);
	bench_wait(b, has_1_left, NULL);
	assert_int_equal(b->d->vcpus[1].wish, CPUHP_OFFLINE);
	bench_stop(b);
}

static void what_the_next_daemon_takes_up_at_standby_leaves_all_the_same(void **state)
{
	is_kicked_by_the_next_daemon(CPUHP_STANDBY);
}

static void so_does_what_it_takes_up_below(void **state)
{
	is_kicked_by_the_next_daemon(CPUHP_HOST_PLACE);
}

/* vCPU 1 is kicked to @target, and the agent does not give it back before the operation has ended. */
static void leave_out(struct bench *b, int from, int target, const char *kick)
{
	struct op *o;

	bench_put(b, 1, from);
	b->agent_silent[1] = true;
	o = bench_target_op(b, 1, 1, target, OP_POLICY_ALL);
	bench_wait_word(b, kick);
	assert_int_equal(domain_cancel(o), 0);
	bench_ends(b, o, OP_PENDING, "1:pending");
	walks_at(b, CPUHP_AP_VERIFY);
	bench_row(b, 1, CPUHP_AP_VERIFY);
}

/* What has come of it, to this daemon or to the next. */
static void comes_to(struct bench *b, int state, bool restarts)
{
	if (restarts)
		replace_daemon(b);
	b->guest_walking[1] = b->agent_silent[1] = false;
	b->guest_state[1] = state;
	if (restarts)
		bench_agent_up(b, 1);
	else
		bench_done(b, 1, state, 0, 0xff);
	bench_wait(b, bench_is_at_rest, &b->d->vcpus[1]);
	bench_turn(b);
}

static void comes_online_late(bool restarts)
{
	struct bench *b = start();

	leave_out(b, CPUHP_STANDBY, CPUHP_ONLINE, "kick 1 44");
	comes_to(b, CPUHP_ONLINE, restarts);
	bench_wait_word(b, "kick 1 6 rollback");
	bench_wait(b, bench_is_at_rest, &b->d->vcpus[1]);
	bench_turn(b);
	assert_int_equal(bench_state(b, 1), CPUHP_STANDBY);
	bench_check_drift(b, 1, "", 0);
	bench_stop(b);
}

static void what_comes_online_after_all_goes_back_to_standby(void **state)
{
	comes_online_late(false);
}

static void so_it_does_with_the_next_daemon(void **state)
{
	comes_online_late(true);
}

static void goes_down_late(bool restarts)
{
	struct bench *b = start();

	leave_out(b, CPUHP_ONLINE, CPUHP_OFFLINE, "kick 1 6");
	comes_to(b, CPUHP_STANDBY, restarts);
	assert_false(b->d->vcpus[1].leaving);
	assert_null(b->d->vcpus[1].hw);
	assert_int_equal(bench_state(b, 1), CPUHP_STANDBY);
	assert_int_equal(bench_count(b, "unplug"), 0);
	bench_stop(b);
}

static void what_was_not_asked_of_qemu_is_not_awaited_from_it(void **state)
{
	goes_down_late(false);
}

static void nor_is_it_by_the_next_daemon(void **state)
{
	goes_down_late(true);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)

/* One that rests at standby goes back for a refusal, and the daemon is replaced on that way. */
static void what_goes_back_for_anothers_refusal_still_does(void **state)
{
	struct op_request r = { .id = "rest", .goal = OP_GOAL_COUNT, .count = 1, .standby = 1 };
	struct bench *b = start();

	bench_put_online(b, 1, 2);
	b->qemu_refuses[2] = true;
	b->qemu_silent[2] = true;
	op_unref(bench_submit(b, &r));
	bench_wait_word(b, "unplug 2");
	b->agent_silent[1] = true;
	bench_ost(b, 2, HV_OST_REMOVE, 130);
	bench_wait_word(b, "kick 1 44 rollback");
	bench_turn(b);
	replace_daemon(b);
	b->agent_silent[1] = false;
	b->guest_state[1] = CPUHP_ONLINE;
	bench_agent_up(b, 1);
	bench_ends(b, op_ref(manager_find_op(b->manager, "rest")), OP_REFUSED,
		   "2:refused 1:rolled-back");
	bench_states(b, 1, 2, CPUHP_ONLINE);
	bench_stop(b);
}

/* One rests at standby, and the other's removal is out, when the daemon is replaced. */
static struct bench *replace_at_the_removal(int finds_1_at)
{
	struct op_request r = { .id = "rest", .goal = OP_GOAL_COUNT, .count = 1, .standby = 1 };
	struct bench *b = start();

	bench_put_online(b, 1, 2);
	b->qemu_silent[2] = true;
	op_unref(bench_submit(b, &r));
	bench_wait_word(b, "unplug 2");
	bench_turn(b);
	replace_daemon(b);
	b->guest_state[1] = finds_1_at;
	b->agent_silent[1] = finds_1_at != CPUHP_STANDBY;
	bench_agent_up(b, 1);
	return b;
}

static void all_are_back(struct bench *b)
{
	bench_ends(b, op_ref(manager_find_op(b->manager, "rest")), OP_REFUSED,
		   "2:refused 1:rolled-back");
	bench_states(b, 1, 2, CPUHP_ONLINE);
	bench_stop(b);
}

/* What has come to its rest before this daemon began goes back for a refusal as any other does. */
static void what_rests_goes_back_with_the_next_daemon(void **state)
{
	struct bench *b = replace_at_the_removal(CPUHP_STANDBY);

	bench_turn(b);
	bench_ost(b, 2, HV_OST_REMOVE, 130);
	all_are_back(b);
}

/* So does what this one has still to take there: when it has come. */
static void what_comes_to_rest_after_a_refusal_goes_back(void **state)
{
	struct bench *b = replace_at_the_removal(CPUHP_ONLINE);

	bench_wait_word(b, "kick 1 6");
	bench_ost(b, 2, HV_OST_REMOVE, 130);
	bench_turn(b);
	b->agent_silent[1] = false;
	bench_done(b, 1, CPUHP_STANDBY, 0, 0xff);
	all_are_back(b);
}

/* The daemon is replaced while one is on its way to standby still, so this one has decided all. */
static void what_rested_before_the_decision_goes_back_for_a_refusal(void **state)
{
	struct op_request r = { .id = "rest", .goal = OP_GOAL_COUNT, .count = 1, .standby = 1 };
	struct bench *b = start();

	bench_put_online(b, 1, 2);
	b->qemu_refuses[2] = b->agent_silent[2] = true;
	op_unref(bench_submit(b, &r));
	bench_wait_word(b, "kick 2 6");
	bench_turn(b);
	assert_int_equal(bench_state(b, 1), CPUHP_STANDBY);
	replace_daemon(b);
	b->agent_silent[2] = false;
	bench_agent_up(b, 1);
	all_are_back(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(what_the_agent_keeps_is_pending_and_goes_back_later),
		IN_FOLDER(what_the_next_daemon_takes_up_at_standby_leaves_all_the_same),
		IN_FOLDER(so_does_what_it_takes_up_below),
		IN_FOLDER(what_comes_online_after_all_goes_back_to_standby),
		IN_FOLDER(so_it_does_with_the_next_daemon),
		IN_FOLDER(what_was_not_asked_of_qemu_is_not_awaited_from_it),
		IN_FOLDER(nor_is_it_by_the_next_daemon),
		IN_FOLDER(what_goes_back_for_anothers_refusal_still_does),
		IN_FOLDER(what_rests_goes_back_with_the_next_daemon),
		IN_FOLDER(what_comes_to_rest_after_a_refusal_goes_back),
		IN_FOLDER(what_rested_before_the_decision_goes_back_for_a_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
