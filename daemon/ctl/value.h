/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_VALUE_H
#define DAEMON_CTL_VALUE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Getters that take a value only if it has that very type; else the default. @o may be NULL or of any
 * type. Results are borrowed from @o.
 */
const char *value_string(json_object *o, const char *key, const char *otherwise);
int64_t value_int(json_object *o, const char *key, int64_t otherwise);
bool value_bool(json_object *o, const char *key, bool otherwise);
double value_number(json_object *o, const char *key, double otherwise);
json_object *value_object(json_object *o, const char *key);
/* The array there, else NULL; read it with value_count() and value_at(). */
json_object *value_array(json_object *o, const char *key);
size_t value_count(json_object *array);
json_object *value_at(json_object *array, size_t i);

/* The member whatever its type; NULL for null and what is missing. */
json_object *value_get(json_object *o, const char *key);

#endif
