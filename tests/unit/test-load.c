/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who wants to know a guest's load decides what its agent is asked; what the guest says is bounded. */
#include "daemon/load.h"
#include "daemon/vcpu.h"
#include "tests/unit/host-bench.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void tell_cpu(struct bench *b, unsigned int cpu, uint16_t busy, uint16_t steal)
{
	const struct record r = { .type = RECORD_LOAD_CPU,
				  .load_cpu = { (uint16_t)cpu, busy, steal } };

	b->link_ops->on_record(b->link_ctx, &r);
}

static void tell(struct bench *b, uint16_t avg10)
{
	const struct record r = {
		.type = RECORD_LOAD,
		.load = { .span_ms = 1000, .avg10 = avg10, .avg60 = LOAD_NO_SHARE },
	};

	b->link_ops->on_record(b->link_ctx, &r);
}

/* As if time had passed. */
static void rewind_load(struct bench *b, uint64_t us)
{
	b->d->load.t_us -= us;
}

/* As if time had passed: what was put off comes by its timer. */
static void pass(struct bench *b, uint64_t us)
{
	struct load *l = &b->d->load;

	l->asked_us -= l->asked_us ? us : 0;
	l->ask_us -= l->ask_us ? us : 0;
	if (b->manager->ask_loads)
		(void)sd_event_source_set_time(b->manager->ask_loads, l->ask_us);
	bench_turn(b);
}

static void nobody_asks_by_default(void **ctx)
{
	struct bench *b = bench_start(NULL);

	bench_silent(b);
	assert_null(domain_load(b->d));
	assert_string_equal(domain_why_no_load(b->d), "nobody has asked for it (LoadIntervalSec=)");
	/* What was not asked for is dropped. */
	tell_cpu(b, 0, 500, 0);
	tell(b, 100);
	assert_null(domain_load(b->d));
	assert_int_equal(b->d->vcpus[0].load.number, 0);
	bench_stop(b);
}

static void the_shortest_wish_counts_and_goes_with_its_owner(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct load_watch all = { 0 }, one = { 0 }, other = { 0 };

	load_watch(b->manager, &all, "", 5000);
	bench_said(b, "load 5000");
	pass(b, 1000000);
	load_watch(b->manager, &one, b->d->config->name, 2000);
	bench_said(b, "load 2000");
	load_watch(b->manager, &other, "another", 1000);
	bench_silent(b);
	load_unwatch(&one);
	pass(b, 1900000);
	bench_silent(b);
	pass(b, 100000);
	bench_said(b, "load 5000");
	load_unwatch(&one); /* a second time: nothing */
	load_unwatch(&other);
	assert_null(b->manager->ask_loads);
	load_unwatch(&all);
	bench_silent(b);
	pass(b, 2000000);
	bench_said(b, "load 0");
	assert_null(b->manager->ask_loads);
	bench_stop(b);
}

/* 500 times in 5 s, beside an operation. */
static void come_and_go(struct bench *b, unsigned int first_ms, unsigned int second_ms)
{
	struct op *o = bench_count_op(b, 3, OP_POLICY_ALL, 0);
	struct load_watch w = { 0 };

	for (int i = 0; i < 500; i++) {
		load_watch(b->manager, &w, "", i % 2 ? second_ms : first_ms);
		pass(b, 10000);
		load_unwatch(&w);
	}
	bench_ends(b, o, OP_DONE, "1:ok 2:ok");
}

