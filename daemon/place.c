/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/place.h"
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct cpulist) * 8 == CPULIST_MAX, "the kernel's mask is its bits");

/* The effective uid of a thread, by the file and not by its owner: that is root's for one that may
 * not be dumped. */
static int read_uid(pid_t pid, pid_t tid, uid_t *ret)
{
	char line[128], path[64], *rest;
	int r = -ESRCH;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
	f = fopen(path, "re");
	if (!f && errno != ENOENT)
		return -errno;
	while (f && r < 0 && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "Uid:", 4) != 0)
			continue;
		strtoul(line + 4, &rest, 10); /* the real one */
		*ret = (uid_t)strtoul(rest, NULL, 10);
		r = 0;
	}
	if (f)
		fclose(f);
	return r;
}

/*
 * QEMU's word for a thread id is checked against the process that serves its QMP socket, or a
 * guest that owns its QEMU could have the daemon pin any thread of the host. A process that left its
 * socket to another and ended has a number that anybody may have now: so the uid has to be the same
 * too, and nobody is pinned whom the QEMU could not have pinned itself. (One that listened as root
 * and has put that down since has another uid than its socket says.)
 */
static int check_owner(const struct ucred *peer, pid_t tid)
{
	uid_t uid = (uid_t)-1;
	int r = peer->pid <= 0 || tid <= 0 ? -ESRCH : read_uid(peer->pid, tid, &uid);

	if (r < 0)
		return r;
	return peer->uid == 0 || uid == peer->uid ? 0 : -ESRCH;
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

int place_pin(const struct ucred *peer, pid_t tid, const struct cpulist *cpus,
	      struct placed *placed)
{
	struct placed p = *placed;
	int r = check_owner(peer, tid);

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

int place_undo(const struct ucred *peer, struct placed *placed)
{
	int r = placed->tid ? check_owner(peer, placed->tid) : -ESRCH;

	if (r == 0)
		r = set_mask(placed->tid, &placed->before);
	/* A thread that is gone, or another's by now, needs nothing undone. */
	if (r < 0 && r != -ESRCH)
		return r;
	*placed = (struct placed){ 0 };
	return 0;
}
