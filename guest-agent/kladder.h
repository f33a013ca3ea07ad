/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_KLADDER_H
#define AGENT_KLADDER_H

#include "guest-agent/agent.h"

/*
 * The kernel's own ladder beneath ap:online, as records for the host. Set up by a child process
 * (it takes half a second where time is slow), read only while a write of ours is under way.
 */

void kladder_init(struct agent *a);
void kladder_done(struct agent *a);

/* A session is up: the first host there is hears it where there is no kernel ladder to see. */
void kladder_on_session(struct agent *a);

/* The setup process has ended. */
void kladder_on_setup(struct agent *a, int status);

/* A kernel write begins: what was traced before is not its. */
void kladder_begin(struct agent *a);

/* Report what has come since, for the CPU whose write is under way. */
void kladder_read(struct agent *a);

#endif