static void clients_that_come_and_go_have_an_agent_asked_once_a_second_at_most(void **ctx)
{
	static const struct {
		unsigned int first_ms, second_ms;
		unsigned int stays_ms; /* another client's, 0 none */
	} cases[] = {
		{ 1000, 1000, 0 },  { 1000, 1000, 60000 },  { 1000, 30000, 0 },
		{ 90000, 5000, 0 }, { 90000, 5000, 60000 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_start(NULL);
		struct load_watch stays = { 0 };

		if (cases[i].stays_ms)
			load_watch(b->manager, &stays, "", cases[i].stays_ms);
		come_and_go(b, cases[i].first_ms, cases[i].second_ms);
		assert_in_range(bench_count(b, "load "), 1, 6);
		pass(b, 2000000);
		assert_int_equal(b->d->load.interval_ms, cases[i].stays_ms);
		assert_null(b->manager->ask_loads);
		load_unwatch(&stays);
		bench_stop(b);
	}
}

/* What it is asked for is what is wanted when it may be asked again, or nothing new. */
static void what_was_put_off_is_what_is_wanted_by_then(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct load_watch slow = { 0 }, fast = { 0 };

	load_watch(b->manager, &slow, "", 9000);
	bench_said(b, "load 9000");
	load_watch(b->manager, &fast, "", 2000);
	bench_silent(b);
	pass(b, 999000);
	bench_silent(b);
	pass(b, 1000);
	bench_said(b, "load 2000");
	load_unwatch(&fast);
	load_watch(b->manager, &fast, "", 1000);
	pass(b, 1000000);
	bench_said(b, "load 1000");
	load_unwatch(&fast);
	pass(b, 1500000);
	load_watch(b->manager, &fast, "", 1000);
	pass(b, 10000000);
	bench_silent(b);
	load_unwatch(&fast);
	/* The next session knows nothing of it. */
	bench_agent_down(b);
	bench_agent_up(b, 1);
	bench_said(b, "load 9000");
	pass(b, 3000000);
	bench_silent(b);
	load_unwatch(&slow);
	bench_stop(b);
}

static void the_configuration_is_a_wish(void **ctx)
{
	static const struct {
		struct load_interval daemon, domain;
		const char *said; /* NULL nothing */
	} cases[] = {
		{ { true, 0 }, { false, 0 }, NULL },
		{ { true, 7000 }, { false, 0 }, "load 7000" },
		{ { true, 7000 }, { true, 0 }, NULL },
		{ { true, 0 }, { true, 3000 }, "load 3000" },
		{ { true, 7000 }, { true, 9000 }, "load 9000" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_start(&(struct bench_options){ .no_agent = true });
		struct load_watch w = { 0 };

		b->d->settings->load_interval = cases[i].daemon;
		b->d->config->load_interval = cases[i].domain;
		bench_agent_up(b, 1);
		if (cases[i].said)
			bench_said(b, cases[i].said);
		bench_silent(b);
		/* A client's wish comes beside it, and leaves it behind. */
		pass(b, 1000000);
		load_watch(b->manager, &w, "", 1000);
		bench_said(b, "load 1000");
		load_unwatch(&w);
		pass(b, 2000000);
		bench_said(b, cases[i].said ? cases[i].said : "load 0");
		bench_stop(b);
	}
}

static void an_agent_is_asked_anew_in_each_session_and_only_if_it_can(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct load_watch w = { 0 };

	load_watch(b->manager, &w, "", 2000);
	bench_said(b, "load 2000");
	tell(b, 100);
	assert_non_null(domain_load(b->d));
	bench_agent_down(b);
	assert_null(domain_load(b->d));
	assert_string_equal(domain_why_no_load(b->d), "no agent is connected");
	bench_agent_up(b, 1);
	bench_said(b, "load 2000");
	assert_null(domain_load(b->d));
	assert_string_equal(domain_why_no_load(b->d), "the guest has not told it yet");
	b->hello.features &= ~(uint32_t)MSG_FEATURE_LOAD;
	b->link_ops->on_up(b->link_ctx, &b->hello);
	bench_silent(b);
	assert_string_equal(domain_why_no_load(b->d),
			    "the guest's agent is of a version that does not tell it");
	load_unwatch(&w);
	bench_silent(b);
	bench_stop(b);
}

static void a_report_and_its_rows_belong_together(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .online = 3 });
	struct load_watch w = { 0 };
	const struct load_row *row;

	load_watch(b->manager, &w, "", 1000);
	tell_cpu(b, BENCH_CPU(0), 1000, 0);
	tell_cpu(b, BENCH_CPU(1), 501, LOAD_NO_SHARE);
	/* Not of it before it has ended. */
	assert_null(domain_load_row(b->d, 0));
	tell(b, 4210);
	assert_int_equal(domain_load(b->d)->guest.avg10, 4210);
	row = domain_load_row(b->d, 1);
	assert_non_null(row);
	assert_int_equal(row->busy, 501);
	assert_null(domain_load_row(b->d, 2));
	assert_null(domain_load_row(b->d, 99));
	assert_int_equal(domain_load_mean(b->d).busy, 751);
	assert_int_equal(domain_load_mean(b->d).steal, 0);
	/* The next one names another. */
	rewind_load(b, 1000000);
	tell_cpu(b, BENCH_CPU(2), LOAD_NO_SHARE, LOAD_NO_SHARE);
	tell(b, 0);
	assert_null(domain_load_row(b->d, 1));
	assert_int_equal(domain_load_mean(b->d).busy, LOAD_NO_SHARE);
	load_unwatch(&w);
	pass(b, 2000000);
	assert_null(domain_load(b->d));
	bench_stop(b);
}

/* vCPU 1 has no row of a report that does not name it, whatever was said of it before. */
static void check_only_the_first_is_told(struct bench *b)
{
	tell_cpu(b, BENCH_CPU(0), 100, 0);
	tell(b, 0);
	assert_non_null(domain_load_row(b->d, 0));
	assert_null(domain_load_row(b->d, 1));
	assert_int_equal(domain_load_mean(b->d).busy, 100);
}

