/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HOOK_JSON_H
#define DAEMON_HOOK_JSON_H

#include "daemon/domain.h"
#include "daemon/hook.h"
#include <json-c/json.h>

/*
 * What hooks read. Each returns a text for the caller to free; NULL out of memory. vcpuhp-hooks(7) has
 * every key.
 */

enum { HOOK_UUID_SIZE = 40 };

char *hook_json_prepare(const struct op *o, const struct plan *plan);
/* Of an operation that has ended, done or not. */
char *hook_json_result(const struct op *o);
char *hook_json_drift(const struct event *e);
/* @more: a member of that name; taken */
char *hook_json_other(const struct domain *d, enum hook_event event, json_object *more);

/* A step, to be put between others with commas, and the whole of that. */
char *hook_json_step(const struct event *e);
char *hook_json_progress(const char *domain, const char *uuid, const char *op, unsigned int dropped,
			 const char *steps);

enum hook_event hook_event_of_result(const struct op *o);
/* "" unknown. */
void hook_uuid(const struct domain *d, char ret[HOOK_UUID_SIZE]);

#endif
