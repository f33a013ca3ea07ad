/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_HOSTLINK_INTERNAL_H
#define AGENT_HOSTLINK_INTERNAL_H

#include "guest-agent/hostlink.h"

/* Put what is due and has room into the batch: the answer to QUERY, rows, results. */
void hostlink_put_due(struct agent *a);

#endif
