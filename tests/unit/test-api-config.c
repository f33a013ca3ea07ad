/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "affect" of SetVcpus and SetTarget, with a libvirt that keeps a request until the test answers
 * it: what is asked of it, when, and what the client hears.
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
#include <unistd.h>

#define UUID "11111111-2222-3333-4444-555555555555"

struct libvirt_fake {
	unsigned int looks, changes;
	char word[PERSIST_NAME_SIZE];
	struct persist_change change;
	persist_done_fn done;
	void *arg;
};

static struct libvirt_fake libvirt;

static int fake_persist(void *discovery, const char *word, const struct persist_change *change,
			persist_done_fn done, void *arg)
{
	assert_null(libvirt.done);
	libvirt.looks += !change;
	libvirt.changes += change != NULL;
	if (change)
		libvirt.change = *change;
	snprintf(libvirt.word, sizeof(libvirt.word), "%s", word);
	libvirt.done = done;
	libvirt.arg = arg;
	return 0;
}

static int setup(void **state)
{
	struct bench *b;

	assert_int_equal(api_bench_setup(state), 0);
	b = *state;
	libvirt = (struct libvirt_fake){ 0 };
	b->fake.manager.libvirt_persist = fake_persist;
	return 0;
}

/* "off" is shut off, "bare" runs without the channel, "fresh" with it and not found yet. */
static void answer(int rc, const char *name, unsigned int present)
{
	struct persist_answer a = { .rc = rc };
	persist_done_fn done = libvirt.done;

	assert_non_null(done);
	libvirt.done = NULL;
	snprintf(a.domain.name, sizeof(a.domain.name), "%s", name);
	snprintf(a.domain.uuid, sizeof(a.domain.uuid), "%s", UUID);
	a.domain.running = strcmp(name, "off") != 0;
	a.domain.channel = strcmp(name, "fresh") == 0 || strcmp(name, "web1") == 0;
	a.domain.persistent = true;
	a.domain.maximum = 8;
	a.domain.present = present;
	for (unsigned int i = 0; i < present; i++)
		cpulist_set(&a.domain.enabled, i);
	done(libvirt.arg, &a);
}

static void changes_a_domain_that_is_shut_off(void **state)
{
	struct bench *b = *state;

	send_call(b, "SetVcpus", "\"domain\":\"off\",\"count\":3,\"affect\":\"config\"", false);
	assert_string_equal(receive(b), "");
	assert_string_equal(libvirt.word, "off");
	assert_int_equal(libvirt.changes, 0);
	answer(0, "off", 1);
	/* By what cannot come to mean another domain meanwhile. */
	assert_string_equal(libvirt.word, UUID);
	assert_int_equal(libvirt.change.kind, PERSIST_COUNT);
	assert_int_equal(libvirt.change.count, 3);
	assert_string_equal(receive(b), "");
	answer(0, "off", 3);
	assert_string_equal(
		receive(b),
		"{\"parameters\":{\"result\":{\"op\":null,\"domain\":\"off\",\"result\":\"done\","
		"\"asked\":3,\"present\":null,\"online\":null,\"standby\":null,\"refused_by\":null,"
		"\"error\":null,\"vcpus\":[],\"config\":{\"result\":\"done\",\"present\":3,"
		"\"maximum\":8,\"error\":null}}}}");
	assert_int_equal(b->fake.submitted, 0);
}

static void a_list_is_enabled_or_disabled(void **state)
{
	struct bench *b = *state;

	send_call(
		b, "SetTarget",
		"\"domain\":\"off\",\"vcpus\":\"2-3\",\"target\":\"offline\",\"affect\":\"config\"",
		false);
	receive(b);
	answer(0, "off", 4);
	assert_int_equal(libvirt.change.kind, PERSIST_DISABLE);
	assert_int_equal(cpulist_count(&libvirt.change.list), 2);
	answer(0, "off", 2);
	assert_part(receive(b), "\"asked\":2,");
}

