/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The scan of the folder of hooks and its checks, on a root folder of plain files. */
#include "daemon/hook-folder.h"
#include "fake-root.h"

#define DIR_PATH "/etc/vcpuhp/hooks.d"
#define BELOW "etc/vcpuhp/hooks.d/"

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

static void put_hook(const struct fake_root *f, const char *path, mode_t mode)
{
	fake_put(f, path, "#!/bin/sh\n");
	assert_int_equal(fchmodat(f->fd, path, mode, 0), 0);
}

static int scan(const struct fake_root *f, struct hook_list *l, struct warnings *w)
{
	*w = (struct warnings){ 0 };
	return hook_folder_scan(f->fd, DIR_PATH, l, note, w);
}

static void a_folder_that_is_not_there_has_none(void **state)
{
	const struct fake_root *f = *state;
	struct hook_list l = { .n = 7 };
	struct warnings w;

	assert_int_equal(scan(f, &l, &w), 0);
	assert_int_equal(l.n, 0);
	fake_mkdir(f, "etc/vcpuhp/hooks.d");
	assert_int_equal(scan(f, &l, &w), 0);
	assert_int_equal(l.n, 0);
	assert_int_equal(w.n, 0);
}

static void they_are_sorted_and_what_is_left_out_is_named(void **state)
{
	const struct fake_root *f = *state;
	struct hook_list l;
	struct warnings w;

	put_hook(f, BELOW "20-b", 0755);
	put_hook(f, BELOW "10_Z-0", 0700);
	put_hook(f, BELOW "20-a", 0755);
	put_hook(f, BELOW "20-b~", 0755);
	put_hook(f, BELOW "20-b.dpkg-old", 0755);
	put_hook(f, BELOW ".hidden", 0755);
	assert_int_equal(scan(f, &l, &w), 0);
	assert_int_equal(w.n, 0);
	put_hook(f, BELOW "a b", 0755);
	put_hook(f, BELOW "\x1b[2J", 0755);
	put_hook(f, BELOW "30-plain", 0644);
	put_hook(f, BELOW "31-group", 0775);
	put_hook(f, BELOW "32-all", 0757);
	assert_int_equal(symlinkat("20-a", f->fd, BELOW "33-link"), 0);
	assert_int_equal(symlinkat("/bin/true", f->fd, BELOW "33-out"), 0);
	fake_mkdir(f, BELOW "34-folder");
	assert_int_equal(mkfifoat(f->fd, BELOW "35-fifo", 0755), 0);
	assert_int_equal(scan(f, &l, &w), 0);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.dir, DIR_PATH);
	assert_string_equal(l.names[0], "10_Z-0");
	assert_string_equal(l.names[1], "20-a");
	assert_string_equal(l.names[2], "20-b");
	assert_int_equal(w.n, 9);
	assert_non_null(strstr(w.text, "hook a?b is not run: its name is not made of"));
	assert_non_null(strstr(w.text, DIR_PATH "/30-plain is not executable"));
	assert_non_null(strstr(w.text, "/31-group is writable by others"));
	assert_non_null(strstr(w.text, "/32-all is writable by others"));
	assert_non_null(strstr(w.text, "/33-link is a link"));
	assert_non_null(strstr(w.text, "/33-out is a link"));
	assert_non_null(strstr(w.text, "/34-folder is not a regular file"));
	assert_non_null(strstr(w.text, "/35-fifo is not a regular file"));
	assert_null(strchr(w.text, '\x1b'));
}

static void the_first_by_name_are_kept(void **state)
{
	const struct fake_root *f = *state;
	struct hook_list l;
	struct warnings w;
	char name[64];

	for (int i = HOOKS_MAX + 4; i >= 0; i--) {
		snprintf(name, sizeof(name), BELOW "%02d-x", i);
		put_hook(f, name, 0755);
	}
	assert_int_equal(scan(f, &l, &w), 0);
	assert_int_equal(l.n, HOOKS_MAX);
	for (int i = 0; i < HOOKS_MAX; i++) {
		snprintf(name, sizeof(name), "%02d-x", i);
		assert_string_equal(l.names[i], name);
	}
	assert_int_equal(w.n, 5);
}

static const char *const folders[] = { "etc", "etc/vcpuhp", "etc/vcpuhp/hooks.d" };

