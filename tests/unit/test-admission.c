/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Requests that come before QEMU, before the agent or before its table: what they wait for, and
 * what they turn out to be then. Operations and dry runs are admitted by the same code, so most is
 * tested on whichever is easier to look at, and one table compares the two.
 */
#include "daemon/admission.h"
#include "daemon/plan.h"
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

static struct op_request target_request(const char *list, int target, const char *callback)
{
	struct op_request r = { .goal = OP_GOAL_TARGET, .standby = -1, .target = target };

	assert_int_equal(cpulist_parse(list, &r.list), 0);
	snprintf(r.callback, sizeof(r.callback), "%s", callback);
	return r;
}

/* The agent is back in a session, with a callback at a state or without any. */
static void agent_up(struct bench *b, int state, const char *name)
{
	struct record r = { .type = RECORD_STATE, .state = { .state = (uint8_t)state } };

	bench_agent_hello(b, 1);
	snprintf(r.state.name, sizeof(r.state.name), "%s", name);
	if (*name)
		b->link_ops->on_record(b->link_ctx, &r);
	bench_agent_table(b);
	bench_turn(b);
}

/* What is still open when a request comes, and what it turns out to be. */
static const struct {
	const char *sentence;
	bool attached;
	const char *list;
	int target;
	const char *callback;
	int stands_at; /* where the agent has a callback 10-log then, 0 none, -1 no agent comes */
	enum op_result result;
	int denial; /* -1 none */
	const char *error;
	int state; /* of vCPU 1 in the end */
} lates[] = {
	{ "a vCPU that is not there, before QEMU is", false, "9", CPUHP_ONLINE, "", 0, OP_REFUSED,
	  ERR_NO_SUCH_VCPU, "web1 has no vcpu 9: its maximum is 8", CPUHP_OFFLINE },
	{ "one of several", false, "1-8", CPUHP_ONLINE, "", 0, OP_REFUSED, ERR_NO_SUCH_VCPU,
	  "web1 has no vcpu 8", CPUHP_OFFLINE },
	{ "it is said before the agent is missed", false, "9", CPUHP_ONLINE, "", -1, OP_REFUSED,
	  ERR_NO_SUCH_VCPU, "web1 has no vcpu 9", CPUHP_OFFLINE },
	{ "a vCPU that is there", false, "1", CPUHP_ONLINE, "", 0, OP_DONE, -1, "", CPUHP_ONLINE },
	{ "a dynamic state by number, and a callback there", true, "1", CPUHP_AP_DYN, "",
	  CPUHP_AP_DYN, OP_DONE, -1, "", CPUHP_AP_DYN },
	{ "and none there", true, "1", CPUHP_AP_DYN, "", 0, OP_REFUSED, ERR_REFUSED,
	  "12 is no state to rest in: no callback stands there", CPUHP_OFFLINE },
	{ "and no agent to tell", true, "1", CPUHP_AP_DYN, "", -1, OP_NO_AGENT, -1,
	  "no agent answers", CPUHP_OFFLINE },
	{ "a callback by name", true, "1", -1, "10-log", CPUHP_AP_DYN + 3, OP_DONE, -1, "",
	  CPUHP_AP_DYN + 3 },
	{ "a callback by name before QEMU is there", false, "1", -1, "10-log", CPUHP_AP_DYN,
	  OP_DONE, -1, "", CPUHP_AP_DYN },
	{ "a name that nobody registered", true, "1", -1, "20-more", CPUHP_AP_DYN, OP_REFUSED,
	  ERR_INVALID_ARGUMENT, "there is no state ap:dyn.20-more", CPUHP_OFFLINE },
	{ "a name and no agent to tell", true, "1", -1, "10-log", -1, OP_NO_AGENT, -1,
	  "no agent answers", CPUHP_OFFLINE },
};

