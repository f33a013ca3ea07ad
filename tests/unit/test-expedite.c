/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-root.h"
#include "guest-agent/expedite.h"
#include "guest-agent/sysfs.h"

#define EXPEDITED "sys/kernel/rcu_expedited"
#define NORMAL "sys/kernel/rcu_normal"
#define ISOLATED "sys/devices/system/cpu/isolated"
#define NOHZ_FULL "sys/devices/system/cpu/nohz_full"
#define SAVED "run/vcpuhp-agent/expedite"

static void put_kernel(const struct fake_root *f)
{
	fake_put(f, EXPEDITED, "0\n");
	fake_put(f, NORMAL, "0\n");
	fake_put(f, ISOLATED, "\n");
	fake_put(f, NOHZ_FULL, "(null)\n");
}

static struct expedite init(const struct fake_root *f, enum expedite_mode mode)
{
	struct expedite e;

	assert_int_equal(expedite_init(&e, f->fd, mode), 0);
	return e;
}

static bool is_on_record(const struct fake_root *f)
{
	char text[8];
	int n = sysfs_read(f->fd, SAVED, text, sizeof(text));

	assert_true(n > 0 || n == -ENOENT);
	assert_true(n < 0 || strcmp(text, "0") == 0 || strcmp(text, "-") == 0);
	return n > 0 && *text == '0';
}

static void test_for_the_length_of_an_operation(void **state)
{
	const struct fake_root *f = *state;
	struct expedite e;

	put_kernel(f);
	e = init(f, EXPEDITE_AUTO);
	assert_int_equal(expedite_end(&e), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(expedite_begin(&e), 0);
		assert_true(e.active);
		assert_file(f, EXPEDITED, "1");
		assert_file(f, SAVED, "0");
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(expedite_end(&e), 0);
		assert_false(e.active);
		assert_file(f, EXPEDITED, "0");
		assert_false(is_on_record(f));
	}
}

