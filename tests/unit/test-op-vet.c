/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * An operation that is judged before it begins: when the judge is asked, what his answers lead to, and what
 * becomes of the question when the operation ends otherwise meanwhile. The judge is a function that keeps the
 * question until the test answers it.
 */
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

/* @rc: what start() returns; @asked, @dropped: how often; @moves: of the plan shown last */
struct vetting {
	bool due;
	int rc;
	unsigned int asked, dropped, moves;
	char op[MSG_OP_MAX + 1];
	vet_done_fn done;
	void *arg;
};

static bool is_due(void *ctx)
{
	return ((struct vetting *)ctx)->due;
}

static int start(void *ctx, const struct op *o, const struct plan *plan, vet_done_fn done,
		 void *arg, struct vetting **ret)
{
	struct vetting *v = ctx;

	assert_null(v->done);
	if (v->rc < 0)
		return v->rc;
	v->asked++;
	v->moves = plan->n_moves;
	snprintf(v->op, sizeof(v->op), "%s", o->id);
	v->done = done;
	v->arg = arg;
	*ret = v;
	return 0;
}

static void drop(struct vetting *v)
{
	assert_non_null(v->done);
	v->done = NULL;
	v->dropped++;
}

static const struct vet_ops ops = { .is_due = is_due, .start = start, .drop = drop };

static void answer(struct bench *b, struct vetting *v, const char *objection)
{
	vet_done_fn done = v->done;

	v->done = NULL;
	if (!done)
		fail_msg("nobody was asked");
	else
		done(v->arg, objection);
	bench_turn(b);
}

static struct bench *begin(struct vetting *v, const struct bench_options *options)
{
	struct bench *b = bench_start(options);

	*v = (struct vetting){ .due = true };
	b->manager->vet = &ops;
	b->manager->vet_ctx = v;
	return b;
}

static struct op *submit(struct bench *b, unsigned int count)
{
	struct op *o = bench_count_op(b, count, OP_POLICY_ALL, 0);

	bench_turn(b);
	return o;
}

static void nothing_is_sent_before_nobody_objects(void **ctx)
{
	struct vetting v;
	struct bench *b = begin(&v, NULL);
	struct op *o = submit(b, 3), *next = submit(b, 1);

	bench_silent(b);
	assert_int_equal(b->prepared, 0);
	assert_int_equal(v.asked, 1);
	assert_int_equal(v.moves, 2);
	assert_string_equal(v.op, o->id);
	/* It holds its place. */
	assert_true(o->running);
	assert_false(next->running);
	answer(b, &v, NULL);
	bench_ends(b, o, OP_DONE, "1:ok 2:ok");
	assert_int_equal(v.asked, 2);
	assert_string_equal(v.op, next->id);
	answer(b, &v, NULL);
	bench_ends(b, next, OP_DONE, "2:ok 1:ok");
	bench_stop(b);
}

static void an_objection_is_a_refusal_with_its_words(void **ctx)
{
	struct vetting v;
	struct bench *b = begin(&v, NULL);
	struct op *o = submit(b, 3);

	answer(b, &v, "hook 10-quota: not before Monday");
	bench_check(b, o, OP_REFUSED);
	assert_string_equal(o->refused_by, "hook");
	assert_string_equal(text_of(&o->error), "hook 10-quota: not before Monday");
	assert_int_equal(o->n_vcpus, 0);
	bench_silent(b);
	bench_states(b, 1, 7, CPUHP_OFFLINE);
	op_unref(o);
	v.rc = -ENOMEM;
	o = submit(b, 3);
	bench_check(b, o, OP_REFUSED);
	assert_string_equal(o->refused_by, "hook");
	bench_silent(b);
	op_unref(o);
	bench_stop(b);
}

