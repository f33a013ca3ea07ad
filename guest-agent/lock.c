/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/lock.h"
#include "guest-agent/sysfs.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

int lock_take(int root)
{
	int fd, r;

	r = sysfs_make_parents(root, LOCK_PATH);
	if (r < 0)
		return r;
	fd = openat(root, LOCK_PATH, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}
