/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/config-key.h"
#include "daemon/config-value.h"

static int parse2(const char *a, const char *b, struct config **ret, char **error)
{
	const char *const names[] = { "main.conf", "main.conf.d/10.conf" };
	const char *const texts[] = { a, b ? b : "" };
	const size_t lens[] = { strlen(texts[0]), strlen(texts[1]) };

	return config_parse(names, texts, lens, b ? 2 : 1, ret, error);
}

static struct config *parse_good(const char *a, const char *b)
{
	struct config *c = NULL;
	char *error = NULL;

	if (parse2(a, b, &c, &error) < 0)
		fail_msg("%s", error);
	return c;
}

#define WEB2 "[Domain web2]\nQMP=/run/w2.qmp\nAgent=/run/w2.agent\n"
#define WEB "[Domain web1]\nQMP=/run/w.qmp\nAgent=/run/w.agent\n"

/* One wrong line each: the sentence names file and line. */
static const struct {
	const char *text;
	const char *error;
} errors[] = {
	{ "[Daemon]\nNoSuchKey=1\n", "main.conf:2: unknown key NoSuchKey= in [Daemon]" },
	{ "[Daemon]\noperators=x\n", "main.conf:2: unknown key operators= in [Daemon]" },
	{ "[Daemon]\nQMP=/x\n", "main.conf:2: unknown key QMP= in [Daemon]" },
	{ WEB "Operators=x\n", "main.conf:4: unknown key Operators= in [Domain]" },
	{ "\n\n[Nope]\n", "main.conf:3: unknown section [Nope]" },
	{ "[Nope]\nX=1\n", "main.conf:1: unknown section [Nope]" },
	{ "[daemon]\n", "main.conf:1: unknown section [daemon]" },
	{ "[Domain]\n", "main.conf:1: unknown section [Domain]" },
	{ "[Daemon x]\n", "main.conf:1: unknown section [Daemon x]" },
	{ "[Daemon\n", "main.conf:1: a section header ends with ]" },
	{ "[Daemon] x\n", "main.conf:1: a section header ends with ]" },
	{ "Operators=x\n", "main.conf:1: Operators= stands before any section" },
	{ "[Daemon]\nnonsense\n", "main.conf:2: not a KEY=VALUE line" },
	{ "[Daemon]\n# good\n; good\n\nnonsense", "main.conf:5: not a KEY=VALUE line" },
	{ "[Daemon]\nAllowFaultInjection=maybe\n",
	  "main.conf:2: AllowFaultInjection= takes boolean, not \"maybe\"" },
	{ "[Daemon]\nAllowFaultInjection=\n",
	  "main.conf:2: AllowFaultInjection= takes boolean, not \"\"" },
	{ "[Daemon]\nQmpReplySec=0\n", "main.conf:2: QmpReplySec= takes seconds, not \"0\"" },
	{ "[Daemon]\nQmpReplySec=86400.001\n",
	  "main.conf:2: QmpReplySec= takes seconds, not \"86400.001\"" },
	{ "[Daemon]\nQmpReplySec=99999999999999999999\n",
	  "main.conf:2: QmpReplySec= takes seconds, not \"99999999999999999999\"" },
	{ "[Daemon]\nQmpReplySec=1.0001\n",
	  "main.conf:2: QmpReplySec= takes seconds, not \"1.0001\"" },
	{ "[Daemon]\nQmpReplySec=1.\n", "main.conf:2: QmpReplySec= takes seconds, not \"1.\"" },
	{ "[Daemon]\nQmpReplySec=.5\n", "main.conf:2: QmpReplySec= takes seconds, not \".5\"" },
	{ "[Daemon]\nQmpReplySec=-1\n", "main.conf:2: QmpReplySec= takes seconds, not \"-1\"" },
	{ "[Daemon]\nQmpReplySec=5s\n", "main.conf:2: QmpReplySec= takes seconds, not \"5s\"" },
	{ "[Daemon]\nQmpReplySec=1e3\n", "main.conf:2: QmpReplySec= takes seconds, not \"1e3\"" },
	{ "[Daemon]\nEjectSec=40\n",
	  "main.conf:2: EjectMaxSec= is below EjectSec=; EjectMaxSec= is 30 by default" },
	{ "[Daemon]\n\nEjectMaxSec=4\n",
	  "main.conf:3: EjectMaxSec= is below EjectSec=; EjectSec= is 5 by default" },
	{ "[Daemon]\nEjectMaxSec=8\nEjectSec=9\n",
	  "main.conf:3: EjectMaxSec= is below EjectSec=; EjectMaxSec= stands in main.conf:2" },
	{ "[Daemon]\nEjectSec=9\nEjectMaxSec=8\n",
	  "main.conf:3: EjectMaxSec= is below EjectSec=; EjectSec= stands in main.conf:2" },
#define LISTEN(v)                                                                   \
	"main.conf:2: MetricsListen= takes an absolute path of at most 103 bytes, " \
	"127.0.0.1:PORT or [::1]:PORT, not \"" v "\""
	{ "[Daemon]\nMetricsListen=9178\n", LISTEN("9178") },
	{ "[Daemon]\nMetricsListen=metrics\n", LISTEN("metrics") },
	{ "[Daemon]\nMetricsListen=0.0.0.0:9178\n", LISTEN("0.0.0.0:9178") },
	{ "[Daemon]\nMetricsListen=:9178\n", LISTEN(":9178") },
	{ "[Daemon]\nMetricsListen=localhost:9178\n", LISTEN("localhost:9178") },
	{ "[Daemon]\nMetricsListen=127.0.0.2:9178\n", LISTEN("127.0.0.2:9178") },
	{ "[Daemon]\nMetricsListen=127.0.0.1\n", LISTEN("127.0.0.1") },
	{ "[Daemon]\nMetricsListen=127.0.0.1:0\n", LISTEN("127.0.0.1:0") },
	{ "[Daemon]\nMetricsListen=127.0.0.1:65536\n", LISTEN("127.0.0.1:65536") },
	{ "[Daemon]\nMetricsListen=127.0.0.1:+1\n", LISTEN("127.0.0.1:+1") },
	{ "[Daemon]\nMetricsListen=::1:9178\n", LISTEN("::1:9178") },
	{ "[Daemon]\nMetricsListen=[::]:9178\n", LISTEN("[::]:9178") },
	{ "[Daemon]\nLoadIntervalSec=0.5\n",
	  "main.conf:2: LoadIntervalSec= takes seconds, 1 or more, or 0, not \"0.5\"" },
	{ "[Daemon]\nLoadIntervalSec=off\n",
	  "main.conf:2: LoadIntervalSec= takes seconds, 1 or more, or 0, not \"off\"" },
	{ "[Daemon]\nHookDirectory=hooks.d\n",
	  "main.conf:2: HookDirectory= takes an absolute path of at most 255 bytes, or nothing, not "
	  "\"hooks.d\"" },
	{ "[Daemon]\nHookDirectory=/etc/../x\n",
	  "main.conf:2: HookDirectory= takes an absolute path of at most 255 bytes, or nothing, not "
	  "\"/etc/../x\"" },
	{ "[Daemon]\nHookDirectory=/etc/.\n",
	  "main.conf:2: HookDirectory= takes an absolute path of at most 255 bytes, or nothing, not "
	  "\"/etc/.\"" },
	{ "[Daemon]\nHookTimeout=0\n", "main.conf:2: HookTimeout= takes seconds, not \"0\"" },
	{ "[Daemon]\nOperators=a,b\n", "main.conf:2: Operators= takes groups, not \"a,b\"" },
	{ "[Daemon]\nOperators=@@a\n", "main.conf:2: Operators= takes groups, not \"@@a\"" },
	{ "[Daemon]\nOperators=a @\n", "main.conf:2: Operators= takes groups, not \"a @\"" },
	{ "[Libvirt]\nURI=/system\n", "main.conf:2: URI= takes URI, not \"/system\"" },
	{ "[Libvirt]\nURI=qemu: x\n", "main.conf:2: URI= takes URI, not \"qemu: x\"" },
	{ "[Libvirt]\nURI=\n", "main.conf:2: URI= takes URI, not \"\"" },
	{ "[Libvirt]\n[Domain web1]\nAgent=/a\n", "main.conf:2: domain web1 needs QMP=" },
	{ "[Libvirt]\n[Domain web1]\nQMP=/a\n", "main.conf:2: domain web1 needs Agent=" },
	{ "[Libvirt]\nUrl=x\n", "main.conf:2: unknown key Url= in [Libvirt]" },
	{ "[Domain we b]\n", "main.conf:1: not a domain name: we b" },
	{ "[Domain ../x]\n", "main.conf:1: not a domain name: ../x" },
	{ "[Domain ]\n", "main.conf:1: not a domain name: " },
	{ "\n" WEB "\n[Daemon]\n[Domain web1]\n",
	  "main.conf:7: domain web1 stands twice, first in line 2" },
	{ "\n[Domain web1]\nAgent=/a\n", "main.conf:2: domain web1 needs QMP=" },
	{ "[Domain web1]\nQMP=/a\n", "main.conf:1: domain web1 needs Agent=" },
	{ "[Domain web1]\n", "main.conf:1: domain web1 needs QMP=" },
	{ "[Domain web1]\nQMP=a\n",
	  "main.conf:2: QMP= takes an absolute path of at most 107 bytes, not \"a\"" },
	{ "[Domain web1]\nAgent=\n",
	  "main.conf:2: Agent= takes an absolute path of at most 107 bytes, not \"\"" },
	{ WEB "[Domain web2]\nQMP=/run/w.qmp\nAgent=/b\n",
	  "main.conf:4: domain web2 has a socket of domain web1" },
	{ WEB "[Domain web2]\nQMP=/run/w.agent\nAgent=/b\n",
	  "main.conf:4: domain web2 has a socket of domain web1" },
	{ WEB "MaxVcpus=0\n", "main.conf:4: MaxVcpus= takes 1 to 65535, not \"0\"" },
	{ WEB "MaxVcpus=65536\n", "main.conf:4: MaxVcpus= takes 1 to 65535, not \"65536\"" },
	{ WEB "MaxVcpus=+4\n", "main.conf:4: MaxVcpus= takes 1 to 65535, not \"+4\"" },
	{ WEB "Place=\n", "main.conf:4: Place= takes none or a CPU list, not \"\"" },
	{ WEB "Place=0-\n", "main.conf:4: Place= takes none or a CPU list, not \"0-\"" },
	{ WEB "Foreign=default\n", "main.conf:4: Foreign= takes online or leave, not \"default\"" },
	{ WEB "OneByOne=true\n", "main.conf:4: OneByOne= takes auto, yes or no, not \"true\"" },
	{ WEB "LoadIntervalSec=-1\n",
	  "main.conf:4: LoadIntervalSec= takes seconds, 1 or more, or 0, not \"-1\"" },
	{ WEB "Allow=@\n", "main.conf:4: Allow= takes users and @groups, not \"@\"" },
	{ WEB "Allow=a @@b\n", "main.conf:4: Allow= takes users and @groups, not \"a @@b\"" },
	{ "[Daemon]\nOperators=\x1b[31m\n", "main.conf:2: a control byte" },
	/* The first error is told, not the last. */
	{ "[Daemon]\nA=1\nB=1\n", "main.conf:2: unknown key A= in [Daemon]" },
	{ "[Daemon]\nnonsense\nB=1\n", "main.conf:2: not a KEY=VALUE line" },
	{ "[Daemon]\nB=1\nnonsense\n", "main.conf:2: unknown key B= in [Daemon]" },
};

