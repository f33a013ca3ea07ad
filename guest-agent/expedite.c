/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Ours is set where nobody has set it, so what is to be put back is always 0, and it is put back only
 * where ours still stands. That it is to be is on record before it is set and until it is put back, so
 * the next agent does it for one that was killed; what it finds on record else is removed.
 *
 * Each batch of CPUs waits for this, so all files are opened once and each change is one write over
 * what stands there. The record is held by its path: one that was removed, moved or covered meanwhile
 * is made anew, or the next agent would not find it.
 */
#include "guest-agent/expedite.h"
#include "guest-agent/sysfs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPEDITED "sys/kernel/rcu_expedited"
#define NORMAL "sys/kernel/rcu_normal"
#define SAVED "run/vcpuhp-agent/expedite"

/* On record while ours stands, and while it does not: of one length, so one write over the other. */
#define NO_WISH "0\n"
#define NOTHING "-\n"

enum { OURS = 1, WITHIN_MAX_MS = 60000 };

/*
 * Whether a CPU list of the kernel names any CPU. For a mask never made kernels print "(null)",
 * behind as many blanks as the format asks for.
 */
static bool has_cpus(int root, const char *path)
{
	char text[4096];
	int r = sysfs_read(root, path, text, sizeof(text));
	const char *list = text + (r > 0 ? strspn(text, " ") : 0);

	if (r == -EFBIG)
		return true;
	return r > 0 && *list && strcmp(list, "(null)") != 0;
}

/* Return: 0 with the number that stands in @path, which is opened when it is needed first. */
static int read_kept(int root, int *fd, const char *path, int flags, long *ret)
{
	*ret = 0;
	if (*fd < 0)
		*fd = openat(root, path, flags | O_CLOEXEC);
	return *fd < 0 ? -errno : sysfs_reread_long(*fd, ret);
}

static bool is_wanted(struct expedite *e)
{
	long normal;

	if (e->mode != EXPEDITE_AUTO)
		return e->mode == EXPEDITE_YES;
	return !e->has_quiet_cpus &&
	       (read_kept(e->root, &e->normal_fd, NORMAL, O_RDONLY, &normal) < 0 || normal == 0);
}

static int read_now(struct expedite *e, long *ret)
{
	return read_kept(e->root, &e->expedited_fd, EXPEDITED, O_RDWR, ret);
}

static int write_over(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t written = pwrite(fd, text, len, 0);

	if (written < 0)
		return -errno;
	return (size_t)written == len ? 0 : -EIO;
}

static int write_now(const struct expedite *e, long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld\n", value);
	return write_over(e->expedited_fd, text);
}

static void close_kept(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static bool is_in_place(const struct expedite *e)
{
	struct stat st;

	return e->record_fd >= 0 && fstatat(e->root, SAVED, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_dev == e->record_dev && st.st_ino == e->record_ino;
}

static int open_record(struct expedite *e)
{
	struct stat st;

	if (is_in_place(e))
		return 0;
	close_kept(&e->record_fd);
	e->record_fd = sysfs_make(e->root, SAVED);
	if (e->record_fd < 0)
		return e->record_fd;
	if (fstat(e->record_fd, &st) < 0)
		return -errno;
	e->record_dev = st.st_dev;
	e->record_ino = st.st_ino;
	return 0;
}

static int record(struct expedite *e)
{
	int r = open_record(e);

	return r < 0 ? r : write_over(e->record_fd, NO_WISH);
}

static int forget(struct expedite *e)
{
	return e->record_fd < 0 ? 0 : write_over(e->record_fd, NOTHING);
}

static int remove_record(int root)
{
	return unlinkat(root, SAVED, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* Put @saved back where ours still stands. What could not be put back stays on record. */
static int put_back(struct expedite *e, long saved)
{
	long now;
	int r;

	r = read_now(e, &now);
	if (r == 0 && now == OURS && saved != OURS)
		r = write_now(e, saved);
	return r == -ENOENT || r == -EINVAL ? 0 : r;
}

/* What an agent that was killed left behind. */
static int put_right(struct expedite *e)
{
	long saved;
	int r = sysfs_read_long(e->root, SAVED, &saved);

	if (r == -ENOENT)
		return 0;
	/* It had nothing to put back, or was killed before this was written whole, and so before ours was. */
	if (r == -EINVAL)
		return remove_record(e->root);
	if (r == 0)
		r = put_back(e, saved);
	return r < 0 ? r : remove_record(e->root);
}

/* What cannot be opened is tried again when it is needed, and said then. */
static void open_all(struct expedite *e)
{
	long now;

	if (open_record(e) == 0)
		(void)forget(e);
	(void)read_now(e, &now);
	(void)is_wanted(e);
}

int expedite_init(struct expedite *e, int root, enum expedite_mode mode)
{
	int r;

	*e = (struct expedite){
		.root = root, .mode = mode, .expedited_fd = -1, .normal_fd = -1, .record_fd = -1
	};
	/* Both are settled at the kernel's boot. */
	e->has_quiet_cpus = has_cpus(root, "sys/devices/system/cpu/isolated") ||
			    has_cpus(root, "sys/devices/system/cpu/nohz_full");
	r = put_right(e);
	if (r == 0 && mode != EXPEDITE_NO)
		open_all(e);
	return r;
}

static int take(struct expedite *e)
{
	int r = record(e);

	if (r == 0)
		r = write_now(e, OURS);
	if (r < 0) {
		(void)forget(e);
		return r;
	}
	e->active = true;
	return 0;
}

int expedite_begin(struct expedite *e)
{
	long old;
	int r;

	if (e->active || !is_wanted(e))
		return 0;
	r = read_now(e, &old);
	if (r < 0)
		return r == -ENOENT && e->mode == EXPEDITE_AUTO ? 0 : r;
	/* Somebody else's wish already; taking it would make us put it back. */
	if (old != 0)
		return 0;
	return take(e);
}

int expedite_end(struct expedite *e)
{
	int r;

	if (!e->active)
		return 0;
	r = put_back(e, 0);
	if (r == 0)
		r = forget(e);
	if (r == 0)
		e->active = false;
	return r;
}

int expedite_done(struct expedite *e)
{
	int r = expedite_end(e);

	if (r == 0 && e->record_fd >= 0)
		r = remove_record(e->root);
	close_kept(&e->record_fd);
	close_kept(&e->expedited_fd);
	close_kept(&e->normal_fd);
	return r;
}

void expedite_prepare(struct expedite *e, unsigned int kicks, uint64_t within_ms, uint64_t now_ms)
{
	e->kicks = kicks;
	e->within_ms = within_ms < WITHIN_MAX_MS ? within_ms : WITHIN_MAX_MS;
	e->until_ms = now_ms + e->within_ms;
	e->due = kicks > 0;
}

void expedite_on_kick(struct expedite *e, uint64_t now_ms)
{
	if (e->kicks == 0)
		return;
	e->kicks--;
	e->until_ms = now_ms + e->within_ms;
}

uint64_t expedite_deadline(const struct expedite *e)
{
	return e->kicks > 0 ? e->until_ms : 0;
}

int expedite_rest(struct expedite *e, bool moving, uint64_t now_ms)
{
	bool due = e->due;

	e->due = false;
	if (e->kicks > 0 && now_ms >= e->until_ms)
		e->kicks = 0;
	if (e->kicks > 0)
		return due ? expedite_begin(e) : 0;
	return moving ? 0 : expedite_end(e);
}
