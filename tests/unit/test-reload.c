/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes of each domain when the configuration is read again. */
#include "daemon/config-key.h"
#include "daemon/reload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define WEB1 "[Domain web1]\nQMP=/1q\nAgent=/1a\n"
#define WEB2 "[Domain web2]\nQMP=/2q\nAgent=/2a\n"
#define LIBVIRT "[Libvirt]\n"

enum { HAVE_MAX = 4 };

/*
 * @before: the sections of the domains that are there; of them @attached was a client's, and what
 * has no QMP= is libvirt's. @steps: in their order.
 */
static const struct {
	const char *sentence, *before, *after, *attached, *steps;
} rows[] = {
	{ "nothing changed", WEB1 WEB2, WEB1 WEB2, NULL, "keep web1, keep web2" },
	{ "the order of sections says nothing", WEB1 WEB2, WEB2 WEB1, NULL,
	  "keep web1, keep web2" },
	{ "deadlines are no domain's", WEB1, "[Daemon]\nEjectSec=2\n" WEB1, NULL, "keep web1" },
	{ "a new section", WEB1, WEB1 WEB2, NULL, "keep web1, attach web2" },
	{ "a section is gone", WEB1 WEB2, WEB2, NULL, "leave web1, keep web2" },
	{ "all sections are gone", WEB1 WEB2, "", NULL, "leave web1, leave web2" },
	{ "a ceiling", WEB1, WEB1 "MaxVcpus=3\n", NULL, "change web1" },
	{ "a ceiling is lifted", WEB1 "MaxVcpus=3\n", WEB1, NULL, "change web1" },
	{ "a place", WEB1 "Place=1\n", WEB1 "Place=1-2\n", NULL, "change web1" },
	{ "a place is given up", WEB1 "Place=1\n", WEB1 "Place=1\nPlace=none\n", NULL,
	  "change web1" },
	{ "the same place in other words", WEB1 "Place=1,2\n", WEB1 "Place=1-2\n", NULL,
	  "keep web1" },
	{ "one by one", WEB1, WEB1 "OneByOne=yes\n", NULL, "change web1" },
	{ "how often its load is wanted", WEB1, WEB1 "LoadIntervalSec=5\n", NULL, "change web1" },
	{ "no load where it is wanted of all", WEB1, WEB1 "LoadIntervalSec=0\n", NULL,
	  "change web1" },
	{ "what others plugged", WEB1, WEB1 "Foreign=online\n", NULL, "change web1" },
	{ "who may change it", WEB1, WEB1 "Allow=root\n", NULL, "change web1" },
	{ "one more may", WEB1 "Allow=root\n", WEB1 "Allow=root @adm\n", NULL, "change web1" },
	{ "another may", WEB1 "Allow=root\n", WEB1 "Allow=nobody\n", NULL, "change web1" },
	{ "the same may", WEB1 "Allow=root @adm\n", WEB1 "Allow=root @adm\n", NULL, "keep web1" },
	{ "another QMP socket", WEB1, WEB1 "QMP=/other\n", NULL, "replace web1" },
	{ "another port, and a ceiling", WEB1, WEB1 "Agent=/other\nMaxVcpus=3\n", NULL,
	  "replace web1" },
	{ "two change places", WEB1 WEB2,
	  "[Domain web1]\nQMP=/2q\nAgent=/2a\n[Domain web2]\nQMP=/1q\nAgent=/1a\n", NULL,
	  "replace web1, replace web2" },
	{ "another name for the same sockets", WEB1, "[Domain web9]\nQMP=/1q\nAgent=/1a\n", NULL,
	  "leave web1, wait web9 for web1" },
	{ "one socket of a domain that goes", WEB1, "[Domain web9]\nQMP=/9q\nAgent=/1a\n", NULL,
	  "leave web1, wait web9 for web1" },
	{ "a client's domain is none of the configuration's", WEB1 WEB2, WEB1, "web2",
	  "keep web1, keep web2" },
	{ "a section that says what a client said", WEB1, WEB1, "web1", "change web1" },
	{ "a section that says otherwise than a client", WEB1, WEB1 "QMP=/other\n", "web1",
	  "keep web1, wait web1 for web1" },
	{ "libvirt's domains stay without a section", LIBVIRT "[Domain lv1]\nMaxVcpus=3\n", LIBVIRT,
	  NULL, "change lv1" },
	{ "one that never had any", LIBVIRT "[Domain lv1]\n", LIBVIRT, NULL, "keep lv1" },
	{ "what holds for libvirt's in any case", LIBVIRT "[Domain lv1]\n",
	  LIBVIRT "[Domain lv1]\nForeign=online\n", NULL, "keep lv1" },
	{ "libvirt's have settings too", LIBVIRT "[Domain lv1]\n",
	  LIBVIRT "[Domain lv1]\nForeign=leave\n", NULL, "change lv1" },
	{ "a section of libvirt's is no new domain", WEB1, LIBVIRT WEB1 "[Domain lv1]\n", NULL,
	  "keep web1" },
	{ "a section that becomes libvirt's", WEB1, LIBVIRT "[Domain web1]\n", NULL, "leave web1" },
	{ "a section with the name of one of libvirt's", LIBVIRT "[Domain web1]\n", LIBVIRT WEB1,
	  NULL, "keep web1, wait web1 for web1" },
};

