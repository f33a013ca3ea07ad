/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_JSON_OUT_H
#define DAEMON_JSON_OUT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Writing JSON. Each adds one member to @o; out of memory the member is missing, and nothing is
 * reported: what is left of an answer then is the reader's least trouble. What must be whole is
 * made with json_out_add(). Keys are borrowed for the life of @o, as literals are; that of
 * json_out_add() is copied. A member that is there already gets the new value; a number or a boolean
 * is changed in place, so no other object may share it.
 */

/**
 * json_out_add() - add a member that must not be missing
 * @o: NULL: there was no memory for it
 * @value: taken, always; NULL: there was no memory for it
 *
 * Return: 0 or -ENOMEM.
 */
int json_out_add(json_object *o, const char *key, json_object *value);

/* One that may be; @value is taken. */
void json_out_value(json_object *o, const char *key, json_object *value);

/* Bytes that are no UTF-8 (a text that was cut) become '?'. NULL is null. */
void json_out_str(json_object *o, const char *key, const char *value);
/* The empty text means unknown or none: null. */
void json_out_text(json_object *o, const char *key, const char *value);
void json_out_int(json_object *o, const char *key, int64_t value);
/* A number that is negative while unknown: null. */
void json_out_known(json_object *o, const char *key, int64_t value);
void json_out_bool(json_object *o, const char *key, bool value);
/* Milliseconds with one to three decimals. NULL: out of memory. */
json_object *json_out_ms_new(int64_t us);
void json_out_ms(json_object *o, const char *key, int64_t us);
void json_out_null(json_object *o, const char *key);

#endif
