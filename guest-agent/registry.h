/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_REGISTRY_H
#define AGENT_REGISTRY_H

#include "guest-agent/agent.h"

/* The registered callbacks: which stands at which dynamic state (R12). */

/* Fill the table from the record of this boot and the folder; nothing runs. */
void registry_init(struct agent *a);
void registry_done(struct agent *a);

/* The callback that stands at @state, "" none; one that is still being registered does not yet. */
const char *registry_name(const struct registry *r, int state);

/* Bit i: a callback stands at state 12 + i. */
uint32_t registry_mask(const struct registry *r);

/*
 * Look at the folder again as soon as nothing walks. New walks wait for it, unless what it waits
 * for itself is overdue and may never end.
 */
void registry_rescan(struct agent *a);

/* Whether a walk must wait now. */
bool registry_is_busy(const struct agent *a);

/* Go on with what is due, if nothing walks. */
void registry_poll(struct agent *a);

/* One CPU has answered control_invoke(). */
void registry_on_invoked(struct agent *a, struct cpu *c, int rc);

#endif