static struct config *parse(const char *text)
{
	const char *name = "test.conf";
	struct config *c = NULL;
	char *error = NULL;
	size_t len = strlen(text);

	if (config_parse(&name, &text, &len, 1, &c, &error) < 0)
		fail_msg("%s", error);
	return c;
}

/* As they are when they were found by libvirt. */
static void make_libvirts(struct config *c)
{
	struct domain_config who = { .uuid = "c7a5fdbd-cdaf-9455-926a-d65c16db1809",
				     .agent = NULL },
			     next;

	for (size_t i = 0; i < c->n_domains; i++) {
		struct domain_config *d = c->domains[i];

		if (d->qmp)
			continue;
		snprintf(who.name, sizeof(who.name), "%s", d->name);
		next = reload_settings(&who, d);
		c->domains[i] = domain_config_copy(&next);
		assert_non_null(c->domains[i]);
		domain_config_free(d);
	}
}

static void print_step(const struct reload_step *s, char *at, size_t size)
{
	static const char *const words[] = {
		[RELOAD_KEEP] = "keep",   [RELOAD_CHANGE] = "change", [RELOAD_REPLACE] = "replace",
		[RELOAD_LEAVE] = "leave", [RELOAD_ATTACH] = "attach", [RELOAD_WAIT] = "wait",
	};

	snprintf(at, size, "%s %s%s%s", words[s->act], s->have ? s->have->name : s->want->name,
		 s->other ? " for " : "", s->other ? s->other->name : "");
}

static void each_change_has_its_steps(void **ctx)
{
	for (size_t r = 0; r < N(rows); r++) {
		struct config *before = parse(rows[r].before), *after = parse(rows[r].after);
		struct reload_have have[HAVE_MAX];
		struct reload_step steps[2 * HAVE_MAX];
		char text[256] = "";
		size_t n;

		make_libvirts(before);
		for (size_t i = 0; i < before->n_domains; i++)
			have[i] = (struct reload_have){
				.config = before->domains[i],
				.configured =
					!rows[r].attached ||
					strcmp(rows[r].attached, before->domains[i]->name) != 0,
			};
		n = reload_plan(have, before->n_domains, after, steps);
		for (size_t i = 0; i < n; i++) {
			size_t at = strlen(text);

			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", i ? ", " : "");
			print_step(&steps[i], text + at, sizeof(text) - at);
		}
		if (strcmp(text, rows[r].steps) != 0)
			fail_msg("%s: %s, wanted %s", rows[r].sentence, text, rows[r].steps);
		config_free(before);
		config_free(after);
	}
}

/* Whatever was asked for: once it is done as it says, nothing is left to do. */
static void what_was_done_needs_no_second_time(void **ctx)
{
	for (size_t r = 0; r < N(rows); r++) {
		struct config *c = parse(rows[r].after);
		struct reload_have have[HAVE_MAX];
		struct reload_step steps[2 * HAVE_MAX];
		size_t n;

		make_libvirts(c);
		for (size_t i = 0; i < c->n_domains; i++)
			have[i] =
				(struct reload_have){ .config = c->domains[i], .configured = true };
		n = reload_plan(have, c->n_domains, c, steps);
		assert_int_equal(n, c->n_domains);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(steps[i].act, RELOAD_KEEP);
		config_free(c);
	}
}

static void a_domain_keeps_its_own_and_takes_the_rest(void **ctx)
{
	struct config *c = parse(WEB1 "MaxVcpus=3\nAllow=root\nQMP=/other\n");
	static char qmp[] = "/q", agent[] = "/a";
	const struct domain_config have = { .name = "web1", .qmp = qmp, .agent = agent };
	struct domain_config next = reload_settings(&have, c->domains[0]);

	assert_string_equal(next.qmp, "/q");
	assert_string_equal(next.agent, "/a");
	assert_int_equal(next.max_vcpus, 3);
	assert_string_equal(next.allow[0], "root");
	config_free(c);
}

static void libvirt_is_the_same_or_not(void **ctx)
{
	static const struct {
		const char *a, *b;
		bool same;
	} pairs[] = {
		{ "", "", true },
		{ "", LIBVIRT, false },
		{ LIBVIRT, LIBVIRT "URI=qemu:///system\n", true },
		{ LIBVIRT, LIBVIRT "URI=qemu:///session\n", false },
	};

	for (size_t i = 0; i < N(pairs); i++) {
		struct config *a = parse(pairs[i].a), *b = parse(pairs[i].b);

		assert_int_equal(reload_same_libvirt(a, b), pairs[i].same);
		assert_int_equal(reload_same_libvirt(b, a), pairs[i].same);
		config_free(a);
		config_free(b);
	}
}

/* Whoever works by it keeps it. */
static void a_configuration_lives_as_long_as_somebody_has_it(void **ctx)
{
	struct config *c = config_ref(parse(WEB1));

	assert_null(config_free(c));
	assert_string_equal(c->domains[0]->name, "web1");
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_change_has_its_steps),
		cmocka_unit_test(what_was_done_needs_no_second_time),
		cmocka_unit_test(a_domain_keeps_its_own_and_takes_the_rest),
		cmocka_unit_test(libvirt_is_the_same_or_not),
		cmocka_unit_test(a_configuration_lives_as_long_as_somebody_has_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
