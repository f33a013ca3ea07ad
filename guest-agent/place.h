/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_PLACE_H
#define AGENT_PLACE_H

#include "proto/cpulist.h"
#include <stdbool.h>

struct agent;

/**
 * struct place - where control and the writer's helper run
 * @given: the CPUs that whoever started it, or changed that since, lets them run on
 * @kept: what the kernel said when it was settled; it tells of a change by others
 * @known: the kernel tells
 * @due: something has moved since
 * @objected: it was said that it cannot be had
 */
struct place {
	struct cpulist given;
	struct cpulist kept;
	bool known;
	bool due;
	bool objected;
};

/* What it is given now. */
void place_start(struct agent *a);

/*
 * Control and the writer's helper run on CPUs in service and on no other, where any of them is given:
 * one that comes has its worker to prove, and is in doubt until it has. To be called while nothing
 * moves but what may do so for ever. Without /proc they run where they are let.
 */
void place_settle(struct agent *a);

#endif