/* Row: a domain that is not managed, as libvirt knows it, and what becomes of a request. */
static const struct {
	const char *sentence, *domain, *affect, *more;
	int rc;
	bool changed;
	const char *part;
} others[] = {
	{ "shut off, no word", "off", NULL, "", 0, false,
	  "NoSuchDomain\",\"parameters\":{\"text\":\"domain off is not running, so only its "
	  "persistent configuration can be changed (--config)\"" },
	{ "shut off, live", "off", "live", "", 0, false,
	  "Refused\",\"parameters\":{\"text\":\"domain off is not running, so only its persistent "
	  "configuration can be changed (--config)\",\"refused_by\":\"policy" },
	{ "shut off, both", "off", "live+config", "", 0, false, "domain off is not running" },
	{ "shut off, current", "off", "current", "", 0, true, "\"result\":\"done\"" },
	{ "shut off, a dry run", "off", "current", ",\"dry_run\":true", 0, false,
	  "{\"plan\":[],\"refusals\":[],\"config\":{\"from\":1,\"to\":3,\"maximum\":8}}" },
	{ "a dry run of live", "off", "live", ",\"dry_run\":true", 0, false,
	  "\"refusals\":[\"domain off is not running, " },
	{ "bare, no word", "bare", NULL, "", 0, false, "NoSuchDomain" },
	{ "bare, live", "bare", "live", "", 0, false, "without the channel org.vcpuhp.agent.0" },
	{ "bare, current", "bare", "current", "", 0, false, "without the channel" },
	{ "bare, both", "bare", "live+config", "", 0, false, "without the channel" },
	{ "bare, config", "bare", "config", "", 0, true, "\"result\":\"done\"" },
	{ "found in this moment", "fresh", "live", "", 0, false, "Manager.Busy" },
	{ "found in this moment, current", "fresh", "current", "", 0, false, "Manager.Busy" },
	{ "unknown", "nobody", "config", "", -ENOENT, false,
	  "NoSuchDomain\",\"parameters\":{\"text\":\"there is no domain nobody\"" },
	{ "unknown, no word", "nobody", NULL, "", -ENOENT, false, "there is no domain nobody" },
	{ "libvirtd away, no word", "off", NULL, "", -ENOTCONN, false,
	  "NoSuchDomain\",\"parameters\":{\"text\":\"there is no domain off among those of vcpuhpd, "
	  "and libvirt cannot be asked: " },
	{ "libvirtd away", "off", "config", "", -ENOTCONN, false,
	  "Internal\",\"parameters\":{\"text\":\"libvirtd cannot be reached" },
	{ "not permitted", "off", "config", "", -EPERM, false, "PermissionDenied" },
};

static void tells_why_a_domain_cannot_be_changed_so(void **state)
{
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		char params[256];

		print_message("# %s\n", others[i].sentence);
		snprintf(params, sizeof(params), "\"domain\":\"%s\",\"count\":3%s%s%s%s",
			 others[i].domain, others[i].affect ? ",\"affect\":\"" : "",
			 others[i].affect ? others[i].affect : "", others[i].affect ? "\"" : "",
			 others[i].more);
		send_call(b, "SetVcpus", params, false);
		assert_string_equal(receive(b), "");
		libvirt.changes = 0;
		answer(others[i].rc, others[i].domain, 1);
		assert_int_equal(libvirt.changes, others[i].changed);
		if (others[i].changed)
			answer(0, others[i].domain, 3);
		assert_part(receive(b), others[i].part);
	}
	assert_int_equal(b->fake.submitted, 0);
}

/* Row: as above, of one that is only looked at; @libvirt_rc: why domains are not found. */
static const struct {
	const char *sentence, *domain;
	int libvirt_rc, rc;
	const char *part;
} looks[] = {
	{ "shut off", "off", 0, 0,
	  "NoSuchDomain\",\"parameters\":{\"text\":\"domain off is not running; its persistent "
	  "configuration has 1 of 8 vCPUs\"" },
	{ "bare", "bare", 0, 0,
	  "NoSuchDomain\",\"parameters\":{\"text\":\"domain bare runs without the channel "
	  "org.vcpuhp.agent.0; its persistent configuration has 1 of 8 vCPUs\"" },
	{ "found in this moment", "fresh", 0, 0, "Manager.Busy" },
	{ "libvirtd away", "fresh", -ECONNRESET, 0,
	  "Manager.Busy\",\"parameters\":{\"text\":\"domain fresh runs, but vcpuhpd is not connected to "
	  "libvirt: read only; try again" },
	{ "libvirt for readers", "fresh", -EPERM, 0,
	  "PermissionDenied\",\"parameters\":{\"text\":\"domain fresh runs, but libvirt does not permit "
	  "vcpuhpd to manage it: read only\"" },
	{ "unknown", "nobody", 0, -ENOENT,
	  "NoSuchDomain\",\"parameters\":{\"text\":\"there is no domain nobody\"" },
};

