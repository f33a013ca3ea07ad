/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_DRIFT_H
#define DAEMON_DRIFT_H

#include "daemon/domain.h"

/* Compare wish and reality of every vCPU at rest; tell what is new or was left untold, act as
 * configured. */
void drift_check(struct domain *d);

/* Have that done from the loop, once for all that changes until then. */
void drift_look(struct domain *d);
/* Of d->look. */
int drift_on_look(sd_event_source *s, void *userdata);

/* The agent has told its whole table. The first time the wishes are taken over from what is
 * found; after a guest reboot what rests at standby by our wish is parked again, once. */
void drift_on_session(struct domain *d, bool same_boot);

#endif
