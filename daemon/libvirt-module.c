/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/libvirt-module.h"
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_NAME "vcpuhp-libvirt.so"

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

static void find_path(char *buf, size_t size)
{
	char folder[PATH_MAX];

	find_own_folder(folder, sizeof(folder));
	snprintf(buf, size, "%s/" FILE_NAME, folder);
	if (!*folder || access(buf, F_OK) < 0)
		snprintf(buf, size, VCPUHP_MODULE_DIR "/" FILE_NAME);
}

static int complain(char **ret_why, const char *path, const char *why)
{
	if (asprintf(ret_why, "%s: %s", path, why) < 0)
		*ret_why = NULL;
	return -ENOENT;
}

int libvirt_module_load(const struct libvirt_module **ret, char **ret_why)
{
	const struct libvirt_module *module;
	char path[PATH_MAX + sizeof(FILE_NAME) + 1];
	void *file;

	find_path(path, sizeof(path));
	if (access(path, F_OK) < 0)
		return complain(ret_why, path, strerror(errno));
	/* Never unloaded: libvirt keeps threads and handlers of its own. */
	file = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!file)
		return complain(ret_why, path, dlerror());
	module = dlsym(file, LIBVIRT_MODULE_SYMBOL);
	if (module && module->abi == LIBVIRT_MODULE_ABI) {
		*ret = module;
		return 0;
	}
	dlclose(file);
	complain(ret_why, path, "is of another version than vcpuhpd");
	return -EPROTO;
}