static void tells_who_looks_why_there_is_no_such_domain(void **state)
{
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		char params[256];

		print_message("# %s\n", looks[i].sentence);
		b->fake.manager.libvirt_rc = looks[i].libvirt_rc;
		strcpy(b->fake.manager.libvirt_why, "read only");
		snprintf(params, sizeof(params), "\"domain\":\"%s\"", looks[i].domain);
		send_call(b, "GetDomain", params, false);
		assert_string_equal(receive(b), "");
		answer(looks[i].rc, looks[i].domain, 1);
		assert_part(receive(b), looks[i].part);
	}
	assert_int_equal(libvirt.changes, 0);
}

/* Who only looks makes no more work for libvirt than that. */
static void beyond_a_limit_they_are_told_less(void **state)
{
	enum { LIMIT = 4 };
	struct libvirt_fake asked[LIMIT];
	struct bench *b = *state;

	for (int i = 0; i < LIMIT; i++) {
		send_call(b, "GetDomain", "\"domain\":\"off\"", false);
		assert_string_equal(receive(b), "");
		asked[i] = libvirt;
		libvirt.done = NULL;
		/* Whoever leaves leaves the question behind. */
		close(b->fd);
		b->fd = varlink_bench_connect(&b->varlink);
	}
	send_call(b, "GetDomain", "\"domain\":\"off\"", false);
	/* libvirt may well have it. */
	assert_part(receive(b),
		    "there is no domain off among those of vcpuhpd, and libvirt is asked");
	for (int i = 0; i < LIMIT; i++) {
		libvirt = asked[i];
		answer(0, "off", 1);
	}
	send_call(b, "GetDomain", "\"domain\":\"off\"", false);
	assert_string_equal(receive(b), "");
	answer(0, "off", 1);
	assert_part(receive(b), "is not running");
}

static void a_managed_domain_that_is_changed_is_an_operation(void **state)
{
	static const struct {
		const char *affect;
		bool persist;
	} words[] = { { "live", false }, { "current", false }, { "live+config", true } };
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		char params[256];

		snprintf(params, sizeof(params),
			 "\"domain\":\"web1\",\"count\":3,\"wait\":false,\"affect\":\"%s\"",
			 words[i].affect);
		send_call(b, "SetVcpus", params, false);
		assert_part(receive(b), "\"result\":\"accepted\"");
		assert_int_equal(b->fake.request.persist, words[i].persist);
	}
	assert_int_equal(b->fake.submitted, 3);
	assert_int_equal(libvirt.looks, 0);
}

static void a_managed_domain_is_looked_up_by_its_uuid(void **state)
{
	struct bench *b = *state;

	strcpy(b->fake.domain_configs[0].uuid, UUID);
	send_call(b, "SetVcpus", "\"domain\":\"web1\",\"count\":9,\"affect\":\"config\"", false);
	receive(b);
	assert_string_equal(libvirt.word, UUID);
	answer(0, "web1", 1);
	assert_part(receive(b), "\"refused_by\":\"limit\"");
	assert_int_equal(libvirt.changes, 0);
}

static void maxvcpus_holds_for_the_configuration(void **state)
{
	struct bench *b = *state;

	b->fake.domain_configs[0].max_vcpus = 2;
	strcpy(b->fake.domain_configs[0].uuid, UUID);
	send_call(b, "SetVcpus", "\"domain\":\"web1\",\"count\":3,\"affect\":\"config\"", false);
	receive(b);
	answer(0, "web1", 1);
	assert_part(receive(b), "MaxVcpus= is 2");
	assert_int_equal(libvirt.changes, 0);
}

