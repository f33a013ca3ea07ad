/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ctl/command.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/step.h"
#include "daemon/ctl/words.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *text;
	int rc;
	unsigned int want;
} counts[] = {
	{ "1", 0, 1 },
	{ "65535", 0, 65535 },
	{ "007", 0, 7 },
	{ "0", -ERANGE, 0 },
	{ "65536", -ERANGE, 0 },
	{ "99999999999999999999999999", -ERANGE, 0 },
	{ "", -EINVAL, 0 },
	{ "-1", -EINVAL, 0 },
	{ "+1", -EINVAL, 0 },
	{ " 1", -EINVAL, 0 },
	{ "1 ", -EINVAL, 0 },
	{ "1\n", -EINVAL, 0 },
	{ "0x4", -EINVAL, 0 },
	{ "1e3", -EINVAL, 0 },
	{ "4.0", -EINVAL, 0 },
	{ "four", -EINVAL, 0 },
	{ "\xd9\xa4", -EINVAL, 0 }, /* an Arabic digit */
};

static void a_count_is_decimal_digits_from_1_to_65535(void **ctx)
{
	for (size_t i = 0; i < N(counts); i++) {
		unsigned int n = 12345;
		int r = words_number(counts[i].text, 1, WORDS_COUNT_MAX, &n);

		if (r != counts[i].rc || n != (r == 0 ? counts[i].want : 12345))
			fail_msg("'%s': %d, %u", counts[i].text, r, n);
	}
}

static const struct {
	const char *text;
	int rc;
	unsigned int want_ms;
} seconds[] = {
	{ "1", 0, 1000 },
	{ "1.5", 0, 1500 },
	{ "1.0005", 0, 1000 },
	{ "2.25", 0, 2250 },
	{ "86400", 0, 86400000 },
	{ "86400.000", 0, 86400000 },
	{ "86399.999", 0, 86399999 },
	{ "86400.0001", -ERANGE, 0 },
	{ "86401", -ERANGE, 0 },
	{ "0", -ERANGE, 0 },
	{ "0.999", -ERANGE, 0 },
	{ "99999999999999999999", -ERANGE, 0 },
	{ "", -EINVAL, 0 },
	{ ".5", -EINVAL, 0 },
	{ "5.", -EINVAL, 0 },
	{ "5..5", -EINVAL, 0 },
	{ "1,5", -EINVAL, 0 },
	{ "5s", -EINVAL, 0 },
	{ "-5", -EINVAL, 0 },
	{ "1e1", -EINVAL, 0 },
	{ "inf", -EINVAL, 0 },
	{ "nan", -EINVAL, 0 },
	{ "0x10", -EINVAL, 0 },
};

static void seconds_are_decimal_from_1_to_86400(void **ctx)
{
	for (size_t i = 0; i < N(seconds); i++) {
		unsigned int ms = 12345;
		int r = words_seconds(seconds[i].text, &ms);

		if (r != seconds[i].rc || ms != (r == 0 ? seconds[i].want_ms : 12345))
			fail_msg("'%s': %d, %u", seconds[i].text, r, ms);
	}
}

static const struct {
	bool (*is)(const char *text);
	const char *text;
	bool want;
} words[] = {
	{ words_is_domain, "web1", true },
	{ words_is_domain, "7", true },
	{ words_is_domain, "c7a5fdbd-edaf-9455-926a-d65c16db1809", true },
	{ words_is_domain, "A.b_c+d-e", true },
	{ words_is_domain, A64, true },
	{ words_is_domain, A64 "a", false },
	{ words_is_domain, "", false },
	{ words_is_domain, "a b", false },
	{ words_is_domain, "a/b", false },
	{ words_is_domain, "a:b", false },
	{ words_is_domain, "a\n", false },
	{ words_is_domain, "gr\xc3\xbcn", false },
	{ words_is_op, "resize-7", true },
	{ words_is_op, "2024-01-01T00:00:00.5", true },
	{ words_is_op, A64, true },
	{ words_is_op, A64 "a", false },
	{ words_is_op, "", false },
	{ words_is_op, "a b", false },
	{ words_is_op, "a+b", false },
	{ words_is_state, "ap:verify", true },
	{ words_is_state, "offline", true },
	{ words_is_state, "0", true },
	{ words_is_state, "44", true },
	{ words_is_state, "ap:dyn.10-log", true },
	{ words_is_state, "45", false },
	{ words_is_state, "ap:dyn", false },
	{ words_is_state, "ap:dyn.", false },
	{ words_is_state, "ap:dyn.a b", false },
	{ words_is_state, "Online", false },
	{ words_is_state, "", false },
	{ words_is_state, "-1", false },
	{ words_is_policy, "all", true },
	{ words_is_policy, "best-effort", true },
	{ words_is_policy, "at-least=1", true },
	{ words_is_policy, "at-least=65535", true },
	{ words_is_policy, "at-least=0", false },
	{ words_is_policy, "at-least=", false },
	{ words_is_policy, "at-least", false },
	{ words_is_policy, "at-least=-1", false },
	{ words_is_policy, "most", false },
	{ words_is_policy, "", false },
};

