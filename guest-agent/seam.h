/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_SEAM_H
#define AGENT_SEAM_H

#include "proto/cpulist.h"
#include <sys/types.h>

/**
 * struct seam - the things a test machine cannot do; release builds have one set only
 * @bind: bind process @pid (0: the calling one) to exactly @cpu. Return: 0 or -errno
 * @keep_on: let process @pid (0: the calling one) run on these CPUs alone. Return: 0 or -errno
 * @current_cpu: the CPU the calling process runs on; @cpu is the one it was bound to
 * @program_cpu: the CPU a callback program ran on; @ran_on is what the kernel says of it
 * @open_uevents: a non-blocking datagram socket that yields the kernel's uevent messages.
 *                Return: descriptor or -errno
 */
struct seam {
	int (*bind)(pid_t pid, int cpu);
	int (*keep_on)(pid_t pid, const struct cpulist *cpus);
	int (*current_cpu)(int cpu);
	int (*program_cpu)(int cpu, int ran_on);
	int (*open_uevents)(int root);
};

const struct seam *seam_get(void);

#endif
