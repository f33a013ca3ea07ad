/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_FAKE_ROOT_H
#define TESTS_FAKE_ROOT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A root folder of plain files, made for one test and removed after it. */
struct fake_root {
	int fd;
	char path[64];
};

static inline int fake_root_setup(void **state)
{
	struct fake_root *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	snprintf(f->path, sizeof(f->path), "/tmp/vcpuhp-unit.XXXXXX");
	if (!mkdtemp(f->path))
		return -1;
	f->fd = open(f->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return f->fd < 0 ? -1 : 0;
}

static inline int fake_root_unlink(const char *path, const struct stat *st, int kind,
				   struct FTW *level)
{
	(void)st;
	(void)kind;
	(void)level;
	return remove(path);
}

static inline int fake_root_teardown(void **state)
{
	struct fake_root *f = *state;
	int r = nftw(f->path, fake_root_unlink, 8, FTW_DEPTH | FTW_PHYS);

	close(f->fd);
	free(f);
	return r;
}

static inline void fake_mkdir(const struct fake_root *f, const char *path)
{
	char part[512];

	for (const char *s = path; *s; s++) {
		if (s[0] != '/' && s[1] != '\0')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)(s - path) + (s[0] != '/'), path);
		if (mkdirat(f->fd, part, 0755) < 0)
			assert_int_equal(errno, EEXIST);
	}
}

/* Make a file with its folders, or replace its text. */
static inline void fake_put(const struct fake_root *f, const char *path, const char *text)
{
	const char *slash = strrchr(path, '/');
	char folder[512];
	int fd;

	if (slash) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		fake_mkdir(f, folder);
	}
	fd = openat(f->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* The text of a file without its last newline, in a buffer of the caller. */
static inline const char *fake_get(const struct fake_root *f, const char *path, char *buf,
				   size_t size)
{
	int fd = openat(f->fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, buf, size - 1);
	assert_true(n >= 0);
	close(fd);
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return buf;
}

#define assert_file(f, path, text)                                                        \
	do {                                                                              \
		char fake_buf[65536];                                                     \
		assert_string_equal(fake_get(f, path, fake_buf, sizeof(fake_buf)), text); \
	} while (0)

static inline bool fake_exists(const struct fake_root *f, const char *path)
{
	return faccessat(f->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A group's setup: root may write any file, and a test of refusals needs one that may not. */
static inline int fake_root_unprivileged(void **state)
{
	(void)state;
	return geteuid() == 0 ? seteuid(65534) : 0;
}

/* Its teardown: the leak checker has to look into this process at its end. */
static inline int fake_root_privileged(void **state)
{
	(void)state;
	return seteuid(getuid()) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0;
}

#define fake_root_test(function) \
	cmocka_unit_test_setup_teardown(function, fake_root_setup, fake_root_teardown)

#endif