static void words_are_taken_exactly(void **ctx)
{
	for (size_t i = 0; i < N(words); i++)
		if (words[i].is(words[i].text) != words[i].want)
			fail_msg("row %zu: '%s'", i, words[i].text);
}

static const struct {
	const char *text;
	int rc;
} lists[] = {
	{ "2,4-7,^5", 0 },  { "0", 0 },           { "4095", 0 },       { "4096", -ERANGE },
	{ "1\n", -EINVAL }, { "", -EINVAL },      { "1,^1", -EINVAL }, { "3-1", -EINVAL },
	{ "all", -EINVAL }, { "5000x", -EINVAL }, { "1 2", -EINVAL },  { "^1", -EINVAL },
};

/* Row: a LIST that is being typed; what stands before the number, and which of 0 to 9 it may be; NULL
 * where it is none. */
static const struct {
	const char *text;
	const char *lead;
	const char *takes;
} ends[] = {
	{ "", "", "0123456789" },
	{ "7", "", "0123456789" },
	{ "2,", "2,", "013456789" },
	{ "2,4-7,1", "2,4-7,", "01389" },
	{ "2-4,^3,", "2-4,^3,", "01356789" },
	{ "4-", "4-", "56789" },
	{ "1,4-9", "1,4-", "56789" },
	{ "2-5,^", "2-5,^", "2345" },
	{ "2-5,^3,^4", "2-5,^3,^", "245" },
	{ "-", NULL, NULL },
	{ ",", NULL, NULL },
	{ "^", NULL, NULL },
	{ "2^", NULL, NULL },
	{ "1-3-", NULL, NULL },
	{ "3-1,", NULL, NULL },
	{ "a,", NULL, NULL },
	{ "9999,", NULL, NULL },
	{ "all", NULL, NULL },
};

static void a_list_says_what_can_follow(void **ctx)
{
	for (size_t i = 0; i < N(ends); i++) {
		char takes[16] = "";
		struct list_end end;
		size_t n = 0;
		int r = words_list_end(ends[i].text, &end);

		print_message("# %s\n", ends[i].text);
		assert_int_equal(r, ends[i].lead ? 0 : -EINVAL);
		if (!ends[i].lead)
			continue;
		assert_int_equal(end.lead, strlen(ends[i].lead));
		for (unsigned int k = 0; k < 10; k++)
			if (list_end_takes(&end, k))
				takes[n++] = (char)('0' + k);
		assert_string_equal(takes, ends[i].takes);
		assert_false(list_end_takes(&end, CPULIST_MAX) && end.above < 0);
	}
}

static void a_list_has_slots_and_a_newline_is_none(void **ctx)
{
	for (size_t i = 0; i < N(lists); i++) {
		struct cpulist l;
		int r = words_list(lists[i].text, &l);

		if (r != lists[i].rc)
			fail_msg("'%s': %d", lists[i].text, r);
	}
}

