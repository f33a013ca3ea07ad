/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_REPORT_H
#define DAEMON_REPORT_H

#include "daemon/domain.h"
#include "daemon/event.h"
#include "daemon/op.h"
#include <json-c/json.h>

/*
 * What the daemon knows as the JSON that users see; io.vcpuhp.Manager.varlink names every key.
 * Those that return an object (or array) give it to the caller to put; NULL only out of memory. They
 * read, and change nothing of the daemon's.
 */

/* One STEP or KSTEP event, as Progress. */
json_object *report_progress(const struct event *e);

/* The same of a STEP alone, in place of the one that @o held before, if any: each of its keys is written. */
void report_step(json_object *o, const struct event *e);

/* Any event, as Event. */
json_object *report_event(const struct event *e);

/* An operation, ended or not, as Result. */
json_object *report_result(const struct op *o);

/* The remembered steps of @o as Progress; NULL if its domain is gone. */
json_object *report_op_trace(const struct op *o);

/* Remembered steps of @d as TraceStep; of operation @o only, unless NULL. */
json_object *report_trace(const struct domain *d, const struct op *o);

/* "warnings" of a result or a plan, where there are any: an optional key. */
void report_warning(json_object *o, const char *warning);

/* "config" of a result. */
json_object *report_persist(const struct persist_outcome *p);

/* The moves and the refusals of a plan, for @d's names of states. */
json_object *report_plan(const struct domain *d, const struct plan *p);
json_object *report_refusals(const struct plan *p);

/* Everything known of a domain, or its summary. @now_us: CLOCK_MONOTONIC. */
json_object *report_info(const struct domain *d, uint64_t now_us);
json_object *report_summary(const struct domain *d, uint64_t now_us);

/* The guest's load, of each CPU too where @cpus; NULL unknown. */
json_object *report_load(const struct domain *d, bool cpus, uint64_t now_us);

/* The daemon and its host. */
json_object *report_host(const struct manager *m, uint64_t now_us);

/* The ladder; with @d only those dynamic states where a callback stands, with their names. */
json_object *report_states(const struct domain *d);

#endif
