/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
/*
 * json-in.c's second pass. The grammar has been seen to: a separator is as good as white space here,
 * and every token is known by its first byte.
 *
 * json-c's own parser is of no use where memory may run out: it takes a key for granted that it has
 * copied, which ends the process, and leaves a member out that it could not add, without a word. So a
 * table of QEMU's would be read as if a vCPU were not there. Its constructors do say so.
 */
#include "daemon/json-build.h"
#include "daemon/json-in.h"
#include <stdlib.h>
#include <string.h>

enum { NUMBER_SIZE = 80 };

/* @strings: room for all that are still to come, without their escapes and with a NUL each */
struct build {
	const char *p;
	char *strings;
};

static int build_value(struct build *b, json_object **ret);

static bool is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static char next(struct build *b)
{
	while (is_one_of(*b->p, " \t\n\r,:"))
		b->p++;
	return *b->p;
}

static unsigned int hex4(const char *p)
{
	char digits[5] = { p[0], p[1], p[2], p[3] };

	return (unsigned int)strtoul(digits, NULL, 16);
}

static char *put_utf8(char *to, unsigned int u)
{
	unsigned int more = u < 0x80 ? 0 : u < 0x800 ? 1 : u < 0x10000 ? 2 : 3;
	static const unsigned char first[] = { 0, 0xc0, 0xe0, 0xf0 };

	*to++ = (char)(first[more] | u >> 6 * more);
	while (more-- > 0)
		*to++ = (char)(0x80 | (u >> 6 * more & 0x3f));
	return to;
}

static char *take_escape(struct build *b, char *to)
{
	static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	unsigned int u;

	if (b->p[1] != 'u') {
		*to = meant[strchr(escapes, b->p[1]) - escapes];
		b->p += 2;
		return to + 1;
	}
	u = hex4(b->p + 2);
	b->p += 6;
	if (u >= 0xd800 && u <= 0xdfff) {
		u = 0x10000 + ((u & 0x3ff) << 10) + (hex4(b->p + 2) & 0x3ff);
		b->p += 6;
	}
	return put_utf8(to, u);
}

static const char *take_string(struct build *b, size_t *ret_len)
{
	char *from = b->strings, *to = from;

	for (b->p++; *b->p != '"';) {
		if (*b->p == '\\')
			to = take_escape(b, to);
		else
			*to++ = *b->p++;
	}
	b->p++;
	*ret_len = (size_t)(to - from);
	*to++ = '\0';
	b->strings = to;
	return from;
}

static json_object *take_number(struct build *b)
{
	char text[NUMBER_SIZE] = "";
	size_t len = 0;
	int64_t n;

	while (len < NUMBER_SIZE - 1 && is_one_of(*b->p, "+-.0123456789eE"))
		text[len++] = *b->p++;
	if (strpbrk(text, ".eE"))
		return json_object_new_double_s(strtod(text, NULL), text);
	errno = 0;
	n = strtoll(text, NULL, 10);
	return errno ? json_object_new_uint64(strtoull(text, NULL, 10)) : json_object_new_int64(n);
}

static int build_member(struct build *b, json_object *o)
{
	json_object *value = NULL;
	size_t len;
	const char *key = take_string(b, &len);
	int r = build_value(b, &value), n = json_object_object_length(o);

	if (r < 0)
		return r;
	if (json_object_object_add(o, key, value) < 0) {
		json_object_put(value);
		return -ENOMEM;
	}
	return json_object_object_length(o) > n ? 0 : -EEXIST;
}

static int build_element(struct build *b, json_object *array)
{
	json_object *value = NULL;
	int r = build_value(b, &value);

	if (r < 0)
		return r;
	if (json_object_array_add(array, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

/* Of the elements of @o, which is NULL where there was no memory for it. */
static int fill(struct build *b, json_object *o, char close,
		int (*element)(struct build *b, json_object *o))
{
	int r = o ? 0 : -ENOMEM;

	b->p++;
	while (r == 0 && next(b) != close)
		r = element(b, o);
	b->p++;
	return r;
}

static int build_value(struct build *b, json_object **ret)
{
	json_object *v = NULL;
	const char *text;
	size_t len;
	int r = 0;

	switch (next(b)) {
	case '{':
		v = json_object_new_object();
		r = fill(b, v, '}', build_member);
		break;
	case '[':
		v = json_object_new_array();
		r = fill(b, v, ']', build_element);
		break;
	case '"':
		text = take_string(b, &len);
		v = json_object_new_string_len(text, (int)len);
		break;
	case 't':
		b->p += strlen("true");
		v = json_object_new_boolean(true);
		break;
	case 'f':
		b->p += strlen("false");
		v = json_object_new_boolean(false);
		break;
	case 'n':
		b->p += strlen("null");
		return 0;
	default:
		v = take_number(b);
	}
	if (r == 0 && v)
		*ret = v;
	else
		json_object_put(v);
	return v ? r : -ENOMEM;
}

int json_build(const char *text, size_t len, json_object **ret)
{
	char *strings = malloc(len + 1);
	struct build b = { text, strings };
	int r = strings ? build_value(&b, ret) : -ENOMEM;

	free(strings);
	return r;
}
