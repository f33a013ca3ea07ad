/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_DOMAIN_GUEST_H
#define DAEMON_DOMAIN_GUEST_H

#include "daemon/domain.h"

/* What the domain's link calls; the context is the struct domain. */
extern const struct link_ops domain_guest_ops;

/* Forget what is known of the guest and ask its agent, if there is one, for its whole table. */
void domain_guest_ask(struct domain *d);

/* Ask again, with what is known standing until the answer has ended: its word may have been lost. */
void domain_guest_doubt(struct domain *d);

/* May the journal have another line that the guest can cause? It is taken for written. */
bool domain_guest_may_log(struct domain *d);

#endif
