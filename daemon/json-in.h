/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_JSON_IN_H
#define DAEMON_JSON_IN_H

#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reading JSON that a peer wrote. json-c alone is too kind and too dear for that: it spends
 * hundreds of bytes on two, and accepts NaN, 1e400, single quotes, duplicate keys and \u0000.
 * Here the text is measured and checked against the grammar before json-c allocates anything, and
 * values are read by getters that convert nothing.
 */

/**
 * struct json_in_limits - what one text may cost
 * @max_bytes: length of the text
 * @max_depth: brackets open at once, at most JSON_IN_DEPTH
 * @max_structural: the bytes {}[],: outside strings, about 250 bytes of heap each at worst
 */
struct json_in_limits {
	size_t max_bytes;
	unsigned int max_depth;
	size_t max_structural;
};

enum { JSON_IN_DEPTH = 16, JSON_IN_STRUCTURAL = 32768 };

/**
 * json_in_parse() - parse one object and nothing else
 * @text: need not be NUL-terminated; surrounding white space is allowed
 * @ret: the object, returned to the caller (json_object_put() or _cleanup_json_)
 * @ret_why: may be NULL; on an error a static phrase such as "duplicate key"
 *
 * Strings are valid UTF-8 without NUL, integers fit 64 bits, other numbers are finite, no key
 * stands twice in one object.
 *
 * Return: 0, -E2BIG over a limit, -EINVAL not such a text, -ENOMEM.
 */
int json_in_parse(const char *text, size_t len, const struct json_in_limits *limits,
		  json_object **ret, const char **ret_why);

/*
 * The getters: 0, or -ENOENT the key is missing or null, -EINVAL another type (nothing is
 * converted), -ERANGE too long or outside of min..max; -EINVAL too if @obj is no object. @ret is
 * untouched unless 0, so for an optional key: set the default, then accept -ENOENT. Results are
 * borrowed from @obj.
 */
int json_in_str(json_object *obj, const char *key, size_t max, const char **ret);
int json_in_int(json_object *obj, const char *key, int64_t min, int64_t max, int64_t *ret);
int json_in_bool(json_object *obj, const char *key, bool *ret);
int json_in_obj(json_object *obj, const char *key, json_object **ret);
/* At most @max elements; read them with json_object_array_get_idx(). */
int json_in_array(json_object *obj, const char *key, size_t max, json_object **ret);

/* The same for a bare value, an array's element for instance; NULL is JSON's null. */
int json_in_as_str(json_object *value, size_t max, const char **ret);
int json_in_as_int(json_object *value, int64_t min, int64_t max, int64_t *ret);

/**
 * json_in_unknown() - a key that is not in the NULL-terminated list
 *
 * Return: the first such key, borrowed from @obj; NULL if there is none or @obj is NULL.
 */
const char *json_in_unknown(json_object *obj, const char *const *known);

/* json_in_only(obj, "a", "b", NULL): 0, or -EINVAL if @obj has any other key. */
#define json_in_only(obj, ...) \
	(json_in_unknown((obj), (const char *const[]){ __VA_ARGS__ }) ? -EINVAL : 0)

static inline void json_in_putp(json_object **p)
{
	json_object_put(*p);
}
#define _cleanup_json_ __attribute__((cleanup(json_in_putp)))

#endif