static void each_mistake_has_its_line(void **state)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		struct config *c = NULL;
		char *error = NULL;
		int r = parse2(errors[i].text, NULL, &c, &error);

		if (r != -EINVAL)
			fail_msg("accepted: %s", errors[i].text);
		assert_null(c);
		assert_string_equal(error, errors[i].error);
		free(error);
	}
}

static void without_a_line_the_defaults_hold(void **state)
{
	struct config *c = parse_good("", NULL);

	assert_false(c->allow_fault_injection);
	assert_null(c->operators);
	assert_int_equal(c->deadlines.qmp_reply_ms, 5000);
	assert_int_equal(c->deadlines.guest_present_ms, 10000);
	assert_int_equal(c->deadlines.eject_soft_ms, 5000);
	assert_int_equal(c->deadlines.eject_hard_ms, 30000);
	assert_int_equal(c->deadlines.agent_ping_ms, 1000);
	assert_int_equal(c->deadlines.agent_wait_ms, 10000);
	assert_int_equal(c->deadlines.operation_ms, 120000);
	assert_int_equal(c->n_domains, 0);
	assert_false(c->libvirt);
	assert_null(c->metrics_listen);
	config_free(c);
}

static void libvirt_s_domains_need_no_sockets(void **state)
{
	struct config *c = parse_good("[Domain web1]\nMaxVcpus=4\n" WEB2 "[Libvirt]\n", NULL);

	assert_true(c->libvirt);
	assert_string_equal(c->libvirt_uri, "qemu:///system");
	assert_int_equal(c->n_domains, 2);
	assert_null(c->domains[0]->qmp);
	assert_null(c->domains[0]->agent);
	assert_int_equal(c->domains[0]->max_vcpus, 4);
	config_free(c);
	c = parse_good("[Libvirt]\nURI=qemu+unix:///system?socket=/run/x\n",
		       "[Libvirt]\nURI=test:///default\n");
	assert_string_equal(c->libvirt_uri, "test:///default");
	config_free(c);
}

