/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is answered only when QEMU or the agent has been heard: dry runs, the arming of failures,
 * and requests that turn out to be none then.
 */
#include "api-bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct verdict no_vcpu = { .result = OP_REFUSED,
					.denied = true,
					.denial = ERR_NO_SUCH_VCPU,
					.text = "web1 has no vcpu 9" },
			    no_callback = { .result = OP_REFUSED,
					    .denied = true,
					    .denial = ERR_INVALID_ARGUMENT,
					    .text = "there is no state ap:dyn.10-x" },
			    no_target = { .result = OP_REFUSED,
					  .denied = true,
					  .denial = ERR_REFUSED,
					  .text = "ap:kick is no state to rest in" },
			    paused = { .result = OP_REFUSED,
				       .refused_by = "policy",
				       .text = "the domain is paused" },
			    no_agent = { .result = OP_NO_AGENT, .text = "no agent answers" },
			    no_qemu = { .result = OP_VM_GONE, .text = "QEMU is away" },
			    no_memory = { .result = OP_FAILED, .text = "out of memory" };

static const struct {
	const char *sentence;
	const struct verdict *verdict;
	unsigned int count;
	const char *want;
} dry_runs[] = {
	{ "it would go", NULL, 3,
	  "{\"parameters\":{\"plan\":[{\"vcpu\":2,\"from\":\"offline\",\"to\":\"online\"}],"
	  "\"refusals\":[]}}" },
	{ "the plan is refused", NULL, 9,
	  "{\"parameters\":{\"plan\":[],\"refusals\":[\"too many\"]}}" },
	{ "the domain is refused as it is", &paused, 3,
	  "{\"parameters\":{\"plan\":[],\"refusals\":[\"the domain is paused\"]}}" },
	{ "no agent", &no_agent, 3,
	  "{\"error\":\"io.vcpuhp.Manager.NoAgent\",\"parameters\":{\"text\":\"no agent "
	  "answers\"}}" },
	{ "no QEMU", &no_qemu, 3,
	  "{\"error\":\"io.vcpuhp.Manager.VmGone\",\"parameters\":{\"text\":\"QEMU is away\"}}" },
	{ "no memory", &no_memory, 3,
	  "{\"error\":\"io.vcpuhp.Manager.Internal\",\"parameters\":{\"text\":\"out of "
	  "memory\"}}" },
	{ "no such vCPU", &no_vcpu, 3,
	  "{\"error\":\"io.vcpuhp.Manager.NoSuchVcpu\",\"parameters\":{\"text\":\"web1 has no "
	  "vcpu 9\"}}" },
	{ "no such callback", &no_callback, 3,
	  "{\"error\":\"io.vcpuhp.Manager.InvalidArgument\",\"parameters\":{\"text\":\"there is "
	  "no state ap:dyn.10-x\",\"parameter\":\"target\"}}" },
	{ "no target", &no_target, 3,
	  "{\"error\":\"io.vcpuhp.Manager.Refused\",\"parameters\":{\"text\":\"ap:kick is no "
	  "state to rest in\",\"refused_by\":\"policy\"}}" },
};

static void a_dry_run_tells_what_an_operation_would_be_told(void **state)
{
	struct bench *b = *state;

	b->fake.hold = true;
	for (size_t i = 0; i < sizeof(dry_runs) / sizeof(*dry_runs); i++) {
		const char *params = dry_runs[i].count == 9
					     ? "\"domain\":\"web1\",\"count\":9,\"dry_run\":true"
					     : "\"domain\":\"web1\",\"count\":3,\"dry_run\":true";

		print_message("# %s\n", dry_runs[i].sentence);
		send_call(b, "SetVcpus", params, i % 2);
		assert_string_equal(receive(b), "");
		fake_admit(&b->fake, dry_runs[i].verdict);
		assert_string_equal(receive(b), dry_runs[i].want);
	}
	assert_int_equal(b->fake.submitted, 0);
	assert_null(b->fake.domain.admissions);
}

