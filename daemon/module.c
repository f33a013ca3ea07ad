/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/module.h"
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The program's own folder; "" unknown. */
static void find_own_folder(char *buf, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", buf, size - 1);
	char *slash;

	buf[n > 0 ? n : 0] = '\0';
	slash = strrchr(buf, '/');
	if (slash)
		*slash = '\0';
}

static void find_path(const char *file_name, char *buf, size_t size)
{
	char folder[PATH_MAX];

	find_own_folder(folder, sizeof(folder));
	snprintf(buf, size, "%s/%s", folder, file_name);
	if (!*folder || access(buf, F_OK) < 0)
		snprintf(buf, size, VCPUHP_MODULE_DIR "/%s", file_name);
}

static int complain(char **ret_why, const char *path, const char *why)
{
	if (asprintf(ret_why, "%s: %s", path, why) < 0)
		*ret_why = NULL;
	return -ENOENT;
}

int module_load(const char *file_name, const char *symbol, unsigned int abi, const void **ret,
		char **ret_why)
{
	const unsigned int *found;
	char path[PATH_MAX + NAME_MAX + 2];
	void *file;

	find_path(file_name, path, sizeof(path));
	if (access(path, F_OK) < 0)
		return complain(ret_why, path, strerror(errno));
	/* Never unloaded: libraries keep threads and handlers of their own. */
	file = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!file)
		return complain(ret_why, path, dlerror());
	found = dlsym(file, symbol);
	if (found && *found == abi) {
		*ret = found;
		return 0;
	}
	dlclose(file);
	complain(ret_why, path, "is of another version than vcpuhpd");
	return -EPROTO;
}