static const char full[] =
	"\xef\xbb\xbf# a comment\n"
	"[Daemon]\r\n"
	"  AllowFaultInjection = yes\n"
	"Operators=wheel  @vcpuhp\n"
	"QmpReplySec=0.25\n"
	"AgentPingSec=0.001\n"
	"OperationSec=86400\n"
	"LoadIntervalSec=2.5\n"
	"HookDirectory=/srv/.hooks/x\n"
	"HookTimeout=2.5\n"
	"\n"
	"[Libvirt]\n"
	"[Domain web1]\n"
	"QMP=/run/web1.qmp\n"
	"\tAgent=/run/web1.agent\n"
	"MaxVcpus=16\n"
	"Place=2-3,6\n"
	"Foreign=online\n"
	"OneByOne=no\n"
	"LoadIntervalSec=0\n"
	"Allow=alice @web\n"
	"[Domain a.23456789012345678901234567890123456789012345678901234567890123]\n"
	"QMP=/run/web2.qmp ; mine\n"
	"Agent=/run/web2.agent";

static void every_key_arrives(void **state)
{
	struct config *c = parse_good(full, NULL);
	const struct domain_config *d = c->domains[0];

	assert_true(c->allow_fault_injection);
	assert_string_equal(c->operators[0], "wheel");
	assert_string_equal(c->operators[1], "@vcpuhp");
	assert_null(c->operators[2]);
	assert_int_equal(c->deadlines.qmp_reply_ms, 250);
	assert_int_equal(c->deadlines.agent_ping_ms, 1);
	assert_int_equal(c->deadlines.operation_ms, 86400000);
	assert_int_equal(c->load_interval.ms, 2500);
	assert_true(d->load_interval.set);
	assert_int_equal(d->load_interval.ms, 0);
	assert_false(c->domains[1]->load_interval.set);
	assert_string_equal(c->hook_dir, "/srv/.hooks/x");
	assert_int_equal(c->hook_timeout_ms, 2500);
	assert_int_equal(c->n_domains, 2);
	assert_null(c->domains[2]);
	assert_string_equal(d->name, "web1");
	assert_string_equal(d->qmp, "/run/web1.qmp");
	assert_string_equal(d->agent, "/run/web1.agent");
	assert_int_equal(d->max_vcpus, 16);
	assert_true(d->has_place);
	assert_int_equal(cpulist_count(&d->place), 3);
	assert_true(cpulist_has(&d->place, 6));
	assert_int_equal(d->foreign, FOREIGN_ONLINE);
	assert_int_equal(d->one_by_one, ONE_BY_ONE_NO);
	assert_string_equal(d->allow[0], "alice");
	assert_string_equal(d->allow[1], "@web");
	assert_int_equal(strlen(c->domains[1]->name), CONFIG_NAME_MAX);
	assert_string_equal(c->domains[1]->qmp, "/run/web2.qmp");
	assert_int_equal(c->domains[1]->foreign, FOREIGN_DEFAULT);
	config_free(c);
}

