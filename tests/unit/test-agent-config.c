/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "guest-agent/agent-config.h"
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "[Agent]\n"

static int parse(struct agent_config *c, const char *text, unsigned int *line, const char **why)
{
	/* From the heap and without a NUL, so that a read beyond the end is seen by the sanitizers. */
	size_t len = strlen(text);
	char *bytes = malloc(len ? len : 1);
	int r;

	assert_non_null(bytes);
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): it must not be */
	memcpy(bytes, text, len);
	r = agent_config_parse(c, bytes, len, line, why);
	free(bytes);
	return r;
}

static void test_defaults(void **state)
{
	struct agent_config c;

	(void)state;
	agent_config_defaults(&c);
	assert_string_equal(c.port, "org.vcpuhp.agent.0");
	assert_string_equal(c.callbacks, "/etc/vcpuhp/cpuhp.d");
	assert_int_equal(c.expedite, EXPEDITE_AUTO);
	assert_int_equal(c.irq, IRQ_OFF);
	assert_int_equal(c.n_cpusets, 0);
}

static void test_all_keys(void **state)
{
	static const char text[] = "# a comment\n"
				   "; another\n"
				   "\n"
				   "  [Agent]\t\n"
				   "Port = /dev/vport1p1\n"
				   "Callbacks=/opt/hooks\n"
				   "Expedite=yes\n"
				   "Irq=spread\n"
				   "Cpuset=system.slice\n"
				   "Cpuset=system.slice/a b.service\n"
				   "Cpuset=system.slice\n"
				   "   # indented comment\n"
				   "Cpuset=user.slice";
	struct agent_config c;
	unsigned int line = 77;
	const char *why = "untouched";

	(void)state;
	agent_config_defaults(&c);
	assert_int_equal(parse(&c, text, &line, &why), 0);
	assert_string_equal(c.port, "/dev/vport1p1");
	assert_string_equal(c.callbacks, "/opt/hooks");
	assert_int_equal(c.expedite, EXPEDITE_YES);
	assert_int_equal(c.irq, IRQ_SPREAD);
	assert_int_equal(c.n_cpusets, 3);
	assert_string_equal(c.cpusets[0], "system.slice");
	assert_string_equal(c.cpusets[1], "system.slice/a b.service");
	assert_string_equal(c.cpusets[2], "user.slice");
	assert_int_equal(line, 77);
	assert_string_equal(why, "untouched");
}

static void test_later_file_adds_and_resets(void **state)
{
	struct agent_config c;
	unsigned int line;
	const char *why;

	(void)state;
	agent_config_defaults(&c);
	assert_int_equal(parse(&c, HEAD "Cpuset=a\nExpedite=no\n", &line, &why), 0);
	assert_int_equal(parse(&c, HEAD "Cpuset=b\n", &line, &why), 0);
	assert_int_equal(c.n_cpusets, 2);
	assert_int_equal(c.expedite, EXPEDITE_NO);
	assert_int_equal(parse(&c, HEAD "Cpuset=\nCpuset=c\n", &line, &why), 0);
	assert_int_equal(c.n_cpusets, 1);
	assert_string_equal(c.cpusets[0], "c");
	assert_int_equal(parse(&c, "", &line, &why), 0);
	assert_int_equal(c.n_cpusets, 1);
}

static const struct {
	const char *text;
	unsigned int line;
	const char *why; /* a part of the sentence */
} bad[] = {
	{ "Port=x\n", 1, "before [Agent]" },
	{ HEAD "\nPrt=x\n", 3, "unknown key" },
	{ HEAD "port=x\n", 2, "unknown key" },
	{ "[agent]\n", 1, "unknown section" },
	{ "[Agent] x\n", 1, "unknown section" },
	{ HEAD "[Other]\n", 2, "unknown section" },
	{ HEAD "Port\n", 2, "neither" },
	{ HEAD "=x\n", 2, "unknown key" },
	{ HEAD "Port=\n", 2, "Port=" },
	{ HEAD "Port=a b\n", 2, "Port=" },
	{ HEAD "Port=/dev/../x\n", 2, "Port=" },
	{ HEAD "Port=/dev//x\n", 2, "Port=" },
	{ HEAD "Port=/\n", 2, "Port=" },
	{ HEAD "Port=..\n", 2, "Port=" },
	{ HEAD "Callbacks=etc\n", 2, "Callbacks=" },
	{ HEAD "Callbacks=/etc/..\n", 2, "Callbacks=" },
	{ HEAD "Callbacks=/etc/\n", 2, "Callbacks=" },
	{ HEAD "Callbacks=\n", 2, "Callbacks=" },
	{ HEAD "Expedite=on\n", 2, "Expedite=" },
	{ HEAD "Expedite=yesx\n", 2, "Expedite=" },
	{ HEAD "Irq=\n", 2, "Irq=" },
	{ HEAD "Cpuset=/system.slice\n", 2, "Cpuset=" },
	{ HEAD "Cpuset=a/../b\n", 2, "Cpuset=" },
	{ HEAD "Cpuset=..\n", 2, "Cpuset=" },
	{ HEAD "Cpuset=a/\n", 2, "Cpuset=" },
	{ HEAD "Irq=off\r\n", 2, "control character" },
	{ HEAD "# \x1b[31m\n", 2, "control character" },
};

