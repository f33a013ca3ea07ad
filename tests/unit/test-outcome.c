/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/outcome.h"

static const struct {
	const char *name;
	enum op_result result;
	int exit;
} results[] = {
	{ "done", OP_DONE, 0 },           { "partial", OP_PARTIAL, 3 },
	{ "failed", OP_FAILED, 1 },       { "refused", OP_REFUSED, 4 },
	{ "pending", OP_PENDING, 5 },     { "accepted", OP_ACCEPTED, 0 },
	{ "cancelled", OP_CANCELLED, 1 }, { "stuck", OP_STUCK, 12 },
	{ "busy", OP_BUSY, 8 },           { "conflict", OP_CONFLICT, 8 },
	{ "no-agent", OP_NO_AGENT, 6 },   { "vm-gone", OP_VM_GONE, 11 },
};

static const struct {
	const char *name;
	enum request_error error;
	int exit;
} errors[] = {
	{ "InvalidArgument", ERR_INVALID_ARGUMENT, 2 },
	{ "Refused", ERR_REFUSED, 4 },
	{ "TimedOut", ERR_TIMED_OUT, 5 },
	{ "NoAgent", ERR_NO_AGENT, 6 },
	{ "PermissionDenied", ERR_PERMISSION, 7 },
	{ "Busy", ERR_BUSY, 8 },
	{ "Conflict", ERR_CONFLICT, 8 },
	{ "NoSuchDomain", ERR_NO_SUCH_DOMAIN, 10 },
	{ "NoSuchVcpu", ERR_NO_SUCH_VCPU, 10 },
	{ "NoSuchOperation", ERR_NO_SUCH_OPERATION, 10 },
	{ "VmGone", ERR_VM_GONE, 11 },
	{ "Internal", ERR_INTERNAL, 1 },
};

static void every_result_has_its_word_and_exit_code(void **state)
{
	assert_int_equal(sizeof(results) / sizeof(*results), OP_RESULTS);
	for (size_t i = 0; i < OP_RESULTS; i++) {
		assert_string_equal(op_result_name(results[i].result), results[i].name);
		assert_int_equal(op_result_exit(results[i].result), results[i].exit);
		assert_int_equal(op_result_find(results[i].name), results[i].result);
	}
}

static void every_error_has_its_name_and_exit_code(void **state)
{
	assert_int_equal(sizeof(errors) / sizeof(*errors), REQUEST_ERRORS);
	for (size_t i = 0; i < REQUEST_ERRORS; i++) {
		assert_string_equal(request_error_name(errors[i].error), errors[i].name);
		assert_int_equal(request_error_exit(errors[i].error), errors[i].exit);
		assert_int_equal(request_error_find(errors[i].name), errors[i].error);
	}
}

static void every_vcpu_result_has_its_word(void **state)
{
	static const char *const words[] = { "ok",      "failed",  "rolled-back", "refused",
					     "pending", "skipped", "gone" };

	assert_int_equal(sizeof(words) / sizeof(*words), VCPU_RESULTS);
	for (int i = 0; i < VCPU_RESULTS; i++)
		assert_string_equal(vcpu_result_name(i), words[i]);
}

static void unknown_words_are_not_found(void **state)
{
	assert_int_equal(op_result_find("Done"), -EINVAL);
	assert_int_equal(op_result_find(""), -EINVAL);
	assert_int_equal(op_result_find(NULL), -EINVAL);
	assert_int_equal(request_error_find("io.vcpuhp.Manager.Busy"), -EINVAL);
	assert_int_equal(request_error_find(NULL), -EINVAL);
}

/* The exit codes are 0 to 12 and 130: each is explained, no other is, and no two alike. */
static void every_exit_code_is_explained(void **state)
{
	for (int c = -1; c < 256; c++) {
		const char *text = exit_code_meaning(c);

		if ((c < 0 || c > 12) && c != 130) {
			assert_null(text);
			continue;
		}
		assert_non_null(text);
		for (int k = 0; k < c; k++)
			if (exit_code_meaning(k))
				assert_string_not_equal(text, exit_code_meaning(k));
	}
}

static const struct {
	const char *sentence, *reason, *code;
	bool repeats;
} reasons[] = {
	{ "none at all", "", "exit status 7", true },
	{ "the code's own words", "exit status 7", "exit status 7", true },
	{ "the kernel's words for it", "Device or resource busy", "EBUSY (Device or resource busy)",
	  true },
	{ "a signal that killed it", "killed by signal 9", "signal 9", true },
	{ "another signal", "killed by signal 11", "signal 1", false },
	{ "a reason of its own", "no disk", "exit status 7", false },
	{ "the code and a reason", "exit status 7: no disk", "exit status 7", false },
	{ "a reason beside no code", "no disk", "", false },
};

static void a_reason_that_repeats_the_code_is_known(void **state)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (outcome_repeats_code(reasons[i].reason, reasons[i].code) != reasons[i].repeats)
			fail_msg("%s", reasons[i].sentence);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_result_has_its_word_and_exit_code),
		cmocka_unit_test(every_error_has_its_name_and_exit_code),
		cmocka_unit_test(every_vcpu_result_has_its_word),
		cmocka_unit_test(unknown_words_are_not_found),
		cmocka_unit_test(every_exit_code_is_explained),
		cmocka_unit_test(a_reason_that_repeats_the_code_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
