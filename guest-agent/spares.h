/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_SPARES_H
#define AGENT_SPARES_H

#include "guest-agent/agent.h"

/*
 * Workers forked ahead while nothing moves, so that the next CPUs to need one do not wait for it; one
 * more for each CPU of a batch that is larger, during its kernel write. They know as little of their
 * CPU as of callbacks to come: they are replaced when one is registered or goes. One that dies by
 * itself is not, before others are needed.
 */
void spares_init(struct agent *a);

/* Fork one. Return: whether there may be another to fork. */
bool spares_prepare(struct agent *a);

/* They leave. */
void spares_forget(struct agent *a);

/* Return: whether @pid, which has died, was one of them. */
bool spares_on_exit(struct agent *a, pid_t pid);

/* One of them, or a new one. Return: 0 or -errno. */
int spares_take(struct agent *a, struct worker *ret);

#endif
