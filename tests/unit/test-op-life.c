/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The life of operations around their moves: the queue, ids that are used again, what is remembered, and what happens to an operation whose agent,
 * QEMU or domain goes away.
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

/* The queue */

static void eight_wait_and_the_next_is_busy(void **ctx)
{
	struct bench *b = bench_start(NULL);
	const struct op_request r = { .goal = OP_GOAL_COUNT, .count = 2, .standby = -1 };
	enum request_error error = REQUEST_ERRORS;
	struct op *ops[OP_QUEUE_MAX + 1], *o;
	char *text = NULL;

	b->mute = true;
	ops[0] = bench_count_op(b, 2, OP_POLICY_ALL, 0);
	bench_turn(b);
	assert_ptr_equal(b->d->running, ops[0]);
	for (unsigned int i = 1; i <= OP_QUEUE_MAX; i++)
		ops[i] = bench_count_op(b, 2 + i % 2, OP_POLICY_ALL, 0);
	assert_true(domain_submit(b->d, &r, &o, &error, &text) < 0);
	assert_int_equal(error, ERR_BUSY);
	assert_int_equal(b->d->counters.denials[ERR_BUSY], 1);
	assert_int_equal(request_error_exit(error), EXIT_BUSY);
	assert_non_null(strstr(text, "8 operations waiting"));
	/* Whoever is turned away can look what he would have waited for. */
	assert_non_null(strstr(text, ops[0]->id));
	free(text);
	b->mute = false;
	for (unsigned int i = 0; i <= OP_QUEUE_MAX; i++) {
		bench_check(b, ops[i], OP_DONE);
		/* In their order: none has ended before the one in front of it. */
		if (i)
			assert_true(ops[i]->ended_us >= ops[i - 1]->ended_us);
		op_unref(ops[i]);
	}
	bench_stop(b);
}

static struct op *submit_id(struct bench *b, const char *id, unsigned int count,
			    enum request_error *error)
{
	struct op_request r = { .goal = OP_GOAL_COUNT, .count = count, .standby = -1 };
	struct op *o = NULL;
	char *text = NULL;

	snprintf(r.id, sizeof(r.id), "%s", id);
	*error = REQUEST_ERRORS;
	if (domain_submit(b->d, &r, &o, error, &text) < 0) {
		assert_non_null(text);
		free(text);
		return NULL;
	}
	return o;
}

static void the_same_id_answers_with_the_same_operation(void **ctx)
{
	struct bench *b = bench_start(NULL);
	enum request_error error;
	struct op *first, *again;

	first = submit_id(b, "scale-1", 3, &error);
	again = submit_id(b, "scale-1", 3, &error);
	assert_ptr_equal(first, again);
	op_unref(again);
	bench_turn(b);
	bench_check(b, first, OP_DONE);
	again = submit_id(b, "scale-1", 3, &error);
	assert_ptr_equal(first, again);
	assert_true(again->ended);
	op_unref(again);
	assert_null(submit_id(b, "scale-1", 4, &error));
	assert_int_equal(error, ERR_CONFLICT);
	assert_int_equal(b->d->counters.denials[ERR_CONFLICT], 1);
	assert_int_equal(b->d->counters.denials[ERR_BUSY], 0);
	assert_int_equal(request_error_exit(error), EXIT_BUSY);
	assert_int_equal(bench_count(b, "plug"), 2);
	assert_ptr_equal(manager_find_op(b->manager, "scale-1"), first);
	op_unref(first);
	bench_stop(b);
}

static void every_operation_has_an_id(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *x = bench_count_op(b, 1, OP_POLICY_ALL, 0);
	struct op *y = bench_count_op(b, 1, OP_POLICY_ALL, 0);

	assert_string_not_equal(x->id, "");
	assert_string_not_equal(x->id, y->id);
	bench_ends(b, x, OP_DONE, "");
	bench_ends(b, y, OP_DONE, "");
	bench_stop(b);
}

