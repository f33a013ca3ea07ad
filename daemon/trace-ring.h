/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_TRACE_RING_H
#define DAEMON_TRACE_RING_H

#include "daemon/domain.h"

/* Remember a STEP or KSTEP event; others are not kept. Out of memory loses it silently: a trace
 * is a help, not a promise. */
void trace_ring_add(struct trace_ring *t, const struct event *e);

/* The @i-th record, oldest first; NULL beyond the end. */
const struct trace_record *trace_ring_at(const struct trace_ring *t, unsigned int i);

/* The kernel's name of @step as last heard, "" unknown. */
const char *trace_ring_kname(const struct trace_ring *t, unsigned int step);

void trace_ring_done(struct trace_ring *t);

#endif
