/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_KICK_H
#define AGENT_KICK_H

#include "guest-agent/agent.h"

/* What the host asks for, and what it is answered. */

/* MSG_KICK: taken, refused with a sentence (R16), or its result sent again. */
void kick_on_kick(struct agent *a, const struct msg_kick *k);
void kick_on_cancel(struct agent *a, const struct msg_cancel *m);
void kick_on_ack(struct agent *a, const struct msg_ack *m);
void kick_on_arm(struct agent *a, const struct msg_arm *m);

/* The deadline of a kick that waits counts too. */
void kick_on_time(struct cpu *c, uint64_t now);

/* The kick that waited may begin. */
void kick_start_next(struct agent *a, struct cpu *c);

#endif
