/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_ANNOUNCE_H
#define AGENT_ANNOUNCE_H

#include "proto/cpulist.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct announcement - what applications are told
 * @serial: grows with each change
 * @active: CPUs at ap:active or above
 * @standby: CPUs present and resting, or on their way up from there and not active yet
 */
struct announcement {
	uint64_t serial;
	struct cpulist active;
	struct cpulist standby;
};

/* A number and its comma take five bytes at most. */
enum { ANNOUNCE_SIZE = 2 * CPULIST_MAX * 5 + CPULIST_MAX * 3 + 128 };

/**
 * struct announcer - whoever writes the file; one in a guest
 * @fd: of the file beside it that the next announcement goes into, -1 it is made then
 * @filled: that is @ahead, or some of it
 * @text, @len: what is written into it
 * @list: and its part in the kernel's form
 */
struct announcer {
	int root;
	int fd;
	bool filled;
	struct announcement ahead;
	size_t len;
	char text[ANNOUNCE_SIZE];
	char list[CPULIST_MAX * 3];
};

void announce_init(struct announcer *n, int root);
void announce_done(struct announcer *n);

/* Make that file ahead: it takes longer than all else, and a CPU waits for an announcement. */
void announce_prepare(struct announcer *n);

/* Put into it what is most likely to be announced next, where there is one. */
void announce_expect(struct announcer *n, const struct announcement *what);

/**
 * announce_write() - replace /run/vcpuhp-agent/cpus.json, which applications watch
 *
 * One JSON object: {"serial":N,"active":[..],"standby":[..],"active_list":"0-3"} and a newline,
 * replaced by rename so that readers never see half of it.
 *
 * Return: 0 or -errno.
 */
int announce_write(struct announcer *n, const struct announcement *what);

#endif
