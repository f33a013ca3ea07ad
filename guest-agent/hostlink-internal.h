/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_HOSTLINK_INTERNAL_H
#define AGENT_HOSTLINK_INTERNAL_H

#include "guest-agent/hostlink.h"

/* A new connection: nothing of an older one is worth anything. */
void hostlink_begin_session(struct agent *a);

/* The port has failed; it is tried again. */
void hostlink_close(struct agent *a, const char *why);

/* Put what is due and has room into the batch: the answer to QUERY, rows, results. Return: all. */
bool hostlink_put_due(struct agent *a);

#endif
