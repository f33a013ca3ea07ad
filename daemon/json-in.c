/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Two passes. The first is a scanner of our own: it walks the text once by recursive descent (as
 * deep as the depth limit, so the stack is bounded), allocates nothing, checks every token against
 * the grammar of RFC 8259 and counts depth and structural bytes. Only of a text it accepts objects
 * are made (json-build.c).
 *
 * Duplicate keys are the one thing the scanner cannot see without remembering keys ("a" and
 * "\u0061" are the same one): the second pass finds them.
 *
 * Invariants: the limits hold before anything is allocated; JSON_IN_DEPTH bounds both recursions;
 * nothing here is kept between calls.
 */
#include "daemon/json-in.h"
#include "daemon/json-build.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The longest number token; longer ones say nothing that 64 bits or a double can hold. */
enum { NUMBER_MAX = 64 };

struct scan {
	const char *p;
	const char *end;
	const struct json_in_limits *limits;
	unsigned int depth;
	size_t structural;
	const char *why;
};

static int refuse(struct scan *s, int rc, const char *why)
{
	s->why = why;
	return rc;
}

static void skip_space(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

/* The next byte that is not white space, 0 at the end (a NUL byte is no token either). */
static char peek(struct scan *s)
{
	skip_space(s);
	return s->p < s->end ? *s->p : '\0';
}

static int structural(struct scan *s)
{
	s->p++;
	if (++s->structural > s->limits->max_structural)
		return refuse(s, -E2BIG, "too many elements");
	return 0;
}

static int hex4(struct scan *s, unsigned int *ret)
{
	unsigned int v = 0;

	if (s->end - s->p < 4)
		return refuse(s, -EINVAL, "broken \\u escape");
	for (int i = 0; i < 4; i++) {
		char c = *s->p++;

		if (c >= '0' && c <= '9')
			v = v * 16 + (unsigned int)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v * 16 + (unsigned int)((c | 0x20) - 'a') + 10;
		else
			return refuse(s, -EINVAL, "broken \\u escape");
	}
	*ret = v;
	return 0;
}

static int scan_unicode_escape(struct scan *s)
{
	unsigned int hi, lo;
	int r = hex4(s, &hi);

	if (r < 0)
		return r;
	if (hi == 0)
		return refuse(s, -EINVAL, "NUL in a string");
	if (hi < 0xd800 || hi > 0xdfff)
		return 0;
	if (hi > 0xdbff || s->end - s->p < 2 || s->p[0] != '\\' || s->p[1] != 'u')
		return refuse(s, -EINVAL, "lone surrogate");
	s->p += 2;
	r = hex4(s, &lo);
	if (r < 0)
		return r;
	return lo < 0xdc00 || lo > 0xdfff ? refuse(s, -EINVAL, "lone surrogate") : 0;
}

static int scan_escape(struct scan *s)
{
	char c;

	if (s->p >= s->end)
		return refuse(s, -EINVAL, "unfinished string");
	c = *s->p++;
	if (c == 'u')
		return scan_unicode_escape(s);
	return c && strchr("\"\\/bfnrt", c) ? 0 : refuse(s, -EINVAL, "unknown escape");
}

/* One character of two to four bytes; @c is its first byte, already taken. */
static int scan_utf8(struct scan *s, unsigned char c)
{
	static const unsigned int least[] = { 0x80, 0x800, 0x10000 };
	unsigned int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
	unsigned int v = c & (0x3fu >> more);

	if (c < 0xc2 || c > 0xf4 || (size_t)(s->end - s->p) < more)
		return refuse(s, -EINVAL, "not UTF-8");
	for (unsigned int i = 0; i < more; i++) {
		unsigned char b = (unsigned char)*s->p++;

		if ((b & 0xc0) != 0x80)
			return refuse(s, -EINVAL, "not UTF-8");
		v = v << 6 | (b & 0x3f);
	}
	if (v < least[more - 1] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return refuse(s, -EINVAL, "not UTF-8");
	return 0;
}

static int scan_string(struct scan *s)
{
	s->p++;
	while (s->p < s->end) {
		unsigned char c = (unsigned char)*s->p++;
		int r = 0;

		if (c == '"')
			return 0;
		if (c < 0x20)
			return refuse(s, -EINVAL, "control byte in a string");
		if (c == '\\')
			r = scan_escape(s);
		else if (c >= 0x80)
			r = scan_utf8(s, c);
		if (r < 0)
			return r;
	}
	return refuse(s, -EINVAL, "unfinished string");
}

static bool digits(struct scan *s)
{
	const char *from = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return s->p > from;
}

static int check_range(struct scan *s, const char *from, bool integer)
{
	char buf[NUMBER_MAX + 1];
	size_t len = (size_t)(s->p - from);

	if (len > NUMBER_MAX)
		return refuse(s, -EINVAL, "number too long");
	memcpy(buf, from, len);
	buf[len] = '\0';
	errno = 0;
	if (!integer)
		return isfinite(strtod(buf, NULL)) ? 0 : refuse(s, -EINVAL, "number out of range");
	if (buf[0] == '-')
		strtoll(buf, NULL, 10);
	else
		strtoull(buf, NULL, 10);
	return errno == ERANGE ? refuse(s, -EINVAL, "number out of range") : 0;
}

static int scan_number(struct scan *s)
{
	const char *from = s->p;
	bool integer = true;

	if (*s->p == '-')
		s->p++;
	if (s->p < s->end && *s->p == '0')
		s->p++;
	else if (!digits(s))
		return refuse(s, -EINVAL, "not a value");
	if (s->p < s->end && *s->p == '.') {
		integer = false;
		s->p++;
		if (!digits(s))
			return refuse(s, -EINVAL, "broken number");
	}
	if (s->p < s->end && (*s->p | 0x20) == 'e') {
		integer = false;
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		if (!digits(s))
			return refuse(s, -EINVAL, "broken number");
	}
	return check_range(s, from, integer);
}

static int scan_word(struct scan *s, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(s->end - s->p) < len || memcmp(s->p, word, len) != 0)
		return refuse(s, -EINVAL, "not a value");
	s->p += len;
	return 0;
}

static int scan_value(struct scan *s);

static int scan_member(struct scan *s)
{
	int r;

	if (peek(s) != '"')
		return refuse(s, -EINVAL, "a key is missing");
	r = scan_string(s);
	if (r < 0)
		return r;
	if (peek(s) != ':')
		return refuse(s, -EINVAL, "a colon is missing");
	r = structural(s);
	return r < 0 ? r : scan_value(s);
}

/* An object or an array: what differs is the closing bracket and what an element is. */
static int scan_elements(struct scan *s, char close, int (*element)(struct scan *))
{
	int r;

	if (++s->depth > s->limits->max_depth)
		return refuse(s, -E2BIG, "too deep");
	r = structural(s);
	if (r < 0)
		return r;
	while (peek(s) != close) {
		r = element(s);
		if (r < 0)
			return r;
		if (peek(s) == close)
			break;
		if (peek(s) != ',')
			return refuse(s, -EINVAL, "a comma or bracket is missing");
		r = structural(s);
		if (r < 0)
			return r;
		if (peek(s) == close)
			return refuse(s, -EINVAL, "a comma before a bracket");
	}
	s->depth--;
	return structural(s);
}

static int scan_value(struct scan *s)
{
	switch (peek(s)) {
	case '{':
		return scan_elements(s, '}', scan_member);
	case '[':
		return scan_elements(s, ']', scan_value);
	case '"':
		return scan_string(s);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	case '\0':
		return refuse(s, -EINVAL, s->p < s->end ? "not a value" : "it ends too early");
	default:
		return scan_number(s);
	}
}

static int build(struct scan *s, const char *text, size_t len, json_object **ret)
{
	int r = json_build(text, len, ret);

	if (r == -EEXIST)
		return refuse(s, -EINVAL, "duplicate key");
	return r < 0 ? refuse(s, r, "out of memory") : 0;
}

static int parse(struct scan *s, size_t len, json_object **ret)
{
	const char *from;
	int r;

	if (len > s->limits->max_bytes || len > INT32_MAX)
		return refuse(s, -E2BIG, "too long");
	if (peek(s) != '{')
		return refuse(s, -EINVAL, "not an object");
	from = s->p;
	r = scan_value(s);
	if (r < 0)
		return r;
	len = (size_t)(s->p - from);
	if (peek(s) != '\0' || s->p < s->end)
		return refuse(s, -EINVAL, "bytes after the end");
	return build(s, from, len, ret);
}

int json_in_parse(const char *text, size_t len, const struct json_in_limits *limits,
		  json_object **ret, const char **ret_why)
{
	struct scan s = { .p = text, .end = text + len, .limits = limits };
	int r;

	assert(limits->max_depth > 0 && limits->max_depth <= JSON_IN_DEPTH);
	r = parse(&s, len, ret);
	if (r < 0 && ret_why)
		*ret_why = s.why;
	return r;
}

static int get(json_object *obj, const char *key, json_object **ret)
{
	json_object *v;

	if (!json_object_is_type(obj, json_type_object))
		return -EINVAL;
	if (!json_object_object_get_ex(obj, key, &v) || !v)
		return -ENOENT;
	*ret = v;
	return 0;
}

int json_in_as_str(json_object *value, size_t max, const char **ret)
{
	size_t len;
	const char *s;

	if (!json_object_is_type(value, json_type_string))
		return -EINVAL;
	s = json_object_get_string(value);
	len = (size_t)json_object_get_string_len(value);
	if (strlen(s) != len)
		return -EINVAL;
	if (len > max)
		return -ERANGE;
	*ret = s;
	return 0;
}

int json_in_as_int(json_object *value, int64_t min, int64_t max, int64_t *ret)
{
	int64_t v;

	if (!json_object_is_type(value, json_type_int))
		return -EINVAL;
	v = json_object_get_int64(value);
	/* json-c saturates here what only fits an unsigned 64. */
	if (v == INT64_MAX && json_object_get_uint64(value) != INT64_MAX)
		return -ERANGE;
	if (v < min || v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int json_in_str(json_object *obj, const char *key, size_t max, const char **ret)
{
	json_object *v;
	int r = get(obj, key, &v);

	return r < 0 ? r : json_in_as_str(v, max, ret);
}

int json_in_int(json_object *obj, const char *key, int64_t min, int64_t max, int64_t *ret)
{
	json_object *v;
	int r = get(obj, key, &v);

	return r < 0 ? r : json_in_as_int(v, min, max, ret);
}

int json_in_bool(json_object *obj, const char *key, bool *ret)
{
	json_object *v;
	int r = get(obj, key, &v);

	if (r < 0)
		return r;
	if (!json_object_is_type(v, json_type_boolean))
		return -EINVAL;
	*ret = json_object_get_boolean(v);
	return 0;
}

int json_in_obj(json_object *obj, const char *key, json_object **ret)
{
	json_object *v;
	int r = get(obj, key, &v);

	if (r < 0)
		return r;
	if (!json_object_is_type(v, json_type_object))
		return -EINVAL;
	*ret = v;
	return 0;
}

int json_in_array(json_object *obj, const char *key, size_t max, json_object **ret)
{
	json_object *v;
	int r = get(obj, key, &v);

	if (r < 0)
		return r;
	if (!json_object_is_type(v, json_type_array))
		return -EINVAL;
	if (json_object_array_length(v) > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

const char *json_in_unknown(json_object *obj, const char *const *known)
{
	if (!json_object_is_type(obj, json_type_object))
		return NULL;
	json_object_object_foreach(obj, key, value)
	{
		const char *const *k = known;

		(void)value;
		while (*k && strcmp(*k, key) != 0)
			k++;
		if (!*k)
			return key;
	}
	return NULL;
}