static void what_is_open_is_waited_for(void **ctx)
{
	for (size_t i = 0; i < sizeof(lates) / sizeof(lates[0]); i++) {
		struct bench *b = bench_start(&(struct bench_options){
			.no_agent = true, .no_attach = !lates[i].attached });
		const struct op_request r =
			target_request(lates[i].list, lates[i].target, lates[i].callback);
		struct op *o = bench_submit(b, &r);

		print_message("# %s\n", lates[i].sentence);
		bench_silent(b);
		assert_false(o->ended);
		if (!lates[i].attached)
			bench_attach(b);
		if (lates[i].stands_at >= 0)
			agent_up(b, lates[i].stands_at, lates[i].stands_at ? "10-log" : "");
		bench_check(b, o, lates[i].result);
		assert_int_equal(o->denied ? (int)o->denial : -1, lates[i].denial);
		assert_int_equal(
			strncmp(text_of(&o->error), lates[i].error, strlen(lates[i].error)), 0);
		assert_int_equal(bench_state(b, 1), lates[i].state);
		if (o->result != OP_DONE)
			bench_silent(b);
		op_unref(o);
		bench_stop(b);
	}
}

/* The same requests where all is known: no operation comes of them. */
static void what_is_known_is_denied_at_once(void **ctx)
{
	for (size_t i = 0; i < sizeof(lates) / sizeof(lates[0]); i++) {
		struct bench *b;
		struct op_request r =
			target_request(lates[i].list, lates[i].target, lates[i].callback);
		enum request_error error = REQUEST_ERRORS;
		char *text = NULL;
		struct op *o;

		if (lates[i].denial < 0 || lates[i].stands_at < 0)
			continue;
		print_message("# %s\n", lates[i].sentence);
		b = bench_start(&(struct bench_options){ .no_agent = true });
		agent_up(b, lates[i].stands_at, lates[i].stands_at ? "10-log" : "");
		assert_true(domain_submit(b->d, &r, &o, &error, &text) < 0);
		assert_int_equal(error, lates[i].denial);
		assert_int_equal(strncmp(text, lates[i].error, strlen(lates[i].error)), 0);
		free(text);
		assert_int_equal(b->d->n_kept + b->d->n_queued, 0);
		bench_stop(b);
	}
}

static struct op *submit_named(struct bench *b, int target, const char *callback)
{
	struct op_request r = target_request("1", target, callback);
	enum request_error error = REQUEST_ERRORS;
	char *text = NULL;
	struct op *o = NULL;

	strcpy(r.id, "job-1");
	if (domain_submit(b->d, &r, &o, &error, &text) == 0)
		return o;
	assert_int_equal(error, ERR_CONFLICT);
	free(text);
	return NULL;
}

static void an_id_is_compared_by_the_words_and_not_by_what_they_meant(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .no_agent = true });
	struct op *o = submit_named(b, -1, "10-log"), *again;

	again = submit_named(b, -1, "10-log");
	assert_ptr_equal(again, o);
	op_unref(again);
	agent_up(b, CPUHP_AP_DYN, "10-log");
	bench_check(b, o, OP_DONE);
	/* Another session, in which it stands elsewhere. */
	bench_agent_down(b);
	agent_up(b, CPUHP_AP_DYN + 1, "10-log");
	again = submit_named(b, -1, "10-log");
	assert_ptr_equal(again, o);
	op_unref(again);
	assert_null(submit_named(b, -1, "20-more"));
	assert_null(submit_named(b, CPUHP_AP_DYN, ""));
	op_unref(o);
	bench_stop(b);
}

static void an_id_of_one_that_was_denied_later_is_denied_again(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .no_agent = true });
	struct op *o = submit_named(b, -1, "20-more"), *again;

	agent_up(b, CPUHP_AP_DYN, "10-log");
	bench_check(b, o, OP_REFUSED);
	again = submit_named(b, -1, "20-more");
	assert_ptr_equal(again, o);
	assert_true(again->denied);
	op_unref(again);
	op_unref(o);
	bench_stop(b);
}

