/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * io.vcpuhp.Manager over a real socket, with a domain that only pretends: what is taken, what is
 * handed over, who may, and how answers come late.
 */
#include "api-bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Row: a call and a part of its answer. */
static const struct {
	const char *sentence, *method, *params, *part;
} answers[] = {
	{ "an unknown domain", "GetDomain", "\"domain\":\"web2\"", "Manager.NoSuchDomain" },
	{ "a domain that cannot be", "GetDomain", "\"domain\":\"../web1\"",
	  "\"parameter\":\"domain\"" },
	{ "no domain named", "GetDomain", "", "InvalidParameter" },
	{ "a known domain", "GetDomain", "\"domain\":\"web1\"", "{\"info\":{\"domain\":\"web1\"" },
	{ "the list", "ListDomains", "", "{\"domains\":[{\"domain\":\"web1\"" },
	{ "the host", "GetHost", "", "{\"host\":{\"version\":\"0.1.0\"" },
	{ "the ladder", "ListStates", "", "\"name\":\"ap:kick\"" },
	{ "a domain's ladder", "ListStates", "\"domain\":\"web1\"", "ap:dyn.20-log" },
	{ "the ladder of nobody", "ListStates", "\"domain\":\"web2\"", "NoSuchDomain" },
	{ "metrics", "Metrics", "", "# EOF\\n\"}" },
	{ "metrics by name", "Metrics", "\"format\":\"openmetrics\"", "# EOF\\n\"}" },
	{ "metrics for older programs", "Metrics", "\"format\":\"prometheus\"",
	  "# TYPE vcpuhp_operations_total counter" },
	{ "metrics of no format", "Metrics", "\"format\":\"OpenMetrics\"", "InvalidArgument" },
	{ "no operations", "ListOperations", "", "{\"operations\":[]}" },
	{ "an unknown operation", "GetOperation", "\"op\":\"x\"", "NoSuchOperation" },
	{ "cancel an unknown operation", "CancelOperation", "\"op\":\"x\"", "NoSuchOperation" },
	{ "a trace", "GetTrace", "\"domain\":\"web1\"", "{\"steps\":[]}" },
	{ "a trace of an unknown operation", "GetTrace", "\"domain\":\"web1\",\"op\":\"x\"",
	  "NoSuchOperation" },
	{ "COUNT 0", "SetVcpus", "\"domain\":\"web1\",\"count\":0", "InvalidArgument" },
	{ "COUNT 65536", "SetVcpus", "\"domain\":\"web1\",\"count\":65536", "InvalidArgument" },
	{ "COUNT -1", "SetVcpus", "\"domain\":\"web1\",\"count\":-1", "InvalidArgument" },
	{ "COUNT as a text", "SetVcpus", "\"domain\":\"web1\",\"count\":\"2\"",
	  "InvalidParameter" },
	{ "no COUNT", "SetVcpus", "\"domain\":\"web1\"", "InvalidParameter" },
	{ "standby below 0", "SetVcpus", "\"domain\":\"web1\",\"count\":2,\"standby\":-1",
	  "InvalidArgument" },
	{ "an unknown policy", "SetVcpus", "\"domain\":\"web1\",\"count\":2,\"policy\":\"some\"",
	  "\"parameter\":\"policy\"" },
	{ "at least nothing", "SetVcpus",
	  "\"domain\":\"web1\",\"count\":2,\"policy\":\"at-least=0\"", "InvalidArgument" },
	{ "at least a word", "SetVcpus",
	  "\"domain\":\"web1\",\"count\":2,\"policy\":\"at-least=1x\"", "InvalidArgument" },
	{ "at least too many", "SetVcpus",
	  "\"domain\":\"web1\",\"count\":2,\"policy\":\"at-least=65536\"", "InvalidArgument" },
	{ "at least, said by half", "SetVcpus",
	  "\"domain\":\"web1\",\"count\":2,\"policy\":\"at-least\"", "InvalidArgument" },
	{ "less than a second", "SetVcpus", "\"domain\":\"web1\",\"count\":2,\"timeout_ms\":999",
	  "\"text\":\"timeout_ms must be 1000 to 86400000\"" },
	{ "more than a day", "SetVcpus", "\"domain\":\"web1\",\"count\":2,\"timeout_ms\":86400001",
	  "InvalidArgument" },
	{ "an id with a space", "SetVcpus", "\"domain\":\"web1\",\"count\":2,\"op\":\"a b\"",
	  "\"parameter\":\"op\"" },
	{ "an empty id", "SetVcpus", "\"domain\":\"web1\",\"count\":2,\"op\":\"\"",
	  "\"parameter\":\"op\"" },
	{ "an id of 65 bytes", "SetVcpus",
	  "\"domain\":\"web1\",\"count\":2,\"op\":\""
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
	  "\"parameter\":\"op\"" },
	{ "an unknown affect", "SetVcpus", "\"domain\":\"web1\",\"count\":2,\"affect\":\"all\"",
	  "\"parameter\":\"affect\"" },
	{ "standby in a configuration", "SetVcpus",
	  "\"domain\":\"web1\",\"count\":2,\"standby\":1,\"affect\":\"live+config\"",
	  "\"parameter\":\"affect\"" },
	{ "a step in a configuration", "SetTarget",
	  "\"domain\":\"web1\",\"vcpus\":\"1\",\"target\":\"standby\",\"affect\":\"config\"",
	  "\"parameter\":\"affect\"" },
	{ "the configuration of a QMP domain", "SetVcpus",
	  "\"domain\":\"web1\",\"count\":2,\"affect\":\"config\"",
	  "Refused\",\"parameters\":{\"text\":\"web1 is a QMP domain and has no persistent "
	  "configuration: only libvirt's have one\",\"refused_by\":\"policy\"" },
	{ "a configuration, and no libvirt", "SetVcpus",
	  "\"domain\":\"web2\",\"count\":2,\"affect\":\"config\"", "NoSuchDomain" },
	{ "a change of nobody", "SetVcpus", "\"domain\":\"web2\",\"count\":2", "NoSuchDomain" },
	{ "an unknown option", "SetVcpus", "\"domain\":\"web1\",\"count\":2,\"dryrun\":true",
	  "{\"parameter\":\"dryrun\"}" },
	{ "an empty LIST", "SetTarget", "\"domain\":\"web1\",\"vcpus\":\"\",\"target\":\"online\"",
	  "\"parameter\":\"vcpus\"" },
	{ "a LIST of nothing", "SetTarget",
	  "\"domain\":\"web1\",\"vcpus\":\"1,^1\",\"target\":\"online\"",
	  "\"parameter\":\"vcpus\"" },
	{ "a LIST with a tail", "SetTarget",
	  "\"domain\":\"web1\",\"vcpus\":\"1\\n\",\"target\":\"online\"",
	  "\"parameter\":\"vcpus\"" },
	{ "a LIST beyond anything", "SetTarget",
	  "\"domain\":\"web1\",\"vcpus\":\"1-99999\",\"target\":\"online\"", "NoSuchVcpu" },
	{ "an unknown STATE", "SetTarget", "\"domain\":\"web1\",\"vcpus\":\"1\",\"target\":\"up\"",
	  "\"parameter\":\"target\"" },
	{ "a callback without a name", "SetTarget",
	  "\"domain\":\"web1\",\"vcpus\":\"1\",\"target\":\"ap:dyn.\"",
	  "\"parameter\":\"target\"" },
	{ "a callback that no file can be", "SetTarget",
	  "\"domain\":\"web1\",\"vcpus\":\"1\",\"target\":\"ap:dyn.10 x\"",
	  "\"parameter\":\"target\"" },
	{ "a name in use", "Attach", "\"name\":\"web1\",\"qmp\":\"/a\",\"agent\":\"/b\"",
	  "Manager.Conflict" },
	{ "a socket in use", "Attach", "\"name\":\"web2\",\"qmp\":\"/a\",\"agent\":\"/taken\"",
	  "Manager.Conflict\",\"parameters\":{\"text\":\"cannot attach web2: domain web1 has one of "
	  "its sockets\"}" },
	{ "a relative path", "Attach", "\"name\":\"web2\",\"qmp\":\"/a\",\"agent\":\"b\"",
	  "\"parameter\":\"agent\"" },
	{ "a name that cannot be", "Attach", "\"name\":\"a/b\",\"qmp\":\"/a\",\"agent\":\"/b\"",
	  "\"parameter\":\"name\"" },
	{ "attach", "Attach", "\"name\":\"web2\",\"qmp\":\"/a\",\"agent\":\"/b\"",
	  "{\"parameters\":{}}" },
	{ "detach a configured one", "Detach", "\"name\":\"web1\"", "Manager.Refused" },
	{ "detach nobody", "Detach", "\"name\":\"web2\"", "NoSuchDomain" },
	{ "faults are off", "ArmFailure", "\"domain\":\"web1\",\"vcpu\":1,\"state\":\"ap:irq\"",
	  "AllowFaultInjection" },
	{ "a fault at an unknown state", "ArmFailure",
	  "\"domain\":\"web1\",\"vcpu\":1,\"state\":\"up\"", "\"parameter\":\"state\"" },
};

