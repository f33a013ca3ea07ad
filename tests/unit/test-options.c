/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Row: a command line; what is wrong with it, NULL nothing. */
static const struct {
	const char *words[6];
	const char *why;
} lines[] = {
	{ { NULL }, NULL },
	{ { "--config", "f", "--foreground" }, NULL },
	{ { "--config=f", "--check-config" }, NULL },
	{ { "--config" }, "needs a value" },
	{ { "--config=" }, "needs a value" },
	{ { "--socket", "" }, "needs a value" },
	{ { "--foreground=yes" }, "takes no value" },
	{ { "--forground" }, "unknown option" },
	{ { "--conf", "f" }, "unknown option" },
	{ { "-f" }, "unknown option" },
	{ { "--" }, "unknown option" },
	{ { "--=" }, "unknown option" },
	{ { "start" }, "unexpected argument" },
	{ { "" }, "unexpected argument" },
};

static void reads_command_lines(void **state)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *argv[8] = { (char[]){ "vcpuhpd" } };
		const char *why = NULL, *word = NULL;
		struct options o;
		int argc = 1, r;

		while (lines[i].words[argc - 1]) {
			argv[argc] = strdup(lines[i].words[argc - 1]);
			argc++;
		}
		r = options_parse(argc, argv, &o, &why, &word);
		assert_int_equal(r, lines[i].why ? -EINVAL : 0);
		if (lines[i].why)
			assert_string_equal(why, lines[i].why);
		for (int n = 1; n < argc; n++)
			free(argv[n]);
	}
}

static void knows_every_option(void **state)
{
	char *argv[] = { (char[]){ "vcpuhpd" },
			 (char[]){ "--config" },
			 (char[]){ "c" },
			 (char[]){ "--socket=s" },
			 (char[]){ "--runtime-dir" },
			 (char[]){ "r" },
			 (char[]){ "--state-dir" },
			 (char[]){ "t" },
			 (char[]){ "--check-config" },
			 (char[]){ "--foreground" },
			 (char[]){ "--help" },
			 (char[]){ "--version" } };
	const char *why, *word;
	struct options o;

	assert_int_equal(options_parse(1, argv, &o, &why, &word), 0);
	assert_null(o.config);
	assert_null(o.socket);
	assert_string_equal(o.runtime_dir, "/run/vcpuhp");
	assert_string_equal(o.state_dir, "/var/lib/vcpuhp");
	assert_false(o.check_config || o.foreground || o.help || o.version);
	assert_int_equal(options_parse(12, argv, &o, &why, &word), 0);
	assert_string_equal(o.config, "c");
	assert_string_equal(o.socket, "s");
	assert_string_equal(o.runtime_dir, "r");
	assert_string_equal(o.state_dir, "t");
	assert_true(o.check_config && o.foreground && o.help && o.version);
}

static char *read_help(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	options_print_help(f);
	assert_int_equal(fclose(f), 0);
	return text;
}

/* Row: an option as the help begins its line, and its default, NULL none. */
static const struct {
	const char *name, *arg, *fallback;
} helps[] = {
	{ "--config", "FILE", "/etc/vcpuhp/vcpuhpd.conf" },
	{ "--socket", "PATH", "RUNTIME-DIR/control" },
	{ "--runtime-dir", "DIR", "/run/vcpuhp" },
	{ "--state-dir", "DIR", "/var/lib/vcpuhp" },
	{ "--check-config", "", NULL },
	{ "--foreground", "", NULL },
	{ "--help", "", NULL },
	{ "--version", "", NULL },
};

enum { HELPS = sizeof(helps) / sizeof(helps[0]), HELP_COLUMN = 25 };

/* "  --NAME ARG    what it does [DEFAULT]", all texts in one column. */
static void check_help(char *line, size_t i)
{
	char head[HELP_COLUMN + 1], tail[64];

	snprintf(head, sizeof(head), "  %s %s%25s", helps[i].name, helps[i].arg, "");
	if (strncmp(line, head, HELP_COLUMN) != 0 || line[HELP_COLUMN] == ' ')
		fail_msg("not of %s: %s", helps[i].name, line);
	snprintf(tail, sizeof(tail), " [%s]", helps[i].fallback ? helps[i].fallback : "");
	if (!helps[i].fallback)
		assert_null(strchr(line, '['));
	else if (strlen(line) < strlen(tail) ||
		 strcmp(line + strlen(line) - strlen(tail), tail) != 0)
		fail_msg("%s has another default: %s", helps[i].name, line);
}

static void the_help_names_every_option_and_its_default(void **state)
{
	char *help = read_help(), *rest = NULL;
	size_t n = 0;

	for (char *line = strtok_r(help, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "  --", 4) != 0)
			continue;
		assert_true(n < HELPS);
		check_help(line, n++);
	}
	assert_int_equal(n, HELPS);
	free(help);
}

static void the_help_says_how_it_ends(void **state)
{
	char *help = read_help();

	assert_int_equal(strncmp(help, "Usage: vcpuhpd [OPTION]...\n", 27), 0);
	assert_non_null(strstr(help, "\nExit status: 0 stopped by SIGTERM or SIGINT, 1 failed to "
				     "start, 2 usage.\n"));
	assert_non_null(strstr(help, "vcpuhpd(8)"));
	free(help);
}

/* A name that the help has and the reader has not would be a promise broken. */
static void what_the_help_names_is_taken(void **state)
{
	for (size_t i = 0; i < HELPS; i++) {
		char name[32], value[] = "x", *argv[] = { value, name, value };
		const char *why = "", *word = "";
		struct options o;

		snprintf(name, sizeof(name), "%s", helps[i].name);
		if (options_parse(*helps[i].arg ? 3 : 2, argv, &o, &why, &word) < 0)
			fail_msg("%s %s", word, why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_command_lines),
		cmocka_unit_test(knows_every_option),
		cmocka_unit_test(the_help_names_every_option_and_its_default),
		cmocka_unit_test(the_help_says_how_it_ends),
		cmocka_unit_test(what_the_help_names_is_taken),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