/* A command line and what is read out of it: a verb or the sentence that refuses it. */
static const struct {
	const char *argv[8];
	const char *verb;
	const char *error;
} lines[] = {
	{ { "ctl", "list" }, "list", NULL },
	{ { "ctl", "-ojson", "-q", "list" }, "list", NULL },
	{ { "ctl", "-qo", "json", "list" }, "list", NULL },
	{ { "ctl", "list", "-S/run/x", "--output=table" }, "list", NULL },
	{ { "ctl", "--", "list" }, "list", NULL },
	{ { "ctl", "setvcpus", "--no-wait", "web1", "--time", "5", "8" }, "setvcpus", NULL },
	{ { "ctl", "setvcpus", "--", "-web1", "8" }, "setvcpus", NULL },
	{ { "ctl", "setvcpus", "web1", "8", "--op-id", "-5" }, "setvcpus", NULL },
	{ { "ctl", "trace", "w", "-O-", "--op", "7" }, "trace", NULL },
	{ { "ctl", "trace", "w", "-O-", "--svg" }, "trace", NULL },
	{ { "ctl", "setvcpu", "w", "4096", "--enable" }, "setvcpu", NULL },
	{ { "ctl" }, NULL, "a command is missing" },
	{ { "ctl", "lis" }, NULL, "unknown command 'lis'" },
	{ { "ctl", "list", "x" }, NULL, "'x' is one argument too many" },
	{ { "ctl", "list", "-x" }, NULL, "unknown option -x" },
	{ { "ctl", "list", "-O", "f" }, NULL, "unknown option -O" },
	{ { "ctl", "list",
	    "--"
	    "=x" },
	  NULL,
	  "option -- is ambiguous" },
	{ { "ctl", "list", "--quiet=1" }, NULL, "option --quiet takes no value" },
	{ { "ctl", "list", "-o" }, NULL, "option -o needs a value: table|json" },
	{ { "ctl", "-o", "xml", "list" }, NULL, "'xml' is no output form" },
	{ { "ctl", "-S", "", "list" }, NULL, "--socket needs a path" },
	{ { "ctl", "--no-wait", "list" }, NULL, "unknown option --no-wait before the command" },
	{ { "ctl", "setvcpus", "w" }, NULL, "an argument is missing: setvcpus DOMAIN COUNT" },
	{ { "ctl", "setvcpus", "w", "-1" }, NULL, "'-1' is no count from 1 to 65535" },
	{ { "ctl", "setvcpus", "w", "-x1" }, NULL, "unknown option -x" },
	{ { "ctl", "setvcpus", "w", "1", "--guest" }, NULL, "unknown option --guest: the guest" },
	{ { "ctl", "setvcpus", "w", "1", "--guest=no" },
	  NULL,
	  "unknown option --guest: the guest" },
	{ { "ctl", "setvcpus", "w", "1", "--gues" }, NULL, "unknown option --gues" },
	{ { "ctl", "list", "--guest" }, NULL, "unknown option --guest" },
	{ { "ctl", "guestvcpus", "w" }, NULL, "unknown command 'guestvcpus': it is 'setvcpu" },
	{ { "ctl", "--guest", "w" }, NULL, "unknown option --guest before the command" },
	{ { "ctl", "vcpucount", "w", "--o" },
	  NULL,
	  "option --o is ambiguous: --output or --online" },
	{ { "ctl", "setvcpu", "w", "1", "--en", "--dis" },
	  NULL,
	  "only one of --enable, --disable" },
	{ { "ctl", "setvcpu", "w", "1" },
	  NULL,
	  "one of --enable, --disable or --standby is needed" },
	{ { "ctl", "trace", "w" }, NULL, "option -O is needed" },
	{ { "ctl", "attach", "w", "--qmp", "/q" }, NULL, "option --agent is needed" },
	{ { "ctl", "events", "--load", "--interval", "1.5" }, "events", NULL },
	{ { "ctl", "events", "--interval", "5" }, NULL, "--interval needs --load" },
	{ { "ctl", "top", "--interval", "5", "--count", "1" }, "top", NULL },
};

static void command_lines_are_read_as_the_tables_say(void **ctx)
{
	for (size_t i = 0; i < N(lines); i++) {
		struct command c;
		char *argv[9] = { 0 };
		int argc = 0, r;

		for (; argc < 8 && lines[i].argv[argc]; argc++)
			argv[argc] = strdup(lines[i].argv[argc]);
		r = command_parse(argc, argv, &c);
		if (lines[i].verb && (r != 0 || strcmp(c.verb->name, lines[i].verb) != 0))
			fail_msg("row %zu: %d %s", i, r, c.error);
		if (lines[i].error && (r != -EINVAL || !strstr(c.error, lines[i].error)))
			fail_msg("row %zu: %d %s", i, r, c.error);
		for (int k = 0; k < argc; k++)
			free(argv[k]);
	}
}