static void a_callback_is_not_unknown_while_the_agent_is_coming_back(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .no_agent = true });
	const struct op_request r = target_request("1", -1, "10-log");
	struct op *o;

	agent_up(b, CPUHP_AP_DYN, "10-log");
	bench_agent_down(b);
	bench_agent_hello(b, 1);
	o = bench_submit(b, &r);
	bench_turn(b);
	assert_false(o->ended);
	agent_up(b, CPUHP_AP_DYN, "10-log");
	bench_ends(b, o, OP_DONE, "1:ok");
	bench_stop(b);
}

/* Dry runs */

struct dry_run {
	struct admission admission;
	struct verdict verdict;
	unsigned int n_moves, n_refusals, n_done;
};

static void on_admitted(void *ctx, const struct verdict *v)
{
	struct dry_run *dry = ctx;

	dry->verdict = *v;
	dry->n_moves = v->plan ? v->plan->n_moves : 0;
	dry->n_refusals = v->plan ? v->plan->n_refusals : 0;
	dry->n_done++;
}

static void start(struct bench *b, struct dry_run *dry, enum admission_needs needs,
		  const struct op_request *r, unsigned int timeout_ms)
{
	*dry = (struct dry_run){ 0 };
	assert_int_equal(
		admission_start(&dry->admission, b->d, needs, r, timeout_ms, on_admitted, dry), 0);
	assert_int_equal(dry->n_done, 0);
}

static bool is_done(struct bench *b, void *arg)
{
	const struct dry_run *dry = arg;

	return dry->n_done > 0;
}

static void paused(struct bench *b)
{
	bench_status(b, HV_PAUSED);
}

static void migrating(struct bench *b)
{
	bench_status(b, HV_MIGRATING);
}

static void shut_down(struct bench *b)
{
	bench_status(b, HV_SHUT_DOWN);
}

static void resumed(struct bench *b)
{
	bench_status(b, HV_PAUSED);
	b->resumed = true;
}

static void without_hotplug(struct bench *b)
{
	b->d->hello.features = 0;
}

static void unsupported(struct bench *b)
{
	b->d->supported = false;
	strcpy(b->d->unsupported_why, "it is a pSeries");
}

static void agent_gone(struct bench *b)
{
	bench_agent_down(b);
}

static void paused_without_agent(struct bench *b)
{
	bench_agent_down(b);
	bench_status(b, HV_PAUSED);
}

static void as_it_is(struct bench *b)
{
}

/* Whatever a domain is like, a dry run and the operation end alike. */
static const struct {
	const char *sentence;
	void (*make)(struct bench *b);
	unsigned int count;
	enum op_result result;
	const char *by, *text;
} states[] = {
	{ "nothing is in the way", as_it_is, 3, OP_DONE, NULL, "" },
	{ "it is paused", paused, 3, OP_REFUSED, "policy", "the domain is paused" },
	{ "it is migrating", migrating, 3, OP_REFUSED, "policy", "the domain is migrating" },
	{ "it has shut down", shut_down, 3, OP_VM_GONE, NULL, "the VM has shut down" },
	{ "it was just resumed", resumed, 3, OP_DONE, NULL, "" },
	{ "the guest cannot hotplug", without_hotplug, 3, OP_REFUSED, "guest",
	  "the guest kernel cannot hotplug CPUs" },
	{ "the machine is not supported", unsupported, 3, OP_REFUSED, "policy", "it is a pSeries" },
	{ "the count is above the maximum", as_it_is, 9, OP_REFUSED, "limit",
	  "9 vCPUs asked, the domain's maximum is 8" },
	{ "no agent", agent_gone, 3, OP_NO_AGENT, NULL, "no agent answers in the guest" },
	{ "no agent, and above the maximum", agent_gone, 9, OP_REFUSED, "limit", "9 vCPUs asked" },
	{ "no agent, and paused", paused_without_agent, 3, OP_REFUSED, "policy",
	  "the domain is paused" },
};

