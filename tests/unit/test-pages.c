/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-agent/pages.h"

enum { PAGES = 4, STACK = 32 << 10 };

static bool is_there(char *p)
{
	return msync(p, 1, MS_ASYNC) == 0;
}

/* Its exit status is what @look returns in a child. */
static int in_child(int (*look)(char *p), char *p)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(look(p));
	assert_true(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* A bit for each page. */
static int look_which(char *p)
{
	int which = 0;

	for (int i = 0; i < PAGES; i++)
		which |= is_there(p + i * sysconf(_SC_PAGESIZE)) << i;
	return which;
}

static void test_withhold(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *p = pages_alloc(PAGES * page);

	assert_non_null(p);
	assert_true((uintptr_t)p % page == 0);
	for (size_t i = 0; i < PAGES * page; i++)
		assert_int_equal(p[i], 0);
	assert_int_equal(in_child(look_which, p), 0xf);
	/* From within the first to within the third. */
	pages_withhold(p + 1, 2 * page + 1);
	assert_int_equal(in_child(look_which, p), 0x9);
	assert_int_equal(look_which(p), 0xf);
	pages_withhold(p, PAGES * page);
	assert_int_equal(in_child(look_which, p), 0);
	pages_free(p, PAGES * page);
	assert_false(is_there(p));
	pages_free(NULL, 1);
}

static long faults(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_minflt;
}

/* The faults of owning the stack, which must be none the second time. */
static int look_twice(char *p)
{
	long before = faults(), first, second;

	pages_own_stack(STACK);
	first = faults() - before;
	before = faults();
	pages_own_stack(STACK);
	second = faults() - before;
	return second ? 0 : (int)first;
}

static void test_own_stack(void **state)
{
	long page = sysconf(_SC_PAGESIZE);

	pages_own_stack(STACK);
	assert_true(in_child(look_twice, NULL) >= (STACK + page - 1) / page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_withhold),
		cmocka_unit_test(test_own_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
