/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/announce.h"
#include "guest-agent/cleanup.h"
#include "guest-agent/sysfs.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
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

static int replace_once(struct announcer *n, const char *text, size_t len)
{
	int r;

	announce_prepare(n);
	if (n->fd < 0)
		return n->fd;
	r = sysfs_write_all(n->fd, text, len);
	if (r == 0 && renameat(n->root, BESIDE, n->root, ANNOUNCED) < 0)
		r = -errno;
	if (r < 0) {
		drop(n);
		return r;
	}
	close(n->fd);
	n->fd = -1;
	return 0;
}

/* What was made ahead may have been removed since, or all of the folder. */
static int replace(struct announcer *n, const char *text, size_t len)
{
	int r = replace_once(n, text, len);

	return r == -ENOENT ? replace_once(n, text, len) : r;
}

static void print_array(FILE *f, const char *key, const struct cpulist *l)
{
	const char *comma = "";

	fprintf(f, ",\"%s\":[", key);
	for (int n = cpulist_next(l, 0); n >= 0; n = cpulist_next(l, (unsigned int)n + 1)) {
		fprintf(f, "%s%d", comma, n);
		comma = ",";
	}
	fputc(']', f);
}

int announce_write(struct announcer *n, const struct cpulist *active, const struct cpulist *standby,
		   uint64_t serial)
{
	char list[CPULIST_MAX * 3];
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	FILE *f;
	int r;

	r = cpulist_format(active, list, sizeof(list));
	if (r < 0)
		return r;
	f = open_memstream(&text, &len);
	if (!f)
		return -errno;
	fprintf(f, "{\"serial\":%" PRIu64, serial);
	print_array(f, "active", active);
	print_array(f, "standby", standby);
	fprintf(f, ",\"active_list\":\"%s\"}\n", list);
	r = ferror(f);
	if (fclose(f) != 0 || r)
		return -ENOMEM;
	return replace(n, text, len);
}
