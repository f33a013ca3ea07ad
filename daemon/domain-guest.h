/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_DOMAIN_GUEST_H
#define DAEMON_DOMAIN_GUEST_H

#include "daemon/domain.h"

/* What the domain's link calls; the context is the struct domain. */
extern const struct link_ops domain_guest_ops;

/* Nothing is known of the guest any more. */
void domain_guest_forget(struct domain *d);

#endif