static void what_is_no_target_or_no_vcpu_is_refused_at_once(void **ctx)
{
	static const struct {
		unsigned int vcpu;
		int target;
		enum request_error error;
	} cases[] = {
		{ 1, CPUHP_AP_KICK, ERR_REFUSED },     { 1, CPUHP_HOST_ADMIT, ERR_REFUSED },
		{ 1, CPUHP_AP_ONLINE, ERR_REFUSED },   { 1, CPUHP_AP_DYN, ERR_REFUSED },
		{ 8, CPUHP_ONLINE, ERR_NO_SUCH_VCPU }, { 4000, CPUHP_OFFLINE, ERR_NO_SUCH_VCPU },
	};
	struct bench *b = bench_start(NULL);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_request r = { .goal = OP_GOAL_TARGET,
					.standby = -1,
					.target = cases[i].target };
		enum request_error error = REQUEST_ERRORS;
		char *text = NULL;
		struct op *o;

		cpulist_set(&r.list, cases[i].vcpu);
		assert_true(domain_submit(b->d, &r, &o, &error, &text) < 0);
		assert_int_equal(error, cases[i].error);
		assert_non_null(text);
		free(text);
	}
	bench_silent(b);
	bench_stop(b);
}

static void the_last_64_results_are_kept(void **ctx)
{
	struct bench *b = bench_start(NULL);
	enum request_error error;
	char id[32];

	for (unsigned int i = 0; i < OP_KEPT_MAX + 3; i++) {
		struct op *o;

		snprintf(id, sizeof(id), "op-%u", i);
		o = submit_id(b, id, 1, &error);
		bench_ends(b, o, OP_DONE, "");
	}
	assert_int_equal(b->d->n_kept, OP_KEPT_MAX);
	assert_null(manager_find_op(b->manager, "op-2"));
	assert_non_null(manager_find_op(b->manager, "op-3"));
	assert_non_null(manager_find_op(b->manager, "op-66"));
	bench_stop(b);
}

static void a_domain_is_not_detached_under_an_operation(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *running, *queued;

	b->agent_silent[1] = true;
	running = bench_submit_with(b, 2, OP_POLICY_ALL, 4000);
	queued = bench_count_op(b, 3, OP_POLICY_ALL, 0);
	assert_int_equal(manager_detach(b->manager, b->d), -EBUSY);
	bench_wait_word(b, "kick 1");
	assert_int_equal(manager_detach(b->manager, b->d), -EBUSY);
	assert_int_equal(domain_cancel(queued), 0);
	op_unref(queued);
	assert_int_equal(manager_detach(b->manager, b->d), -EBUSY);
	assert_false(running->ended);
	bench_status(b, HV_SHUT_DOWN);
	bench_ends(b, running, OP_VM_GONE, "1:gone");
	assert_int_equal(manager_detach(b->manager, b->d), 0);
	b->d = NULL;
	bench_stop(b);
}

static void an_operation_outlives_its_client_and_its_domain(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *running, *queued;

	b->agent_silent[1] = true;
	op_unref(bench_count_op(b, 2, OP_POLICY_ALL, 0));
	bench_wait_word(b, "kick 1");
	running = op_ref(b->d->running);
	queued = bench_count_op(b, 3, OP_POLICY_ALL, 0);
	manager_remove(b->manager, b->d, "it is not on libvirt any more");
	b->d = NULL;
	assert_true(running->ended);
	assert_int_equal(running->result, OP_VM_GONE);
	bench_vcpus(running, "1:gone");
	assert_true(queued->ended);
	assert_int_equal(queued->result, OP_VM_GONE);
	assert_null(queued->domain);
	assert_string_equal(queued->domain_name, "web1");
	op_unref(running);
	op_unref(queued);
	bench_stop(b);
}

/* While it runs */