static void a_dry_run_warns_as_the_operation_would(void **state)
{
	struct bench *b = *state;

	b->fake.warning = "many";
	send_call(b, "SetVcpus", "\"domain\":\"web1\",\"count\":3,\"dry_run\":true", false);
	assert_part(receive(b), "\"refusals\":[],\"warnings\":[\"many\"]}}");
	send_call(b, "SetVcpus", "\"domain\":\"web1\",\"count\":9,\"dry_run\":true", false);
	assert_part(receive(b), "\"refusals\":[\"too many\"]}}");
}

static void a_dry_run_whose_client_leaves_is_forgotten(void **state)
{
	struct bench *b = *state;

	b->fake.hold = true;
	send_call(b, "SetVcpus", "\"domain\":\"web1\",\"count\":3,\"dry_run\":true", false);
	assert_non_null(b->fake.domain.admissions);
	close(b->fd);
	varlink_bench_pump(&b->varlink);
	assert_null(b->fake.domain.admissions);
	b->fd = varlink_bench_connect(&b->varlink);
}

/* Row: an operation that was denied after it was accepted, and what its client is answered. */
static const struct {
	enum request_error denial;
	const char *part;
} denials[] = {
	{ ERR_NO_SUCH_VCPU, "Manager.NoSuchVcpu\",\"parameters\":{\"text\":\"why\"}" },
	{ ERR_INVALID_ARGUMENT,
	  "Manager.InvalidArgument\",\"parameters\":{\"text\":\"why\",\"parameter\":\"target\"}" },
	{ ERR_REFUSED,
	  "Manager.Refused\",\"parameters\":{\"text\":\"why\",\"refused_by\":\"policy\"}" },
};

static void an_operation_that_was_denied_later_is_none_to_who_asked(void **state)
{
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(denials) / sizeof(*denials); i++) {
		struct op *o;

		b->fake.n_ops = 0;
		send_call(b, "SetVcpus", "\"domain\":\"web1\",\"count\":3,\"op\":\"o\"", false);
		assert_string_equal(receive(b), "");
		o = b->fake.ops[0];
		o->denied = true;
		o->denial = denials[i].denial;
		text_set(&o->error, "why");
		fake_end(&b->fake, o, OP_REFUSED);
		assert_part(receive(b), denials[i].part);
		send_call(b, "GetOperation", "\"op\":\"o\",\"wait\":true", false);
		assert_part(receive(b), denials[i].part);
		/* It is remembered as what it was. */
		send_call(b, "GetOperation", "\"op\":\"o\"", false);
		assert_part(receive(b), "\"result\":\"refused\"");
		op_unref(o);
	}
	b->fake.n_ops = 0;
}

static void arming_is_answered_by_the_domain(void **state)
{
	static const struct {
		int rc;
		const char *part;
	} ends[] = {
		{ 0, "{\"parameters\":{}}" },          { -EINVAL, "Manager.Refused" },
		{ -EPERM, "--allow-fault-injection" }, { -ENOTCONN, "Manager.NoAgent" },
		{ -ENODEV, "take it to standby" },     { -EIO, "Manager.Internal" },
	};
	struct bench *b = *state;

	b->fake.config.allow_fault_injection = true;
	b->fake.domain.agent_up = true;
	send_call(b, "ArmFailure", "\"domain\":\"web1\",\"vcpu\":1,\"state\":\"standby\"", false);
	assert_part(receive(b), "Manager.Refused");
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		send_call(b, "ArmFailure", "\"domain\":\"web1\",\"vcpu\":1,\"state\":\"9\"", false);
		assert_string_equal(receive(b), "");
		b->fake.arm_done(b->fake.arm_arg, ends[i].rc, "");
		assert_part(receive(b), ends[i].part);
	}
	/* The client leaves before the agent has answered. */
	send_call(b, "ArmFailure", "\"domain\":\"web1\",\"vcpu\":1,\"state\":\"9\"", false);
	close(b->fd);
	varlink_bench_pump(&b->varlink);
	b->fake.arm_done(b->fake.arm_arg, 0, "");
	b->fd = varlink_bench_connect(&b->varlink);
}

