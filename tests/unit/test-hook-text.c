/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What hooks may be called, what their output says, and what their end means. */
#include "daemon/hook.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void names_are_those_of_run_parts(void **ctx)
{
	static const char *const good[] = { "a", "10-quota", "10_Quota", "-", "_", "0" };
	static const char *const bad[] = { "",        ".",   "10-a.sh",       "a~",
					   "a b",     "a/b", "10-a.dpkg-old", "\x1b[2J",
					   "\xc3\xa4" };
	char longest[HOOK_NAME_MAX + 2];

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (!hook_is_name(good[i]))
			fail_msg("'%s' is a name", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (hook_is_name(bad[i]))
			fail_msg("'%s' is no name", bad[i]);
	memset(longest, 'a', sizeof(longest));
	longest[HOOK_NAME_MAX + 1] = '\0';
	assert_false(hook_is_name(longest));
	longest[HOOK_NAME_MAX] = '\0';
	assert_true(hook_is_name(longest));
}

static void a_reason_is_the_first_line_that_is_not_blank(void **ctx)
{
	static const struct {
		const char *output, *line;
	} cases[] = {
		{ "", "" },
		{ "\n\n", "" },
		{ " \t\r\n", "" },
		{ "no", "no" },
		{ "no\nmore\n", "no" },
		{ "\n  \nno\n", "no" },
		{ "a\tb\x1b[31m\x7f\xc3\xa4", "a?b?[31m???" },
		{ "%s%n\"\\", "%s%n\"\\" },
	};
	char line[HOOK_REASON_MAX + 1], text[2 * HOOK_REASON_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		hook_first_line(cases[i].output, strlen(cases[i].output), line);
		assert_string_equal(line, cases[i].line);
	}
	hook_first_line("a\0b", 3, line);
	assert_string_equal(line, "a?b");
	memset(text, 'x', sizeof(text));
	hook_first_line(text, sizeof(text), line);
	assert_int_equal(strlen(line), HOOK_REASON_MAX);
}

static void an_end_is_told_in_a_sentence(void **ctx)
{
	static const struct {
		bool asked;
		struct hook_outcome o;
		const char *sentence;
	} cases[] = {
		{ true, { HOOK_EXITED, 1, "too many" }, "hook 10-q: too many" },
		{ true,
		  { HOOK_EXITED, 3, "" },
		  "hook 10-q objects and does not say why (exit status 3)" },
		{ false, { HOOK_EXITED, 3, "" }, "hook 10-q: exit status 3" },
		{ false, { HOOK_EXITED, 3, "oh" }, "hook 10-q: exit status 3: oh" },
		{ true,
		  { HOOK_KILLED, SIGSEGV, "oh" },
		  "hook 10-q was killed by signal 11 (SEGV); it is taken to object, and nothing was "
		  "changed" },
		{ false, { HOOK_KILLED, 64, "" }, "hook 10-q was killed by signal 64 (?)" },
		{ true,
		  { HOOK_LATE, 1500, "" },
		  "hook 10-q had not ended after 1.5 s (HookTimeout=) and was killed; it is taken to "
		  "object, and nothing was changed" },
		{ false,
		  { HOOK_UNSTARTED, -EAGAIN, "" },
		  "hook 10-q cannot be run: Resource temporarily unavailable" },
		{ true,
		  { HOOK_LOST, 0, "" },
		  "hook 10-q went with its unit (journalctl -u 'vcpuhp-hook@*' may say why); it is taken to "
		  "object, and nothing was changed" },
	};
	char sentence[HOOK_SENTENCE_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		hook_explain("10-q", cases[i].asked, &cases[i].o, sentence);
		assert_string_equal(sentence, cases[i].sentence);
	}
	assert_true(hook_is_fine(&(struct hook_outcome){ HOOK_EXITED, 0, "" }));
	assert_false(hook_is_fine(&(struct hook_outcome){ HOOK_LATE, 0, "" }));
}

/* The longest of each, and nothing is cut. */
static void a_sentence_has_room(void **ctx)
{
	char name[HOOK_NAME_MAX + 1] = "", sentence[HOOK_SENTENCE_MAX];
	struct hook_outcome o = { 0 };

	memset(name, 'n', HOOK_NAME_MAX);
	memset(o.reason, 'r', HOOK_REASON_MAX);
	for (o.how = HOOK_EXITED; o.how <= HOOK_LOST; o.how++)
		for (int asked = 0; asked < 2; asked++) {
			o.code = o.how == HOOK_UNSTARTED ? -EPROTONOSUPPORT
				 : o.how == HOOK_LATE    ? 86400000
							 : SIGSTKFLT;
			hook_explain(name, asked, &o, sentence);
			assert_true(strlen(sentence) < HOOK_SENTENCE_MAX - 1);
		}
}

static void every_event_has_a_word(void **ctx)
{
	for (int e = 0; e < HOOK_EVENTS; e++)
		assert_non_null(hook_event_name((enum hook_event)e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_of_run_parts),
		cmocka_unit_test(a_reason_is_the_first_line_that_is_not_blank),
		cmocka_unit_test(an_end_is_told_in_a_sentence),
		cmocka_unit_test(a_sentence_has_room),
		cmocka_unit_test(every_event_has_a_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