static void a_dry_run_ends_as_the_operation_would(void **ctx)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		const struct op_request r = { .goal = OP_GOAL_COUNT,
					      .count = states[i].count,
					      .standby = -1 };
		struct bench *b = bench_start(NULL);
		enum op_result dry_result;
		struct dry_run dry;
		struct op *o;

		print_message("# %s\n", states[i].sentence);
		states[i].make(b);
		start(b, &dry, ADMISSION_CHANGE, &r, 60000);
		bench_wait(b, is_done, &dry);
		bench_silent(b);
		dry_result = states[i].result == OP_DONE ? OP_ACCEPTED : states[i].result;
		assert_int_equal(dry.verdict.result, dry_result);
		assert_int_equal(strncmp(dry.verdict.text, states[i].text, strlen(states[i].text)),
				 0);
		assert_int_equal(dry.n_moves, states[i].result == OP_DONE ? 2 : 0);
		assert_int_equal(b->prepared, 0);
		states[i].make(b);
		o = bench_submit(b, &r);
		bench_check(b, o, states[i].result);
		assert_int_equal(b->prepared, dry.n_moves);
		assert_string_equal(text_of(&o->error), dry.verdict.text);
		assert_int_equal(!o->refused_by, !states[i].by);
		if (states[i].by) {
			assert_string_equal(o->refused_by, states[i].by);
			assert_string_equal(dry.verdict.refused_by, states[i].by);
		}
		op_unref(o);
		bench_stop(b);
	}
}

static void a_dry_run_waits_for_qemu_and_the_agent(void **ctx)
{
	struct bench *b =
		bench_start(&(struct bench_options){ .no_attach = true, .no_agent = true });
	const struct op_request r = { .goal = OP_GOAL_COUNT, .count = 3, .standby = -1 };
	struct dry_run dry;

	start(b, &dry, ADMISSION_CHANGE, &r, 60000);
	bench_turn(b);
	assert_int_equal(dry.n_done, 0);
	bench_attach(b);
	bench_turn(b);
	assert_int_equal(dry.n_done, 0);
	bench_agent_up(b, 1);
	bench_wait(b, is_done, &dry);
	assert_int_equal(dry.verdict.result, OP_ACCEPTED);
	assert_int_equal(dry.n_moves, 2);
	bench_silent(b);
	assert_int_equal(b->d->n_kept, 0);
	bench_stop(b);
}

/* The agent has been asked whether it is alive, and has not answered yet. */
static struct bench *start_asked(struct dry_run *dry, const struct op_request *r)
{
	struct bench *b = bench_start(NULL);

	b->mute = true;
	start(b, dry, ADMISSION_CHANGE, r, 60000);
	bench_turn(b);
	assert_int_equal(b->n_pings, 1);
	assert_int_equal(dry->n_done, 0);
	return b;
}

static void answer_ping(struct bench *b, int rc)
{
	struct bench_ping p = b->pings[--b->n_pings];

	p.cb(p.arg, rc);
}

static void an_agent_that_does_not_answer_ends_a_dry_run(void **ctx)
{
	const struct op_request r = { .goal = OP_GOAL_COUNT, .count = 3, .standby = -1 };
	struct dry_run dry;
	struct bench *b = start_asked(&dry, &r);

	answer_ping(b, -ETIMEDOUT);
	bench_wait(b, is_done, &dry);
	assert_int_equal(dry.verdict.result, OP_NO_AGENT);
	/* Given up while it waits for that: nothing is called any more. */
	start(b, &dry, ADMISSION_CHANGE, &r, 60000);
	bench_turn(b);
	admission_drop(&dry.admission);
	assert_int_equal(b->n_pings, 0);
	assert_null(b->d->admissions);
	bench_turn(b);
	assert_int_equal(dry.n_done, 0);
	bench_stop(b);
}