static void a_vm_that_goes_takes_the_operation_with_it(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct vcpu_counts now;
	struct op *o;

	b->agent_silent[2] = true;
	o = bench_submit_with(b, 3, OP_POLICY_ALL, 4000);
	bench_wait_word(b, "kick 2");
	b->auto_qemu = false;
	bench_turn(b);
	bench_lose_qemu(b);
	bench_agent_down(b);
	bench_check(b, o, OP_VM_GONE);
	assert_int_equal(op_result_exit(o->result), EXIT_VM_GONE);
	/* Of a VM that is not there nothing is counted, neither in the result nor afterwards. */
	assert_memory_equal(&o->counts, &VCPU_COUNTS_UNKNOWN, sizeof(o->counts));
	bench_ends(b, o, OP_VM_GONE, "1:gone 2:gone");
	bench_turn(b);
	assert_int_equal(b->d->vcpus[1].present, false);
	now = domain_counts(b->d);
	assert_memory_equal(&now, &VCPU_COUNTS_UNKNOWN, sizeof(now));
	bench_stop(b);
}

static void a_vm_that_goes_takes_the_queue_with_it(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *running, *queued[2];

	b->agent_silent[1] = true;
	running = bench_submit_with(b, 2, OP_POLICY_ALL, 4000);
	bench_wait_word(b, "kick 1");
	for (unsigned int i = 0; i < 2; i++)
		queued[i] = bench_submit_with(b, 3 + i, OP_POLICY_ALL, 4000);
	bench_status(b, HV_SHUT_DOWN);
	bench_ends(b, running, OP_VM_GONE, "1:gone");
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(queued[i]->ended);
		bench_ends(b, queued[i], OP_VM_GONE, "");
	}
	bench_stop(b);
}

static void another_process_behind_the_socket_is_another_vm(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct hv_facts f = b->d->facts;
	struct op *o;

	b->d->facts.peer = f.peer = 100;
	bench_put_online(b, 1, 2);
	b->qemu_silent[2] = true;
	o = bench_submit_with(b, 2, OP_POLICY_ALL, 4000);
	bench_wait_word(b, "unplug 2");
	bench_lose_qemu(b);
	f.peer = 101;
	b->hv_events->on_attached(b->hv_ctx, &f);
	/* That the slot is empty there says nothing about a removal. */
	bench_ends(b, o, OP_VM_GONE, "2:gone");
	bench_stop(b);
}

static void a_deadline_counts_in_the_queue_too(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *running, *queued;

	b->agent_silent[1] = true;
	running = bench_submit_with(b, 2, OP_POLICY_ALL, 4000);
	bench_wait_word(b, "kick 1");
	queued = bench_submit_with(b, 3, OP_POLICY_ALL, 30);
	bench_wait_ended(b, queued);
	assert_false(running->ended);
	assert_string_equal(text_of(&queued->error),
			    "its deadline passed while others were before it");
	bench_ends(b, queued, OP_FAILED, "");
	assert_int_equal(b->d->n_queued, 0);
	bench_status(b, HV_SHUT_DOWN);
	bench_ends(b, running, OP_VM_GONE, "1:gone");
	bench_stop(b);
}

static void a_vm_that_goes_during_device_add_is_gone_and_not_stuck(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->auto_qemu = false;
	o = bench_submit_with(b, 3, OP_POLICY_ALL, 4000);
	bench_wait_word(b, "plug 2");
	b->plug_rc = b->unplug_rc = -ENOTCONN;
	bench_lose_qemu(b);
	bench_ends(b, o, OP_VM_GONE, "1:gone 2:gone");
	bench_stop(b);
}

static void a_shutdown_is_gone_at_once(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->agent_silent[1] = true;
	o = bench_count_op(b, 2, OP_POLICY_ALL, 0);
	bench_wait_word(b, "kick 1");
	bench_status(b, HV_SHUT_DOWN);
	assert_true(o->ended);
	bench_ends(b, o, OP_VM_GONE, "1:gone");
	bench_stop(b);
}

/* Row: who was heard when it was counted. */
static const struct {
	const char *what;
	bool no_attach, no_agent;
	struct vcpu_counts want;
} heard[] = {
	{ "nobody", true, true, { -1, -1, -1, -1 } },
	{ "QEMU alone: the boot vCPU is there, and maybe online", false, true, { 8, 1, -1, -1 } },
	{ "QEMU and the guest", false, false, { 8, 1, 1, 0 } },
};

