/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which run of the host and of a process this is, as the kernel tells. */
#include "daemon/intent-file.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Up to @size - 1 bytes of a file in /proc. Return: how many, or -1. */
static ssize_t read_text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	if (n >= 0)
		buf[n] = '\0';
	return n;
}

void intent_host_boot(uint8_t ret[16])
{
	static const char digits[] = "0123456789abcdef";
	char buf[64];
	unsigned int n = 0;

	memset(ret, 0, 16);
	if (read_text("/proc/sys/kernel/random/boot_id", buf, sizeof(buf)) < 36)
		return;
	for (const char *p = buf; *p && n < 32; p++) {
		const char *digit = strchr(digits, *p);

		if (digit)
			ret[n / 2] |= (uint8_t)((digit - digits) << (n % 2 ? 0 : 4));
		n += digit != NULL;
	}
}

uint64_t intent_process_started(int pid)
{
	char path[64], buf[1024], *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (pid <= 0 || read_text(path, buf, sizeof(buf)) < 0)
		return 0;
	/* The name in it may have anything inside, a parenthesis too; field 22 counts from its end. */
	p = strrchr(buf, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p, NULL, 10) : 0;
}

bool intent_is_same_run(const struct intent_run *then, const struct intent_run *now)
{
	return memcmp(then->host_boot, now->host_boot, sizeof(then->host_boot)) == 0 &&
	       then->known && now->known && then->maximum == now->maximum &&
	       strcmp(then->uuid, now->uuid) == 0 && then->libvirt_id == now->libvirt_id &&
	       (!then->pid || !now->pid ||
		(then->pid == now->pid && (!then->pid_started || !now->pid_started ||
					   then->pid_started == now->pid_started)));
}
