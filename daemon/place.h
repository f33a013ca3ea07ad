/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_PLACE_H
#define DAEMON_PLACE_H

#include "proto/cpulist.h"
#include <sys/socket.h>
#include <sys/types.h>

/**
 * struct placed - a thread that was pinned, with what it was allowed before; all zero is none
 */
struct placed {
	pid_t tid;
	struct cpulist before;
};

/**
 * place_pin() - pin a vCPU's host thread
 * @peer: the process that the thread must belong to, and whose uid it must have; pid 0 unknown
 * @tid: as QEMU told it, so not believed
 * @cpus: host CPUs
 * @placed: the mask of before is kept here, unless there already is one of this thread
 *
 * Source: sched_setaffinity(2), proc(5) /proc/PID/task.
 * Return: 0; -ESRCH no such thread in that process; -EPERM no right to it; -EINVAL none of the
 * CPUs is there; -ENOMEM and the like: it could not be looked.
 */
int place_pin(const struct ucred *peer, pid_t tid, const struct cpulist *cpus,
	      struct placed *placed);

/* Give the thread its mask of before back. 0 also when there is nothing to undo any more; after an
 * error it may be tried again. */
int place_undo(const struct ucred *peer, struct placed *placed);

#endif
