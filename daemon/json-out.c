/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/json-out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Length of the well-formed UTF-8 sequence at @p, 0 for none. */
static size_t utf8_length(const unsigned char *p)
{
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates and what is above U+10FFFF. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/* Hundreds of members a second are added by keys that are literals: no copy of those. */
void json_out_value(json_object *o, const char *key, json_object *value)
{
	json_object_object_add_ex(o, key, value, JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

static bool is_utf8(const char *text)
{
	while (*text) {
		size_t n = utf8_length((const unsigned char *)text);

		if (n == 0)
			return false;
		text += n;
	}
	return true;
}

int json_out_add(json_object *o, const char *key, json_object *value)
{
	if (o && value && json_object_object_add(o, key, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

void json_out_str(json_object *o, const char *key, const char *value)
{
	char *copy;

	if (value && is_utf8(value)) {
		json_out_value(o, key, json_object_new_string(value));
		return;
	}
	copy = value ? strdup(value) : NULL;
	if (!copy) {
		json_out_null(o, key);
		return;
	}
	for (size_t i = 0; copy[i];) {
		size_t n = utf8_length((unsigned char *)copy + i);

		if (n == 0)
			copy[i] = '?';
		i += n ? n : 1;
	}
	json_out_value(o, key, json_object_new_string(copy));
	free(copy);
}

void json_out_text(json_object *o, const char *key, const char *value)
{
	json_out_str(o, key, value && *value ? value : NULL);
}

void json_out_int(json_object *o, const char *key, int64_t value)
{
	json_object *old;

	if (!json_object_object_get_ex(o, key, &old) || !json_object_set_int64(old, value))
		json_out_value(o, key, json_object_new_int64(value));
}

void json_out_known(json_object *o, const char *key, int64_t value)
{
	if (value < 0)
		json_out_null(o, key);
	else
		json_out_int(o, key, value);
}

void json_out_bool(json_object *o, const char *key, bool value)
{
	json_object *old;

	if (!json_object_object_get_ex(o, key, &old) || !json_object_set_boolean(old, value))
		json_out_value(o, key, json_object_new_boolean(value));
}

json_object *json_out_ms_new(int64_t us)
{
	uint64_t left = us < 0 ? -(uint64_t)us : (uint64_t)us;
	unsigned int decimals = left % 10 ? 3 : left % 100 ? 2 : 1;
	char text[40], *p = text + sizeof(text);

	*--p = '\0';
	for (unsigned int i = decimals; i < 3; i++)
		left /= 10;
	for (unsigned int i = 0; i <= decimals || left > 0; i++) {
		if (i == decimals)
			*--p = '.';
		*--p = (char)('0' + left % 10);
		left /= 10;
	}
	if (us < 0)
		*--p = '-';
	return json_object_new_double_s((double)us / 1000, p);
}

void json_out_ms(json_object *o, const char *key, int64_t us)
{
	json_out_value(o, key, json_out_ms_new(us));
}

void json_out_null(json_object *o, const char *key)
{
	json_out_value(o, key, NULL);
}
