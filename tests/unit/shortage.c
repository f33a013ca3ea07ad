/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shortage.h"
#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

static unsigned int left; /* allocations up to the one that fails; 0 none will */
static bool is_lasting, failed;

void shortage_start(unsigned int nth, bool lasting)
{
	left = nth;
	is_lasting = lasting;
	failed = false;
}

bool shortage_stop(void)
{
	left = 0;
	return failed;
}

static bool is_refused(void)
{
	if (left == 0 || --left > 0)
		return false;
	left = is_lasting;
	failed = true;
	errno = ENOMEM;
	return true;
}

/* What the linker calls in place of @name: gives @refusal when it is its turn to fail. */
#define WRAP(type, refusal, name, params, args)                       \
	type __real_##name params;                                    \
	type __wrap_##name params;                                    \
	type __wrap_##name params                                     \
	{                                                             \
		return is_refused() ? (refusal) : __real_##name args; \
	}

WRAP(void *, NULL, malloc, (size_t size), (size))
WRAP(void *, NULL, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, NULL, realloc, (void *old, size_t size), (old, size))
WRAP(char *, NULL, strdup, (const char *s), (s))
WRAP(char *, NULL, strndup, (const char *s, size_t n), (s, n))

typedef int filter_fn(const struct dirent *);
typedef int order_fn(const struct dirent **, const struct dirent **);

WRAP(int, -1, scandir64,
     (const char *path, struct dirent ***ret, filter_fn *filter, order_fn *order),
     (path, ret, filter, order))

WRAP(json_object *, NULL, json_object_new_object, (void), ())
WRAP(json_object *, NULL, json_object_new_string, (const char *s), (s))
WRAP(json_object *, NULL, json_object_new_string_len, (const char *s, int n), (s, n))
WRAP(json_object *, NULL, json_object_new_int, (int32_t n), (n))
WRAP(json_object *, NULL, json_object_new_int64, (int64_t n), (n))
WRAP(json_object *, NULL, json_object_new_uint64, (uint64_t n), (n))
WRAP(json_object *, NULL, json_object_new_double_s, (double n, const char *text), (n, text))
WRAP(json_object *, NULL, json_object_new_boolean, (json_bool is), (is))
WRAP(json_object *, NULL, json_object_new_array, (void), ())
WRAP(int, -1, json_object_array_add, (json_object * array, json_object *value), (array, value))
WRAP(int, -1, json_object_object_add, (json_object * o, const char *key, json_object *value),
     (o, key, value))

/* libinih says so when it has no memory for a line. */
WRAP(int, -2, ini_parse_stream, (ini_reader reader, void *stream, ini_handler handler, void *user),
     (reader, stream, handler, user))

int __wrap_asprintf(char **ret, const char *format, ...) __attribute__((format(printf, 2, 3)));

int __wrap_asprintf(char **ret, const char *format, ...)
{
	va_list ap;
	int r;

	*ret = (char *)-1; /* "undefined": whoever uses or frees it falls over */
	if (is_refused())
		return -1;
	va_start(ap, format);
	r = vasprintf(ret, format, ap);
	va_end(ap);
	return r;
}
