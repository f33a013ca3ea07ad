/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-root.h"
#include "guest-agent/sysfs.h"
#include <limits.h>
#include <sys/file.h>

static void test_read(void **state)
{
	const struct fake_root *f = *state;
	char buf[8] = "before";

	assert_int_equal(sysfs_read(f->fd, "sys/none", buf, sizeof(buf)), -ENOENT);
	assert_string_equal(buf, "before");
	fake_put(f, "sys/a", "0-3\n\n");
	assert_int_equal(sysfs_read(f->fd, "sys/a", buf, sizeof(buf)), 3);
	assert_string_equal(buf, "0-3");
	fake_put(f, "sys/a", "\n");
	assert_int_equal(sysfs_read(f->fd, "sys/a", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "");
	fake_put(f, "sys/a", "1234567");
	assert_int_equal(sysfs_read(f->fd, "sys/a", buf, sizeof(buf)), 7);
	fake_put(f, "sys/a", "12345678");
	assert_int_equal(sysfs_read(f->fd, "sys/a", buf, sizeof(buf)), -EFBIG);
	assert_int_equal(sysfs_read(f->fd, "sys", buf, sizeof(buf)), -EISDIR);
}

static const struct {
	const char *text;
	int r;
	long value;
} numbers[] = {
	{ "0\n", 0, 0 },
	{ "236\n", 0, 236 },
	{ "-1\n", 0, -1 },
	{ "", -EINVAL, 0 },
	{ "\n", -EINVAL, 0 },
	{ " 1\n", -EINVAL, 0 },
	{ "+1\n", -EINVAL, 0 },
	{ "1 2\n", -EINVAL, 0 },
	{ "x\n", -EINVAL, 0 },
	{ "1x\n", -EINVAL, 0 },
	{ "-\n", -EINVAL, 0 },
	{ "99999999999999999999\n", -EINVAL, 0 },
	{ "0x10\n", -EINVAL, 0 },
	{ "0000000000000000000000000000000000000000000000000000000000000000001", -EINVAL, 0 },
};

static void test_read_long(void **state)
{
	const struct fake_root *f = *state;
	long v = 42;

	assert_int_equal(sysfs_read_long(f->fd, "sys/n", &v), -ENOENT);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		v = 42;
		fake_put(f, "sys/n", numbers[i].text);
		assert_int_equal(sysfs_read_long(f->fd, "sys/n", &v), numbers[i].r);
		assert_int_equal(v, numbers[i].r == 0 ? numbers[i].value : 42);
	}
}

static void test_write(void **state)
{
	const struct fake_root *f = *state;

	assert_int_equal(sysfs_write(f->fd, "sys/online", "1"), -ENOENT);
	assert_false(fake_exists(f, "sys/online"));
	fake_put(f, "sys/online", "0-3,5\n");
	assert_int_equal(sysfs_write(f->fd, "sys/online", "1\n"), 0);
	assert_file(f, "sys/online", "1");
}

static void test_replace_makes_parents(void **state)
{
	const struct fake_root *f = *state;
	struct stat st;
	mode_t mask = umask(022);

	assert_int_equal(sysfs_replace(f->fd, "run/a/b/file", "one", 3), 0);
	assert_file(f, "run/a/b/file", "one");
	assert_int_equal(fstatat(f->fd, "run/a", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(sysfs_replace(f->fd, "run/a/b/file", "t\0o", 3), 0);
	assert_int_equal(fstatat(f->fd, "run/a/b/file", &st, 0), 0);
	assert_int_equal(st.st_size, 3);
	umask(mask);
}

/* Somebody's link at the place beside must not lead the write elsewhere. */
static void test_replace_follows_no_link(void **state)
{
	const struct fake_root *f = *state;
	char beside[64];

	fake_put(f, "victim", "whole");
	fake_mkdir(f, "run");
	snprintf(beside, sizeof(beside), "run/file.%d~", (int)getpid());
	assert_int_equal(symlinkat("../victim", f->fd, beside), 0);
	assert_int_equal(sysfs_replace(f->fd, "run/file", "new", 3), 0);
	assert_file(f, "victim", "whole");
	assert_file(f, "run/file", "new");
	assert_false(fake_exists(f, beside));
}

static void test_replace_fails_clean(void **state)
{
	const struct fake_root *f = *state;

	fake_put(f, "run", "a file where a folder should be");
	assert_int_equal(sysfs_replace(f->fd, "run/x", "new", 3), -ENOTDIR);
}

static void test_lock_excludes(void **state)
{
	const struct fake_root *f = *state;
	int fd = sysfs_lock(f->fd, "run/v/mask.lock"), other;

	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	other = openat(f->fd, "run/v/mask.lock", O_RDWR | O_CLOEXEC);
	assert_true(other >= 0);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
	close(fd);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_root_test(test_read),
		fake_root_test(test_read_long),
		fake_root_test(test_write),
		fake_root_test(test_replace_makes_parents),
		fake_root_test(test_replace_follows_no_link),
		fake_root_test(test_replace_fails_clean),
		fake_root_test(test_lock_excludes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
