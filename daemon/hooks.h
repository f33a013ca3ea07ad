/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HOOKS_H
#define DAEMON_HOOKS_H

#include "daemon/domain.h"
#include "daemon/hook.h"
#include <json-c/json.h>

/*
 * Programs of the host's administrator (HookDirectory=) that are asked before an operation begins, and
 * told of what happens.
 */
struct hooks;

/* They listen to @m's events, and are who is asked (m->vet); must be freed before the manager, and after
 * its domains. Return: 0 or -errno. */
int hooks_new(struct hooks **ret, struct manager *m);
struct hooks *hooks_free(struct hooks *h);

/* The configuration was read again: what is wrong with a hook is said once more. */
void hooks_reload(struct hooks *h);

/**
 * hooks_tell() - tell every hook of what no event of the bus says
 * @o: becomes the member of the event's name; taken
 *
 * Of HOOK_LOAD one call waits at most for each domain: the newest.
 */
void hooks_tell(struct hooks *h, const struct domain *d, enum hook_event event, json_object *o);

#endif
