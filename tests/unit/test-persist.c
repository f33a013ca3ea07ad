/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/op.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* A shut off domain with the vCPUs 0, 1 and 4 of 8. */
static struct persist_domain web1(void)
{
	struct persist_domain d = { .name = "web1", .persistent = true, .maximum = 8 };

	cpulist_parse("0-1,4", &d.enabled);
	d.present = cpulist_count(&d.enabled);
	return d;
}

static struct persist_change change(enum persist_kind kind, unsigned int count, const char *list)
{
	struct persist_change c = { .kind = kind, .count = count };

	if (list)
		assert_int_equal(cpulist_parse(list, &c.list), 0);
	return c;
}

/* @error: REQUEST_ERRORS: it is not denied, and then there are @after. */
static const struct {
	const char *sentence;
	enum persist_kind kind;
	unsigned int count;
	const char *list;
	unsigned int ceiling;
	enum request_error error;
	unsigned int after;
	const char *by, *text;
} changes[] = {
	{ "a look is no change", PERSIST_NOTHING, 0, NULL, 0, REQUEST_ERRORS, 3, NULL, NULL },
	{ "fewer", PERSIST_COUNT, 1, NULL, 0, REQUEST_ERRORS, 1, NULL, NULL },
	{ "as many as there are", PERSIST_COUNT, 3, NULL, 0, REQUEST_ERRORS, 3, NULL, NULL },
	{ "the maximum", PERSIST_COUNT, 8, NULL, 0, REQUEST_ERRORS, 8, NULL, NULL },
	{ "above the maximum", PERSIST_COUNT, 9, NULL, 0, ERR_REFUSED, 0, "limit",
	  "9 vCPUs asked, the maximum in the persistent configuration of web1 is 8" },
	{ "at the ceiling", PERSIST_COUNT, 5, NULL, 5, REQUEST_ERRORS, 5, NULL, NULL },
	{ "above the ceiling", PERSIST_COUNT, 6, NULL, 5, ERR_REFUSED, 0, "policy",
	  "6 vCPUs would be in the persistent configuration, MaxVcpus= is 5" },
	{ "down, and above the ceiling yet", PERSIST_COUNT, 2, NULL, 1, REQUEST_ERRORS, 2, NULL,
	  NULL },
	{ "enable one of them anew", PERSIST_ENABLE, 0, "4-5", 0, REQUEST_ERRORS, 4, NULL, NULL },
	{ "disable one that is not", PERSIST_DISABLE, 0, "1,7", 0, REQUEST_ERRORS, 2, NULL, NULL },
	{ "enable above the ceiling", PERSIST_ENABLE, 0, "2-3", 4, ERR_REFUSED, 0, "policy",
	  "5 vCPUs would be" },
	{ "the last slot", PERSIST_ENABLE, 0, "7", 0, REQUEST_ERRORS, 4, NULL, NULL },
	{ "beyond the last", PERSIST_ENABLE, 0, "7-8", 0, ERR_NO_SUCH_VCPU, 0, NULL,
	  "web1 has no vcpu 8 in its persistent configuration: the maximum there is 8" },
	{ "beyond, to disable", PERSIST_DISABLE, 0, "4000", 0, ERR_NO_SUCH_VCPU, 0, NULL,
	  "no vcpu 4000" },
	{ "the boot vCPU away", PERSIST_DISABLE, 0, "0", 0, ERR_REFUSED, 0, "policy", "vcpu 0" },
	{ "the boot vCPU among others", PERSIST_ENABLE, 0, "0-3", 0, ERR_REFUSED, 0, "policy",
	  "vcpu 0 is the boot vCPU" },
};

static void a_change_is_denied_or_comes_to_so_many(void **state)
{
	const struct persist_domain d = web1();

	for (size_t i = 0; i < N(changes); i++) {
		struct persist_change c =
			change(changes[i].kind, changes[i].count, changes[i].list);
		struct persist_denial denial = { .error = REQUEST_ERRORS };
		bool denied = persist_is_denied(&d, &c, changes[i].ceiling, &denial);

		print_message("# %s\n", changes[i].sentence);
		assert_int_equal(denial.error, changes[i].error);
		assert_int_equal(denied, changes[i].error != REQUEST_ERRORS);
		if (!denied) {
			assert_int_equal(persist_after(&d, &c), changes[i].after);
			continue;
		}
		assert_non_null(strstr(denial.text, changes[i].text));
		if (changes[i].by)
			assert_string_equal(denial.by, changes[i].by);
		else
			assert_null(denial.by);
	}
}