/* Allow= is that of the domain found, however it was named: nobody is allowed, and he is in the group
 * of Operators=, as the other is. */
static void allow_holds_for_a_domain_that_was_named_otherwise(void **state)
{
	static const struct {
		uid_t uid;
		bool may;
	} users[] = { { 60000, false }, { 65534, true } };
	struct bench *b = *state;

	if (getuid() != 0)
		skip();
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		close(b->fd);
		b->fd = varlink_bench_connect_as(&b->varlink, users[i].uid, 1);
		send_call(b, "SetVcpus",
			  "\"domain\":\"" UUID "\",\"count\":3,\"affect\":\"config\"", false);
		receive(b);
		answer(0, "web1", 1);
		assert_int_equal(libvirt.changes, users[i].may);
		if (users[i].may)
			answer(0, "web1", 3);
		assert_part(receive(b), users[i].may ? "\"result\":\"done\"" : "PermissionDenied");
	}
}

static void a_client_that_left_changes_nothing_more(void **state)
{
	struct bench *b = *state;
	int other = varlink_bench_connect(&b->varlink);

	send_call(b, "SetVcpus", "\"domain\":\"off\",\"count\":3,\"affect\":\"config\"", false);
	assert_string_equal(receive(b), "");
	close(b->fd);
	b->fd = other;
	send_call(b, "GetDomain", "\"domain\":\"web1\"", false);
	assert_part(receive(b), "web1");
	answer(0, "off", 1);
	assert_int_equal(libvirt.changes, 0);
	assert_null(libvirt.done);
}

static void past_the_deadline_the_answer_comes_to_nobody(void **state)
{
	struct bench *b = *state;
	const char *text = "";

	b->fake.config.deadlines.operation_ms = 1;
	send_call(b, "SetVcpus", "\"domain\":\"off\",\"count\":3,\"affect\":\"config\"", false);
	for (int i = 0; i < 1000 && !*text; i++) {
		sd_event_run(b->varlink.event, 10000);
		text = receive(b);
	}
	assert_part(text, "TimedOut\",\"parameters\":{\"text\":\"libvirt has not answered in time; "
			  "the persistent configuration was not changed");
	answer(0, "off", 1);
	assert_int_equal(libvirt.changes, 0);
	assert_string_equal(receive(b), "");
}

/* Ask for @count, and let it come as far as libvirt's look. */
static void ask_for(struct bench *b, int count)
{
	char params[128];

	snprintf(params, sizeof(params), "\"domain\":\"off\",\"count\":%d,\"affect\":\"config\"",
		 count);
	send_call(b, "SetVcpus", params, false);
	assert_string_equal(receive(b), "");
	answer(0, "off", 1);
	assert_string_equal(receive(b), "");
}

/* @first is with libvirt and will not be heard of any more; a connection for the next one. */
static void leave_with_libvirt(struct bench *b, struct libvirt_fake *first)
{
	*first = libvirt;
	libvirt.done = NULL;
	close(b->fd);
	b->fd = varlink_bench_connect(&b->varlink);
}

static void a_later_change_waits_for_one_that_cannot_be_recalled(void **state)
{
	struct bench *b = *state;
	struct libvirt_fake first;

	ask_for(b, 3);
	leave_with_libvirt(b, &first);
	ask_for(b, 4);
	assert_int_equal(libvirt.changes, 1);
	assert_null(libvirt.done);
	libvirt.done = first.done;
	libvirt.arg = first.arg;
	answer(0, "off", 3);
	assert_int_equal(libvirt.changes, 2);
	assert_int_equal(libvirt.change.count, 4);
	assert_string_equal(receive(b), "");
	answer(0, "off", 4);
	assert_part(receive(b), "\"result\":\"done\",\"present\":4");
}

static void past_its_deadline_a_change_that_waits_is_not_made(void **state)
{
	struct bench *b = *state;
	struct libvirt_fake first;
	const char *text = "";

	ask_for(b, 3);
	leave_with_libvirt(b, &first);
	b->fake.config.deadlines.operation_ms = 200;
	ask_for(b, 4);
	for (int i = 0; i < 1000 && !*text; i++) {
		sd_event_run(b->varlink.event, 10000);
		text = receive(b);
	}
	assert_part(text,
		    "TimedOut\",\"parameters\":{\"text\":\"libvirt has not answered an earlier "
		    "change in time; the persistent configuration was not changed");
	libvirt.done = first.done;
	libvirt.arg = first.arg;
	answer(0, "off", 3);
	assert_int_equal(libvirt.changes, 1);
	assert_null(libvirt.done);
}

