/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/cpulook.h"
#include "guest-agent/sysfs.h"
#include "guest-agent/text.h"
#include "proto/msg.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

int cpulook_open(int root)
{
	int fd = openat(root, "sys/devices/system/cpu", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int read_list(int cpus, const char *name, struct cpulist *ret)
{
	char text[4096];
	int r = sysfs_read(cpus, name, text, sizeof(text));

	if (r <= 0)
		return r < 0 ? r : -ENODATA;
	return cpulist_parse_kernel(text, ret);
}

int cpulook_possible(int cpus, int max)
{
	struct cpulist l;
	int last = -1;

	if (read_list(cpus, "possible", &l) < 0)
		return max;
	for (int n = cpulist_next(&l, 0); n >= 0; n = cpulist_next(&l, (unsigned int)n + 1))
		last = n;
	return last >= 0 && last < max ? last + 1 : max;
}

/* @what: "" its folder itself. */
static void path_of(int cpu, const char *what, char path[80])
{
	text_copy(path, 80, "cpu");
	text_add_number(path, 80, (unsigned int)cpu);
	text_add(path, 80, what);
}

/* Of a folder of @cpu's. Return: 0 and -errno in @ret_error where it cannot be had. */
static uint64_t read_inode(int cpus, int cpu, const char *folder, int *ret_error)
{
	char path[80];
	struct stat st;

	path_of(cpu, folder, path);
	*ret_error = fstatat(cpus, path, &st, 0) < 0 ? -errno : 0;
	return *ret_error ? 0 : st.st_ino;
}

uint64_t cpulook_device(int cpus, int cpu)
{
	int error;

	return read_inode(cpus, cpu, "", &error);
}

uint64_t cpulook_topology(int cpus, int cpu)
{
	int error;

	return read_inode(cpus, cpu, "/topology", &error);
}

uint64_t cpulook_period(int cpus, int cpu)
{
	int error;
	uint64_t period = read_inode(cpus, cpu, "/topology", &error);

	return error == -ENOENT ? cpulook_device(cpus, cpu) : period;
}

/* "\_SB_.CPUS.C003" is slot 3; a path of another shape tells no slot. */
static uint16_t parse_slot(const char *path)
{
	const char *last = strrchr(path, '.');

	if (!last || last[1] != 'C' || strlen(last + 2) != 3 ||
	    strspn(last + 2, "0123456789ABCDEFabcdef") != 3)
		return MSG_NO_SLOT;
	return (uint16_t)strtoul(last + 2, NULL, 16);
}

uint16_t cpulook_slot(int cpus, int cpu)
{
	char path[80], text[256];

	path_of(cpu, "/firmware_node/path", path);
	if (sysfs_read(cpus, path, text, sizeof(text)) <= 0)
		return MSG_NO_SLOT;
	return parse_slot(text);
}

bool cpulook_is_sysfs(int cpus)
{
	struct statfs fs;

	return fstatfs(cpus, &fs) == 0 && fs.f_type == SYSFS_MAGIC;
}

void cpulook_online(int cpus, bool sysfs, struct cpulook_online *ret)
{
	ret->listed = sysfs && read_list(cpus, "online", &ret->list) == 0;
}

bool cpulook_is_online(int cpus, const struct cpulook_online *all, int cpu)
{
	char path[80];
	long v;
	int r;

	if (all->listed)
		return cpulist_has(&all->list, (unsigned int)cpu);
	path_of(cpu, "/online", path);
	r = sysfs_read_long(cpus, path, &v);
	return r == -ENOENT ? cpulook_device(cpus, cpu) != 0 : r == 0 && v == 1;
}
