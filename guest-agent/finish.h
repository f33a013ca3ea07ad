/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_FINISH_H
#define AGENT_FINISH_H

#include "guest-agent/agent.h"

/* A job is over: where the CPU rests, whom it concerns, and what may begin now. */
void finish_job(struct agent *a, struct cpu *c);

/* Begin what has waited for the agent's own work on @c, or on all CPUs, to end. */
void finish_start_waiting(struct agent *a);

/* CPUs are in transition, or kicks are to come. */
bool finish_is_batch_on(const struct agent *a);

/*
 * What nobody waits for: write the log; and a moment after the last result put rcu_expedited back,
 * read the kernel's ladder that nobody watched, fork ahead.
 *
 * Return: whether there is more of it.
 */
bool finish_rest(struct agent *a);

/* "EBUSY" */
const char *errno_name(int error);

#endif
