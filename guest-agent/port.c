/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/port.h"
#include "guest-agent/cleanup.h"
#include "guest-agent/sysfs.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PORTS "sys/class/virtio-ports"

static int open_device(int root, const char *path)
{
	int fd = openat(root, path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static bool is_named(int root, const char *port, const char *name)
{
	char path[PATH_MAX], text[256];

	snprintf(path, sizeof(path), PORTS "/%s/name", port);
	return sysfs_read(root, path, text, sizeof(text)) > 0 && strcmp(text, name) == 0;
}

static int open_by_name(int root, const char *name)
{
	int folder = openat(root, PORTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSEDIR DIR *d = folder < 0 ? NULL : fdopendir(folder);
	char path[PATH_MAX];
	struct dirent *e;
	int fd;

	if (!d) {
		if (folder >= 0)
			close(folder);
		return -ENOENT;
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.' || !is_named(root, e->d_name, name))
			continue;
		snprintf(path, sizeof(path), "dev/%s", e->d_name);
		fd = open_device(root, path);
		return fd == -ENOENT ? -EAGAIN : fd;
	}
	return -ENOENT;
}

int port_open(int root, const char *name)
{
	char path[PATH_MAX];
	int named, fd;

	if (strchr(name, '/'))
		return open_device(AT_FDCWD, name);
	named = open_by_name(root, name);
	if (named != -ENOENT && named != -EAGAIN)
		return named;
	/* Without the class folder or a node of that number, the link that udev makes of the name. */
	snprintf(path, sizeof(path), "dev/virtio-ports/%s", name);
	fd = open_device(root, path);
	return fd == -ENOENT ? named : fd;
}
