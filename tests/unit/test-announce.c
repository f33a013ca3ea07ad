/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-root.h"
#include "guest-agent/announce.h"

#define FILE_PATH "run/vcpuhp-agent/cpus.json"

static void test_what_applications_read(void **state)
{
	const struct fake_root *f = *state;
	struct cpulist active, standby;
	struct stat st;
	mode_t mask = umask(077);

	cpulist_zero(&active);
	cpulist_zero(&standby);
	assert_int_equal(announce_write(f->fd, &active, &standby, 0), 0);
	assert_file(f, FILE_PATH,
		    "{\"serial\":0,\"active\":[],\"standby\":[],\"active_list\":\"\"}");
	for (unsigned int n = 0; n < 4; n++)
		cpulist_set(&active, n);
	cpulist_set(&active, 7);
	cpulist_set(&standby, 5);
	cpulist_set(&standby, 4095);
	assert_int_equal(announce_write(f->fd, &active, &standby, UINT64_MAX), 0);
	assert_file(f, FILE_PATH,
		    "{\"serial\":18446744073709551615,\"active\":[0,1,2,3,7],"
		    "\"standby\":[5,4095],\"active_list\":\"0-3,7\"}");
	assert_int_equal(fstatat(f->fd, FILE_PATH, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(fstatat(f->fd, "run/vcpuhp-agent", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	umask(mask);
}

/* A reader that holds the old file goes on seeing the whole old text. */
static void test_replaced_not_rewritten(void **state)
{
	const struct fake_root *f = *state;
	struct cpulist l;
	struct stat before, after;

	cpulist_zero(&l);
	assert_int_equal(announce_write(f->fd, &l, &l, 1), 0);
	assert_int_equal(fstatat(f->fd, FILE_PATH, &before, 0), 0);
	cpulist_set(&l, 1);
	assert_int_equal(linkat(f->fd, FILE_PATH, f->fd, "old", 0), 0);
	assert_int_equal(announce_write(f->fd, &l, &l, 2), 0);
	assert_int_equal(fstatat(f->fd, FILE_PATH, &after, 0), 0);
	assert_true(before.st_ino != after.st_ino);
	assert_file(f, "old", "{\"serial\":1,\"active\":[],\"standby\":[],\"active_list\":\"\"}");
}

static void test_every_cpu(void **state)
{
	const struct fake_root *f = *state;
	struct cpulist all, odd;
	struct stat st;

	cpulist_zero(&all);
	cpulist_zero(&odd);
	for (unsigned int n = 0; n < CPULIST_MAX; n++) {
		cpulist_set(&all, n);
		if (n & 1)
			cpulist_set(&odd, n);
	}
	assert_int_equal(announce_write(f->fd, &odd, &all, 1), 0);
	assert_int_equal(fstatat(f->fd, FILE_PATH, &st, 0), 0);
	assert_true(st.st_size > 5L * CPULIST_MAX);
}

static void test_failure_leaves_nothing_beside(void **state)
{
	const struct fake_root *f = *state;
	struct cpulist l;

	cpulist_zero(&l);
	fake_put(f, FILE_PATH "/in-the-way", "");
	assert_true(announce_write(f->fd, &l, &l, 1) < 0);
	assert_int_equal(unlinkat(f->fd, FILE_PATH "/in-the-way", 0), 0);
	assert_int_equal(unlinkat(f->fd, FILE_PATH, AT_REMOVEDIR), 0);
	/* Only an empty folder can be removed. */
	assert_int_equal(unlinkat(f->fd, "run/vcpuhp-agent", AT_REMOVEDIR), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_root_test(test_what_applications_read),
		fake_root_test(test_replaced_not_rewritten),
		fake_root_test(test_every_cpu),
		fake_root_test(test_failure_leaves_nothing_beside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