/* A guest that stands still answers no ping: what it is like is told, and not that it is mute. */
static void what_changes_while_the_agent_is_asked_is_told(void **ctx)
{
	const struct op_request r = { .goal = OP_GOAL_COUNT, .count = 3, .standby = -1 };

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		bool goes_on = states[i].result == OP_DONE;
		struct bench *b;
		struct dry_run dry;

		if (states[i].count != r.count || states[i].result == OP_NO_AGENT)
			continue;
		print_message("# %s\n", states[i].sentence);
		b = start_asked(&dry, &r);
		states[i].make(b);
		/* Nobody tells these: they are there before, or are never. */
		if (states[i].make == without_hotplug || states[i].make == unsupported)
			admission_poke(b->d);
		if (goes_on) {
			bench_turn(b);
			assert_int_equal(dry.n_done, 0);
			answer_ping(b, 0);
		}
		bench_wait(b, is_done, &dry);
		assert_int_equal(dry.verdict.result, goes_on ? OP_ACCEPTED : states[i].result);
		assert_int_equal(strncmp(dry.verdict.text, states[i].text, strlen(states[i].text)),
				 0);
		assert_int_equal(dry.n_moves, goes_on ? 2 : 0);
		assert_int_equal(!dry.verdict.refused_by, !states[i].by);
		if (states[i].by)
			assert_string_equal(dry.verdict.refused_by, states[i].by);
		assert_int_equal(b->n_pings, 0);
		bench_stop(b);
	}
}

/* The status that is known when the ping's time is over may be old: QEMU is asked before the agent is blamed. */
static void a_pause_that_is_told_late_is_no_mute_agent(void **ctx)
{
	const struct op_request r = { .goal = OP_GOAL_COUNT, .count = 3, .standby = -1 };

	for (int told_first = 0; told_first < 2; told_first++) {
		struct dry_run dry;
		struct bench *b = start_asked(&dry, &r);

		b->hold_queries = true;
		if (told_first)
			bench_status(b, HV_PAUSED);
		answer_ping(b, -ETIMEDOUT);
		bench_turn(b);
		assert_int_equal(dry.n_done, 0);
		if (!told_first)
			bench_status(b, HV_PAUSED);
		b->hold_queries = false;
		bench_wait(b, is_done, &dry);
		assert_int_equal(dry.verdict.result, OP_REFUSED);
		assert_string_equal(dry.verdict.refused_by, "policy");
		bench_stop(b);
	}
}

static void what_qemu_says_of_a_pause_is_waited_for_though_the_agent_has_answered(void **ctx)
{
	const struct op_request r = { .goal = OP_GOAL_COUNT, .count = 3, .standby = -1 };
	struct dry_run dry;
	struct bench *b = start_asked(&dry, &r);

	b->hold_queries = true;
	bench_status(b, HV_PAUSED);
	bench_turn(b);
	answer_ping(b, 0);
	bench_turn(b);
	assert_int_equal(dry.n_done, 0);
	b->resumed = true;
	b->hold_queries = false;
	bench_wait(b, is_done, &dry);
	assert_int_equal(dry.verdict.result, OP_ACCEPTED);
	assert_int_equal(dry.n_moves, 2);
	bench_stop(b);
}

static void an_agent_that_is_mute_while_qemu_is_away_is_none(void **ctx)
{
	const struct op_request r = { .goal = OP_GOAL_COUNT, .count = 3, .standby = -1 };

	for (int asked_first = 0; asked_first < 2; asked_first++) {
		struct dry_run dry;
		struct bench *b = start_asked(&dry, &r);

		b->hold_queries = true;
		if (asked_first) {
			answer_ping(b, -ETIMEDOUT);
			bench_turn(b);
		}
		bench_lose_qemu(b);
		if (!asked_first)
			answer_ping(b, -ETIMEDOUT);
		bench_wait(b, is_done, &dry);
		assert_int_equal(dry.verdict.result, OP_NO_AGENT);
		bench_stop(b);
	}
}

