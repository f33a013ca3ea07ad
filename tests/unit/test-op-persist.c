/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Operations that change the persistent configuration besides the running domain: when libvirt is
 * asked, and what the result is where one half fails. libvirt is a function that keeps the
 * request until the test answers it.
 */
#include "daemon/persist-gate.h"
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

/* What libvirt was asked last, and has not answered yet. */
struct libvirt_fake {
	unsigned int looks, changes;
	struct persist_change change;
	persist_done_fn done;
	void *arg;
};

static int fake_persist(void *discovery, const char *word, const struct persist_change *change,
			persist_done_fn done, void *arg)
{
	struct libvirt_fake *l = discovery;

	assert_null(l->done);
	l->looks += !change;
	l->changes += change != NULL;
	if (change)
		l->change = *change;
	l->done = done;
	l->arg = arg;
	return 0;
}

static void answer(struct libvirt_fake *l, int rc, unsigned int present)
{
	struct persist_answer a = {
		.rc = rc,
		.domain = { .name = "vm", .persistent = true, .maximum = 8, .present = present },
	};
	persist_done_fn done = l->done;

	for (unsigned int i = 0; i < present; i++)
		cpulist_set(&a.domain.enabled, i);
	l->done = NULL;
	if (!done)
		fail_msg("libvirt was not asked");
	else
		done(l->arg, &a);
}

static struct bench *start(struct libvirt_fake *l)
{
	struct bench *b = bench_start(NULL);

	*l = (struct libvirt_fake){ 0 };
	b->manager->libvirt_persist = fake_persist;
	b->manager->discovery = l;
	return b;
}

static struct op *submit(struct bench *b, unsigned int count)
{
	struct op *o = bench_submit(
		b, &(struct op_request){
			   .goal = OP_GOAL_COUNT, .count = count, .standby = -1, .persist = true });

	bench_turn(b);
	return o;
}

static void check_config(const struct op *o, enum persist_result result, int present)
{
	assert_int_equal(o->persist->result, result);
	assert_int_equal(o->persist->present, present);
}

static void looks_first_and_changes_last(void **ctx)
{
	struct libvirt_fake l;
	struct bench *b = start(&l);
	struct op *o = submit(b, 3), *next;

	bench_silent(b);
	assert_int_equal(l.looks, 1);
	answer(&l, 0, 1);
	bench_turn(b);
	assert_int_equal(bench_count(b, "plug"), 2);
	bench_states(b, 1, 2, CPUHP_ONLINE);
	/* It runs as long as libvirt has not answered, and what comes next waits. */
	next = bench_count_op(b, 1, OP_POLICY_ALL, 0);
	bench_turn(b);
	assert_false(o->ended);
	assert_false(next->running);
	assert_int_equal(l.changes, 1);
	assert_int_equal(l.change.kind, PERSIST_COUNT);
	assert_int_equal(l.change.count, 3);
	check_config(o, PERSIST_UNKNOWN, 1);
	answer(&l, 0, 3);
	bench_check(b, o, OP_DONE);
	check_config(o, PERSIST_DONE, 3);
	op_unref(o);
	bench_ends(b, next, OP_DONE, "2:ok 1:ok");
	assert_int_equal(l.changes, 1);
	bench_stop(b);
}

static void what_is_wrong_with_the_configuration_comes_before_everything(void **ctx)
{
	static const struct {
		int rc;
		unsigned int count;
		enum op_result result;
		bool denied;
		const char *text;
	} cases[] = {
		{ 0, 9, OP_REFUSED, false, "the persistent configuration of vm is 8" },
		{ -ENOTCONN, 2, OP_FAILED, true, "cannot be reached" },
		{ -ENOENT, 2, OP_VM_GONE, true, "there is no domain" },
		{ -EPERM, 2, OP_REFUSED, true, "does not permit" },
		{ -EBUSY, 2, OP_BUSY, true, "busy" },
	};
	struct libvirt_fake l;
	struct bench *b = start(&l);

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct op *o = submit(b, cases[i].count);

		answer(&l, cases[i].rc, 1);
		bench_check(b, o, cases[i].result);
		assert_int_equal(o->denied, cases[i].denied);
		assert_non_null(strstr(text_of(&o->error), cases[i].text));
		check_config(o, PERSIST_SKIPPED, -1);
		op_unref(o);
	}
	bench_silent(b);
	assert_int_equal(l.changes, 0);
	bench_stop(b);
}

static void what_did_not_end_as_asked_leaves_the_configuration(void **ctx)
{
	struct libvirt_fake l;
	struct bench *b = start(&l);
	struct op *o;

	bench_plant(b, 2, bench_broken_verify);
	o = submit(b, 3);
	answer(&l, 0, 1);
	bench_check(b, o, OP_FAILED);
	check_config(o, PERSIST_SKIPPED, 1);
	assert_int_equal(l.changes, 0);
	op_unref(o);
	bench_stop(b);
}