/* Row: what is armed, and what has to be there before the domain is asked, or another answer. */
static const struct {
	const char *sentence, *params;
	bool agent;
	const char *part; /* NULL: armed at @state */
	int state;
} armings[] = {
	{ "a state of the host's needs QEMU", "\"vcpu\":1,\"state\":\"qemu:device\"", false, NULL,
	  CPUHP_QEMU_DEVICE },
	{ "a vCPU that is not there needs QEMU", "\"vcpu\":4,\"state\":\"qemu:device\"", false,
	  "Manager.NoSuchVcpu", 0 },
	{ "even for a state of the guest's", "\"vcpu\":4,\"state\":\"ap:verify\"", false,
	  "Manager.NoSuchVcpu", 0 },
	{ "a state of the guest's needs the agent", "\"vcpu\":1,\"state\":\"ap:verify\"", true,
	  NULL, CPUHP_AP_VERIFY },
	{ "so does a callback", "\"vcpu\":1,\"state\":\"ap:dyn.20-log\"", true, NULL,
	  CPUHP_AP_DYN + 1 },
	{ "one that nobody registered is no state", "\"vcpu\":1,\"state\":\"ap:dyn.10-x\"", true,
	  "\"parameter\":\"state\"", 0 },
};

static void arming_waits_for_what_it_needs(void **state)
{
	struct bench *b = *state;

	b->fake.config.allow_fault_injection = true;
	b->fake.hold = true;
	for (size_t i = 0; i < sizeof(armings) / sizeof(*armings); i++) {
		char params[128];

		print_message("# %s\n", armings[i].sentence);
		snprintf(params, sizeof(params), "\"domain\":\"web1\",%s", armings[i].params);
		b->fake.domain.agent_up = false;
		b->fake.armed = 0;
		send_call(b, "ArmFailure", params, false);
		assert_string_equal(receive(b), "");
		assert_int_equal(b->fake.domain.admissions->needs, ADMISSION_QEMU);
		if (armings[i].agent) {
			struct admission *a = b->fake.domain.admissions;

			fake_admit(&b->fake, NULL);
			assert_ptr_equal(b->fake.domain.admissions, a);
			assert_int_equal(a->needs, ADMISSION_AGENT);
			b->fake.domain.agent_up = true;
		}
		fake_admit(&b->fake, NULL);
		if (armings[i].part) {
			assert_part(receive(b), armings[i].part);
			assert_int_equal(b->fake.armed, 0);
			continue;
		}
		assert_int_equal(b->fake.armed_state, armings[i].state);
		b->fake.arm_done(b->fake.arm_arg, 0, "");
		assert_string_equal(receive(b), "{\"parameters\":{}}");
	}
}

static void arming_that_waits_ends_with_what_is_missing(void **state)
{
	struct bench *b = *state;

	b->fake.config.allow_fault_injection = true;
	b->fake.hold = true;
	send_call(b, "ArmFailure", "\"domain\":\"web1\",\"vcpu\":1,\"state\":\"9\"", false);
	fake_admit(&b->fake, &no_qemu);
	assert_part(receive(b), "Manager.VmGone");
	send_call(b, "ArmFailure", "\"domain\":\"web1\",\"vcpu\":1,\"state\":\"9\"", false);
	fake_admit(&b->fake, &no_agent);
	assert_part(receive(b), "Manager.NoAgent");
	send_call(b, "ArmFailure", "\"domain\":\"web1\",\"vcpu\":1,\"state\":\"9\"", false);
	close(b->fd);
	varlink_bench_pump(&b->varlink);
	assert_null(b->fake.domain.admissions);
	b->fd = varlink_bench_connect(&b->varlink);
	assert_int_equal(b->fake.armed, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, api_bench_setup, api_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_dry_run_tells_what_an_operation_would_be_told),
		CASE(a_dry_run_warns_as_the_operation_would),
		CASE(a_dry_run_whose_client_leaves_is_forgotten),
		CASE(an_operation_that_was_denied_later_is_none_to_who_asked),
		CASE(arming_is_answered_by_the_domain),
		CASE(arming_waits_for_what_it_needs),
		CASE(arming_that_waits_ends_with_what_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
