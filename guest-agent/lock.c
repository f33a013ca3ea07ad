/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int lock_take(int root)
{
	int fd, r;

	if (mkdirat(root, "run/vcpuhp-agent", 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(root, "run/vcpuhp-agent/lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}
