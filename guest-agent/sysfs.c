/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Two kinds of files. The kernel's are opened for each read and write, since folders of CPUs come
 * and go (those that do not may stay open), and written in one write(2), since each is one request. Our own are seen by others:
 * written beside and renamed, so that nobody reads half of one, and made with O_EXCL, so that
 * nobody's link leads us elsewhere. That their folders exist and that nothing is in the way is
 * taken for granted first: they are written for each CPU that moves.
 */
#include "guest-agent/sysfs.h"
#include "guest-agent/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { LONG_SIZE = 64 };

static int end_text(char *buf, size_t used)
{
	while (used > 0 && buf[used - 1] == '\n')
		used--;
	buf[used] = '\0';
	return (int)used;
}

int sysfs_read(int root, const char *path, char *buf, size_t size)
{
	AUTO_CLOSE int fd = openat(root, path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = read(fd, buf + used, size - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
		if (used >= size)
			return -EFBIG;
	}
	return end_text(buf, used);
}

/* @n bytes as read at once, or less than 0 and errno; a number comes whole. */
static int take_long(char buf[LONG_SIZE], ssize_t n, long *ret)
{
	char *end;
	long v;

	if (n < 0)
		return -errno;
	if (n >= LONG_SIZE || memchr(buf, '\0', (size_t)n))
		return -EINVAL;
	buf[n] = '\0';
	/* strtol() would take leading blanks and a plus sign, which the kernel never writes. */
	if ((*buf < '0' || *buf > '9') && *buf != '-')
		return -EINVAL;
	errno = 0;
	v = strtol(buf, &end, 10);
	if (errno || end == buf || end[strspn(end, "\n")] != '\0')
		return -EINVAL;
	*ret = v;
	return 0;
}

static ssize_t read_again(int fd, char *buf, size_t size)
{
	ssize_t n;

	do
		n = pread(fd, buf, size, 0);
	while (n < 0 && errno == EINTR);
	return n;
}

int sysfs_reread_long(int fd, long *ret)
{
	char buf[LONG_SIZE];

	return take_long(buf, read_again(fd, buf, sizeof(buf)), ret);
}

int sysfs_reread(int fd, char *buf, size_t size)
{
	ssize_t n = read_again(fd, buf, size);

	if (n < 0)
		return -errno;
	return (size_t)n < size ? end_text(buf, (size_t)n) : -EFBIG;
}

int sysfs_read_long(int root, const char *path, long *ret)
{
	AUTO_CLOSE int fd = openat(root, path, O_RDONLY | O_CLOEXEC);
	char buf[LONG_SIZE];
	ssize_t n;

	if (fd < 0)
		return -errno;
	do
		n = read(fd, buf, sizeof(buf));
	while (n < 0 && errno == EINTR);
	return take_long(buf, n, ret);
}

int sysfs_number(const char *text)
{
	int n = 0;

	if (!*text)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || n > 99999)
			return -1;
		n = n * 10 + (*text - '0');
	}
	return n;
}

static int write_once(int fd, const char *data, size_t len)
{
	ssize_t n;

	do
		n = write(fd, data, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int sysfs_write(int root, const char *path, const char *text)
{
	/* Kernel files pay no heed to O_TRUNC; the plain files of a test root need it. */
	AUTO_CLOSE int fd = openat(root, path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write_once(fd, text, strlen(text));
}

DIR *sysfs_open_folder(int root, const char *path)
{
	int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !d)
		close(fd);
	return d;
}

int sysfs_make_parents(int root, const char *path)
{
	char part[PATH_MAX];

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		size_t len = (size_t)(slash - path);

		if (len >= sizeof(part))
			return -ENAMETOOLONG;
		memcpy(part, path, len);
		part[len] = '\0';
		if (mkdirat(root, part, 0755) == 0) {
			/* Whatever the umask: applications read what stands in there. */
			if (fchmodat(root, part, 0755, 0) < 0)
				return -errno;
		} else if (errno != EEXIST) {
			return -errno;
		}
	}
	return 0;
}

int sysfs_write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* O_EXCL keeps us off anybody's link. */
static int create(int root, const char *path)
{
	int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	return fd < 0 ? -errno : fd;
}

/* What may be in the way is looked for only when it is: this is done for each CPU that moves. */
static int create_anyhow(int root, const char *path)
{
	int r, fd = create(root, path);

	if (fd == -ENOENT) {
		r = sysfs_make_parents(root, path);
		if (r < 0)
			return r;
		fd = create(root, path);
	}
	if (fd == -EEXIST) {
		/* Left by a process of our number that was killed. */
		unlinkat(root, path, 0);
		fd = create(root, path);
	}
	return fd;
}

int sysfs_make(int root, const char *path)
{
	int r, fd = create_anyhow(root, path);

	if (fd < 0 || fchmod(fd, 0644) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

static int make_with(int root, const char *path, const char *data, size_t len)
{
	AUTO_CLOSE int fd = sysfs_make(root, path);

	return fd < 0 ? fd : sysfs_write_all(fd, data, len);
}

int sysfs_replace(int root, const char *path, const char *data, size_t len)
{
	char beside[PATH_MAX];
	int n, r;

	/* The pid keeps two workers that replace one file apart. */
	n = snprintf(beside, sizeof(beside), "%s.%d~", path, (int)getpid());
	if (n < 0 || (size_t)n >= sizeof(beside))
		return -ENAMETOOLONG;
	r = make_with(root, beside, data, len);
	if (r == 0 && renameat(root, beside, root, path) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(root, beside, 0);
	return r;
}

int sysfs_lock(int root, const char *path)
{
	int fd, r;

	r = sysfs_make_parents(root, path);
	if (r < 0)
		return r;
	fd = openat(root, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	do
		r = flock(fd, LOCK_EX) < 0 ? -errno : 0;
	while (r == -EINTR);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}