static ino_t record_inode(const struct fake_root *f)
{
	struct stat st;

	assert_int_equal(fstatat(f->fd, SAVED, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_ino;
}

/* The first CPU of a batch waits for no file to be made, nor opened. */
static void test_all_files_are_open_before_and_stay(void **state)
{
	const struct fake_root *f = *state;
	struct expedite e;
	ino_t made;

	put_kernel(f);
	e = init(f, EXPEDITE_AUTO);
	made = record_inode(f);
	assert_true(e.expedited_fd >= 0 && e.normal_fd >= 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(expedite_begin(&e), 0);
		assert_true(is_on_record(f));
		assert_int_equal(expedite_end(&e), 0);
		assert_int_equal(record_inode(f), made);
	}
	assert_int_equal(expedite_done(&e), 0);
	assert_false(fake_exists(f, SAVED));

	e = init(f, EXPEDITE_NO);
	assert_false(fake_exists(f, SAVED));
	assert_int_equal(expedite_done(&e), 0);
}

static void test_a_record_that_is_not_in_its_place_is_made_anew(void **state)
{
	const struct fake_root *f = *state;
	struct expedite e;

	put_kernel(f);
	e = init(f, EXPEDITE_AUTO);
	for (int replaced = 0; replaced < 2; replaced++) {
		assert_int_equal(renameat(f->fd, SAVED, f->fd, "run/elsewhere"), 0);
		if (replaced)
			fake_put(f, SAVED, "-\n");
		assert_int_equal(expedite_begin(&e), 0);
		assert_true(is_on_record(f));
		assert_int_equal(unlinkat(f->fd, SAVED, 0), 0);
		assert_int_equal(expedite_end(&e), 0);
		assert_file(f, EXPEDITED, "0");
		assert_int_equal(expedite_begin(&e), 0);
		assert_true(is_on_record(f));
		assert_int_equal(expedite_end(&e), 0);
	}
	assert_int_equal(expedite_begin(&e), 0);
	assert_true(is_on_record(f));
	assert_int_equal(expedite_done(&e), 0);
	assert_file(f, EXPEDITED, "0");
	assert_false(fake_exists(f, SAVED));
}

static const struct {
	const char *what;
	enum expedite_mode mode;
	const char *path;
	const char *text; /* NULL: the file is missing */
	bool active;
} cases[] = {
	{ "auto on a plain kernel", EXPEDITE_AUTO, NORMAL, "0\n", true },
	{ "auto with rcu_normal", EXPEDITE_AUTO, NORMAL, "1\n", false },
	{ "auto without rcu_normal", EXPEDITE_AUTO, NORMAL, NULL, true },
	{ "auto with an isolated CPU", EXPEDITE_AUTO, ISOLATED, "2-3\n", false },
	{ "auto without the isolated file", EXPEDITE_AUTO, ISOLATED, NULL, true },
	{ "auto with a nohz_full CPU", EXPEDITE_AUTO, NOHZ_FULL, "0\n", false },
	{ "auto with an empty nohz_full", EXPEDITE_AUTO, NOHZ_FULL, "\n", true },
	{ "auto with the nohz_full of Linux 6.1", EXPEDITE_AUTO, NOHZ_FULL,
	  "                         (null)\n", true },
	{ "auto without the nohz_full file", EXPEDITE_AUTO, NOHZ_FULL, NULL, true },
	{ "auto where it is on already", EXPEDITE_AUTO, EXPEDITED, "1\n", false },
	{ "auto on a kernel that has none", EXPEDITE_AUTO, EXPEDITED, NULL, false },
	{ "yes with rcu_normal", EXPEDITE_YES, NORMAL, "1\n", true },
	{ "yes with an isolated CPU", EXPEDITE_YES, ISOLATED, "2-3\n", true },
	{ "yes where it is on already", EXPEDITE_YES, EXPEDITED, "1\n", false },
	{ "no", EXPEDITE_NO, NORMAL, "0\n", false },
};

static void test_when_it_is_wanted(void **state)
{
	const struct fake_root *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct expedite e;

		print_message("# %s\n", cases[i].what);
		put_kernel(f);
		if (cases[i].text)
			fake_put(f, cases[i].path, cases[i].text);
		else
			unlinkat(f->fd, cases[i].path, 0);
		e = init(f, cases[i].mode);
		assert_int_equal(expedite_begin(&e), 0);
		assert_int_equal(e.active, cases[i].active);
		assert_int_equal(is_on_record(f), cases[i].active);
		if (cases[i].active)
			assert_file(f, EXPEDITED, "1");
		assert_int_equal(expedite_end(&e), 0);
		assert_false(is_on_record(f));
	}
}

static void test_yes_says_when_it_cannot(void **state)
{
	struct expedite e = init(*state, EXPEDITE_YES);

	assert_int_equal(expedite_begin(&e), -ENOENT);
	assert_false(e.active);
	assert_false(is_on_record(*state));
}

static void test_a_killed_agent_is_put_right_by_the_next(void **state)
{
	const struct fake_root *f = *state;
	struct expedite e;

	put_kernel(f);
	e = init(f, EXPEDITE_AUTO);
	assert_int_equal(expedite_begin(&e), 0);
	e = init(f, EXPEDITE_NO);
	assert_file(f, EXPEDITED, "0");
	assert_false(is_on_record(f));
	assert_false(e.active);
}

/* Killed between saving and writing: nothing of ours stands. */
static void test_killed_before_the_write(void **state)
{
	const struct fake_root *f = *state;

	put_kernel(f);
	fake_put(f, SAVED, "0\n");
	init(f, EXPEDITE_AUTO);
	assert_file(f, EXPEDITED, "0");
	assert_false(is_on_record(f));
}

static void test_a_value_of_another_is_left(void **state)
{
	const struct fake_root *f = *state;
	struct expedite e;

	put_kernel(f);
	e = init(f, EXPEDITE_AUTO);
	assert_int_equal(expedite_begin(&e), 0);
	fake_put(f, EXPEDITED, "2\n");
	assert_int_equal(expedite_end(&e), 0);
	assert_file(f, EXPEDITED, "2");
	assert_false(is_on_record(f));
	fake_put(f, EXPEDITED, "2\n");
	fake_put(f, SAVED, "0\n");
	init(f, EXPEDITE_AUTO);
	assert_file(f, EXPEDITED, "2");
}

static void test_prepared_until_the_kicks_have_come(void **state)
{
	const struct fake_root *f = *state;
	struct expedite e;

	put_kernel(f);
	e = init(f, EXPEDITE_AUTO);
	assert_int_equal(expedite_deadline(&e), 0);
	expedite_prepare(&e, 2, 1000, 5000);
	/* Behind the answer to what came with it. */
	assert_file(f, EXPEDITED, "0");
	assert_int_equal(expedite_rest(&e, false, 5000), 0);
	assert_file(f, EXPEDITED, "1");
	assert_int_equal(expedite_deadline(&e), 6000);
	expedite_on_kick(&e, 5900);
	assert_int_equal(expedite_deadline(&e), 6900);
	/* The first has ended before the second came. */
	assert_int_equal(expedite_rest(&e, false, 6800), 0);
	assert_file(f, EXPEDITED, "1");
	expedite_on_kick(&e, 6850);
	assert_int_equal(expedite_deadline(&e), 0);
	expedite_on_kick(&e, 6860);
	assert_int_equal(expedite_rest(&e, true, 9000), 0);
	assert_file(f, EXPEDITED, "1");
	assert_int_equal(expedite_rest(&e, false, 9000), 0);
	assert_file(f, EXPEDITED, "0");
	assert_false(is_on_record(f));
}

static void test_prepared_for_nothing(void **state)
{
	const struct fake_root *f = *state;
	struct expedite e;

	put_kernel(f);
	e = init(f, EXPEDITE_AUTO);
	expedite_prepare(&e, 2, 1000, 5000);
	assert_int_equal(expedite_rest(&e, false, 5000), 0);
	assert_int_equal(expedite_rest(&e, false, 5999), 0);
	assert_file(f, EXPEDITED, "1");
	assert_int_equal(expedite_rest(&e, false, 6000), 0);
	assert_file(f, EXPEDITED, "0");
	assert_int_equal(expedite_deadline(&e), 0);

	expedite_prepare(&e, 3, UINT32_MAX, 7000);
	assert_int_equal(expedite_rest(&e, false, 7000), 0);
	assert_int_equal(expedite_deadline(&e), 67000);
	assert_file(f, EXPEDITED, "1");
	expedite_prepare(&e, 0, 1000, 7001);
	assert_int_equal(expedite_rest(&e, false, 7001), 0);
	assert_file(f, EXPEDITED, "0");

	/* Over before it began. */
	expedite_prepare(&e, 1, 0, 8000);
	assert_int_equal(expedite_rest(&e, false, 8000), 0);
	assert_file(f, EXPEDITED, "0");
}

static void test_prepared_where_it_is_not_wanted(void **state)
{
	const struct fake_root *f = *state;
	struct expedite e;

	put_kernel(f);
	e = init(f, EXPEDITE_NO);
	expedite_prepare(&e, 2, 1000, 5000);
	assert_int_equal(expedite_rest(&e, false, 5000), 0);
	assert_file(f, EXPEDITED, "0");
}

/* Also what an agent leaves that is killed at rest: somebody may have set it since. */
static void test_nothing_to_be_put_back_on_record(void **state)
{
	static const char *const texts[] = { "-\n", "hello\n", "" };
	const struct fake_root *f = *state;

	put_kernel(f);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		fake_put(f, EXPEDITED, "1\n");
		fake_put(f, SAVED, texts[i]);
		init(f, EXPEDITE_AUTO);
		assert_file(f, EXPEDITED, "1");
		assert_false(is_on_record(f));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_root_test(test_for_the_length_of_an_operation),
		fake_root_test(test_all_files_are_open_before_and_stay),
		fake_root_test(test_a_record_that_is_not_in_its_place_is_made_anew),
		fake_root_test(test_when_it_is_wanted),
		fake_root_test(test_yes_says_when_it_cannot),
		fake_root_test(test_a_killed_agent_is_put_right_by_the_next),
		fake_root_test(test_killed_before_the_write),
		fake_root_test(test_a_value_of_another_is_left),
		fake_root_test(test_prepared_until_the_kicks_have_come),
		fake_root_test(test_prepared_for_nothing),
		fake_root_test(test_prepared_where_it_is_not_wanted),
		fake_root_test(test_nothing_to_be_put_back_on_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
