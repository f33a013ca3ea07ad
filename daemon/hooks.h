/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HOOKS_H
#define DAEMON_HOOKS_H

#include "daemon/domain.h"
#include "daemon/hook.h"

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

#endif
