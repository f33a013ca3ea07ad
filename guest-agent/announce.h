/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_ANNOUNCE_H
#define AGENT_ANNOUNCE_H

#include "proto/cpulist.h"
#include <stdint.h>

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
int announce_write(int root, const struct cpulist *active, const struct cpulist *standby,
		   uint64_t serial);

#endif
