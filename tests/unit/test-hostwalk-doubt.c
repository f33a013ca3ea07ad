/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * One vCPU's kick when what the agent says of it is lost, or contradicts itself: it is asked again, as
 * often as a guest can make that necessary, and believed when all that it says agrees. Dialogues by hand,
 * as in test-hostwalk.c.
 */
#include "daemon/hostwalk-ops.h"
#include "tests/unit/host-bench.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* It has the kick, and is at it. */
static void an_agent_that_is_heard_anew_again_and_again_keeps_its_kick(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_put(b, 3, CPUHP_STANDBY);
	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "kick 3 44");
	for (int i = 0; i < 6; i++) {
		bench_agent_down(b);
		bench_agent_up(b, 1);
		bench_said(b, "kick 3 44");
		bench_kicked(b, 3, 0);
	}
	assert_int_equal(w.n_done, 0);
	bench_done(b, 3, CPUHP_ONLINE, 0, 0xff);
	bench_walk_ends(b, &w, 0, -1);
	bench_stop(b);
}

static void tell_torn_table(struct bench *b)
{
	b->link_ops->on_missed(b->link_ctx);
	bench_agent_table(b);
	bench_turn(b);
}

/* However many are lost, it is asked for it once a second, and asked again at last. */
static void a_kick_is_sent_again_for_lost_frames_but_not_for_each(void **ctx)
{
	struct bench *b = bench_by_hand(NULL);
	struct bench_walk w;

	bench_put(b, 3, CPUHP_STANDBY);
	bench_walk(b, &w, 3, CPUHP_ONLINE, false);
	bench_said(b, "kick 3 44");
	bench_kicked(b, 3, 0);
	tell_torn_table(b);
	bench_said(b, "kick 3 44");
	for (int i = 0; i < 6; i++)
		tell_torn_table(b);
	bench_silent(b);
	b->d->vcpus[3].hw->resent_us -= 1000000;
	hostwalk_on_tick(&b->d->vcpus[3]);
	bench_said(b, "kick 3 44");
	hostwalk_on_tick(&b->d->vcpus[3]);
	bench_silent(b);
	bench_done(b, 3, CPUHP_ONLINE, 0, 0xff);
	bench_walk_ends(b, &w, 0, -1);
	bench_stop(b);
}

static void say_done(struct bench *b, unsigned int slot)
{
	bench_record_done(b, &(struct record_done){ .kick = b->kicks[slot].kick,
						    .slot = (uint16_t)slot,
						    .state = CPUHP_ONLINE,
						    .ran_on = BENCH_CPU(slot),
						    .failed_at = 0xff });
	bench_turn(b);
}

/* The rows come first, so it may be that they were lost; its whole table is asked for once. */
static void a_result_that_its_table_contradicts_is_no_success(void **ctx)
{
	for (int lost = 0; lost < 2; lost++) {
		struct bench *b = bench_by_hand(NULL);
		struct bench_walk w;
		unsigned int queries;

		bench_put(b, 3, CPUHP_STANDBY);
		bench_walk(b, &w, 3, CPUHP_ONLINE, false);
		bench_said(b, "kick 3 44");
		bench_kicked(b, 3, 0);
		queries = b->agent_queries;
		say_done(b, 3);
		assert_int_equal(w.n_done, 0);
		assert_int_equal(b->agent_queries, queries + 1);
		assert_int_equal(b->d->vcpus[3].guest_state, CPUHP_STANDBY);
		if (lost)
			b->guest_state[3] = CPUHP_ONLINE;
		bench_agent_table(b);
		if (lost) {
			bench_walk_ends(b, &w, 0, -1);
			assert_int_equal(bench_state(b, 3), CPUHP_ONLINE);
		} else {
			bench_walk_ends(b, &w, -EPROTO, CPUHP_AP_KICK);
			assert_non_null(strstr(w.outcome.text, "that the CPU is offline"));
			vcpu_settle(&b->d->vcpus[3]);
			assert_int_equal(bench_state(b, 3), CPUHP_STANDBY);
		}
		bench_stop(b);
	}
}

/* Not told, it is no success either; told by another boot, it is of no boot that counts. */
static void a_contradicted_result_is_not_waited_for_for_ever(void **ctx)
{
	for (int reset = 0; reset < 2; reset++) {
		struct bench *b = bench_by_hand(NULL);
		struct bench_walk w;

		bench_put(b, 3, CPUHP_STANDBY);
		bench_walk(b, &w, 3, CPUHP_ONLINE, false);
		bench_said(b, "kick 3 44");
		bench_kicked(b, 3, 0);
		say_done(b, 3);
		if (reset) {
			bench_agent_down(b);
			b->guest_state[3] = CPUHP_ONLINE;
			bench_agent_up(b, 2);
		}
		bench_wait(b, bench_is_over, &w);
		bench_walk_ends(b, &w, reset ? -ECONNRESET : -EPROTO, CPUHP_AP_KICK);
		bench_stop(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_agent_that_is_heard_anew_again_and_again_keeps_its_kick),
		cmocka_unit_test(a_kick_is_sent_again_for_lost_frames_but_not_for_each),
		cmocka_unit_test(a_result_that_its_table_contradicts_is_no_success),
		cmocka_unit_test(a_contradicted_result_is_not_waited_for_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
