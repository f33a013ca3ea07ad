/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_EXPEDITE_H
#define AGENT_EXPEDITE_H

#include "guest-agent/agent-config.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * rcu_expedited while CPUs are in transition. What is to be put back stands in
 * /run/vcpuhp-agent/expedite, "-" where nothing is.
 *
 * @record_dev, @record_ino: of the record that @record_fd is of
 * @kicks: that the host said are still to come, until @until_ms, which each puts off by @within_ms
 * @due: the host just said so
 */
struct expedite {
	int root;
	enum expedite_mode mode;
	bool has_quiet_cpus;
	bool active;
	int expedited_fd;
	int normal_fd;
	int record_fd;
	dev_t record_dev;
	ino_t record_ino;
	unsigned int kicks;
	uint64_t within_ms;
	uint64_t until_ms;
	bool due;
};

/* Puts back what an agent that was killed left behind. Return: 0 or -errno. */
int expedite_init(struct expedite *e, int root, enum expedite_mode mode);

/* Both are idempotent; auto does nothing where a CPU is isolated or nohz_full, or rcu_normal is 1. */
int expedite_begin(struct expedite *e);
int expedite_end(struct expedite *e);

/* The end of the agent: what is ours is put back. Return: 0 or -errno. */
int expedite_done(struct expedite *e);

/*
 * What the host said of @kicks to come: begins at the next expedite_rest(), behind the answer to
 * what came with it.
 */
void expedite_prepare(struct expedite *e, unsigned int kicks, uint64_t within_ms, uint64_t now_ms);
void expedite_on_kick(struct expedite *e, uint64_t now_ms);

/* When no more of them are waited for, 0 they are not. */
uint64_t expedite_deadline(const struct expedite *e);

/* Begin what is due, or end what is over where nothing moves and nothing is to come. */
int expedite_rest(struct expedite *e, bool moving, uint64_t now_ms);

#endif
