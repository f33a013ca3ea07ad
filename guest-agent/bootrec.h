/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_BOOTREC_H
#define AGENT_BOOTREC_H

#include "guest-agent/process.h"
#include <stdbool.h>
#include <stdint.h>

#define BOOTREC_PATH "run/vcpuhp-agent/record"

/*
 * The agent's own record of this boot, /run/vcpuhp-agent/record: what was done on each CPU and
 * which callback stands at which state, so that an agent that was killed does nothing twice (R19).
 * Fixed-size rows written in place by pwrite(2): it survives a kill of the agent, not a reboot.
 * A record of another boot id, size or version is started anew.
 */
enum { BOOTREC_CPUS = 1024, BOOTREC_DYN = 31 };

/**
 * struct bootrec_row - one CPU; without padding, as each of its bytes is checked
 * @group: the callback program that is under way and all that it has started
 * @state: the highest state whose startup is done (0: unknown to us)
 * @under_way: a state whose callback was started and not answered yet, 0 none
 * @under_way_startup: in which direction
 * @dyn_done: bit i: the callback at state 12 + i has its startup done
 * @standby_wish: it was put to standby by us
 * @kick: the last kick it took
 */
struct bootrec_row {
	struct process_group group;
	uint16_t state;
	uint16_t under_way;
	uint16_t under_way_startup;
	uint16_t standby_wish;
	uint32_t dyn_done;
	uint32_t kick;
};

/**
 * struct bootrec_subject - of what a row speaks (cpulook.h); stored before the row is
 * @device: which device, 0 unknown
 * @period: which time online, where its state is above standby
 */
struct bootrec_subject {
	uint64_t device;
	uint64_t period;
};

/**
 * struct bootrec - the open record
 * @kick: the highest kick number in it
 */
struct bootrec {
	int fd;
	uint32_t kick;
};

/* Open or create; @ret_fresh tells that nothing of this boot was known. Return: 0 or -errno. */
int bootrec_open(struct bootrec *r, int root, const uint8_t boot_id[16], bool *ret_fresh);
void bootrec_close(struct bootrec *r);
int bootrec_load(const struct bootrec *r, int cpu, struct bootrec_row *ret);
int bootrec_store(const struct bootrec *r, int cpu, const struct bootrec_row *row);

int bootrec_load_subject(const struct bootrec *r, int cpu, struct bootrec_subject *ret);
int bootrec_store_subject(const struct bootrec *r, int cpu, const struct bootrec_subject *s);

/* The callback table of this boot: name of the callback at state 12 + i, "" none. */
int bootrec_load_name(const struct bootrec *r, int i, char name[64]);
int bootrec_store_name(const struct bootrec *r, int i, const char *name);

/* The highest kick number taken this boot. */
uint32_t bootrec_kick(const struct bootrec *r);
int bootrec_store_kick(struct bootrec *r, uint32_t kick);

#endif
