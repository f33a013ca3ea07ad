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
	enum op_result result;
	const char *name;
	int exit;
} results[] = {
	{ OP_DONE, "done", 0 },           { OP_PARTIAL, "partial", 3 },
	{ OP_FAILED, "failed", 1 },       { OP_REFUSED, "refused", 4 },
	{ OP_PENDING, "pending", 5 },     { OP_ACCEPTED, "accepted", 0 },
	{ OP_CANCELLED, "cancelled", 1 }, { OP_STUCK, "stuck", 12 },
	{ OP_BUSY, "busy", 8 },           { OP_CONFLICT, "conflict", 8 },
	{ OP_NO_AGENT, "no-agent", 6 },   { OP_VM_GONE, "vm-gone", 11 },
};

static const struct {
	enum request_error error;
	const char *name;
	int exit;
} errors[] = {
	{ ERR_INVALID_ARGUMENT, "InvalidArgument", 2 },
	{ ERR_REFUSED, "Refused", 4 },
	{ ERR_TIMED_OUT, "TimedOut", 5 },
	{ ERR_NO_AGENT, "NoAgent", 6 },
	{ ERR_PERMISSION, "PermissionDenied", 7 },
	{ ERR_BUSY, "Busy", 8 },
	{ ERR_CONFLICT, "Conflict", 8 },
	{ ERR_NO_SUCH_DOMAIN, "NoSuchDomain", 10 },
	{ ERR_NO_SUCH_VCPU, "NoSuchVcpu", 10 },
	{ ERR_NO_SUCH_OPERATION, "NoSuchOperation", 10 },
	{ ERR_VM_GONE, "VmGone", 11 },
	{ ERR_INTERNAL, "Internal", 1 },
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_result_has_its_word_and_exit_code),
		cmocka_unit_test(every_error_has_its_name_and_exit_code),
		cmocka_unit_test(every_vcpu_result_has_its_word),
		cmocka_unit_test(unknown_words_are_not_found),
		cmocka_unit_test(every_exit_code_is_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
