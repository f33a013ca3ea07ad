/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/config-load.h"
#include "guest-agent/cleanup.h"
#include "guest-agent/sysfs.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_SIZE_MAX = 64 << 10, DROPINS_MAX = 64 };

static int read_file(struct agent_config *c, int root, const char *path, bool must_exist)
{
	char text[CONFIG_SIZE_MAX];
	const char *why = "";
	unsigned int line = 0;
	int r = sysfs_read(root, path + strspn(path, "/"), text, sizeof(text));

	if (r >= 0)
		r = agent_config_parse(c, text, (size_t)r, &line, &why);
	if (r == -EINVAL)
		fprintf(stderr, "vcpuhp-agent: %s:%u: %s\n", path, line, why);
	else if (r < 0 && (must_exist || r != -ENOENT))
		fprintf(stderr, "vcpuhp-agent: %s: %s\n", path, strerror(-r));
	return r == -ENOENT && !must_exist ? 0 : r;
}

static bool is_dropin(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 5 && strcmp(name + len - 5, ".conf") == 0;
}

/* The names in a folder of drop-ins, in no order. Return: how many, or -errno. */
static int list_dropins(int root, const char *folder, char names[DROPINS_MAX][NAME_MAX + 1])
{
	int fd = openat(root, folder + strspn(folder, "/"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSEDIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int n = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((e = readdir(d))) {
		if (!is_dropin(e->d_name))
			continue;
		if (n == DROPINS_MAX)
			return -E2BIG;
		snprintf(names[n++], NAME_MAX + 1, "%s", e->d_name);
	}
	return n;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int read_dropins(struct agent_config *c, int root, const char *file)
{
	char folder[PATH_MAX], path[PATH_MAX + 1 + NAME_MAX];
	char names[DROPINS_MAX][NAME_MAX + 1];
	int n, r = 0;

	snprintf(folder, sizeof(folder), "%s.d", file);
	n = list_dropins(root, folder, names);
	if (n < 0) {
		fprintf(stderr, "vcpuhp-agent: %s: %s\n", folder, strerror(-n));
		return n;
	}
	qsort(names, (size_t)n, sizeof(names[0]), compare_names);
	for (int i = 0; i < n && r == 0; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		r = read_file(c, root, path, true);
	}
	return r;
}

int config_load(struct agent_config *c, int root, const char *file, bool must_exist)
{
	int r;

	agent_config_defaults(c);
	r = read_file(c, root, file, must_exist);
	return r < 0 ? r : read_dropins(c, root, file);
}