static void what_is_refused_anyway_is_not_asked_about(void **ctx)
{
	struct vetting v;
	struct bench *b = begin(&v, NULL);
	struct op *o = submit(b, 9);

	bench_check(b, o, OP_REFUSED);
	assert_string_equal(o->refused_by, "limit");
	assert_int_equal(v.asked, 0);
	op_unref(o);
	v.due = false;
	o = submit(b, 2);
	bench_ends(b, o, OP_DONE, "1:ok");
	assert_int_equal(v.asked, 0);
	bench_stop(b);
}

/* Another plugged one while the judge was thinking: the goal was allowed, and is planned anew. */
static void the_plan_that_counts_is_made_afterwards(void **ctx)
{
	struct vetting v;
	struct bench *b = begin(&v, NULL);
	struct op *o = submit(b, 3);

	assert_int_equal(v.moves, 2);
	bench_put(b, 1, CPUHP_ONLINE);
	answer(b, &v, NULL);
	bench_ends(b, o, OP_DONE, "2:ok");
	bench_stop(b);
}

static void it_can_be_stopped_meanwhile(void **ctx)
{
	static const struct {
		int rc;
		enum op_result result;
		const char *text;
	} ways[] = {
		{ -ECANCELED, OP_CANCELLED, "cancelled before anything was changed" },
		{ -ETIMEDOUT, OP_FAILED,
		  "the operation's deadline passed while a prepare hook of this host was deciding; "
		  "nothing was changed" },
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct vetting v;
		struct bench *b = begin(&v, NULL);
		struct op *o =
			bench_submit_with(b, 3, OP_POLICY_ALL, ways[i].rc == -ETIMEDOUT ? 60 : 0);

		bench_turn(b);
		assert_int_equal(v.asked, 1);
		if (ways[i].rc == -ECANCELED)
			assert_int_equal(domain_cancel(o), 0);
		bench_check(b, o, ways[i].result);
		assert_string_equal(text_of(&o->error), ways[i].text);
		assert_null(o->refused_by);
		assert_int_equal(v.dropped, 1);
		bench_silent(b);
		op_unref(o);
		bench_stop(b);
	}
}

static void a_vm_that_goes_meanwhile_is_gone(void **ctx)
{
	struct vetting v;
	struct bench *b = begin(&v, NULL);
	struct op *o = submit(b, 3), *next = submit(b, 2);

	op_run_vm_gone(b->d, "the VM has shut down");
	bench_check(b, o, OP_VM_GONE);
	bench_check(b, next, OP_VM_GONE);
	assert_int_equal(v.asked, 1);
	assert_int_equal(v.dropped, 1);
	op_unref(o);
	op_unref(next);
	bench_stop(b);
}

/* It is as any other that has changed nothing. */
static void a_vm_that_is_paused_meanwhile_is_not_changed(void **ctx)
{
	struct vetting v;
	struct bench *b = begin(&v, NULL);
	struct op *o = submit(b, 3);

	bench_status(b, HV_PAUSED);
	bench_turn(b);
	assert_false(o->ended);
	answer(b, &v, NULL);
	bench_check(b, o, OP_REFUSED);
	assert_string_equal(o->refused_by, "policy");
	op_unref(o);
	bench_stop(b);
}

static void a_daemon_that_stops_takes_the_question_along(void **ctx)
{
	struct vetting v;
	struct bench *b = begin(&v, NULL);

	op_unref(submit(b, 3));
	bench_stop(b);
	assert_int_equal(v.dropped, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_sent_before_nobody_objects),
		cmocka_unit_test(an_objection_is_a_refusal_with_its_words),
		cmocka_unit_test(what_is_refused_anyway_is_not_asked_about),
		cmocka_unit_test(the_plan_that_counts_is_made_afterwards),
		cmocka_unit_test(it_can_be_stopped_meanwhile),
		cmocka_unit_test(a_vm_that_goes_meanwhile_is_gone),
		cmocka_unit_test(a_vm_that_is_paused_meanwhile_is_not_changed),
		cmocka_unit_test(a_daemon_that_stops_takes_the_question_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