static void a_row_of_before_is_none_of_a_later_report(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .online = 2 });
	struct load_watch w = { 0 };

	load_watch(b->manager, &w, "", 1000);
	tell_cpu(b, BENCH_CPU(1), 900, 0);
	tell(b, 0);
	/* Nobody asks for a time. */
	load_unwatch(&w);
	pass(b, 2000000);
	load_watch(b->manager, &w, "", 1000);
	pass(b, 1000000);
	check_only_the_first_is_told(b);
	/* A session ends amid a report. */
	rewind_load(b, 1000000);
	tell_cpu(b, BENCH_CPU(1), 900, 0);
	bench_agent_down(b);
	bench_agent_up(b, 1);
	check_only_the_first_is_told(b);
	load_unwatch(&w);
	bench_stop(b);
}

static void a_report_that_comes_early_leaves_no_row_and_takes_none(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .online = 2 });
	struct load_watch w = { 0 };

	load_watch(b->manager, &w, "", 1000);
	check_only_the_first_is_told(b);
	tell_cpu(b, BENCH_CPU(0), 800, 0);
	tell_cpu(b, BENCH_CPU(1), 900, 0);
	tell(b, 1);
	assert_int_equal(domain_load_row(b->d, 0)->busy, 100);
	rewind_load(b, 1000000);
	check_only_the_first_is_told(b);
	/* Only its end comes early: the agent has been asked for less in between. */
	rewind_load(b, 300000);
	tell_cpu(b, BENCH_CPU(1), 900, 0);
	b->d->load.interval_ms = 5000;
	tell(b, 1);
	rewind_load(b, 5000000);
	check_only_the_first_is_told(b);
	load_unwatch(&w);
	bench_stop(b);
}

/* Row: CPUs of the guest's choice. */
static void cpus_that_no_vcpu_is_are_dropped(void **ctx)
{
	static const unsigned int cpus[] = { 5, BENCH_CPU(3), 4095, MSG_NO_CPU };
	struct bench *b = bench_start(NULL);
	struct load_watch w = { 0 };

	load_watch(b->manager, &w, "", 1000);
	for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++)
		tell_cpu(b, cpus[i], 1000, 1000);
	tell(b, 0);
	for (unsigned int i = 0; i < b->d->n_vcpus; i++)
		assert_null(domain_load_row(b->d, i));
	load_unwatch(&w);
	bench_stop(b);
}

static void a_guest_that_tells_all_the_time_floods_nobody(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct load_watch w = { 0 };

	load_watch(b->manager, &w, "", 1000);
	b->n_events = 0;
	for (int i = 0; i < 5000; i++)
		tell(b, 1);
	assert_int_equal(b->n_events, 1);
	rewind_load(b, 260000);
	for (int i = 0; i < 5000; i++)
		tell(b, 1);
	assert_int_equal(b->n_events, 2);
	load_unwatch(&w);
	bench_stop(b);
}

static void an_old_word_is_none(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct load_watch w = { 0 };

	load_watch(b->manager, &w, "", 10000);
	tell(b, 1);
	rewind_load(b, UINT64_C(31000000));
	assert_non_null(domain_load(b->d));
	rewind_load(b, UINT64_C(2000000));
	assert_null(domain_load(b->d));
	assert_string_equal(domain_why_no_load(b->d), "the guest has not told it for long");
	load_unwatch(&w);
	bench_stop(b);
}

static void who_wants_it_rarely_hears_it_rarely(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct load_watch often = { 0 };
	unsigned int heard = 0;

	load_watch(b->manager, &often, "", 1000);
	for (int i = 0; i < 60; i++) {
		rewind_load(b, 1000000);
		tell(b, 1);
		/* Reports come a second apart, more or less. */
		b->d->load.t_us = (uint64_t)i * 1000000 + (uint64_t)(i % 3) * 9000;
		b->d->load.before_us = i ? b->d->load.t_us - 1000000 : 0;
		assert_true(load_is_due(b->d, 1000));
		assert_false(load_is_due(b->d, 0));
		heard += load_is_due(b->d, 10000);
	}
	assert_in_range(heard, 6, 7);
	load_unwatch(&often);
	bench_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_asks_by_default),
		cmocka_unit_test(the_shortest_wish_counts_and_goes_with_its_owner),
		cmocka_unit_test(
			clients_that_come_and_go_have_an_agent_asked_once_a_second_at_most),
		cmocka_unit_test(what_was_put_off_is_what_is_wanted_by_then),
		cmocka_unit_test(the_configuration_is_a_wish),
		cmocka_unit_test(an_agent_is_asked_anew_in_each_session_and_only_if_it_can),
		cmocka_unit_test(a_report_and_its_rows_belong_together),
		cmocka_unit_test(a_row_of_before_is_none_of_a_later_report),
		cmocka_unit_test(a_report_that_comes_early_leaves_no_row_and_takes_none),
		cmocka_unit_test(cpus_that_no_vcpu_is_are_dropped),
		cmocka_unit_test(a_guest_that_tells_all_the_time_floods_nobody),
		cmocka_unit_test(an_old_word_is_none),
		cmocka_unit_test(who_wants_it_rarely_hears_it_rarely),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
