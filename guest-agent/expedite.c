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

enum { OURS = 1 };

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

static bool is_wanted(const struct expedite *e)
{
	long normal;

	if (e->mode != EXPEDITE_AUTO)
		return e->mode == EXPEDITE_YES;
	return !e->has_quiet_cpus && (sysfs_read_long(e->root, NORMAL, &normal) < 0 || normal == 0);
}

static int forget(int root)
{
	return unlinkat(root, SAVED, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* Put @saved back where ours still stands. */
static int restore(int root, long saved)
{
	char text[32];
	long now;
	int r;

	r = sysfs_read_long(root, EXPEDITED, &now);
	if (r == 0 && now == OURS && saved != OURS) {
		snprintf(text, sizeof(text), "%ld\n", saved);
		r = sysfs_write(root, EXPEDITED, text);
	}
	/* What could not be put back stays on record for the next try. */
	if (r < 0 && r != -ENOENT && r != -EINVAL)
		return r;
	return forget(root);
}

int expedite_init(struct expedite *e, int root, enum expedite_mode mode)
{
	long saved;
	int r;

	*e = (struct expedite){ .root = root, .mode = mode };
	/* Both are settled at the kernel's boot. */
	e->has_quiet_cpus = has_cpus(root, "sys/devices/system/cpu/isolated") ||
			    has_cpus(root, "sys/devices/system/cpu/nohz_full");
	r = sysfs_read_long(root, SAVED, &saved);
	if (r == -ENOENT)
		return 0;
	/* Killed before it was written whole, and so before ours was. */
	if (r == -EINVAL)
		return forget(root);
	return r < 0 ? r : restore(root, saved);
}

static int take(struct expedite *e, long old)
{
	char text[32];
	int n, r;

	n = snprintf(text, sizeof(text), "%ld\n", old);
	r = sysfs_create(e->root, SAVED, text, (size_t)n);
	if (r == 0)
		r = sysfs_write(e->root, EXPEDITED, "1\n");
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
	r = sysfs_read_long(e->root, EXPEDITED, &old);
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
	r = restore(e->root, e->saved);
	if (r == 0)
		e->active = false;
	return r;
}