static void a_configuration_that_fails_is_half_a_success(void **ctx)
{
	static const struct {
		int rc;
		enum persist_result config;
	} cases[] = {
		{ -ENOTCONN, PERSIST_FAILED },
		{ -ECONNRESET, PERSIST_UNKNOWN },
		{ -EIO, PERSIST_FAILED },
	};
	struct libvirt_fake l;
	struct bench *b = start(&l);

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct op *o = submit(b, 2 + i);

		answer(&l, 0, 1);
		bench_turn(b);
		answer(&l, cases[i].rc, 0);
		bench_check(b, o, OP_PARTIAL);
		check_config(o, cases[i].config, -1);
		assert_int_equal(o->vcpus[0].result, VCPU_OK);
		assert_non_null(
			strstr(text_of(&o->error), "the running domain has what was asked; "));
		bench_states(b, 1, 1 + i, CPUHP_ONLINE);
		op_unref(o);
	}
	bench_stop(b);
}

/* Enough for the policy is not what the configuration would say. */
static void where_some_are_missing_the_configuration_is_left(void **ctx)
{
	const struct op_request request = { .goal = OP_GOAL_COUNT,
					    .count = 3,
					    .standby = -1,
					    .policy = OP_POLICY_AT_LEAST,
					    .at_least = 1,
					    .persist = true };
	struct libvirt_fake l;
	struct bench *b = start(&l);
	struct op *o;

	bench_plant(b, 2, bench_broken_verify);
	o = bench_submit(b, &request);
	bench_turn(b);
	answer(&l, 0, 1);
	bench_check(b, o, OP_PARTIAL);
	assert_non_null(strstr(text_of(&o->error), "not every vCPU is where it should be"));
	check_config(o, PERSIST_SKIPPED, 1);
	assert_int_equal(l.changes, 0);
	op_unref(o);
	bench_stop(b);
}

/* What cannot be called back any more ends as asked, and nothing is begun after it. */
static void a_cancel_while_the_last_vcpu_leaves_spares_the_configuration(void **ctx)
{
	static const int reasons[] = { -ECANCELED, -ETIMEDOUT };

	for (size_t i = 0; i < 2; i++) {
		struct libvirt_fake l;
		struct bench *b = start(&l);
		struct op *o;

		bench_put_online(b, 1, 1);
		b->qemu_silent[1] = true;
		o = submit(b, 1);
		answer(&l, 0, 2);
		bench_wait_word(b, "unplug 1");
		op_run_stop(o, reasons[i]);
		bench_turn(b);
		if (!o->ended)
			bench_eject(b, 1);
		bench_wait_ended(b, o);
		assert_int_equal(l.changes, 0);
		check_config(o, PERSIST_SKIPPED, 2);
		if (reasons[i] == -ECANCELED)
			assert_non_null(strstr(text_of(&o->error),
					       "left as it is: the operation was cancelled"));
		op_unref(o);
		bench_stop(b);
	}
}

static void a_cancel_before_it_began_changes_nothing(void **ctx)
{
	struct libvirt_fake l;
	struct bench *b = start(&l);
	struct op *o = submit(b, 2);

	assert_int_equal(domain_cancel(o), 0);
	bench_check(b, o, OP_CANCELLED);
	/* libvirt's answer comes to nobody. */
	answer(&l, 0, 1);
	bench_silent(b);
	assert_int_equal(l.changes, 0);
	op_unref(o);
	bench_stop(b);
}

static void a_change_that_was_sent_cannot_be_cancelled(void **ctx)
{
	struct libvirt_fake l;
	struct bench *b = start(&l);
	struct op *o = submit(b, 2);

	answer(&l, 0, 1);
	bench_turn(b);
	assert_int_equal(l.changes, 1);
	assert_int_equal(domain_cancel(o), 0);
	bench_turn(b);
	assert_false(o->ended);
	answer(&l, 0, 2);
	bench_check(b, o, OP_DONE);
	op_unref(o);
	bench_stop(b);
}

static void count_answer(void *arg, const struct persist_answer *a)
{
	++*(int *)arg;
}

/* An operation that waits with its change for @first, which libvirt has. */
static struct op *submit_behind(struct bench *b, struct libvirt_fake *l, struct libvirt_fake *first,
				int *answers)
{
	const struct persist_change five = { .kind = PERSIST_COUNT, .count = 5 };
	struct persist_gate *gate;
	struct op *o;

	assert_int_equal(persist_gate_ask(&gate, b->manager, b->d->config->uuid, "vm", &five, 0,
					  NULL, count_answer, answers),
			 0);
	*first = *l;
	l->done = NULL;
	o = submit(b, 2);
	answer(l, 0, 1);
	bench_turn(b);
	bench_states(b, 1, 1, CPUHP_ONLINE);
	assert_int_equal(l->changes, 1);
	return o;
}

static void end_by_deadline(struct op *o)
{
	op_run_stop(o, -ETIMEDOUT);
}

