/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The scan of the callback folder and its checks, on a root folder of plain files. */
#include "callback-root.h"

struct warnings {
	unsigned int n;
	char text[4096];
};

static void note(void *ctx, const char *sentence)
{
	struct warnings *w = ctx;
	size_t used = strlen(w->text);

	w->n++;
	snprintf(w->text + used, sizeof(w->text) - used, "%s\n", sentence);
}

static void test_scan_of_nothing(void **state)
{
	const struct fake_root *f = *state;
	struct callback_list l = { .n = 7 };
	struct warnings w = { 0 };

	assert_int_equal(callback_scan(f->fd, DIR_PATH, &l, note, &w), 0);
	assert_int_equal(l.n, 0);
	fake_mkdir(f, "etc/vcpuhp/cpuhp.d");
	l.n = 7;
	assert_int_equal(callback_scan(f->fd, DIR_PATH, &l, NULL, NULL), 0);
	assert_int_equal(l.n, 0);
	assert_int_equal(w.n, 0);
}

static void test_scan_sorts_and_names_what_it_refuses(void **state)
{
	const struct fake_root *f = *state;
	struct callback_list l;
	struct warnings w = { 0 };

	put_script(f, BELOW "20-b", "");
	put_script(f, BELOW "10-z+1.sh_x", "");
	put_script(f, BELOW "20-a", "");
	put_script(f, BELOW ".20-hidden", "");
	put_script(f, BELOW "20-b~", "");
	assert_int_equal(callback_scan(f->fd, DIR_PATH, &l, note, &w), 0);
	assert_int_equal(w.n, 0);
	put_script(f, BELOW "README", "");
	put_script(f, BELOW "1-x", "");
	put_script(f, BELOW "10-", "");
	put_script(f, BELOW "10-a b", "");
	put_script(f, BELOW "10-\x1b[2J", "");
	put_program(f, BELOW "30-plain", "x", 0644);
	put_program(f, BELOW "31-group", "x", 0775);
	put_program(f, BELOW "32-all", "x", 0757);
	assert_int_equal(symlinkat("20-a", f->fd, BELOW "33-link"), 0);
	fake_mkdir(f, BELOW "34-folder");
	assert_int_equal(mkfifoat(f->fd, BELOW "35-fifo", 0755), 0);
	assert_int_equal(callback_scan(f->fd, DIR_PATH, &l, note, &w), 0);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.names[0], "10-z+1.sh_x");
	assert_string_equal(l.names[1], "20-a");
	assert_string_equal(l.names[2], "20-b");
	assert_int_equal(w.n, 11);
	assert_non_null(strstr(w.text, "30-plain: is not executable"));
	assert_non_null(strstr(w.text, "31-group: is writable by others"));
	assert_non_null(strstr(w.text, "32-all: is writable by others"));
	assert_non_null(strstr(w.text, "33-link: is a link"));
	assert_non_null(strstr(w.text, "34-folder: is not a regular file"));
	assert_non_null(strstr(w.text, "35-fifo: is not a regular file"));
	assert_null(strchr(w.text, '\x1b'));
}

static void test_scan_keeps_the_lowest(void **state)
{
	const struct fake_root *f = *state;
	struct callback_list l;
	struct warnings w = { 0 };
	char name[64];

	for (int i = 69; i >= 0; i--) {
		snprintf(name, sizeof(name), BELOW "%02d-x", i);
		put_script(f, name, "");
	}
	assert_int_equal(callback_scan(f->fd, DIR_PATH, &l, note, &w), 0);
	assert_int_equal(l.n, 64);
	assert_int_equal(w.n, 6);
	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "%02d-x", i);
		assert_string_equal(l.names[i], name);
	}
}

static int scan_result(const struct fake_root *f, const char *dir)
{
	struct callback_list l = { .n = 7 };
	int r = callback_scan(f->fd, dir, &l, NULL, NULL);

	assert_int_equal(l.n, r < 0 ? 7 : 1);
	return r;
}

static const char *const folders[] = { ".", "etc", "etc/vcpuhp", "etc/vcpuhp/cpuhp.d" };

/* Whoever can write a folder on the way can exchange what is below it. */
static void test_every_folder_on_the_way_is_checked(void **state)
{
	static const mode_t modes[] = { 0775, 0757, 01777 };
	const struct fake_root *f = *state;

	put_script(f, BELOW "10-x", "exit 0");
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++) {
			assert_int_equal(fchmodat(f->fd, folders[i], modes[m], 0), 0);
			assert_int_equal(scan_result(f, DIR_PATH), -EPERM);
			assert_int_equal(run(f, "10-x").rc, -EPERM);
		}
		assert_int_equal(fchmodat(f->fd, folders[i], 0755, 0), 0);
		assert_int_equal(scan_result(f, DIR_PATH), 0);
		assert_int_equal(run(f, "10-x").rc, 0);
	}
}

static void test_owners(void **state)
{
	const struct fake_root *f = *state;

	if (geteuid() != 0)
		skip();
	put_script(f, BELOW "10-x", "exit 0");
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		assert_int_equal(fchownat(f->fd, folders[i], 65534, 0, 0), 0);
		assert_int_equal(scan_result(f, DIR_PATH), -EPERM);
		assert_int_equal(run(f, "10-x").rc, -EPERM);
		assert_int_equal(fchownat(f->fd, folders[i], 0, 0, 0), 0);
	}
	assert_int_equal(fchownat(f->fd, BELOW "10-x", 65534, 0, 0), 0);
	assert_int_equal(run(f, "10-x").rc, -EPERM);
	assert_int_equal(fchownat(f->fd, BELOW "10-x", 0, 0, 0), 0);
	assert_int_equal(run(f, "10-x").rc, 0);
}

static void test_no_way_around(void **state)
{
	const struct fake_root *f = *state;

	put_script(f, BELOW "10-x", "exit 0");
	assert_int_equal(symlinkat("vcpuhp", f->fd, "etc/link"), 0);
	assert_int_equal(scan_result(f, "/etc/link/cpuhp.d"), -EPERM);
	assert_int_equal(scan_result(f, "/etc/../etc/vcpuhp/cpuhp.d"), -EINVAL);
	assert_int_equal(scan_result(f, "etc//vcpuhp/cpuhp.d/"), 0);
	assert_int_equal(run(f, "../cpuhp.d/10-x").rc, -EINVAL);
	assert_int_equal(run(f, "").rc, -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_root_test(test_scan_of_nothing),
		fake_root_test(test_scan_sorts_and_names_what_it_refuses),
		fake_root_test(test_scan_keeps_the_lowest),
		fake_root_test(test_every_folder_on_the_way_is_checked),
		fake_root_test(test_owners),
		fake_root_test(test_no_way_around),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