static void a_hook_does_not_wait(void **ctx)
{
	static const struct {
		const char *op;
		const char *argv[8];
		bool no_wait;
	} cases[] = {
		{ "a", { "ctl", "setvcpus", "w", "2" }, true },
		{ "a", { "ctl", "setvcpu", "w", "2", "--enable" }, true },
		{ "a", { "ctl", "target", "w", "2", "44" }, true },
		{ "a", { "ctl", "setvcpus", "w", "2", "--dry-run" }, false },
		{ "a", { "ctl", "info", "w" }, false },
		{ "", { "ctl", "setvcpus", "w", "2" }, false },
		{ NULL, { "ctl", "setvcpus", "w", "2", "--no-wait" }, true },
	};

	for (size_t i = 0; i < N(cases); i++) {
		struct command c;
		int argc = 0;

		if (cases[i].op)
			setenv("VCPUHP_OP", cases[i].op, 1);
		else
			unsetenv("VCPUHP_OP");
		while (cases[i].argv[argc])
			argc++;
		assert_int_equal(command_parse(argc, (char **)(uintptr_t)cases[i].argv, &c), 0);
		if (command_has(&c, OPT_NO_WAIT) != cases[i].no_wait)
			fail_msg("row %zu", i);
		assert_int_equal(c.inside != NULL, cases[i].op && *cases[i].op);
	}
	unsetenv("VCPUHP_OP");
}

/* Every verb's row is whole, and no word after an optional one is needed. */
static void every_row_of_the_verbs_is_whole(void **ctx)
{
	const struct verb *v;

	for (unsigned int i = 0; (v = verb_at(i)); i++) {
		unsigned int n = 0;

		while (n <= VERB_WORDS_MAX && v->words[n] != WORD_NONE)
			n++;
		assert_true(n <= VERB_WORDS_MAX && v->min_words <= n);
		assert_ptr_equal(verb_find(v->name), v);
		assert_true(v->args && v->help && v->help[strlen(v->help) - 1] == '.');
		assert_int_equal(
			(v->needed | v->one_of | v->needs.these | v->needs.with) & ~v->options, 0);
		assert_true(v->run || strcmp(v->name, "help") == 0);
	}
	assert_int_equal(OPTIONS <= 64, 1);
	for (int o = 0; o < OPTIONS; o++)
		assert_true(
			option_def((enum option)o)->help &&
			(option_def((enum option)o)->name || option_def((enum option)o)->letter));
}

static const struct {
	const char *text;
	const char *want;
} cleaned[] = {
	{ "plain text", "plain text" },
	{ "gr\xc3\xbcn", "gr\xc3\xbcn" },
	{ "\033[2J\007a\nb\177", "?[2J?a?b?" },
	{ "\xc2\x9b"
	  "31m",
	  "??31m" }, /* U+009B starts a control sequence */
	{ "\xff\xc3(\xe2\x82", "?\?(?\?" },
	{ "0123456789abcdef", "0123456789abcde" },      /* cut to the buffer */
	{ "0123456789abcd\xc3\xbc", "0123456789abcd" }, /* not in the middle of a character */
};

static void text_of_others_cannot_steer_a_terminal(void **ctx)
{
	for (size_t i = 0; i < N(cleaned); i++) {
		char buf[16];

		assert_string_equal(output_clean(cleaned[i].text, buf, sizeof(buf)),
				    cleaned[i].want);
	}
}

static const struct {
	int rc;
	const char *want;
} codes[] = {
	{ -11, "Resource temporarily unavailable (-11)" },
	{ 3, "exit status 3" },
	{ 137, "signal 9" },
	{ -99999, "error -99999" },
	{ INT32_MIN, "error -2147483648" },
};

static const struct {
	double ms;
	const char *want;
} times[] = {
	{ 76.04, "76.0 ms" }, { 0, "0.0 ms" },  { 9999.9, "9999.9 ms" }, { 12340, "12.3 s" },
	{ 247000, "4m07s" },  { -3, "0.0 ms" }, { 1e300, "long" },       { 0.0 / 0.0, "0.0 ms" },
};

static void codes_and_times_are_readable(void **ctx)
{
	char buf[64];

	for (size_t i = 0; i < N(codes); i++)
		assert_string_equal(step_format_rc(codes[i].rc, buf, sizeof(buf)), codes[i].want);
	for (size_t i = 0; i < N(times); i++)
		assert_string_equal(step_format_ms(times[i].ms, buf, sizeof(buf)), times[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_count_is_decimal_digits_from_1_to_65535),
		cmocka_unit_test(seconds_are_decimal_from_1_to_86400),
		cmocka_unit_test(words_are_taken_exactly),
		cmocka_unit_test(a_list_has_slots_and_a_newline_is_none),
		cmocka_unit_test(a_list_says_what_can_follow),
		cmocka_unit_test(command_lines_are_read_as_the_tables_say),
		cmocka_unit_test(a_hook_does_not_wait),
		cmocka_unit_test(every_row_of_the_verbs_is_whole),
		cmocka_unit_test(text_of_others_cannot_steer_a_terminal),
		cmocka_unit_test(codes_and_times_are_readable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
