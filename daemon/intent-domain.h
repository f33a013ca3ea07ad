/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_INTENT_DOMAIN_H
#define DAEMON_INTENT_DOMAIN_H

#include "daemon/domain.h"
#include "daemon/intent-file.h"

/*
 * A domain's intent: from its operations and vCPUs into the file before each act, and back when the
 * daemon starts. Where the manager has no store nothing is kept and nothing fails.
 */

/* Take up what an earlier daemon has left: its operations are there from now on. Return: 0 or -ENOMEM. */
int intent_domain_init(struct domain *d);
void intent_domain_done(struct domain *d);

/* The domain is not managed any more: nothing is to be found of it. */
void intent_domain_remove(struct domain *d);

/* QEMU is there, and d->facts say which. What was about another run of the VM is void. */
void intent_domain_on_attached(struct domain *d);

/* The vCPUs are there: their wishes and owners are as they were. */
void intent_domain_on_table(struct domain *d);

/**
 * domain_remember() - write what is intended now, before it is done
 *
 * What cannot be written is said once in the log and tried again with every tick.
 *
 * Return: 0; or -errno, and d->store_why says which file, why, and what to do.
 */
int domain_remember(struct domain *d);

/* The same from the loop, once for all that changes until then. */
void domain_remember_later(struct domain *d);

/* The same for a new operation, which is refused else: also a file that somebody took away is noticed. */
int domain_may_accept(struct domain *d, char why[OP_TEXT_MAX]);

/* op-resume.c: an operation as it was kept. Return: 0 or -ENOMEM. */
int op_resume(struct domain *d, const struct intent *i, const struct intent_op *o);
/* op-intent.c: what is to be kept of one. @ret->moves: returned to the caller. Return: 0 or -ENOMEM. */
int op_keep_intent(const struct op *o, struct intent_op *ret);
/* Of one that has ended: into @o->record, if it is not there. Return: 0 or -errno. */
int op_keep_ended(struct op *o);
/* It is too long ago to be kept. */
void op_forget_ended(struct op *o);

#endif