static void hooks_are_where_they_are_by_default_or_nowhere(void **state)
{
	struct config *c = parse_good("[Daemon]\n", NULL);

	assert_string_equal(c->hook_dir, "/etc/vcpuhp/hooks.d");
	assert_int_equal(c->hook_timeout_ms, 10000);
	config_free(c);
	c = parse_good("[Daemon]\nHookDirectory=/a\n", "[Daemon]\nHookDirectory=\n");
	assert_null(c->hook_dir);
	config_free(c);
}

static void a_drop_in_changes_what_it_names(void **state)
{
	struct config *c = parse_good(WEB "MaxVcpus=4\nPlace=1\nAllow=bob\n[Daemon]\nOperators=a\n",
				      "[Domain web1]\nPlace=none\nAllow=\n[Daemon]\nOperators=b\n"
				      "[Domain web2]\nQMP=/q\nAgent=/a\n");

	assert_int_equal(c->n_domains, 2);
	assert_int_equal(c->domains[0]->max_vcpus, 4);
	assert_false(c->domains[0]->has_place);
	assert_null(c->domains[0]->allow);
	assert_string_equal(c->operators[0], "b");
	assert_null(c->operators[1]);
	assert_string_equal(c->domains[1]->name, "web2");
	config_free(c);
}

static void a_drop_in_is_named_in_its_mistakes(void **state)
{
	struct config *c = NULL;
	char *error = NULL;

	assert_int_equal(parse2(WEB, "[Daemon]\nX=1\n", &c, &error), -EINVAL);
	assert_string_equal(error, "main.conf.d/10.conf:2: unknown key X= in [Daemon]");
	free(error);
	assert_int_equal(parse2("", "\n[Domain z]\n", &c, &error), -EINVAL);
	assert_string_equal(error, "main.conf.d/10.conf:2: domain z needs QMP=");
	free(error);
	/* Of two keys that contradict each other the later one is at fault. */
	assert_int_equal(
		parse2("[Daemon]\n\n\n\nEjectSec=9\n", "[Daemon]\nEjectMaxSec=8\n", &c, &error),
		-EINVAL);
	assert_string_equal(error, "main.conf.d/10.conf:2: EjectMaxSec= is below EjectSec=; "
				   "EjectSec= stands in main.conf:5");
	free(error);
}

