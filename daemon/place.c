/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/place.h"
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(struct cpulist) * 8 == CPULIST_MAX, "the kernel's mask is its bits");

/*
 * QEMU's word for a thread id is checked against the process that serves its QMP socket, or a
 * guest that owns its QEMU could have the daemon pin any thread of the host.
 */
static int check_owner(pid_t pid, pid_t tid)
{
	char path[64];

	if (pid <= 0 || tid <= 0)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)pid, (int)tid);
	return access(path, F_OK) == 0 ? 0 : -ESRCH;
}

static int get_mask(pid_t tid, struct cpulist *ret)
{
	cpu_set_t *set = (cpu_set_t *)(void *)ret->bits;

	memset(ret, 0, sizeof(*ret));
	return sched_getaffinity(tid, sizeof(*ret), set) < 0 ? -errno : 0;
}

static int set_mask(pid_t tid, const struct cpulist *cpus)
{
	struct cpulist copy = *cpus;
	cpu_set_t *set = (cpu_set_t *)(void *)copy.bits;

	return sched_setaffinity(tid, sizeof(copy), set) < 0 ? -errno : 0;
}

int place_pin(pid_t pid, pid_t tid, const struct cpulist *cpus, struct placed *placed)
{
	struct placed p = *placed;
	int r = check_owner(pid, tid);

	if (r < 0)
		return r;
	if (p.tid != tid) {
		p.tid = tid;
		r = get_mask(tid, &p.before);
		if (r < 0)
			return r;
	}
	r = set_mask(tid, cpus);
	if (r < 0)
		return r;
	*placed = p;
	return 0;
}

int place_undo(pid_t pid, struct placed *placed)
{
	struct placed p = *placed;
	int r;

	*placed = (struct placed){ 0 };
	if (p.tid == 0 || check_owner(pid, p.tid) < 0)
		return 0;
	r = set_mask(p.tid, &p.before);
	return r == -ESRCH ? 0 : r;
}
