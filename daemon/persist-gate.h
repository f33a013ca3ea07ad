/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_PERSIST_GATE_H
#define DAEMON_PERSIST_GATE_H

#include "daemon/persist.h"
#include <sys/types.h>

struct manager;
struct op;
struct persist_gate;

/**
 * persist_gate_ask() - change a persistent configuration, when its turn has come
 * @name: of the domain, for the log and the events
 * @op: the operation it belongs to, or NULL; counted
 * @done: called once, but for a change that is cancelled; possibly long after its client has gone
 * @ret: valid until @done, for persist_gate_cancel()
 *
 * One change of a domain is with libvirt at a time, in the order of asking.
 *
 * Return: 0; or -errno, and @done is not called.
 */
int persist_gate_ask(struct persist_gate **ret, struct manager *m, const char *uuid,
		     const char *name, const struct persist_change *change, uid_t uid,
		     struct op *op, persist_done_fn done, void *arg);

/* True: it was not sent to libvirt and never will be, and is gone. False: it cannot be recalled. */
bool persist_gate_cancel(struct persist_gate *g);

/* Tell the listeners, and the log, what has become of a domain's persistent configuration. */
void persist_gate_tell(struct manager *m, const char *uuid, const char *name, uid_t uid,
		       struct op *op, const char *what);

#endif
