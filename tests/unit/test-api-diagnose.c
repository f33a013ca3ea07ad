/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Diagnose, with a libvirt that keeps a request until the test answers it: when it is asked, and what
 * the client hears of each of its answers, or without one.
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
	unsigned int asked;
	int rc; /* of asking */
	char word[PERSIST_NAME_SIZE];
	bool define;
	advise_done_fn done;
	void *arg;
};

static struct libvirt_fake libvirt;

static int fake_advise(void *discovery, const char *word, unsigned int maximum, bool define,
		       advise_done_fn done, void *arg)
{
	assert_null(libvirt.done);
	assert_int_equal(maximum, 0);
	libvirt.asked++;
	libvirt.define |= define;
	snprintf(libvirt.word, sizeof(libvirt.word), "%s", word);
	if (libvirt.rc)
		return libvirt.rc;
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
	b->fake.manager.libvirt_advise = fake_advise;
	b->fake.manager.libvirt_up = true;
	b->fake.config.libvirt = true;
	b->fake.config.deadlines.qmp_reply_ms = 60000;
	return 0;
}

static int teardown(void **state)
{
	assert_false(libvirt.define);
	assert_null(libvirt.done);
	return api_bench_teardown(state);
}

/* "off" is shut off; each has eight vCPUs, no channel and an owner. */
static void answer(int rc, const char *name)
{
	struct persist_answer a = { .rc = rc, .text = "said libvirt" };
	struct advice advice = { .n_changes = 1, .changes = { { ADVICE_CHANNEL, "the channel" } } };
	struct sight sight = { .maximum = 8, .present = 2, .n_owners = 1, .owners = { "urn:x" } };
	advise_done_fn done = libvirt.done;

	assert_non_null(done);
	libvirt.done = NULL;
	snprintf(a.domain.name, sizeof(a.domain.name), "%s", name);
	snprintf(a.domain.uuid, sizeof(a.domain.uuid), "%s", UUID);
	a.domain.running = strcmp(name, "off") != 0;
	a.domain.persistent = true;
	a.domain.maximum = 8;
	done(libvirt.arg, &a, rc ? NULL : &advice, rc ? NULL : &sight);
}

static void ask(struct bench *b, const char *domain)
{
	char params[128];

	snprintf(params, sizeof(params), "\"domain\":\"%s\"", domain);
	send_call(b, "Diagnose", params, false);
}

static void a_domain_that_only_libvirt_knows(void **state)
{
	struct bench *b = *state;
	const char *text;

	ask(b, "off");
	assert_string_equal(receive(b), "");
	assert_string_equal(libvirt.word, "off");
	answer(0, "off");
	text = receive(b);
	assert_part(text,
		    "{\"check\":\"domain\",\"severity\":\"error\",\"text\":\"off is shut off");
	assert_part(text, "\"advice\":\"vcpuhpctl domain-xml off --apply, then start it\"}");
	assert_part(text, "{\"check\":\"maximum\",\"severity\":\"ok\",\"text\":\"2 of 8 vCPUs\","
			  "\"advice\":null}");
	assert_part(text, "(urn:x)");
}

static void a_qmp_domain_is_not_asked_for(void **state)
{
	struct bench *b = *state;
	static char qmp[] = "/run/web1.qmp";

	b->fake.domain_configs[0].qmp = qmp;
	ask(b, "web1");
	assert_part(receive(b), "\"check\":\"agent\",\"severity\":\"error\"");
	assert_int_equal(libvirt.asked, 0);
}

static void a_managed_one_is_asked_for_by_its_uuid(void **state)
{
	struct bench *b = *state;

	strcpy(b->fake.domain_configs[0].uuid, UUID);
	ask(b, "web1");
	assert_string_equal(libvirt.word, UUID);
	answer(0, "web1");
	assert_part(receive(b), "\"check\":\"agent\",\"severity\":\"error\"");
}

/* libvirt took the word for an id, which is not known here before the domain is attached. */
static void what_libvirt_names_is_looked_for_by_its_uuid(void **state)
{
	struct bench *b = *state;

	strcpy(b->fake.domain_configs[0].uuid, UUID);
	ask(b, "77");
	assert_string_equal(libvirt.word, "77");
	answer(0, "web1");
	assert_part(receive(b), "\"check\":\"agent\",\"severity\":\"error\"");
}

static void a_qmp_domain_that_took_the_name_meanwhile_is_not_meant(void **state)
{
	struct bench *b = *state;
	static char qmp[] = "/run/off.qmp";

	ask(b, "off");
	strcpy(b->fake.domain_configs[0].name, "off");
	b->fake.domain_configs[0].qmp = qmp;
	answer(0, "off");
	assert_part(receive(b), "off is shut off");
}

static void without_a_domain_nobody_is_asked(void **state)
{
	struct bench *b = *state;
	const char *text;

	send_call(b, "Diagnose", "", false);
	text = receive(b);
	assert_part(text, "{\"check\":\"libvirt\",\"severity\":\"ok\"");
	assert_part(text, "\"check\":\"domain\",\"severity\":\"error\",\"text\":\"web1: agent: ");
	assert_int_equal(libvirt.asked, 0);
}

