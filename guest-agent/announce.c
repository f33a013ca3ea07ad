/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/announce.h"
#include "guest-agent/cleanup.h"
#include "guest-agent/sysfs.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

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

int announce_write(int root, const struct cpulist *active, const struct cpulist *standby,
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
	return sysfs_replace(root, "run/vcpuhp-agent/cpus.json", text, len);
}