static void answers_at_once(void **state)
{
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		print_message("# %s\n", answers[i].sentence);
		send_call(b, answers[i].method, answers[i].params, false);
		assert_part(receive(b), answers[i].part);
	}
	assert_int_equal(b->fake.submitted, 0);
	assert_int_equal(b->fake.attached, 1);
}

static void hands_over_what_was_asked(void **state)
{
	struct bench *b = *state;
	const struct op_request *r = &b->fake.request;

	send_call(b, "SetVcpus",
		  "\"domain\":\"web1\",\"count\":65535,\"standby\":3,\"policy\":\"at-least=2\","
		  "\"timeout_ms\":1000,\"wait\":false,\"foreign\":true,\"op\":\"A.b_c:9-\"",
		  false);
	assert_part(receive(b), "{\"result\":{\"op\":\"A.b_c:9-\",\"domain\":\"web1\","
				"\"result\":\"accepted\"");
	assert_int_equal(r->goal, OP_GOAL_COUNT);
	assert_int_equal(r->count, 65535);
	assert_int_equal(r->standby, 3);
	assert_int_equal(r->policy, OP_POLICY_AT_LEAST);
	assert_int_equal(r->at_least, 2);
	assert_int_equal(r->timeout_ms, 1000);
	assert_true(r->foreign);
	assert_string_equal(r->id, "A.b_c:9-");
	assert_int_equal(r->uid, getuid());
	send_call(b, "SetTarget",
		  "\"domain\":\"web1\",\"vcpus\":\"1-3,^2\",\"target\":\"ap:dyn.20-log\","
		  "\"policy\":\"best-effort\",\"wait\":false",
		  false);
	assert_part(receive(b), "\"result\":\"accepted\"");
	assert_int_equal(r->goal, OP_GOAL_TARGET);
	assert_int_equal(r->target, -1);
	assert_string_equal(r->callback, "20-log");
	assert_int_equal(r->standby, -1);
	assert_int_equal(r->policy, OP_POLICY_BEST_EFFORT);
	assert_int_equal(cpulist_count(&r->list), 2);
	assert_true(cpulist_has(&r->list, 1) && cpulist_has(&r->list, 3));
	assert_string_equal(r->id, "");
	assert_int_equal(r->timeout_ms, 0);
	assert_false(r->foreign);
}

