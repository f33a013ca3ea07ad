/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_DOMAIN_HV_H
#define DAEMON_DOMAIN_HV_H

#include "daemon/domain.h"

/* What the domain's hypervisor calls; the context is the struct domain. */
extern const struct hv_events domain_hv_events;

/* Nothing is known of the slots any more; walks are dropped without a word. */
void domain_hv_forget(struct domain *d);

#endif
