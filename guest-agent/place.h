/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_PLACE_H
#define AGENT_PLACE_H

#include "proto/cpulist.h"
#include <stdbool.h>

struct agent;

/**
 * struct place - where the agent's own processes run
 * @given: the CPUs that whoever started it, or changed that since, lets it run on
 * @home: those in service when it was settled last
 * @kept: what stood then, of which the kernel leaves out what is offline; it tells of a change by others
 * @known: all of this is
 */
struct place {
	struct cpulist given;
	struct cpulist home;
	struct cpulist kept;
	bool known;
};

/*
 * Control, the writer's helper and what is forked from now on run on CPUs in service and on no other:
 * one that comes has its worker to prove, and is in doubt until it has. To be called while nothing
 * moves; does nothing where it was settled for the same CPUs, or the kernel does not tell.
 */
void place_settle(struct agent *a);

#endif
