/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a domain knows of the VM and the agent behind its two sockets, and whose they are. */
#include "daemon/vcpu.h"
#include "tests/unit/host-bench.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Another VM answers on the same QMP socket. */
static void attach_another(struct bench *b)
{
	struct hv_facts f = b->d->facts;

	snprintf(f.uuid, sizeof(f.uuid), "another");
	b->hv_events->on_attached(b->hv_ctx, &f);
	bench_table(b);
}

/* Row: what happens to QEMU and the agent; is what the agent said of itself still known? */
static const struct {
	const char *what;
	const char *happens; /* q: QEMU is lost, a: its agent, Q A: back again, O: another's QEMU */
	bool known;
} lives[] = {
	{ "the agent is there", "", true },
	{ "it is restarted in the same VM", "a", true },
	{ "the QMP connection is lost for a moment", "qQ", true },
	{ "QEMU ends, and the agent's port with it", "qa", false },
	{ "the port is found closed first", "aq", false },
	{ "another VM, and no agent there yet", "aqO", false },
	{ "another VM that QMP tells from the first, its agent heard before QEMU", "aqAO", true },
	{ "another VM, and the old agent's port closed after it", "qOa", false },
	{ "the same VM again, and its agent", "qaQA", true },
	{ "the QMP connection lost for a moment, and later the agent", "qQa", true },
};

static void play(struct bench *b, char c)
{
	switch (c) {
	case 'q':
		bench_lose_qemu(b);
		break;
	case 'Q':
		bench_attach(b);
		break;
	case 'O':
		attach_another(b);
		break;
	case 'a':
		bench_agent_down(b);
		break;
	case 'A':
		bench_agent_up(b, 2);
		break;
	}
	bench_turn(b);
}

static void an_agents_word_is_not_another_vms(void **ctx)
{
	for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++) {
		struct bench *b = bench_start(NULL);

		print_message("# %s\n", lives[i].what);
		for (const char *c = lives[i].happens; *c; c++)
			play(b, *c);
		assert_int_equal(b->d->hello_known, lives[i].known);
		bench_stop(b);
	}
}

static void it_is_known_why_nobody_is_there(void **ctx)
{
	struct bench *b =
		bench_start(&(struct bench_options){ .no_attach = true, .no_agent = true });
	struct op *o = bench_submit_with(b, 2, OP_POLICY_ALL, 60);

	assert_string_equal(domain_why_detached(b->d), "its socket was not tried yet");
	assert_string_equal(domain_why_no_agent(b->d), "the test says so");
	b->hv_events->on_gone(b->hv_ctx, "cannot connect");
	assert_string_equal(domain_why_detached(b->d), "cannot connect");
	bench_check(b, o, OP_VM_GONE);
	assert_string_equal(text_of(&o->error),
			    "QEMU could not be reached in time: cannot connect");
	op_unref(o);
	/* The agent is heard, but there is no table yet to put its rows into. */
	bench_agent_hello(b, 1);
	assert_string_equal(domain_why_no_agent(b->d), "QEMU is not attached");
	bench_attach(b);
	assert_null(domain_why_detached(b->d));
	assert_string_equal(domain_why_no_agent(b->d), "it has not told its CPUs yet");
	bench_agent_table(b);
	assert_null(domain_why_no_agent(b->d));
	bench_agent_down(b);
	assert_string_equal(domain_why_no_agent(b->d), "the test says so");
	bench_lose_qemu(b);
	assert_string_equal(domain_why_detached(b->d), "connection lost");
	bench_stop(b);
}

/* Row: what the agent that was asked says, and what becomes of its session. */
static const struct {
	const char *what;
	int rc;
	bool silent;
	enum hv_status status;
	unsigned int abandoned;
} asked[] = {
	{ "it answers", 0, false, HV_RUNNING, 0 },
	{ "it does not", -ETIMEDOUT, true, HV_RUNNING, 1 },
	{ "it does not in time, but has said something else", -ETIMEDOUT, false, HV_RUNNING, 0 },
	{ "the guest is paused meanwhile", -ETIMEDOUT, true, HV_PAUSED, 0 },
	{ "another agent has begun", -ENOTCONN, false, HV_RUNNING, 0 },
};

static void an_agent_is_asked_when_a_port_was_closed(void **ctx)
{
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		struct bench *b = bench_start(NULL);
		struct bench_ping ping;

		print_message("# %s\n", asked[i].what);
		b->mute = true;
		b->silent = asked[i].silent;
		for (int n = 0; n < 2; n++)
			b->hv_events->on_port_closed(b->hv_ctx);
		assert_int_equal(b->n_pings, 1);
		b->hv_events->on_status(b->hv_ctx, asked[i].status);
		ping = b->pings[--b->n_pings];
		ping.cb(ping.arg, asked[i].rc);
		assert_int_equal(b->abandoned, asked[i].abandoned);
		b->hv_events->on_port_closed(b->hv_ctx);
		assert_int_equal(b->n_pings, 1);
		bench_stop(b);
	}
}

static void a_socket_is_one_domains(void **ctx)
{
	static char paths[][8] = { "/qmp2", "/agent2" };
	struct bench *b = bench_start(NULL);
	char *taken = b->d->config->agent;
	struct domain_config c = { .name = "web2", .qmp = paths[0], .agent = taken };
	struct domain *d = NULL;

	assert_ptr_equal(manager_find_socket(b->manager, &c), b->d);
	assert_int_equal(manager_attach(b->manager, &c, &d), -EADDRINUSE);
	assert_null(d);
	assert_int_equal(b->manager->n_domains, 1);
	c.agent = paths[1];
	assert_null(manager_find_socket(b->manager, &c));
	/* Detached, it is free again. */
	assert_int_equal(manager_detach(b->manager, b->d), 0);
	c.agent = taken;
	assert_null(manager_find_socket(b->manager, &c));
	bench_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_agents_word_is_not_another_vms),
		cmocka_unit_test(an_agent_is_asked_when_a_port_was_closed),
		cmocka_unit_test(it_is_known_why_nobody_is_there),
		cmocka_unit_test(a_socket_is_one_domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