/* Every vCPU by itself is the longest that vcpuhpctl sends; one byte more is refused by name. */
static void takes_the_longest_list(void **state)
{
	static const char head[] = "{\"method\":\"io.vcpuhp.Manager.SetTarget\",\"parameters\":{"
				   "\"domain\":\"web1\",\"target\":\"44\",\"wait\":false,"
				   "\"vcpus\":\"";
	struct bench *b = *state;
	char text[sizeof(head) + CPULIST_TEXT_MAX + 64];
	size_t at = sizeof(head) - 1;

	memcpy(text, head, at);
	for (int i = 0; i < CPULIST_MAX; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%d", i ? "," : "", i);
	snprintf(text + at, sizeof(text) - at, "\"}}");
	varlink_bench_send(&b->varlink, b->fd, text);
	assert_part(receive(b), "\"result\":\"accepted\"");
	assert_int_equal(cpulist_count(&b->fake.request.list), CPULIST_MAX);
	while (at < sizeof(head) - 1 + CPULIST_TEXT_MAX)
		at += (size_t)snprintf(text + at, sizeof(text) - at, ",1");
	snprintf(text + at, sizeof(text) - at, "\"}}");
	varlink_bench_send(&b->varlink, b->fd, text);
	assert_part(receive(b), "\"text\":\"vcpus is longer than 20479 bytes\"");
}

static void answers_when_it_has_ended(void **state)
{
	struct bench *b = *state;

	send_call(b, "SetVcpus", "\"domain\":\"web1\",\"count\":3,\"op\":\"o\"", false);
	assert_string_equal(receive(b), "");
	fake_step(&b->fake, b->fake.ops[0], EVENT_STEP, CPUHP_AP_VERIFY, true);
	assert_string_equal(receive(b), "");
	fake_end(&b->fake, b->fake.ops[0], OP_FAILED);
	assert_part(receive(b), "{\"parameters\":{\"result\":{\"op\":\"o\",\"domain\":\"web1\","
				"\"result\":\"failed\"");
	assert_int_equal(b->fake.ops[0]->refs, 1);
}

static void tells_progress_to_who_asked_for_more(void **state)
{
	struct bench *b = *state;
	struct op *other;

	send_call(b, "SetVcpus", "\"domain\":\"web1\",\"count\":3,\"op\":\"other\",\"wait\":false",
		  false);
	receive(b);
	other = b->fake.ops[0];
	send_call(b, "SetVcpus", "\"domain\":\"web1\",\"count\":3,\"op\":\"o\"", true);
	fake_step(&b->fake, other, EVENT_STEP, CPUHP_AP_VERIFY, true);
	fake_end(&b->fake, other, OP_DONE);
	assert_string_equal(receive(b), "");
	fake_step(&b->fake, b->fake.ops[1], EVENT_STEP, CPUHP_AP_VERIFY, true);
	assert_string_equal(receive(b),
			    "{\"continues\":true,\"parameters\":{\"progress\":{\"op\":\"o\","
			    "\"vcpu\":2,\"cpu\":2,\"state\":9,\"name\":\"ap:verify\","
			    "\"phase\":\"enter\",\"rc\":0,\"ran_on\":null,\"t_ms\":41.2,"
			    "\"startup\":true,\"rollback\":false,\"late\":false,\"text\":null}}}");
	fake_step(&b->fake, b->fake.ops[1], EVENT_KSTEP, CPUHP_AP_ONLINE, false);
	assert_part(receive(b), "\"kernel\":{\"step\":156,");
	/* Nothing is left in it of those before. */
	fake_step(&b->fake, b->fake.ops[1], EVENT_STEP, CPUHP_AP_VERIFY, false);
	assert_string_equal(receive(b),
			    "{\"continues\":true,\"parameters\":{\"progress\":{\"op\":\"o\","
			    "\"vcpu\":2,\"cpu\":2,\"state\":9,\"name\":\"ap:verify\","
			    "\"phase\":\"exit\",\"rc\":0,\"ran_on\":2,\"t_ms\":41.2,"
			    "\"startup\":true,\"rollback\":false,\"late\":false,\"text\":null}}}");
	fake_end(&b->fake, b->fake.ops[1], OP_DONE);
	assert_part(receive(b), "{\"parameters\":{\"result\":{\"op\":\"o\"");
	assert_string_equal(receive(b), "");
}

static void leaves_out_kernel_steps_that_did_not_fail(void **state)
{
	struct bench *b = *state;

	send_call(b, "SetVcpus",
		  "\"domain\":\"web1\",\"count\":3,\"op\":\"o\",\"kernel_steps\":false", true);
	fake_step(&b->fake, b->fake.ops[0], EVENT_KSTEP, CPUHP_AP_ONLINE, true);
	fake_step(&b->fake, b->fake.ops[0], EVENT_KSTEP, CPUHP_AP_ONLINE, false);
	assert_string_equal(receive(b), "");
	b->fake.step_rc = -EIO;
	fake_step(&b->fake, b->fake.ops[0], EVENT_KSTEP, CPUHP_AP_ONLINE, false);
	assert_part(receive(b), "\"kernel\":{\"step\":156,");
	b->fake.step_rc = 0;
	fake_step(&b->fake, b->fake.ops[0], EVENT_STEP, CPUHP_AP_VERIFY, true);
	assert_part(receive(b), "\"name\":\"ap:verify\"");
	fake_end(&b->fake, b->fake.ops[0], OP_DONE);
	receive(b);
}

static void says_once_that_it_waits_for_qemu(void **state)
{
	struct bench *b = *state;
	const struct event e = { .type = EVENT_DOMAIN, .domain = &b->fake.domain, .text = "" };

	/* Its first try is under way: nothing is wrong yet. */
	b->fake.domain.attached = false;
	send_call(b, "SetVcpus", "\"domain\":\"web1\",\"count\":3,\"op\":\"o\"", true);
	assert_string_equal(receive(b), "");
	strcpy(b->fake.domain.why, "cannot connect to /q: Connection refused");
	for (int i = 0; i < 3; i++)
		event_publish(b->fake.manager.bus, &e);
	assert_string_equal(receive(b),
			    "{\"continues\":true,\"parameters\":{\"waiting\":\"web1: waiting for "
			    "QEMU: cannot connect to /q: Connection refused\"}}");
	assert_string_equal(receive(b), "");
	/* Who comes later hears it at once, and who wants no more than the result does not. */
	for (int more = 0; more < 2; more++) {
		close(b->fd);
		b->fd = varlink_bench_connect(&b->varlink);
		send_call(b, "GetOperation", "\"op\":\"o\",\"wait\":true", more);
		assert_int_equal(strstr(receive(b), "\"waiting\":") != NULL, more);
	}
}

static void a_client_that_leaves_stops_nothing(void **state)
{
	struct bench *b = *state;

	send_call(b, "SetVcpus", "\"domain\":\"web1\",\"count\":3,\"op\":\"o\"", true);
	assert_int_equal(b->fake.ops[0]->refs, 2);
	close(b->fd);
	varlink_bench_pump(&b->varlink);
	assert_int_equal(b->fake.ops[0]->refs, 1);
	assert_int_equal(b->fake.cancelled, 0);
	fake_step(&b->fake, b->fake.ops[0], EVENT_STEP, CPUHP_AP_VERIFY, true);
	fake_end(&b->fake, b->fake.ops[0], OP_DONE);
	b->fd = varlink_bench_connect(&b->varlink);
	send_call(b, "GetOperation", "\"op\":\"o\",\"wait\":true", false);
	assert_part(receive(b), "\"result\":\"done\"");
}

/* Whatever is left out for a reader that lags, it is not the result. */
static void a_slow_reader_keeps_its_result(void **state)
{
	struct bench *b = *state;
	unsigned int n = 0;
	const char *text;

	send_call(b, "SetVcpus", "\"domain\":\"web1\",\"count\":3,\"op\":\"o\"", true);
	for (int i = 0; i < 8000; i++)
		fake_step(&b->fake, b->fake.ops[0], i % 2 ? EVENT_KSTEP : EVENT_STEP,
			  CPUHP_AP_ONLINE, true);
	fake_end(&b->fake, b->fake.ops[0], OP_DONE);
	while (strstr(text = receive(b), "\"continues\":true"))
		n++;
	assert_part(text, "\"result\":\"done\"");
	assert_in_range(n, 500, 7000);
}

static void refusals_keep_their_names(void **state)
{
	static const struct {
		enum request_error error;
		const char *part;
	} errors[] = {
		{ ERR_BUSY, "Manager.Busy\",\"parameters\":{\"text\":\"no\"}" },
		{ ERR_CONFLICT, "Manager.Conflict\"" },
		{ ERR_NO_SUCH_VCPU, "Manager.NoSuchVcpu\"" },
		{ ERR_REFUSED,
		  "Manager.Refused\",\"parameters\":{\"text\":\"no\",\"refused_by\":" },
		{ ERR_VM_GONE, "Manager.VmGone\"" },
		{ ERR_INTERNAL, "Manager.Internal\"" },
	};
	struct bench *b = *state;

	b->fake.refuse = true;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		b->fake.error = errors[i].error;
		send_call(b, "SetVcpus", "\"domain\":\"web1\",\"count\":3", false);
		assert_part(receive(b), errors[i].part);
	}
}