static void what_libvirt_cannot_tell(void **state)
{
	static const struct {
		const char *domain;
		int rc;
		const char *part;
	} cases[] = {
		{ "nobody", -ENOENT,
		  "NoSuchDomain\",\"parameters\":{\"text\":\"there is no domain "
		  "nobody\"" },
		{ "nobody", -ENOTCONN, "\"check\":\"libvirt\",\"severity\":\"error\"" },
		{ "nobody", -EPERM, "libvirt does not permit it: said libvirt" },
		{ "web1", -ENOENT, "\"check\":\"libvirt\",\"severity\":\"warning\"" },
		{ "web1", -ENOTCONN, "\"check\":\"libvirt\",\"severity\":\"warning\"" },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask(b, cases[i].domain);
		answer(cases[i].rc, cases[i].domain);
		assert_part(receive(b), cases[i].part);
	}
}

static void what_cannot_be_asked(void **state)
{
	struct bench *b = *state;
	const char *text;

	libvirt.rc = -EBUSY;
	ask(b, "off");
	assert_part(receive(b), "Manager.Busy\"");
	ask(b, "web1");
	text = receive(b);
	assert_part(text, "\"check\":\"libvirt\",\"severity\":\"warning\"");
	assert_part(text, "\"check\":\"agent\",\"severity\":\"error\"");
	libvirt.rc = -ENOMEM;
	ask(b, "off");
	assert_part(receive(b), "Manager.Internal\"");
	b->fake.manager.libvirt_advise = NULL;
	ask(b, "off");
	assert_part(receive(b), "NoSuchDomain\"");
	ask(b, "o/f");
	assert_part(receive(b), "InvalidArgument\"");
}

static void a_client_that_left_is_not_answered(void **state)
{
	struct bench *b = *state;
	int other = varlink_bench_connect(&b->varlink);

	ask(b, "off");
	assert_string_equal(receive(b), "");
	close(b->fd);
	b->fd = other;
	send_call(b, "GetDomain", "\"domain\":\"web1\"", false);
	assert_part(receive(b), "web1");
	answer(0, "off");
	assert_string_equal(receive(b), "");
}

static void past_the_deadline_that_is_a_finding(void **state)
{
	struct bench *b = *state;
	const char *text = "";

	b->fake.config.deadlines.qmp_reply_ms = 1;
	ask(b, "off");
	for (int i = 0; i < 1000 && !*text; i++) {
		sd_event_run(b->varlink.event, 10000);
		text = receive(b);
	}
	assert_part(text, "\"check\":\"libvirt\",\"severity\":\"error\"");
	assert_part(text, "libvirt has not answered in time");
	answer(0, "off");
	assert_string_equal(receive(b), "");
}

static void who_may_change_it(void **state)
{
	static const struct {
		uid_t uid;
		const char *severity, *part;
	} users[] = {
		{ 0, "ok", "uid 0 may change web1" },
		{ 54321, "ok", "uid 54321 may change web1" },
		{ 60000, "error", "it takes a group of Operators= and to be in Allow=" },
	};
	struct bench *b = *state;
	char part[64];

	if (getuid() != 0)
		skip();
	b->fake.manager.libvirt_advise = NULL;
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		const char *text;

		close(b->fd);
		b->fd = varlink_bench_connect_as(&b->varlink, users[i].uid, 60000);
		ask(b, "web1");
		text = receive(b);
		snprintf(part, sizeof(part), "\"check\":\"permission\",\"severity\":\"%s\"",
			 users[i].severity);
		assert_part(text, part);
		assert_part(text, users[i].part);
	}
}

static void the_allow_of_a_qmp_domain_is_not_that_of_its_namesake(void **state)
{
	struct bench *b = *state;
	static char qmp[] = "/run/web1.qmp";
	const char *text;

	if (getuid() != 0)
		skip();
	b->fake.domain_configs[0].qmp = qmp;
	close(b->fd);
	b->fd = varlink_bench_connect_as(&b->varlink, 60000, 60000);
	ask(b, UUID);
	answer(0, "web1");
	text = receive(b);
	assert_part(text, "it takes a group of Operators=\"");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_domain_that_only_libvirt_knows),
		T(a_qmp_domain_is_not_asked_for),
		T(a_managed_one_is_asked_for_by_its_uuid),
		T(what_libvirt_names_is_looked_for_by_its_uuid),
		T(a_qmp_domain_that_took_the_name_meanwhile_is_not_meant),
		T(without_a_domain_nobody_is_asked),
		T(what_libvirt_cannot_tell),
		T(what_cannot_be_asked),
		T(a_client_that_left_is_not_answered),
		T(past_the_deadline_that_is_a_finding),
		T(who_may_change_it),
		T(the_allow_of_a_qmp_domain_is_not_that_of_its_namesake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
