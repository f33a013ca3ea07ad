/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/expedite.h"
#include "guest-agent/sysfs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXPEDITED "sys/kernel/rcu_expedited"
#define NORMAL "sys/kernel/rcu_normal"
#define SAVED "run/vcpuhp-agent/expedite"

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

static int write_now(const struct expedite *e, long value)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%ld\n", value);
	ssize_t written = pwrite(e->expedited_fd, text, (size_t)n, 0);

	if (written < 0)
		return -errno;
	return written == n ? 0 : -EIO;
}

static int forget(int root)
{
	return unlinkat(root, SAVED, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* Put @saved back where ours still stands. */
static int restore(struct expedite *e, long saved)
{
	long now;
	int r;

	r = read_now(e, &now);
	if (r == 0 && now == OURS && saved != OURS)
		r = write_now(e, saved);
	/* What could not be put back stays on record for the next try. */
	if (r < 0 && r != -ENOENT && r != -EINVAL)
		return r;
	return forget(e->root);
}

int expedite_init(struct expedite *e, int root, enum expedite_mode mode)
{
	long saved;
	int r;

	*e = (struct expedite){ .root = root, .mode = mode, .expedited_fd = -1, .normal_fd = -1 };
	/* Both are settled at the kernel's boot. */
	e->has_quiet_cpus = has_cpus(root, "sys/devices/system/cpu/isolated") ||
			    has_cpus(root, "sys/devices/system/cpu/nohz_full");
	r = sysfs_read_long(root, SAVED, &saved);
	if (r == -ENOENT)
		return 0;
	/* Killed before it was written whole, and so before ours was. */
	if (r == -EINVAL)
		return forget(root);
	return r < 0 ? r : restore(e, saved);
}

static int take(struct expedite *e, long old)
{
	char text[32];
	int n, r;

	n = snprintf(text, sizeof(text), "%ld\n", old);
	r = sysfs_create(e->root, SAVED, text, (size_t)n);
	if (r == 0)
		r = write_now(e, OURS);
	if (r < 0) {
		forget(e->root);
		return r;
	}
	e->active = true;
	e->saved = old;
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
	return take(e, old);
}

int expedite_end(struct expedite *e)
{
	int r;

	if (!e->active)
		return 0;
	r = restore(e, e->saved);
	if (r == 0)
		e->active = false;
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