static void cancels(void **state)
{
	struct bench *b = *state;

	send_call(b, "SetVcpus", "\"domain\":\"web1\",\"count\":3,\"op\":\"o\",\"wait\":false",
		  false);
	receive(b);
	send_call(b, "CancelOperation", "\"op\":\"o\"", false);
	assert_part(receive(b), "\"result\":\"accepted\"");
	assert_int_equal(b->fake.cancelled, 1);
	fake_end(&b->fake, b->fake.ops[0], OP_CANCELLED);
	send_call(b, "CancelOperation", "\"op\":\"o\"", false);
	assert_part(receive(b), "\"result\":\"cancelled\"");
	assert_int_equal(b->fake.cancelled, 1);
}

static void streams_events(void **state)
{
	struct bench *b = *state;
	struct config_name {
		struct domain_config config;
		struct domain domain;
	} other = { .config = { .name = "web2" } };
	struct event e = { .type = EVENT_LOG, .vcpu = -1, .text = "hello" };

	send_call(b, "Events", "", false);
	assert_part(receive(b), "ExpectedMore");
	send_call(b, "Events", "\"domain\":\"nobody\"", true);
	assert_part(receive(b), "NoSuchDomain");
	send_call(b, "Events", "\"domain\":\"web1\"", true);
	other.domain.config = &other.config;
	e.domain = &other.domain;
	event_publish(b->fake.manager.bus, &e);
	assert_string_equal(receive(b), "");
	e.domain = &b->fake.domain;
	event_publish(b->fake.manager.bus, &e);
	assert_string_equal(receive(b),
			    "{\"continues\":true,\"parameters\":{\"event\":{\"type\":\"log\","
			    "\"domain\":\"web1\",\"op\":null,\"t_us\":0,\"error_us\":0,"
			    "\"text\":\"hello\"}}}");
	/* The load is for those who asked. */
	e.type = EVENT_LOAD;
	event_publish(b->fake.manager.bus, &e);
	assert_string_equal(receive(b), "");
	assert_int_equal(b->fake.watched, 0);
	close(b->fd);
	varlink_bench_pump(&b->varlink);
	event_publish(b->fake.manager.bus, &e);
	b->fd = varlink_bench_connect(&b->varlink);
}