static void what_was_not_heard_is_not_counted(void **ctx)
{
	for (size_t i = 0; i < sizeof(heard) / sizeof(heard[0]); i++) {
		struct bench *b = bench_start(&(struct bench_options){
			.no_attach = heard[i].no_attach, .no_agent = heard[i].no_agent });
		struct op *o = bench_count_op(b, 1, OP_POLICY_ALL, 0);
		struct vcpu_counts now = domain_counts(b->d);

		print_message("# %s\n", heard[i].what);
		assert_memory_equal(&now, &heard[i].want, sizeof(now));
		bench_wait_ended(b, o);
		assert_memory_equal(&o->counts, &heard[i].want, sizeof(now));
		op_unref(o);
		bench_stop(b);
	}
}

static void a_moment_without_qemu_makes_nothing_unknown(void **ctx)
{
	struct bench *b = bench_start(NULL);

	bench_put_online(b, 1, 2);
	bench_lose_qemu(b);
	assert_int_equal(domain_counts(b->d).online, 3);
	bench_attach(b);
	assert_int_equal(domain_counts(b->d).online, 3);
	bench_stop(b);
}

static void nothing_is_judged_while_qemu_is_away(void **ctx)
{
	for (int back = 0; back < 2; back++) {
		struct bench *b = bench_start(NULL);
		struct op *o;

		bench_put_online(b, 1, 1);
		b->auto_agent = false;
		o = bench_submit_with(b, 1, OP_POLICY_ALL, 4000);
		bench_wait_word(b, "kick 1");
		bench_lose_qemu(b);
		bench_kicked(b, 1, 0);
		bench_done(b, 1, CPUHP_ONLINE, -EBUSY, CPUHP_AP_ONLINE);
		bench_turn(b);
		assert_false(o->ended);
		if (back)
			bench_attach(b);
		bench_ends(b, o, back ? OP_REFUSED : OP_VM_GONE, back ? "1:refused" : "1:gone");
		bench_stop(b);
	}
}

static void qemu_back_in_time_is_no_loss(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->auto_qemu = false;
	o = bench_submit_with(b, 2, OP_POLICY_ALL, 4000);
	bench_wait_word(b, "plug 1");
	bench_lose_qemu(b);
	b->slots[1].present = b->slots[1].removable = true;
	vcpu_format_id(b->slots[1].id, 1, o->tag);
	b->auto_qemu = true;
	bench_attach(b);
	bench_row(b, 1, CPUHP_STANDBY);
	bench_ends(b, o, OP_DONE, "1:ok");
	bench_stop(b);
}

static void an_agent_away_between_climb_and_settling_is_waited_for(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->agent_silent[2] = true;
	o = bench_submit_with(b, 3, OP_POLICY_ALL, 4000);
	bench_wait_word(b, "kick 2");
	bench_turn(b);
	assert_int_equal(bench_state(b, 1), CPUHP_ONLINE);
	/* vCPU 1 has arrived, and is unknown again; vCPU 2 fails. */
	bench_agent_down(b);
	assert_int_equal(bench_state(b, 1), -1);
	hostwalk_cancel(&b->d->vcpus[2], -EIO);
	bench_turn(b);
	assert_false(o->ended);
	b->agent_silent[2] = false;
	bench_plant(b, 2, bench_broken_verify);
	bench_agent_up(b, 1);
	bench_turn(b);
	bench_check(b, o, OP_FAILED);
	bench_states(b, 1, 2, CPUHP_OFFLINE);
	assert_false(b->slots[1].present);
	op_unref(o);
	bench_stop(b);
}

static void an_agent_that_stays_away_leaves_it_stuck_and_says_so(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->qemu_plug_rc[2] = -EIO;
	b->auto_qemu = false;
	o = bench_submit_with(b, 3, OP_POLICY_ALL, 100);
	bench_wait_word(b, "plug 2");
	bench_answer_plug(b, 1, 0, "");
	bench_row(b, 1, CPUHP_STANDBY);
	bench_turn(b);
	assert_int_equal(bench_state(b, 1), CPUHP_ONLINE);
	bench_agent_down(b);
	bench_answer_plug(b, 2, -EIO, "no");
	bench_check(b, o, OP_STUCK);
	assert_non_null(strstr(text_of(&o->vcpus[0].error), "the agent is gone"));
	assert_int_equal(o->vcpus[0].rollback_rc, -ENOTCONN);
	bench_ends(b, o, OP_STUCK, "1:failed 2:failed");
	bench_stop(b);
}

