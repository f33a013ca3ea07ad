/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/advice.h"

#define DOMAIN(vcpu, more)                          \
	"<domain type='kvm'><name>web1</name>" vcpu \
	"<os><type arch='x86_64' machine='q35'>hvm</type></os>" more "</domain>"
#define CHANNEL "<channel type='unix'><target type='virtio' name='org.vcpuhp.agent.0'/></channel>"
#define WHOLE "<features><acpi/></features><devices>" CHANNEL "</devices>"

static void make(const char *text, unsigned int maximum, struct advice *a)
{
	assert_int_equal(advice_make(text, strlen(text), maximum, a), 0);
}

/* Taken for granted, it is not to be advised again. */
static void assert_stable(const struct advice *a)
{
	struct advice again;

	make(a->xml, 0, &again);
	assert_int_equal(again.n_changes, 0);
	assert_string_equal(again.xml, a->xml);
	advice_done(&again);
}

static const struct {
	const char *what;
	const char *text;
	unsigned int maximum;
	const char *changes;   /* the sentences, each with a semicolon behind it */
	const char *obstacles; /* the same */
	const char *has;       /* in the new XML */
} cases[] = {
	{ "nothing is missing", DOMAIN("<vcpu current='1'>4</vcpu>", WHOLE), 0, "", "", "<acpi/>" },
	{ "no channel",
	  DOMAIN("<vcpu current='1'>4</vcpu>", "<features><acpi/></features><devices/>"), 0,
	  "the channel org.vcpuhp.agent.0, by which vcpuhpd speaks to the agent;", "",
	  "<target type=\"virtio\" name=\"org.vcpuhp.agent.0\"/>" },
	{ "another's channel",
	  DOMAIN("<vcpu current='1'>4</vcpu>",
		 "<features><acpi/></features><devices><channel type='unix'>"
		 "<target type='virtio' name='org.qemu.guest_agent.0'/></channel></devices>"),
	  0, "the channel org.vcpuhp.agent.0, by which vcpuhpd speaks to the agent;", "",
	  "org.qemu.guest_agent.0" },
	{ "a channel of another kind",
	  DOMAIN("<vcpu current='1'>4</vcpu>",
		 "<features><acpi/></features><devices><channel type='pty'>"
		 "<target type='virtio' name='org.vcpuhp.agent.0'/></channel></devices>"),
	  0, "",
	  "its channel org.vcpuhp.agent.0 is not of type unix with a virtio target, as it must be;",
	  "pty" },
	{ "no ACPI", DOMAIN("<vcpu current='1'>4</vcpu>", "<devices>" CHANNEL "</devices>"), 0,
	  "ACPI, without which no vCPU can be plugged;", "", "<acpi/>" },
	{ "no room", DOMAIN("<vcpu>1</vcpu>", WHOLE), 0, "",
	  "all of its vCPUs (1) are there from the start, and there is room for no more;",
	  "<vcpu>1</vcpu>" },
	{ "room is made", DOMAIN("<vcpu placement='static'>1</vcpu>", WHOLE), 8,
	  "a maximum of 8 vCPUs instead of 1;", "",
	  "<vcpu placement=\"static\" current=\"1\">8</vcpu>" },
	{ "the maximum it has", DOMAIN("<vcpu current='1'>8</vcpu>", WHOLE), 8, "", "",
	  "<vcpu current=\"1\">8</vcpu>" },
	{ "a maximum below what it starts with", DOMAIN("<vcpu current='2'>8</vcpu>", WHOLE), 1,
	  "1 of the vCPUs it starts with can be unplugged, as they could not;",
	  "it starts with 2 vCPUs, more than a maximum of 1;", "current=\"2\">8<" },
	{ "boot vCPUs that stay", DOMAIN("<vcpu current='3'>4</vcpu>", WHOLE), 0,
	  "2 of the vCPUs it starts with can be unplugged, as they could not;", "",
	  "<vcpu id=\"2\" enabled=\"yes\" hotpluggable=\"yes\"/>" },
	{ "the first one has to stay", DOMAIN("<vcpu current='3'>4</vcpu>", WHOLE), 0,
	  "2 of the vCPUs it starts with can be unplugged, as they could not;", "",
	  "<vcpu id=\"0\" enabled=\"yes\" hotpluggable=\"no\"/>" },
	{ "a list with one that stays",
	  DOMAIN("<vcpu current='2'>3</vcpu><vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/>"
		 "<vcpu id='1' enabled='no' hotpluggable='yes'/>"
		 "<vcpu id='2' enabled='yes' hotpluggable='no' order='2'/></vcpus>",
		 WHOLE),
	  4,
	  "a maximum of 4 vCPUs instead of 3;"
	  "1 of the vCPUs it starts with can be unplugged, as they could not;",
	  "", "<vcpu id=\"3\" enabled=\"no\" hotpluggable=\"yes\"/>" },
	{ "a list that becomes shorter",
	  DOMAIN("<vcpu current='1'>3</vcpu><vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/>"
		 "<vcpu id='1' enabled='no' hotpluggable='yes'/>"
		 "<vcpu id='2' enabled='no' hotpluggable='yes'/></vcpus>",
		 WHOLE),
	  2, "a maximum of 2 vCPUs instead of 3;", "",
	  "<vcpu id=\"1\" enabled=\"no\" hotpluggable=\"yes\"/>\n  </vcpus>" },
	{ "a topology that grows",
	  DOMAIN("<vcpu current='1'>4</vcpu>",
		 "<cpu><topology sockets='2' dies='1' cores='2' threads='1'/></cpu>" WHOLE),
	  16, "a maximum of 16 vCPUs instead of 4;", "",
	  "<topology sockets=\"8\" dies=\"1\" cores=\"2\" threads=\"1\"/>" },
	{ "a topology that does not fit",
	  DOMAIN("<vcpu current='1'>4</vcpu>",
		 "<cpu><topology sockets='1' cores='4' threads='1'/></cpu>" WHOLE),
	  6, "", "a socket of its topology has 4 vCPUs, of which 6 is no multiple;", ">4<" },
	{ "a topology larger than any number",
	  DOMAIN("<vcpu current='1'>4</vcpu>",
		 "<cpu><topology dies='256' cores='4096' threads='4096'/></cpu>" WHOLE),
	  8, "", "a socket of its topology has 16777216 vCPUs, of which 8 is no multiple;", ">4<" },
	{ "a maximum below a vCPU that is enabled",
	  DOMAIN("<vcpu current='2'>3</vcpu><vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/>"
		 "<vcpu id='1' enabled='no' hotpluggable='yes'/>"
		 "<vcpu id='2' enabled='yes' hotpluggable='yes'/></vcpus>",
		 WHOLE),
	  2, "", "its vCPU 2 is enabled, which a maximum of 2 would not have;", "id=\"2\"" },
	{ "NUMA cells",
	  DOMAIN("<vcpu current='1'>4</vcpu>",
		 "<cpu><numa><cell id='0' cpus='0-3' memory='1'/></numa></cpu>" WHOLE),
	  8, "",
	  "it has NUMA cells: their lists of CPUs and the maximum have to be changed together, by "
	  "hand;",
	  ">4<" },
	{ "another machine",
	  "<domain type='kvm'><name>arm</name><vcpu current='1'>4</vcpu>"
	  "<os><type arch='aarch64'>hvm</type></os>" WHOLE "</domain>",
	  0, "", "only x86 machines are supported;", "aarch64" },
};

