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
	*n = (struct announcer){ .root = root, .fd = -1 };
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

/**
 * struct text - what is announced: a number and its comma take five bytes at most
 */
struct text {
	size_t len;
	char buf[2 * CPULIST_MAX * 5 + CPULIST_MAX * 3 + 128];
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
	size_t left = sizeof(t->buf) - t->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(t->buf + t->len, left, format, args);
	va_end(args);
	assert(n >= 0 && (size_t)n < left);
	t->len += (size_t)n;
}

static void put_array(struct text *t, const char *key, const struct cpulist *l)
{
	const char *comma = "";

	put(t, ",\"%s\":[", key);
	for (int n = cpulist_next(l, 0); n >= 0; n = cpulist_next(l, (unsigned int)n + 1)) {
		put(t, "%s%d", comma, n);
		comma = ",";
	}
	put(t, "]");
}

static int fill(struct announcer *n, const struct announcement *what)
{
	char list[CPULIST_MAX * 3];
	struct text t;
	int r;

	r = cpulist_format(&what->active, list, sizeof(list));
	if (r < 0)
		return r;
	t.len = 0;
	put(&t, "{\"serial\":%" PRIu64, what->serial);
	put_array(&t, "active", &what->active);
	put_array(&t, "standby", &what->standby);
	put(&t, ",\"active_list\":\"%s\"}\n", list);
	return sysfs_write_all(n->fd, t.buf, t.len);
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
