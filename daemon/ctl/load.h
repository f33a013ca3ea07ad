/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_LOAD_H
#define DAEMON_CTL_LOAD_H

#include <json-c/json.h>
#include <stddef.h>

/* Seconds between two looks at the load, where --interval does not say. */
enum { LOAD_INTERVAL_MS = 2000 };

/* What the daemon's Load object says, "-" for what is unknown; NULL: all of it. */

/* A number of @o, or of the object @within it. Return: @buf. */
const char *load_number(json_object *o, const char *within, const char *key, char *buf,
			size_t size);

/* The load average of 1 min. Return: @buf. */
const char *load_average(json_object *load, char *buf, size_t size);

/* In words, for a line of events. Return: @buf. */
const char *load_words(json_object *load, char *buf, size_t size);

#endif
