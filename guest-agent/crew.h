/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_CREW_H
#define AGENT_CREW_H

#include "guest-agent/agent.h"

/* Control's side of the workers: hiring, handing walks over, hearing them, burying them. */

/*
 * Tell it to leave; control_on_worker_gone() follows when it is reaped. Told again for another job
 * it gets the time it has for that once more.
 */
void crew_dismiss(struct cpu *c);

/* Whether there is one that was not told yet; where its CPU has no job it has nothing to do. */
bool crew_is_idle(const struct cpu *c);

/* Tell that one, where there is one. */
void crew_dismiss_idle(struct cpu *c);

/**
 * crew_hand_over() - hand a walk to @c's worker, to a new one where there is none
 * @given: the walk as the worker shall begin with it
 *
 * A new worker first binds and proves itself: control_on_worker() follows.
 *
 * Return: 0 or -errno.
 */
int crew_hand_over(struct agent *a, struct cpu *c, const struct handover *given);

/* Ask it to fail the walk between two steps. */
void crew_cancel(struct cpu *c, int rc);

/* Pass an armed failure on to a worker that is already walking. */
void crew_arm(struct cpu *c);

/* Kill it; its death counts as a failure with @rc of the step it was in. */
void crew_kill(struct agent *a, struct cpu *c, int rc, const char *why);
/* It was killed and is still there. */
bool crew_is_dying(const struct cpu *c);

/* At the start: what is left of callbacks of an agent before this one. */
void crew_end_leftovers(struct agent *a);

void crew_on_readable(struct agent *a, struct cpu *c);
void crew_on_exit(struct agent *a, struct cpu *c, int status);

#endif
