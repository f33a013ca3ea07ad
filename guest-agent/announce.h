/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_ANNOUNCE_H
#define AGENT_ANNOUNCE_H

#include "proto/cpulist.h"
#include <stdint.h>

/**
 * struct announcer - whoever writes the file; one in a guest
 * @fd: of the file beside it that the next announcement goes into, -1 it is made then
 */
struct announcer {
	int root;
	int fd;
};

void announce_init(struct announcer *n, int root);
void announce_done(struct announcer *n);

/* Make that file ahead: it takes longer than all else, and a CPU waits for an announcement. */
void announce_prepare(struct announcer *n);

/**
 * announce_write() - replace /run/vcpuhp-agent/cpus.json, which applications watch
 * @active: CPUs at ap:active or above
 * @standby: CPUs present and resting, or on their way up from there and not active yet
 * @serial: grows with each change
 *
 * One JSON object: {"serial":N,"active":[..],"standby":[..],"active_list":"0-3"} and a newline,
 * replaced by rename so that readers never see half of it.
 *
 * Return: 0 or -errno.
 */
int announce_write(struct announcer *n, const struct cpulist *active, const struct cpulist *standby,
		   uint64_t serial);

#endif
