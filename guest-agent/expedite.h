/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_EXPEDITE_H
#define AGENT_EXPEDITE_H

#include "guest-agent/agent-config.h"
#include <stdbool.h>

/*
 * rcu_expedited while CPUs are in transition. The old value is saved in
 * /run/vcpuhp-agent/expedite before ours is written and put back only if the value is still ours.
 * The kernel's files are opened once, as each batch of CPUs waits for them; they close with the
 * process.
 */
struct expedite {
	int root;
	enum expedite_mode mode;
	bool has_quiet_cpus;
	bool active;
	long saved;
	int expedited_fd;
	int normal_fd;
};

/* Puts back what an agent that was killed left behind. Return: 0 or -errno. */
int expedite_init(struct expedite *e, int root, enum expedite_mode mode);

/* Both are idempotent; auto does nothing where a CPU is isolated or nohz_full, or rcu_normal is 1. */
int expedite_begin(struct expedite *e);
int expedite_end(struct expedite *e);

#endif