static void a_transient_domain_is_denied_everything(void **state)
{
	const struct persist_domain d = { .name = "web1", .running = true };

	for (size_t i = 0; i < N(changes); i++) {
		struct persist_change c =
			change(changes[i].kind, changes[i].count, changes[i].list);
		struct persist_denial denial;

		assert_true(persist_is_denied(&d, &c, 0, &denial));
		assert_int_equal(denial.error, ERR_REFUSED);
		assert_string_equal(denial.text, "web1 is a transient domain: it has no "
						 "persistent configuration");
	}
}

#define KEPT "the persistent configuration was not changed"
#define UNKNOWN "whether the persistent configuration was changed is not known"

static const struct {
	int rc;
	bool changing;
	const char *said;
	enum request_error error;
	const char *text;
} answers[] = {
	{ -ENOENT, false, "whatever", ERR_NO_SUCH_DOMAIN, "there is no domain web1" },
	{ -ENOTCONN, true, "no socket", ERR_INTERNAL,
	  "libvirtd cannot be reached: no socket; " KEPT },
	{ -ENOTCONN, false, "", ERR_INTERNAL, "libvirtd cannot be reached; " KEPT },
	{ -ECONNRESET, true, "EOF", ERR_INTERNAL, "libvirtd was lost: EOF; " UNKNOWN },
	{ -ECONNRESET, false, "", ERR_INTERNAL, "libvirtd was lost; " KEPT },
	{ -EBUSY, true, "lock", ERR_BUSY, "libvirt is busy with web1: lock" },
	{ -EPERM, true, "read only", ERR_PERMISSION, "libvirt does not permit it: read only" },
	{ -ENOMEM, true, "", ERR_INTERNAL, "out of memory" },
	{ -EIO, true, "no such thing", ERR_REFUSED, "libvirt refuses: no such thing" },
	{ -EOPNOTSUPP, true, "", ERR_REFUSED, "libvirt refuses" },
};

static void every_answer_of_libvirt_is_a_sentence(void **state)
{
	for (size_t i = 0; i < N(answers); i++) {
		struct persist_answer a = { .rc = answers[i].rc };
		struct persist_denial denial;

		snprintf(a.text, sizeof(a.text), "%s", answers[i].said);
		persist_explain(&a, "web1", answers[i].changing, &denial);
		assert_int_equal(denial.error, answers[i].error);
		assert_string_equal(denial.text, answers[i].text);
		assert_int_equal(denial.by != NULL, answers[i].error == ERR_REFUSED);
	}
}

static void a_request_says_what_is_to_be_in_the_configuration(void **state)
{
	struct op_request r = { .goal = OP_GOAL_COUNT, .count = 5 };
	struct persist_change c;

	op_request_persist(&r, &c);
	assert_int_equal(c.kind, PERSIST_COUNT);
	assert_int_equal(c.count, 5);
	r = (struct op_request){ .goal = OP_GOAL_TARGET, .target = CPUHP_ONLINE };
	cpulist_set(&r.list, 3);
	op_request_persist(&r, &c);
	assert_int_equal(c.kind, PERSIST_ENABLE);
	assert_true(cpulist_has(&c.list, 3));
	r.target = CPUHP_OFFLINE;
	op_request_persist(&r, &c);
	assert_int_equal(c.kind, PERSIST_DISABLE);
}

static void every_outcome_has_its_word(void **state)
{
	static const char *const words[] = { "skipped", "done", "failed", "unknown" };

	assert_int_equal(N(words), PERSIST_RESULTS);
	for (int i = 0; i < PERSIST_RESULTS; i++)
		assert_string_equal(persist_result_name((enum persist_result)i), words[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_is_denied_or_comes_to_so_many),
		cmocka_unit_test(a_transient_domain_is_denied_everything),
		cmocka_unit_test(every_answer_of_libvirt_is_a_sentence),
		cmocka_unit_test(a_request_says_what_is_to_be_in_the_configuration),
		cmocka_unit_test(every_outcome_has_its_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
