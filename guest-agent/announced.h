/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_ANNOUNCED_H
#define AGENT_ANNOUNCED_H

#include "guest-agent/agent.h"

/* What is announced of the CPU table. */
void announced_init(struct agent *a);
void announced_done(struct agent *a);

/* Announce anew if it is not right any more. Return: 0 or -errno. */
int announced_update(struct agent *a);

/* Make the next one ahead, as far as it can be foreseen. */
void announced_prepare(struct agent *a);

#endif