static void is_told_to_those_who_listen(void **state)
{
	struct bench *b = *state;
	int asking = b->fd, listening = varlink_bench_connect(&b->varlink);

	b->fd = listening;
	send_call(b, "Events", "", true);
	assert_string_equal(receive(b), "");
	b->fd = asking;
	ask_for(b, 3);
	answer(0, "off", 3);
	assert_part(receive(b), "\"present\":3");
	b->fd = listening;
	assert_part(receive(b), "{\"event\":{\"type\":\"config\",\"domain\":\"off\",\"op\":null,");
	close(asking);
}

/* Whoever listened to it while it was managed hears of it when it is shut off, and of no other. */
static void is_told_of_a_domain_that_has_left(void **state)
{
	struct bench *b = *state;
	struct event e = { .type = EVENT_CONFIG, .vcpu = -1, .cpu = -1, .state = -1, .ran_on = -1 };

	send_call(b, "Events", "\"domain\":\"web1\"", true);
	assert_string_equal(receive(b), "");
	e.domain_name = "off";
	event_publish(b->fake.manager.bus, &e);
	assert_string_equal(receive(b), "");
	e.domain_name = "web1";
	event_publish(b->fake.manager.bus, &e);
	assert_part(receive(b), "\"type\":\"config\",\"domain\":\"web1\"");
}

/* The name of libvirt's domain is that of another here: neither its events nor its state. */
static void is_told_by_uuid_where_the_name_is_taken(void **state)
{
	struct bench *b = *state;
	int asking = b->fd, listening = varlink_bench_connect(&b->varlink);

	b->fd = listening;
	send_call(b, "Events", "", true);
	assert_string_equal(receive(b), "");
	b->fd = asking;
	send_call(b, "SetVcpus", "\"domain\":\"" UUID "\",\"count\":3,\"affect\":\"config\"",
		  false);
	assert_string_equal(receive(b), "");
	answer(0, "web1", 1);
	answer(0, "web1", 3);
	assert_part(receive(b), "\"result\":\"done\"");
	b->fd = listening;
	assert_part(receive(b), "{\"event\":{\"type\":\"config\",\"domain\":\"" UUID "\",");
	close(asking);
}

static void what_nobody_knows_is_told_as_such(void **state)
{
	struct bench *b = *state;
	int asking = b->fd, listening = varlink_bench_connect(&b->varlink);

	b->fd = listening;
	send_call(b, "Events", "", true);
	assert_string_equal(receive(b), "");
	b->fd = asking;
	ask_for(b, 3);
	answer(-ECONNRESET, "off", 0);
	assert_part(receive(b), "whether the persistent configuration was changed is not known");
	b->fd = listening;
	assert_part(receive(b), "the persistent configuration may have been changed, or not");
	close(asking);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, api_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(changes_a_domain_that_is_shut_off),
		T(a_list_is_enabled_or_disabled),
		T(tells_why_a_domain_cannot_be_changed_so),
		T(tells_who_looks_why_there_is_no_such_domain),
		T(beyond_a_limit_they_are_told_less),
		T(a_managed_domain_that_is_changed_is_an_operation),
		T(a_managed_domain_is_looked_up_by_its_uuid),
		T(maxvcpus_holds_for_the_configuration),
		T(allow_holds_for_a_domain_that_was_named_otherwise),
		T(a_client_that_left_changes_nothing_more),
		T(past_the_deadline_the_answer_comes_to_nobody),
		T(a_later_change_waits_for_one_that_cannot_be_recalled),
		T(past_its_deadline_a_change_that_waits_is_not_made),
		T(is_told_to_those_who_listen),
		T(is_told_of_a_domain_that_has_left),
		T(is_told_by_uuid_where_the_name_is_taken),
		T(what_nobody_knows_is_told_as_such),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
