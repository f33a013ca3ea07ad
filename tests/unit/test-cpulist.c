/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/cpulist.h"

static const struct {
	const char *text;
	int rc;
	const char *want; /* as formatted again */
	unsigned int count;
} cases[] = {
	{ "0", 0, "0", 1 },
	{ "7\n", 0, "7", 1 },
	{ "0-3", 0, "0-3", 4 },
	{ "3,1,2", 0, "1-3", 3 },
	{ "0-3,^1", 0, "0,2-3", 3 },
	{ "^1,0-3", 0, "0-3", 4 }, /* it takes out of what came before it */
	{ "0-3,^1,1", 0, "0-3", 4 },
	{ "5-5", 0, "5", 1 },
	{ "63-64,127-128", 0, "63-64,127-128", 4 },
	{ "4095", 0, "4095", 1 },
	{ "0-4095", 0, "0-4095", 4096 },
	{ "007", 0, "7", 1 },
	{ "0,2,4,6", 0, "0,2,4,6", 4 },
	{ "4096", -ERANGE, NULL, 0 },
	{ "0-99999999999999999999", -ERANGE, NULL, 0 },
	{ "^4096,1", -ERANGE, NULL, 0 },
	{ "3-1", -EINVAL, NULL, 0 },
	{ "1,^1", -EINVAL, NULL, 0 },
	{ "^1", -EINVAL, NULL, 0 },
	{ "1,", -EINVAL, NULL, 0 },
	{ ",1", -EINVAL, NULL, 0 },
	{ "1,,2", -EINVAL, NULL, 0 },
	{ "1-", -EINVAL, NULL, 0 },
	{ "-1", -EINVAL, NULL, 0 },
	{ "1-2-3", -EINVAL, NULL, 0 },
	{ "0-4,^1-2", -EINVAL, NULL, 0 },
	{ "^", -EINVAL, NULL, 0 },
	{ "^^1", -EINVAL, NULL, 0 },
	{ " 1", -EINVAL, NULL, 0 },
	{ "1 ", -EINVAL, NULL, 0 },
	{ "1, 2", -EINVAL, NULL, 0 },
	{ "+1", -EINVAL, NULL, 0 },
	{ "0x1", -EINVAL, NULL, 0 },
	{ "1\n\n", -EINVAL, NULL, 0 },
	{ "a", -EINVAL, NULL, 0 },
};

static void lists_as_virsh_and_the_kernel_write_them(void **ctx)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cpulist l, before;
		char text[64];

		memset(&l, 0x5a, sizeof(l));
		before = l;
		assert_int_equal(cpulist_parse(cases[i].text, &l), cases[i].rc);
		if (cases[i].rc < 0) {
			assert_memory_equal(&l, &before, sizeof(l));
			continue;
		}
		assert_int_equal(cpulist_count(&l), cases[i].count);
		assert_int_equal(cpulist_format(&l, text, sizeof(text)), strlen(cases[i].want));
		assert_string_equal(text, cases[i].want);
	}
}

static void an_empty_mask_is_the_kernels_alone(void **ctx)
{
	struct cpulist l;

	assert_int_equal(cpulist_parse("", &l), -EINVAL);
	assert_int_equal(cpulist_parse("\n", &l), -EINVAL);
	memset(&l, 0xff, sizeof(l));
	assert_int_equal(cpulist_parse_kernel("\n", &l), 0);
	assert_int_equal(cpulist_count(&l), 0);
	memset(&l, 0xff, sizeof(l));
	assert_int_equal(cpulist_parse_kernel("", &l), 0);
	assert_int_equal(cpulist_next(&l, 0), -1);
	assert_int_equal(cpulist_parse_kernel("0-1\n", &l), 0);
	assert_int_equal(cpulist_count(&l), 2);
	assert_int_equal(cpulist_parse_kernel("x", &l), -EINVAL);
}

static void next_walks_the_members(void **ctx)
{
	struct cpulist l;

	cpulist_zero(&l);
	cpulist_set(&l, 0);
	cpulist_set(&l, 63);
	cpulist_set(&l, 64);
	cpulist_set(&l, 4095);
	assert_int_equal(cpulist_next(&l, 0), 0);
	assert_int_equal(cpulist_next(&l, 1), 63);
	assert_int_equal(cpulist_next(&l, 64), 64);
	assert_int_equal(cpulist_next(&l, 65), 4095);
	assert_int_equal(cpulist_next(&l, 4096), -1);
	cpulist_clear(&l, 4095);
	assert_int_equal(cpulist_next(&l, 65), -1);
	assert_false(cpulist_has(&l, 4095));
	assert_false(cpulist_has(&l, 4096));
	assert_true(cpulist_has(&l, 63));
}

static void a_short_buffer_is_refused_whole(void **ctx)
{
	struct cpulist l;
	char text[8] = "xxxxxxx";

	assert_int_equal(cpulist_parse("0-3,100", &l), 0);
	assert_int_equal(cpulist_format(&l, text, sizeof(text)), 7);
	assert_int_equal(cpulist_format(&l, text, 7), -ENOBUFS);
	assert_string_equal(text, "");
	assert_int_equal(cpulist_format(&l, text, 0), -ENOBUFS);
}

/* Each set over a word's border: parse(format(l)) == l. */
static void every_small_set_survives_the_round_trip(void **ctx)
{
	for (unsigned int bits = 1; bits < 1u << 12; bits++) {
		struct cpulist l, again;
		char text[128];

		cpulist_zero(&l);
		for (unsigned int i = 0; i < 12; i++)
			if (bits >> i & 1)
				cpulist_set(&l, 58 + i);
		assert_true(cpulist_format(&l, text, sizeof(text)) > 0);
		assert_int_equal(cpulist_parse(text, &again), 0);
		assert_memory_equal(&l, &again, sizeof(l));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_as_virsh_and_the_kernel_write_them),
		cmocka_unit_test(an_empty_mask_is_the_kernels_alone),
		cmocka_unit_test(next_walks_the_members),
		cmocka_unit_test(a_short_buffer_is_refused_whole),
		cmocka_unit_test(every_small_set_survives_the_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