static void a_deadline_ends_it_with_what_is_missing(void **ctx)
{
	struct bench *b =
		bench_start(&(struct bench_options){ .no_attach = true, .no_agent = true });
	const struct op_request r = { .goal = OP_GOAL_COUNT, .count = 3, .standby = -1 };
	struct dry_run dry;

	start(b, &dry, ADMISSION_CHANGE, &r, 10);
	bench_wait(b, is_done, &dry);
	assert_int_equal(dry.verdict.result, OP_VM_GONE);
	assert_string_equal(dry.verdict.text,
			    "QEMU could not be reached in time: its socket was not tried yet");
	bench_attach(b);
	b->config.deadlines.agent_wait_ms = 60000;
	start(b, &dry, ADMISSION_CHANGE, &r, 10);
	bench_wait(b, is_done, &dry);
	assert_int_equal(dry.verdict.result, OP_NO_AGENT);
	bench_stop(b);
}

static void less_is_waited_for_where_less_is_needed(void **ctx)
{
	struct bench *b =
		bench_start(&(struct bench_options){ .no_attach = true, .no_agent = true });
	struct dry_run qemu, agent;

	start(b, &qemu, ADMISSION_QEMU, NULL, 60000);
	start(b, &agent, ADMISSION_AGENT, NULL, 60000);
	bench_attach(b);
	bench_status(b, HV_PAUSED);
	bench_turn(b);
	assert_int_equal(qemu.n_done, 1);
	assert_int_equal(qemu.verdict.result, OP_ACCEPTED);
	assert_int_equal(agent.n_done, 0);
	bench_agent_up(b, 1);
	bench_wait(b, is_done, &agent);
	assert_int_equal(agent.verdict.result, OP_ACCEPTED);
	assert_int_equal(b->n_pings, 0);
	bench_stop(b);
}

static void a_domain_that_goes_takes_all_that_wait_with_it(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .no_agent = true });
	const struct op_request r = { .goal = OP_GOAL_COUNT, .count = 3, .standby = -1 };
	struct dry_run first, second;
	struct op *o = bench_submit(b, &r);

	start(b, &first, ADMISSION_CHANGE, &r, 60000);
	start(b, &second, ADMISSION_AGENT, NULL, 60000);
	bench_turn(b);
	manager_remove(b->manager, b->d, "it is not on libvirt any more");
	b->d = NULL;
	assert_int_equal(first.n_done, 1);
	assert_int_equal(first.verdict.result, OP_VM_GONE);
	assert_string_equal(first.verdict.text, "it is not on libvirt any more");
	assert_int_equal(second.n_done, 1);
	assert_int_equal(o->result, OP_VM_GONE);
	op_unref(o);
	bench_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_open_is_waited_for),
		cmocka_unit_test(what_is_known_is_denied_at_once),
		cmocka_unit_test(an_id_is_compared_by_the_words_and_not_by_what_they_meant),
		cmocka_unit_test(an_id_of_one_that_was_denied_later_is_denied_again),
		cmocka_unit_test(a_callback_is_not_unknown_while_the_agent_is_coming_back),
		cmocka_unit_test(a_dry_run_ends_as_the_operation_would),
		cmocka_unit_test(a_dry_run_waits_for_qemu_and_the_agent),
		cmocka_unit_test(an_agent_that_does_not_answer_ends_a_dry_run),
		cmocka_unit_test(what_changes_while_the_agent_is_asked_is_told),
		cmocka_unit_test(a_pause_that_is_told_late_is_no_mute_agent),
		cmocka_unit_test(
			what_qemu_says_of_a_pause_is_waited_for_though_the_agent_has_answered),
		cmocka_unit_test(an_agent_that_is_mute_while_qemu_is_away_is_none),
		cmocka_unit_test(a_deadline_ends_it_with_what_is_missing),
		cmocka_unit_test(less_is_waited_for_where_less_is_needed),
		cmocka_unit_test(a_domain_that_goes_takes_all_that_wait_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