static void a_line_has_an_end(void **state)
{
	char text[4096];
	struct config *c = NULL;
	char *error = NULL;

	memset(text, 'a', sizeof(text));
	memcpy(text, "[Daemon]\nOperators=", 19);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(parse2(text, NULL, &c, &error), -EINVAL);
	assert_non_null(strstr(error, "main.conf:2: a line above "));
	free(error);
}

static void paths_fit_a_socket_address(void **state)
{
	char text[256] = "[Domain a]\nAgent=/a\nQMP=/", *p = text + strlen(text);
	struct config *c;
	char *error = NULL;

	memset(p, 'q', 106);
	c = parse_good(text, NULL);
	assert_int_equal(strlen(c->domains[0]->qmp), 107);
	config_free(c);
	p[106] = 'q';
	assert_int_equal(parse2(text, NULL, &c, &error), -EINVAL);
	free(error);
}

/* One who listens needs four bytes more of it for a moment. */
static void metrics_are_served_where_it_says(void **state)
{
	char text[256] = "[Daemon]\nMetricsListen=/", *p = text + strlen(text);
	struct config *c = NULL;
	char *error = NULL;
	bool v6;

	memset(p, 'm', 102);
	c = parse_good(text, NULL);
	assert_int_equal(strlen(c->metrics_listen), 103);
	config_free(c);
	p[102] = 'm';
	assert_int_equal(parse2(text, NULL, &c, &error), -EINVAL);
	free(error);
	c = parse_good("[Daemon]\nMetricsListen=[::1]:9178\n", NULL);
	assert_string_equal(c->metrics_listen, "[::1]:9178");
	config_free(c);
	c = parse_good("[Daemon]\nMetricsListen=127.0.0.1:9178\n", "[Daemon]\nMetricsListen=\n");
	assert_null(c->metrics_listen);
	config_free(c);
	assert_int_equal(config_loopback_port("127.0.0.1:9178", &v6), 9178);
	assert_false(v6);
	assert_int_equal(config_loopback_port("[::1]:65535", &v6), 65535);
	assert_true(v6);
	assert_int_equal(config_loopback_port("/run/vcpuhp/metrics", &v6), 0);
}

