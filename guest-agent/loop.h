/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_LOOP_H
#define AGENT_LOOP_H

#include "guest-agent/agent.h"

/* Serve until told to stop. Return: 0 or -errno. */
int loop_run(struct agent *a);

/* Take the signals that wait: the end, a look at the callbacks (SIGHUP), children that ended. */
void loop_on_signals(struct agent *a);

#endif
