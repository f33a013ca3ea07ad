/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-root.h"
#include "guest-agent/announce.h"

#define FILE_PATH "run/vcpuhp-agent/cpus.json"

static int say(struct announcer *n, const struct cpulist *active, const struct cpulist *standby,
	       uint64_t serial)
{
	const struct announcement what = { serial, *active, *standby };

	return announce_write(n, &what);
}

static void test_what_applications_read(void **state)
{
	const struct fake_root *f = *state;
	struct announcer n;
	struct cpulist active, standby;
	struct stat st;
	mode_t mask = umask(077);

	announce_init(&n, f->fd);
	cpulist_zero(&active);
	cpulist_zero(&standby);
	assert_int_equal(say(&n, &active, &standby, 0), 0);
	assert_file(f, FILE_PATH,
		    "{\"serial\":0,\"active\":[],\"standby\":[],\"active_list\":\"\"}");
	for (unsigned int i = 0; i < 4; i++)
		cpulist_set(&active, i);
	cpulist_set(&active, 7);
	cpulist_set(&standby, 5);
	cpulist_set(&standby, 4095);
	assert_int_equal(say(&n, &active, &standby, UINT64_MAX), 0);
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
	struct announcer n;
	struct cpulist l;
	struct stat before, after;

	announce_init(&n, f->fd);
	cpulist_zero(&l);
	assert_int_equal(say(&n, &l, &l, 1), 0);
	assert_int_equal(fstatat(f->fd, FILE_PATH, &before, 0), 0);
	cpulist_set(&l, 1);
	assert_int_equal(linkat(f->fd, FILE_PATH, f->fd, "old", 0), 0);
	assert_int_equal(say(&n, &l, &l, 2), 0);
	assert_int_equal(fstatat(f->fd, FILE_PATH, &after, 0), 0);
	assert_true(before.st_ino != after.st_ino);
	assert_file(f, "old", "{\"serial\":1,\"active\":[],\"standby\":[],\"active_list\":\"\"}");
}

static void test_every_cpu(void **state)
{
	const struct fake_root *f = *state;
	struct announcer n;
	struct cpulist all, odd;
	struct stat st;

	announce_init(&n, f->fd);
	cpulist_zero(&all);
	cpulist_zero(&odd);
	for (unsigned int i = 0; i < CPULIST_MAX; i++) {
		cpulist_set(&all, i);
		if (i & 1)
			cpulist_set(&odd, i);
	}
	assert_int_equal(say(&n, &odd, &all, 1), 0);
	assert_int_equal(fstatat(f->fd, FILE_PATH, &st, 0), 0);
	assert_true(st.st_size > 5L * CPULIST_MAX);
}

static void test_failure_leaves_nothing_beside(void **state)
{
	const struct fake_root *f = *state;
	struct announcer n;
	struct cpulist l;

	announce_init(&n, f->fd);
	cpulist_zero(&l);
	fake_put(f, FILE_PATH "/in-the-way", "");
	assert_true(say(&n, &l, &l, 1) < 0);
	assert_int_equal(unlinkat(f->fd, FILE_PATH "/in-the-way", 0), 0);
	assert_int_equal(unlinkat(f->fd, FILE_PATH, AT_REMOVEDIR), 0);
	/* Only an empty folder can be removed. */
	assert_int_equal(unlinkat(f->fd, "run/vcpuhp-agent", AT_REMOVEDIR), 0);
}

/* What is made ahead is what an announcement goes into, and goes with who made it. */
static void test_made_ahead(void **state)
{
	const struct fake_root *f = *state;
	struct announcer n, next;
	struct cpulist l;
	struct stat ahead, after;

	announce_init(&n, f->fd);
	cpulist_zero(&l);
	announce_prepare(&n);
	assert_int_equal(fstatat(f->fd, FILE_PATH "~", &ahead, 0), 0);
	assert_false(fake_exists(f, FILE_PATH));
	assert_int_equal(say(&n, &l, &l, 1), 0);
	assert_int_equal(fstatat(f->fd, FILE_PATH, &after, 0), 0);
	assert_int_equal(ahead.st_ino, after.st_ino);
	assert_false(fake_exists(f, FILE_PATH "~"));
	announce_prepare(&n);
	/* One that was killed leaves it: the next makes its own. */
	announce_init(&next, f->fd);
	announce_prepare(&next);
	assert_int_equal(say(&next, &l, &l, 2), 0);
	announce_prepare(&next);
	announce_done(&next);
	assert_false(fake_exists(f, FILE_PATH "~"));
	/* It may be removed meanwhile, and the folder too. */
	announce_prepare(&next);
	assert_int_equal(unlinkat(f->fd, FILE_PATH "~", 0), 0);
	assert_int_equal(unlinkat(f->fd, FILE_PATH, 0), 0);
	assert_int_equal(unlinkat(f->fd, "run/vcpuhp-agent", AT_REMOVEDIR), 0);
	assert_int_equal(say(&next, &l, &l, 2), 0);
	assert_file(f, FILE_PATH,
		    "{\"serial\":2,\"active\":[],\"standby\":[],\"active_list\":\"\"}");
	close(n.fd);
}

/* A right guess is what applications get, a wrong one they never see. */
static void test_foreseen(void **state)
{
	const struct fake_root *f = *state;
	struct announcement guess = { .serial = 7 }, other = { .serial = 8 };
	struct announcer n;

	announce_init(&n, f->fd);
	/* Without the file nothing can be put into it yet. */
	announce_expect(&n, &guess);
	assert_false(fake_exists(f, FILE_PATH "~"));
	cpulist_set(&guess.active, 1);
	cpulist_set(&guess.standby, 2);
	announce_prepare(&n);
	announce_expect(&n, &guess);
	assert_file(f, FILE_PATH "~",
		    "{\"serial\":7,\"active\":[1],\"standby\":[2],\"active_list\":\"1\"}");
	assert_false(fake_exists(f, FILE_PATH));
	/* The last guess stands. */
	announce_expect(&n, &other);
	announce_expect(&n, &guess);
	/* If it is rewritten it shows that it was not taken. */
	fake_put(f, FILE_PATH "~", "the guess");
	announce_expect(&n, &guess);
	assert_int_equal(announce_write(&n, &guess), 0);
	assert_file(f, FILE_PATH, "the guess");

	announce_prepare(&n);
	guess.serial = 8;
	announce_expect(&n, &guess);
	assert_int_equal(announce_write(&n, &other), 0);
	assert_file(f, FILE_PATH,
		    "{\"serial\":8,\"active\":[],\"standby\":[],\"active_list\":\"\"}");
	/* What was taken away with the guess in it is made again. */
	announce_prepare(&n);
	announce_expect(&n, &guess);
	assert_int_equal(unlinkat(f->fd, FILE_PATH "~", 0), 0);
	assert_int_equal(announce_write(&n, &guess), 0);
	assert_file(f, FILE_PATH,
		    "{\"serial\":8,\"active\":[1],\"standby\":[2],\"active_list\":\"1\"}");
	announce_done(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_root_test(test_what_applications_read),
		fake_root_test(test_replaced_not_rewritten),
		fake_root_test(test_every_cpu),
		fake_root_test(test_made_ahead),
		fake_root_test(test_foreseen),
		fake_root_test(test_failure_leaves_nothing_beside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
