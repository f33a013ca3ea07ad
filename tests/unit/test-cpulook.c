/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-root.h"
#include "guest-agent/cpulook.h"
#include "proto/msg.h"

enum { MAX = 64 };

static void test_open(void **state)
{
	const struct fake_root *f = *state;
	int cpus;

	assert_int_equal(cpulook_open(f->fd), -ENOENT);
	fake_mkdir(f, "sys/devices/system/cpu/cpu3");
	cpus = cpulook_open(f->fd);
	assert_true(cpus >= 0);
	assert_int_not_equal(cpulook_device(cpus, 3), 0);
	close(cpus);
}

static const struct {
	const char *text; /* NULL: there is no such file */
	int want;
} rooms[] = {
	{ NULL, MAX }, { "0-3\n", 4 }, { "0\n", 1 },     { "0,7\n", 8 },
	{ "\n", MAX }, { "x\n", MAX }, { "0-63\n", 64 }, { "0-64\n", MAX },
};

static void test_possible(void **state)
{
	const struct fake_root *f = *state;

	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		if (rooms[i].text)
			fake_put(f, "possible", rooms[i].text);
		assert_int_equal(cpulook_possible(f->fd, MAX), rooms[i].want);
	}
}

static const struct {
	const char *path;
	uint16_t slot;
} paths[] = {
	{ "\\_SB_.CPUS.C003\n", 3 },
	{ "\\_SB_.CPUS.C0fF\n", 0xff },
	{ "C000\n", MSG_NO_SLOT },
	{ "\\_SB_.CPUS.C03\n", MSG_NO_SLOT },
	{ "\\_SB_.CPUS.C0030\n", MSG_NO_SLOT },
	{ "\\_SB_.CPUS.C0x3\n", MSG_NO_SLOT },
	{ "\\_SB_.CPUS.P003\n", MSG_NO_SLOT },
	{ "\\_SB_.CPUS.\n", MSG_NO_SLOT },
	{ "\n", MSG_NO_SLOT },
};

static void test_slot(void **state)
{
	const struct fake_root *f = *state;

	assert_int_equal(cpulook_slot(f->fd, 5), MSG_NO_SLOT);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		fake_put(f, "cpu5/firmware_node/path", paths[i].path);
		assert_int_equal(cpulook_slot(f->fd, 5), paths[i].slot);
	}
}

static void test_device(void **state)
{
	const struct fake_root *f = *state;
	uint64_t first;

	assert_int_equal(cpulook_device(f->fd, 1), 0);
	fake_put(f, "cpu1/online", "0\n");
	first = cpulook_device(f->fd, 1);
	assert_int_not_equal(first, 0);
	fake_put(f, "cpu1/online", "1\n");
	assert_true(cpulook_device(f->fd, 1) == first);
	/* Kept elsewhere, so that its number is not given to the next. */
	assert_int_equal(renameat(f->fd, "cpu1", f->fd, "elsewhere"), 0);
	assert_int_equal(cpulook_device(f->fd, 1), 0);
	fake_mkdir(f, "cpu1");
	assert_true(cpulook_device(f->fd, 1) != first);
}

static void test_period(void **state)
{
	const struct fake_root *f = *state;
	uint64_t first;

	assert_int_equal(cpulook_period(f->fd, 1), 0);
	fake_put(f, "cpu1/online", "1\n");
	assert_true(cpulook_period(f->fd, 1) == cpulook_device(f->fd, 1));
	assert_int_equal(cpulook_topology(f->fd, 1), 0);
	fake_mkdir(f, "cpu1/topology");
	first = cpulook_period(f->fd, 1);
	assert_true(first && first != cpulook_device(f->fd, 1));
	assert_true(cpulook_topology(f->fd, 1) == first);
	fake_mkdir(f, "cpu1/next");
	assert_int_equal(renameat(f->fd, "cpu1/next", f->fd, "cpu1/topology"), 0);
	assert_true(cpulook_period(f->fd, 1) != first);
}

static bool is_online(const struct fake_root *f, int cpu)
{
	struct cpulook_online all;

	cpulook_online(f->fd, cpulook_is_sysfs(f->fd), &all);
	return cpulook_is_online(f->fd, &all, cpu);
}

static void test_online(void **state)
{
	const struct fake_root *f = *state;

	/* A list in what is no sysfs is nobody's word. */
	fake_put(f, "online", "0-7\n");
	assert_false(is_online(f, 1));
	fake_mkdir(f, "cpu0");
	assert_true(is_online(f, 0));
	fake_put(f, "cpu1/online", "1\n");
	assert_true(is_online(f, 1));
	fake_put(f, "cpu1/online", "0\n");
	assert_false(is_online(f, 1));
	fake_put(f, "cpu1/online", "\n");
	assert_false(is_online(f, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_root_test(test_open),   fake_root_test(test_possible),
		fake_root_test(test_slot),   fake_root_test(test_device),
		fake_root_test(test_period), fake_root_test(test_online),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