static void the_load_is_watched_as_long_as_its_events_are(void **state)
{
	struct bench *b = *state;
	struct event e = { .type = EVENT_LOAD, .vcpu = -1, .text = "", .domain = &b->fake.domain };

	send_call(b, "Events", "\"load_ms\":999", true);
	assert_part(receive(b), "InvalidArgument");
	assert_int_equal(b->fake.watched, 0);
	send_call(b, "Events", "\"domain\":\"web1\",\"load_ms\":2000", true);
	assert_string_equal(receive(b), "");
	assert_int_equal(b->fake.watched, 1);
	event_publish(b->fake.manager.bus, &e);
	assert_part(receive(b), "{\"type\":\"load\",\"domain\":\"web1\",\"load\":null,");
	close(b->fd);
	varlink_bench_pump(&b->varlink);
	assert_int_equal(b->fake.watched, 0);
	b->fd = varlink_bench_connect(&b->varlink);
}

static void the_daemon_stops_while_clients_wait(void **state)
{
	struct bench *b = *state;

	send_call(b, "SetVcpus", "\"domain\":\"web1\",\"count\":3,\"op\":\"o\"", true);
	b->varlink.server = varlink_server_free(b->varlink.server);
	assert_int_equal(b->fake.ops[0]->refs, 1);
	assert_null(varlink_bench_receive(&b->varlink, b->fd));
}