static void every_folder_on_the_way_is_checked(void **state)
{
	const struct fake_root *f = *state;
	struct hook_list l;
	struct warnings w;

	put_hook(f, BELOW "10-x", 0755);
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		assert_int_equal(fchmodat(f->fd, folders[i], 01777, 0), 0);
		assert_int_equal(scan(f, &l, &w), 0);
		assert_int_equal(l.n, 0);
		assert_int_equal(w.n, 1);
		assert_non_null(strstr(w.text, "no hooks are run: on the way to " DIR_PATH));
		assert_non_null(strstr(w.text, "is writable by others"));
		assert_int_equal(fchmodat(f->fd, folders[i], 0755, 0), 0);
	}
	assert_int_equal(scan(f, &l, &w), 0);
	assert_int_equal(l.n, 1);
}

static void owners_are_root_and_oneself(void **state)
{
	const struct fake_root *f = *state;
	struct hook_list l;
	struct warnings w;

	if (geteuid() != 0)
		skip();
	put_hook(f, BELOW "10-x", 0755);
	put_hook(f, BELOW "20-x", 0755);
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		assert_int_equal(fchownat(f->fd, folders[i], 65534, 0, 0), 0);
		assert_int_equal(scan(f, &l, &w), 0);
		assert_int_equal(l.n, 0);
		assert_non_null(strstr(w.text, "belongs neither to root nor to the daemon's user"));
		assert_int_equal(fchownat(f->fd, folders[i], 0, 0, 0), 0);
	}
	assert_int_equal(fchownat(f->fd, BELOW "10-x", 65534, 0, 0), 0);
	assert_int_equal(scan(f, &l, &w), 0);
	assert_int_equal(l.n, 1);
	assert_string_equal(l.names[0], "20-x");
	assert_non_null(strstr(w.text, "/10-x belongs neither to root nor to the daemon's user"));
	/* To the user himself it may belong, and one that he may not execute is asked all the same. */
	assert_int_equal(fchmodat(f->fd, BELOW "20-x", 0700, 0), 0);
	assert_int_equal(fchmodat(f->fd, ".", 0755, 0), 0);
	assert_int_equal(fake_root_unprivileged(state), 0);
	assert_int_equal(scan(f, &l, &w), 0);
	assert_int_equal(fake_root_privileged(state), 0);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.names[1], "20-x");
	assert_int_equal(w.n, 0);
}

/* What is in there may be a policy. */
static void a_folder_that_may_not_be_read_is_an_error(void **state)
{
	const struct fake_root *f = *state;
	struct hook_list l;
	struct warnings w;

	if (geteuid() != 0)
		skip();
	put_hook(f, BELOW "10-x", 0755);
	assert_int_equal(fchmodat(f->fd, ".", 0755, 0), 0);
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		assert_int_equal(fchmodat(f->fd, folders[i], 0700, 0), 0);
		assert_int_equal(fake_root_unprivileged(state), 0);
		assert_int_equal(scan(f, &l, &w), -EACCES);
		assert_int_equal(fake_root_privileged(state), 0);
		assert_int_equal(l.n, 0);
		assert_int_equal(fchmodat(f->fd, folders[i], 0755, 0), 0);
	}
	assert_int_equal(scan(f, &l, &w), 0);
	assert_int_equal(l.n, 1);
}

static void links_on_the_way_are_not_followed(void **state)
{
	const struct fake_root *f = *state;
	struct hook_list l;
	struct warnings w = { 0 };

	put_hook(f, BELOW "10-x", 0755);
	assert_int_equal(symlinkat("vcpuhp", f->fd, "etc/link"), 0);
	assert_int_equal(hook_folder_scan(f->fd, "/etc/link/hooks.d", &l, note, &w), 0);
	assert_int_equal(l.n, 0);
	assert_non_null(strstr(w.text, "link is not a folder"));
	assert_int_equal(hook_folder_scan(f->fd, "/etc/../etc/vcpuhp/hooks.d", &l, note, &w),
			 -EINVAL);
	assert_int_equal(hook_folder_scan(f->fd, "etc//vcpuhp/hooks.d/", &l, note, &w), 0);
	assert_int_equal(l.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_root_test(a_folder_that_is_not_there_has_none),
		fake_root_test(they_are_sorted_and_what_is_left_out_is_named),
		fake_root_test(the_first_by_name_are_kept),
		fake_root_test(every_folder_on_the_way_is_checked),
		fake_root_test(owners_are_root_and_oneself),
		fake_root_test(a_folder_that_may_not_be_read_is_an_error),
		fake_root_test(links_on_the_way_are_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
