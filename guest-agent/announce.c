/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/announce.h"
#include "guest-agent/sysfs.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ANNOUNCED "run/vcpuhp-agent/cpus.json"
#define BESIDE ANNOUNCED "~"

void announce_init(struct announcer *n, int root)
{
	n->root = root;
	n->fd = -1;
	n->filled = false;
}

static void drop(struct announcer *n)
{
	close(n->fd);
	n->fd = -1;
	n->filled = false;
	unlinkat(n->root, BESIDE, 0);
}

void announce_done(struct announcer *n)
{
	if (n->fd >= 0)
		drop(n);
}

void announce_prepare(struct announcer *n)
{
	/* Whatever is in the way is told when there is something to be announced. */
	if (n->fd < 0)
		n->fd = sysfs_make(n->root, BESIDE);
}

static_assert(CPULIST_MAX <= 10000, "four digits");

__attribute__((format(printf, 2, 3))) static void put(struct announcer *n, const char *format, ...)
{
	size_t left = sizeof(n->text) - n->len;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(n->text + n->len, left, format, args);
	va_end(args);
	assert(len >= 0 && (size_t)len < left);
	n->len += (size_t)len;
}

static void put_array(struct announcer *n, const char *key, const struct cpulist *l)
{
	const char *comma = "";

	put(n, ",\"%s\":[", key);
	for (int cpu = cpulist_next(l, 0); cpu >= 0; cpu = cpulist_next(l, (unsigned int)cpu + 1)) {
		put(n, "%s%d", comma, cpu);
		comma = ",";
	}
	put(n, "]");
}

static int fill(struct announcer *n, const struct announcement *what)
{
	int r = cpulist_format(&what->active, n->list, sizeof(n->list));

	if (r < 0)
		return r;
	n->len = 0;
	put(n, "{\"serial\":%" PRIu64, what->serial);
	put_array(n, "active", &what->active);
	put_array(n, "standby", &what->standby);
	put(n, ",\"active_list\":\"%s\"}\n", n->list);
	return sysfs_write_all(n->fd, n->text, n->len);
}

/* Put it into the file beside, whatever stands in there. */
static int put_beside(struct announcer *n, const struct announcement *what)
{
	int r;

	if (n->filled && (ftruncate(n->fd, 0) < 0 || lseek(n->fd, 0, SEEK_SET) < 0))
		return -errno;
	n->filled = true;
	n->ahead = *what;
	r = fill(n, what);
	if (r < 0)
		drop(n);
	return r;
}

static bool is_ahead(const struct announcer *n, const struct announcement *what)
{
	return n->filled && memcmp(&n->ahead, what, sizeof(*what)) == 0;
}

void announce_expect(struct announcer *n, const struct announcement *what)
{
	if (n->fd >= 0 && !is_ahead(n, what))
		(void)put_beside(n, what);
}

static int replace_once(struct announcer *n, const struct announcement *what)
{
	int r;

	announce_prepare(n);
	if (n->fd < 0)
		return n->fd;
	r = is_ahead(n, what) ? 0 : put_beside(n, what);
	if (r < 0)
		return r;
	if (renameat(n->root, BESIDE, n->root, ANNOUNCED) < 0) {
		r = -errno;
		drop(n);
		return r;
	}
	close(n->fd);
	n->fd = -1;
	n->filled = false;
	return 0;
}

/* What was made ahead may have been removed since, or all of the folder. */
int announce_write(struct announcer *n, const struct announcement *what)
{
	int r = replace_once(n, what);

	return r == -ENOENT ? replace_once(n, what) : r;
}