/* Row: a method that needs more than reading, with parameters good enough to get past them. */
static const struct {
	const char *method, *params;
	bool admin;
} guarded[] = {
	{ "SetVcpus", "\"domain\":\"web1\",\"count\":3,\"wait\":false", false },
	{ "SetTarget", "\"domain\":\"web1\",\"vcpus\":\"1\",\"target\":\"44\",\"wait\":false",
	  false },
	{ "CancelOperation", "\"op\":\"o\"", false },
	{ "Attach", "\"name\":\"web1\",\"qmp\":\"/a\",\"agent\":\"/b\"", true },
	{ "Detach", "\"name\":\"web1\"", true },
	{ "ArmFailure", "\"domain\":\"web1\",\"vcpu\":1,\"state\":\"9\"", true },
};

/* Row: a user. The groups daemon and bin and the user nobody are Debian's own. */
static const struct {
	const char *sentence;
	uid_t uid;
	gid_t gid;
	bool change, admin;
} users[] = {
	{ "a stranger", 60000, 60000, false, false },
	{ "an operator whom the domain does not allow", 60000, 1, false, false },
	{ "an operator whom the domain allows", 65534, 1, true, false },
	{ "a user the domain allows who is no operator", 65534, 60000, false, false },
	{ "a group the domain allows that is no operators'", 60000, 2, false, false },
	{ "the daemon's user", DAEMON_UID, 60000, true, true },
	{ "root", 0, 0, true, true },
};

