/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that talks as much as the link lets it: what it says is taken in, and those who listen,
 * the journal and the daemon's own time are not its to use up.
 */
#include "daemon/vcpu.h"
#include "tests/unit/host-bench.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Row: what a guest says of two vCPUs in turns, thousands of times; as many records as fit a frame
 * come between two turns of the loop. */
static const struct {
	const char *what;
	int states[2];
	const char *texts[2];
} floods[] = {
	{ "up and down", { CPUHP_STANDBY, CPUHP_ONLINE }, { "", "" } },
	{ "the same with ever another reason", { CPUHP_STANDBY, CPUHP_AP_THREADS }, { "a", "b" } },
	{ "a reason and then none", { CPUHP_AP_THREADS, CPUHP_AP_THREADS }, { "a", "" } },
	{ "there and not there", { CPUHP_OFFLINE, CPUHP_ONLINE }, { "", "" } },
};

enum { FLOOD = 20 * 290 };

static void flood(struct bench *b, size_t i)
{
	for (int n = 0; n < FLOOD; n++) {
		bench_row_because(b, 3 + n / 2 % 2, floods[i].states[n % 2],
				  floods[i].texts[n % 2]);
		if (n % 289 == 0)
			bench_turn(b);
	}
	bench_turn(b);
}

/* Nobody is flooded, and nobody is left with an old word for longer than the tick takes. */
static void a_guest_floods_neither_the_journal_nor_those_who_listen(void **ctx)
{
	for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
		struct bench *b = bench_start(NULL);

		print_message("# %s\n", floods[i].what);
		bench_put_online(b, 3, 4);
		b->n_logs = b->n_events = 0;
		flood(b, i);
		assert_in_range(b->n_logs, 0, 10);
		assert_in_range(b->n_events, 1, 40);
		/* What is shown is never old. */
		bench_row_because(b, 3, CPUHP_AP_VERIFY, "the last word");
		bench_turn(b);
		assert_int_equal(bench_state(b, 3), CPUHP_AP_VERIFY);
		assert_string_equal(b->d->vcpus[3].drift, "the last word");
		b->n_logs = b->n_events = 0;
		/* As if time had passed. */
		vcpu_talk_init(&b->d->vcpus[3]);
		b->d->guest_lines = (struct log_budget){ 0 };
		bench_table(b);
		assert_int_equal(b->n_events, 2);
		assert_non_null(strstr(b->last_log, "vcpu 3: drift: the last word"));
		bench_table(b);
		bench_turn(b);
		assert_int_equal(b->n_events, 2);
		bench_stop(b);
	}
}

static void many_vcpus_do_not_flood_the_journal_together(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .slots = 16 });

	bench_put_online(b, 1, 15);
	b->d->guest_lines = (struct log_budget){ 0 };
	b->n_logs = 0;
	for (int n = 0; n < 40 * 15; n++) {
		bench_row_because(b, 1 + (unsigned int)n % 15, CPUHP_AP_THREADS,
				  n / 15 % 2 ? "a" : "b");
		bench_turn(b);
	}
	assert_in_range(b->n_logs, 1, 10);
	bench_stop(b);
}

enum { MINUTE_US = 60000000 };

/* Lines that @budget lets through of @n, its own not counted. */
static unsigned int lines_of(struct log_budget *budget, uint64_t now_us, unsigned int n)
{
	unsigned int lines = 0;

	while (n--)
		lines += log_may(budget, now_us, "web1", "the guest");
	return lines;
}

static void what_is_left_out_is_told_at_once_and_its_number_later(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct log_budget budget = { 0 };

	b->n_logs = 0;
	assert_int_equal(lines_of(&budget, MINUTE_US, 9), 9);
	assert_int_equal(b->n_logs, 0);
	assert_int_equal(lines_of(&budget, MINUTE_US + 1, 1), 0);
	assert_int_equal(b->n_logs, 1);
	assert_string_equal(b->last_log,
			    "web1: further lines about the guest are left out for a minute");
	assert_int_equal(lines_of(&budget, MINUTE_US + 2, 100), 0);
	assert_int_equal(b->n_logs, 1);
	/* The number is one of the ten lines of the next minute. */
	b->n_logs = 0;
	assert_int_equal(lines_of(&budget, UINT64_C(2) * MINUTE_US, 1), 1);
	assert_string_equal(b->last_log, "web1: 101 lines about the guest were left out");
	assert_int_equal(lines_of(&budget, UINT64_C(2) * MINUTE_US, 100), 7);
	assert_int_equal(b->n_logs, 2);
	bench_stop(b);
}

static void an_end_that_was_not_asked_for_is_none(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .online = 2 });

	/* It would take every vCPU's wish from what is found. */
	b->d->vcpus[1].wish = -1;
	bench_agent_end(b);
	bench_turn(b);
	assert_int_equal(b->d->vcpus[1].wish, -1);
	bench_agent_up(b, 1);
	assert_int_equal(b->d->vcpus[1].wish, CPUHP_ONLINE);
	bench_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_floods_neither_the_journal_nor_those_who_listen),
		cmocka_unit_test(many_vcpus_do_not_flood_the_journal_together),
		cmocka_unit_test(what_is_left_out_is_told_at_once_and_its_number_later),
		cmocka_unit_test(an_end_that_was_not_asked_for_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