static void what_was_reached_needs_no_agent_to_be_kept(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->auto_qemu = false;
	o = bench_submit_with(b, 3, OP_POLICY_BEST_EFFORT, 60000);
	bench_wait_word(b, "plug 2");
	bench_answer_plug(b, 1, 0, "");
	bench_row(b, 1, CPUHP_STANDBY);
	bench_turn(b);
	bench_agent_down(b);
	assert_int_equal(bench_state(b, 1), -1);
	bench_answer_plug(b, 2, -EIO, "no");
	bench_ends(b, o, OP_PARTIAL, "1:ok 2:failed");
	assert_int_equal(b->d->vcpus[1].wish, CPUHP_ONLINE);
	bench_stop(b);
}

static void what_was_reached_stays_reached_though_the_agent_goes(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->auto_agent = false;
	o = bench_count_op(b, 2, OP_POLICY_ALL, 0);
	bench_wait_word(b, "plug 1");
	bench_row(b, 1, CPUHP_STANDBY);
	bench_wait_word(b, "kick 1");
	bench_kicked(b, 1, 0);
	bench_row(b, 1, CPUHP_ONLINE);
	bench_done(b, 1, CPUHP_ONLINE, 0, 0);
	/* In the same breath: the engine has not looked yet. */
	bench_agent_down(b);
	bench_ends(b, o, OP_DONE, "1:ok");
	bench_stop(b);
}

static void a_wish_survives_a_rollback(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	/* Asked online, and taken down by root; then a removal that fails. */
	bench_put_online(b, 1, 1);
	bench_row(b, 1, CPUHP_STANDBY);
	b->unplug_rc = -EPERM;
	o = bench_target_op(b, 1, 1, CPUHP_OFFLINE, OP_POLICY_ALL);
	bench_check(b, o, OP_REFUSED);
	op_unref(o);
	assert_int_equal(bench_state(b, 1), CPUHP_STANDBY);
	assert_int_equal(b->d->vcpus[1].wish, CPUHP_ONLINE);
	bench_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eight_wait_and_the_next_is_busy),
		cmocka_unit_test(the_same_id_answers_with_the_same_operation),
		cmocka_unit_test(every_operation_has_an_id),
		cmocka_unit_test(what_is_no_target_or_no_vcpu_is_refused_at_once),
		cmocka_unit_test(the_last_64_results_are_kept),
		cmocka_unit_test(a_domain_is_not_detached_under_an_operation),
		cmocka_unit_test(an_operation_outlives_its_client_and_its_domain),
		cmocka_unit_test(a_vm_that_goes_takes_the_operation_with_it),
		cmocka_unit_test(a_vm_that_goes_takes_the_queue_with_it),
		cmocka_unit_test(another_process_behind_the_socket_is_another_vm),
		cmocka_unit_test(a_deadline_counts_in_the_queue_too),
		cmocka_unit_test(a_vm_that_goes_during_device_add_is_gone_and_not_stuck),
		cmocka_unit_test(a_shutdown_is_gone_at_once),
		cmocka_unit_test(what_was_not_heard_is_not_counted),
		cmocka_unit_test(a_moment_without_qemu_makes_nothing_unknown),
		cmocka_unit_test(nothing_is_judged_while_qemu_is_away),
		cmocka_unit_test(qemu_back_in_time_is_no_loss),
		cmocka_unit_test(an_agent_away_between_climb_and_settling_is_waited_for),
		cmocka_unit_test(an_agent_that_stays_away_leaves_it_stuck_and_says_so),
		cmocka_unit_test(what_was_reached_needs_no_agent_to_be_kept),
		cmocka_unit_test(what_was_reached_stays_reached_though_the_agent_goes),
		cmocka_unit_test(a_wish_survives_a_rollback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