static void permits_by_method(void **state)
{
	struct bench *b = *state;

	if (getuid() != 0)
		skip();
	for (size_t u = 0; u < sizeof(users) / sizeof(users[0]); u++) {
		close(b->fd);
		b->fd = varlink_bench_connect_as(&b->varlink, users[u].uid, users[u].gid);
		print_message("# %s\n", users[u].sentence);
		send_call(b, "GetDomain", "\"domain\":\"web1\"", false);
		assert_part(receive(b), "\"info\"");
		for (size_t i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++) {
			bool may = guarded[i].admin ? users[u].admin : users[u].change;
			const char *text;

			b->fake.n_ops = 0;
			send_call(b, guarded[i].method, guarded[i].params, false);
			text = receive(b);
			/* An operation nobody knows is no domain's: every operator may ask. */
			if (strstr(guarded[i].params, "\"op\""))
				may = users[u].admin || users[u].gid == 1;
			if (may == (strstr(text, "Manager.Permission") != NULL))
				fail_msg("%s: %s", guarded[i].method, text);
			for (unsigned int n = 0; n < b->fake.n_ops; n++)
				op_unref(b->fake.ops[n]);
			b->fake.n_ops = 0;
		}
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, api_bench_setup, api_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(answers_at_once),
		CASE(hands_over_what_was_asked),
		CASE(takes_the_longest_list),
		CASE(answers_when_it_has_ended),
		CASE(tells_progress_to_who_asked_for_more),
		CASE(leaves_out_kernel_steps_that_did_not_fail),
		CASE(says_once_that_it_waits_for_qemu),
		CASE(a_client_that_leaves_stops_nothing),
		CASE(a_slow_reader_keeps_its_result),
		CASE(refusals_keep_their_names),
		CASE(cancels),
		CASE(streams_events),
		CASE(the_load_is_watched_as_long_as_its_events_are),
		CASE(the_daemon_stops_while_clients_wait),
		CASE(permits_by_method),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