static void a_copy_is_its_own(void **state)
{
	struct config *c = parse_good(full, NULL);
	struct domain_config *d = domain_config_copy(c->domains[0]);

	config_free(c);
	assert_string_equal(d->qmp, "/run/web1.qmp");
	assert_string_equal(d->allow[1], "@web");
	assert_null(d->allow[2]);
	assert_true(d->has_place);
	domain_config_free(d);
}

static void names_are_checked(void **state)
{
	assert_true(config_is_name("web1"));
	assert_true(config_is_name("A.b_c+d-9"));
	assert_false(config_is_name(""));
	assert_false(config_is_name("a b"));
	assert_false(config_is_name("a/b"));
	assert_false(config_is_name("\xc3\xa4"));
}

/* The table that the manual page is made from knows each key once, and explains it. */
static void every_key_is_explained(void **state)
{
	const struct config_key *k, *other;

	assert_non_null(config_key_at(0));
	for (size_t i = 0; (k = config_key_at(i)); i++) {
		assert_true(strcmp(k->section, "Daemon") == 0 ||
			    strcmp(k->section, "Libvirt") == 0 ||
			    strcmp(k->section, "Domain") == 0);
		assert_true(strlen(k->name) > 0 && strlen(k->type) > 0 && strlen(k->help) > 10);
		assert_non_null(k->fallback);
		assert_int_equal(k->help[strlen(k->help) - 1], '.');
		for (size_t n = 0; n < i; n++) {
			other = config_key_at(n);
			assert_true(strcmp(k->name, other->name) != 0 ||
				    strcmp(k->section, other->section) != 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mistake_has_its_line),
		cmocka_unit_test(without_a_line_the_defaults_hold),
		cmocka_unit_test(libvirt_s_domains_need_no_sockets),
		cmocka_unit_test(every_key_arrives),
		cmocka_unit_test(hooks_are_where_they_are_by_default_or_nowhere),
		cmocka_unit_test(a_drop_in_changes_what_it_names),
		cmocka_unit_test(a_drop_in_is_named_in_its_mistakes),
		cmocka_unit_test(a_line_has_an_end),
		cmocka_unit_test(paths_fit_a_socket_address),
		cmocka_unit_test(metrics_are_served_where_it_says),
		cmocka_unit_test(a_copy_is_its_own),
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(every_key_is_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