static void end_by_cancel(struct op *o)
{
	assert_int_equal(domain_cancel(o), 0);
}

static void end_by_vm(struct op *o)
{
	op_run_vm_gone(o->domain, "it has ended");
}

/* Row: what ends the operation meanwhile, and how. */
static const struct {
	void (*end)(struct op *o);
	enum op_result result;
	enum persist_result persist;
	const char *part;
} endings[] = {
	{ end_by_deadline, OP_PARTIAL, PERSIST_FAILED, "an earlier change" },
	{ end_by_cancel, OP_PARTIAL, PERSIST_SKIPPED,
	  "left as it is: the operation was cancelled" },
	{ end_by_vm, OP_VM_GONE, PERSIST_SKIPPED, "it has ended" },
};

static void behind_an_earlier_change_it_is_not_made_when_it_has_ended(void **ctx)
{
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		struct libvirt_fake l, first;
		struct bench *b = start(&l);
		int answers = 0;
		struct op *o = submit_behind(b, &l, &first, &answers);

		endings[i].end(o);
		bench_check(b, o, endings[i].result);
		assert_non_null(strstr(text_of(&o->error), endings[i].part));
		assert_int_equal(o->persist->result, endings[i].persist);
		op_unref(o);
		l.done = first.done;
		l.arg = first.arg;
		answer(&l, 0, 5);
		assert_int_equal(answers, 1);
		assert_int_equal(l.changes, 1);
		bench_stop(b);
	}
}

static void past_the_deadline_it_is_failed_before_and_pending_after(void **ctx)
{
	struct libvirt_fake l;
	struct bench *b = start(&l);
	struct op *o = submit(b, 2);

	op_run_stop(o, -ETIMEDOUT);
	bench_check(b, o, OP_FAILED);
	assert_non_null(strstr(text_of(&o->error), "nothing was changed"));
	answer(&l, 0, 1);
	bench_silent(b);
	op_unref(o);
	o = submit(b, 2);
	answer(&l, 0, 1);
	bench_turn(b);
	op_run_stop(o, -ETIMEDOUT);
	bench_check(b, o, OP_PENDING);
	check_config(o, PERSIST_UNKNOWN, -1);
	answer(&l, 0, 2);
	check_config(o, PERSIST_UNKNOWN, -1);
	op_unref(o);
	bench_stop(b);
}

static void a_vm_that_goes_away_meanwhile_is_gone(void **ctx)
{
	struct libvirt_fake l;
	struct bench *b = start(&l);
	struct op *first = submit(b, 2), *second;

	op_run_vm_gone(b->d, "it has ended");
	bench_check(b, first, OP_VM_GONE);
	check_config(first, PERSIST_SKIPPED, -1);
	answer(&l, 0, 1);
	second = submit(b, 2);
	answer(&l, 0, 1);
	bench_turn(b);
	op_run_vm_gone(b->d, "it has ended");
	bench_check(b, second, OP_VM_GONE);
	check_config(second, PERSIST_UNKNOWN, 1);
	answer(&l, 0, 2);
	op_unref(first);
	op_unref(second);
	bench_stop(b);
}

static void the_same_id_without_the_configuration_is_another_wish(void **ctx)
{
	struct libvirt_fake l;
	struct bench *b = start(&l);
	struct op_request r = {
		.goal = OP_GOAL_COUNT, .id = "x", .count = 1, .standby = -1, .persist = true
	};
	enum request_error error = REQUEST_ERRORS;
	struct op *o = bench_submit(b, &r), *again;
	char *text = NULL;

	bench_turn(b);
	answer(&l, 0, 1);
	bench_turn(b);
	answer(&l, 0, 1);
	bench_check(b, o, OP_DONE);
	again = bench_submit(b, &r);
	assert_ptr_equal(again, o);
	op_unref(again);
	r.persist = false;
	assert_true(domain_submit(b->d, &r, &again, &error, &text) < 0);
	assert_int_equal(error, ERR_CONFLICT);
	free(text);
	op_unref(o);
	bench_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks_first_and_changes_last),
		cmocka_unit_test(what_is_wrong_with_the_configuration_comes_before_everything),
		cmocka_unit_test(what_did_not_end_as_asked_leaves_the_configuration),
		cmocka_unit_test(a_configuration_that_fails_is_half_a_success),
		cmocka_unit_test(where_some_are_missing_the_configuration_is_left),
		cmocka_unit_test(a_cancel_while_the_last_vcpu_leaves_spares_the_configuration),
		cmocka_unit_test(a_cancel_before_it_began_changes_nothing),
		cmocka_unit_test(a_change_that_was_sent_cannot_be_cancelled),
		cmocka_unit_test(past_the_deadline_it_is_failed_before_and_pending_after),
		cmocka_unit_test(behind_an_earlier_change_it_is_not_made_when_it_has_ended),
		cmocka_unit_test(a_vm_that_goes_away_meanwhile_is_gone),
		cmocka_unit_test(the_same_id_without_the_configuration_is_another_wish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
