/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_TRACE_H
#define DAEMON_CTL_TRACE_H

#include <json-c/json.h>
#include <stddef.h>

/* Who ran a step: the processes of the trace. */
enum trace_pid { TRACE_HOST = 1, TRACE_AGENT = 2, TRACE_KERNEL = 3 };

/* The thread of vCPU N is as many times the process's id, and N: 10000 is vCPU 0 of the host. */
enum { TRACE_TIDS = 10000 };

/**
 * trace_build() - steps of the daemon as a Chrome trace
 * @steps: array of step objects as in progress, with t_us (CLOCK_MONOTONIC); borrowed
 * @ret: {"traceEvents":[...],"displayTimeUnit":"ms"}, returned to the caller
 * @ret_events: how many complete events it has
 *
 * A step is a complete event ("X") from where it was entered to where it was left. Those of one
 * thread lie one behind the other, or one in the other; they come in the order of their beginnings,
 * behind the names and places of processes and threads. One that was not left ends where the next of
 * its thread begins, or with the last step of all, and has "unfinished":true; one whose beginning is
 * no longer remembered is as short as can be and has "truncated":true. Steps that make no sense are
 * left out.
 *
 * Return: 0 or -ENOMEM.
 */
int trace_build(json_object *steps, json_object **ret, size_t *ret_events);

#endif