static void test_errors_name_their_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct agent_config c, before;
		unsigned int line = 0;
		const char *why = NULL;

		memset(&c, 0, sizeof(c));
		agent_config_defaults(&c);
		c.irq = IRQ_SPREAD;
		before = c;
		print_message("# %s\n", bad[i].why);
		assert_int_equal(parse(&c, bad[i].text, &line, &why), -EINVAL);
		assert_int_equal(line, bad[i].line);
		assert_non_null(why);
		assert_non_null(strstr(why, bad[i].why));
		assert_memory_equal(&c, &before, sizeof(c));
	}
}

static void test_nothing_of_a_bad_file_is_taken(void **state)
{
	struct agent_config c;
	unsigned int line;
	const char *why;

	(void)state;
	agent_config_defaults(&c);
	assert_int_equal(parse(&c, HEAD "Irq=spread\nCpuset=a\nIrq=x\n", &line, &why), -EINVAL);
	assert_int_equal(line, 4);
	assert_int_equal(c.irq, IRQ_OFF);
	assert_int_equal(c.n_cpusets, 0);
}

static void test_nul_byte(void **state)
{
	static const char text[] = HEAD "Irq=off\0x\n";
	struct agent_config c;
	unsigned int line = 0;
	const char *why;

	(void)state;
	agent_config_defaults(&c);
	assert_int_equal(agent_config_parse(&c, text, sizeof(text) - 1, &line, &why), -EINVAL);
	assert_int_equal(line, 2);
}

/* The longest that fits is taken whole, one more is an error and writes nothing beyond. */
static void test_lengths(void **state)
{
	static const char *const keys[] = { "Port=/", "Callbacks=/", "Cpuset=" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		for (int extra = 0; extra < 2; extra++) {
			char text[CONFIG_PATH_MAX + 64];
			size_t room = CONFIG_PATH_MAX - 1 - (i < 2) + (size_t)extra, at;
			struct agent_config c;
			unsigned int line;
			const char *why;

			at = (size_t)snprintf(text, sizeof(text), HEAD "%s", keys[i]);
			memset(text + at, 'x', room);
			text[at + room] = '\0';
			agent_config_defaults(&c);
			assert_int_equal(parse(&c, text, &line, &why), extra ? -EINVAL : 0);
		}
	}
}

static void test_too_many_cpusets(void **state)
{
	struct agent_config c;
	char text[1024] = HEAD;
	unsigned int line;
	const char *why;

	(void)state;
	for (int i = 0; i < CONFIG_CPUSETS_MAX; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "Cpuset=g%d\n", i);
	agent_config_defaults(&c);
	assert_int_equal(parse(&c, text, &line, &why), 0);
	assert_int_equal(c.n_cpusets, CONFIG_CPUSETS_MAX);
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "Cpuset=one-more\n");
	assert_int_equal(parse(&c, text, &line, &why), -EINVAL);
	assert_int_equal(line, CONFIG_CPUSETS_MAX + 2);
	assert_non_null(strstr(why, "at most 16"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_all_keys),
		cmocka_unit_test(test_later_file_adds_and_resets),
		cmocka_unit_test(test_errors_name_their_line),
		cmocka_unit_test(test_nothing_of_a_bad_file_is_taken),
		cmocka_unit_test(test_nul_byte),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_too_many_cpusets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
