/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_CPULOOK_H
#define AGENT_CPULOOK_H

#include "proto/cpulist.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * What the kernel says of its CPUs, as it stands in sysfs now. A cpuN/online file is read under the
 * lock that a hotplug write holds, maybe for ever: so the list of all that are online is, which is
 * read without. Where no real sysfs is (a test root) those files are all there is.
 */

/* The folder that all the others look into. Return: a descriptor that the caller closes, or -errno. */
int cpulook_open(int root);

/* CPUs the kernel has room for, at most @max; @max where it does not say. */
int cpulook_possible(int cpus, int max);

/*
 * Which device is CPU @cpu: the inode number of its folder, of which the kernel makes another for
 * another device. Return: 0 there is none.
 */
uint64_t cpulook_device(int cpus, int cpu);

/*
 * The inode number of the CPU's folder named topology, of which the kernel makes another each time
 * it takes the CPU online, and which it removes when it takes it offline. Return: 0 there is none.
 */
uint64_t cpulook_topology(int cpus, int cpu);

/*
 * Which time online this is: another number each time, by that folder. Where there is none the
 * device's own stands for it. Return: 0 not known.
 */
uint64_t cpulook_period(int cpus, int cpu);

/* Its slot, from its firmware's path. Return: MSG_NO_SLOT where that tells none. */
uint16_t cpulook_slot(int cpus, int cpu);

/**
 * struct cpulook_online - all CPUs that are online
 * @listed: the kernel's list is in @list; else each CPU's own file is asked
 */
struct cpulook_online {
	bool listed;
	struct cpulist list;
};

/* Whether a real sysfs stands there, which is settled when the agent starts. */
bool cpulook_is_sysfs(int cpus);

void cpulook_online(int cpus, bool sysfs, struct cpulook_online *ret);

/* Whether @cpu is; one without a file of its own cannot be anything else. */
bool cpulook_is_online(int cpus, const struct cpulook_online *all, int cpu);

#endif
