/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_ADOPT_H
#define AGENT_ADOPT_H

#include "guest-agent/agent.h"

/* CPUs that changed without us (R19), and what an agent before this one left. */

/* Take over what the record of this boot says of every CPU; before the first scan. */
void adopt_restore(struct agent *a);

/* A resting CPU is found online: adopt it, or park it again where it was put to standby. */
void adopt_found_online(struct agent *a, struct cpu *c);

/*
 * A CPU that rests above standby, or did for an agent before this one, is found offline or gone, or
 * online again since: its teardown runs late.
 */
void adopt_taken(struct agent *a, struct cpu *c);

/* An adoption or a parking of ours has ended. */
void adopt_on_finished(struct agent *a, struct cpu *c, enum job_kind kind, int rc,
		       const char *text);

#endif