static void join(char *to, size_t size, const struct advice_line *lines, size_t n)
{
	to[0] = '\0';
	for (size_t i = 0; i < n; i++)
		snprintf(to + strlen(to), size - strlen(to), "%s;", lines[i].text);
}

static void what_is_missing_is_put_there_and_told(void **state)
{
	char text[ADVICE_MAX * ADVICE_TEXT];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct advice a;

		print_message("# %s\n", cases[i].what);
		make(cases[i].text, cases[i].maximum, &a);
		join(text, sizeof(text), a.changes, a.n_changes);
		assert_string_equal(text, cases[i].changes);
		join(text, sizeof(text), a.obstacles, a.n_obstacles);
		assert_string_equal(text, cases[i].obstacles);
		if (!strstr(a.xml, cases[i].has))
			fail_msg("%s", a.xml);
		assert_stable(&a);
		advice_done(&a);
	}
}

static void what_is_no_domain_is_an_error(void **state)
{
	static const char *const texts[] = { "", "no XML", "<domain/>", "<network/>",
					     DOMAIN("<vcpu>0</vcpu>", WHOLE) };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct advice a;

		assert_int_equal(advice_make(texts[i], strlen(texts[i]), 0, &a), -EPROTO);
		assert_null(a.xml);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_missing_is_put_there_and_told),
		cmocka_unit_test(what_is_no_domain_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
