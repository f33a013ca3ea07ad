/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/json-in.h"

static const struct json_in_limits wide = { 1 << 20, JSON_IN_DEPTH, JSON_IN_STRUCTURAL };
static const struct json_in_limits tight = { 40, 3, 12 };

struct text_case {
	const char *text;
	const char *why; /* NULL: accepted */
};

static const struct text_case texts[] = {
	{ "{}", NULL },
	{ " \t\r\n{ \"a\" : [ 1 , -0.5e+3 , true , false , null , \"x\" ] }\r\n", NULL },
	{ "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\ud83d\\ude00\"}", NULL },
	{ "{\"a\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"}", NULL },
	{ "{\"a\":18446744073709551615,\"b\":-9223372036854775808}", NULL },
	{ "{\"a\":0,\"b\":-0,\"c\":0.0,\"d\":1E9}", NULL },
	{ "{\"a\":{\"b\":1},\"c\":{\"b\":1}}", NULL },
	{ "{\"\":1}", NULL },
	{ "{\"a\":[[],{},[{\"b\":[\"\",null]}]],\"\\u00e4\\u20ac\":\"\\ud800\\udc00\\udbff\\udfff\"}",
	  NULL },
	{ "{\"a\":9223372036854775807,\"b\":9223372036854775808,\"c\":1.50,\"d\":-1e-7}", NULL },
	{ "", "not an object" },
	{ "[]", "not an object" },
	{ "1", "not an object" },
	{ "null", "not an object" },
	{ "\"x\"", "not an object" },
	{ "{", "a key is missing" },
	{ "{\"a\"", "a colon is missing" },
	{ "{\"a\" 1}", "a colon is missing" },
	{ "{\"a\":", "it ends too early" },
	{ "{\"a\":1", "a comma or bracket is missing" },
	{ "{\"a\":[1", "a comma or bracket is missing" },
	{ "{\"a\":[1 2]}", "a comma or bracket is missing" },
	{ "{\"a\":[1}]", "a comma or bracket is missing" },
	{ "{\"a\":1,}", "a comma before a bracket" },
	{ "{\"a\":[1,]}", "a comma before a bracket" },
	{ "{\"a\":[,1]}", "not a value" },
	{ "{,}", "a key is missing" },
	{ "{a:1}", "a key is missing" },
	{ "{'a':1}", "a key is missing" },
	{ "{\"a\":'b'}", "not a value" },
	{ "{\"a\":NaN}", "not a value" },
	{ "{\"a\":nan}", "not a value" },
	{ "{\"a\":-NaN}", "not a value" },
	{ "{\"a\":Infinity}", "not a value" },
	{ "{\"a\":-Infinity}", "not a value" },
	{ "{\"a\":1e400}", "number out of range" },
	{ "{\"a\":-1e400}", "number out of range" },
	{ "{\"a\":18446744073709551616}", "number out of range" },
	{ "{\"a\":-9223372036854775809}", "number out of range" },
	{ "{\"a\":0.0000000000000000000000000000000000000000000000000000000000000001}",
	  "number too long" },
	{ "{\"a\":01}", "a comma or bracket is missing" },
	{ "{\"a\":+1}", "not a value" },
	{ "{\"a\":.5}", "not a value" },
	{ "{\"a\":1.}", "broken number" },
	{ "{\"a\":1e}", "broken number" },
	{ "{\"a\":1e+}", "broken number" },
	{ "{\"a\":-}", "not a value" },
	{ "{\"a\":0x10}", "a comma or bracket is missing" },
	{ "{\"a\":3x}", "a comma or bracket is missing" },
	{ "{\"a\":tru}", "not a value" },
	{ "{\"a\":True}", "not a value" },
	{ "{\"a\":truee}", "a comma or bracket is missing" },
	{ "{\"a\":1}/* x */", "bytes after the end" },
	{ "{/* x */\"a\":1}", "a key is missing" },
	{ "{\"a\":1}{}", "bytes after the end" },
	{ "{\"a\":1} x", "bytes after the end" },
	{ "{\"a\":1,\"a\":2}", "duplicate key" },
	{ "{\"a\":1,\"\\u0061\":2}", "duplicate key" },
	{ "{\"x\":[{\"a\":{\"b\":1,\"b\":1}}]}", "duplicate key" },
	{ "{\"a\":\"\\u0000\"}", "NUL in a string" },
	{ "{\"\\u0000\":1}", "NUL in a string" },
	{ "{\"a\":\"\\ud800\"}", "lone surrogate" },
	{ "{\"a\":\"\\udc00\"}", "lone surrogate" },
	{ "{\"a\":\"\\ud800\\u0041\"}", "lone surrogate" },
	{ "{\"a\":\"\\u12g4\"}", "broken \\u escape" },
	{ "{\"a\":\"\\u12", "broken \\u escape" },
	{ "{\"a\":\"\\x41\"}", "unknown escape" },
	{ "{\"a\":\"\\", "unfinished string" },
	{ "{\"a\":\"b", "unfinished string" },
	{ "{\"a\":\"\n\"}", "control byte in a string" },
	{ "{\"a\":\"\x1b[0m\"}", "control byte in a string" },
	{ "{\"a\":\"\xff\"}", "not UTF-8" },
	{ "{\"a\":\"\x80\"}", "not UTF-8" },
	{ "{\"a\":\"\xc0\xaf\"}", "not UTF-8" },
	{ "{\"a\":\"\xc3\"}", "not UTF-8" },
	{ "{\"a\":\"\xe0\x80\xaf\"}", "not UTF-8" },
	{ "{\"a\":\"\xed\xa0\x80\"}", "not UTF-8" },
	{ "{\"a\":\"\xf4\x90\x80\x80\"}", "not UTF-8" },
	{ "{\"a\":\"\xf0\x80\x80\xaf\"}", "not UTF-8" },
};

static int parse_exact(const char *text, size_t len, const struct json_in_limits *limits,
		       const char **why)
{
	_cleanup_json_ json_object *obj = NULL;
	/* Of its own size, so that a sanitizer sees a read past its end. */
	char *copy = malloc(len ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, text, len);
	r = json_in_parse(copy, len, limits, &obj, why);
	assert_int_equal(r == 0, obj != NULL);
	free(copy);
	return r;
}

static void only_json_is_accepted(void **state)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		const char *why = "accepted";
		int r = parse_exact(texts[i].text, strlen(texts[i].text), &wide, &why);

		if (texts[i].why ? r != -EINVAL || strcmp(why, texts[i].why) != 0 : r != 0)
			fail_msg("%s: %d %s", texts[i].text, r, why);
	}
}

/* The same objects as json-c's own parser makes, down to the numbers' text. */
static void it_is_what_json_c_would_make(void **state)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		_cleanup_json_ json_object *ours = NULL, *theirs = NULL;

		if (texts[i].why)
			continue;
		assert_int_equal(
			json_in_parse(texts[i].text, strlen(texts[i].text), &wide, &ours, NULL), 0);
		theirs = json_tokener_parse(texts[i].text);
		assert_non_null(theirs);
		assert_true(json_object_equal(ours, theirs));
		assert_string_equal(json_object_to_json_string(ours),
				    json_object_to_json_string(theirs));
	}
}

/* Every text cut off anywhere is refused, and read no further than its end. */
static void no_prefix_is_accepted(void **state)
{
	const char *text =
		"{\"a\\u0041\xc3\xa4\":[1,-2.5e-3,true,null,{\"b\":\"\\ud83d\\ude00\"}]}";

	for (size_t len = 0; len < strlen(text); len++)
		assert_int_equal(parse_exact(text, len, &wide, NULL), -EINVAL);
	assert_int_equal(parse_exact(text, strlen(text), &wide, NULL), 0);
}

static void a_nul_byte_is_no_end(void **state)
{
	const char *why;

	assert_int_equal(parse_exact("{\"a\":1}\0", 8, &wide, &why), -EINVAL);
	assert_string_equal(why, "bytes after the end");
	assert_int_equal(parse_exact("{\"a\":\0}", 7, &wide, &why), -EINVAL);
	assert_int_equal(parse_exact("{\"a\":\"\0\"}", 9, &wide, &why), -EINVAL);
	assert_string_equal(why, "control byte in a string");
}

static const struct text_case limited[] = {
	{ "{\"a\":[[1]]}", NULL },
	{ "{\"a\":[[[1]]]}", "too deep" },
	{ "{\"a\":[[{}]]}", "too deep" },
	{ "{\"a\":\"[[[[[[{{{{{{,,,,,,,,::::::\"}", NULL },
	{ "{\"a\":[1,2,3,4,5,6,7,8]}", NULL },                    /* 12 */
	{ "{\"a\":[1,2,3,4,5,6,7,8,9]}", "too many elements" },   /* 13 */
	{ "{\"a\":\"01234567890123456789012345678901\"}", NULL }, /* 40 bytes */
	{ "{\"a\":\"012345678901234567890123456789012\"}", "too long" },
};

static void limits_hold(void **state)
{
	for (size_t i = 0; i < sizeof(limited) / sizeof(*limited); i++) {
		const char *why = "accepted";
		int r = parse_exact(limited[i].text, strlen(limited[i].text), &tight, &why);

		if (limited[i].why ? r != -E2BIG || strcmp(why, limited[i].why) != 0 : r != 0)
			fail_msg("%s: %d %s", limited[i].text, r, why);
	}
}

/* The depth that a caller may set is the one that json-c gets to see. */
static void the_greatest_depth_works(void **state)
{
	for (size_t depth = 1; depth <= JSON_IN_DEPTH; depth++) {
		char open[32] = "", close[32] = "", text[128];
		const char *why;
		int r;

		memset(open, '[', depth);
		memset(close, ']', depth);
		snprintf(text, sizeof(text), "{\"a\":%s1%s}", open, close);
		r = parse_exact(text, strlen(text), &wide, &why);
		/* The object is a level too. */
		assert_int_equal(r, depth < JSON_IN_DEPTH ? 0 : -E2BIG);
	}
}

static void a_costly_text_is_refused_before_it_costs(void **state)
{
	static const char element[] = "{},";
	size_t n = JSON_IN_STRUCTURAL / 3 + 1, size = 16 + n * strlen(element), at;
	char *text = malloc(size);
	const char *why;

	assert_non_null(text);
	at = (size_t)snprintf(text, size, "{\"a\":[");
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, size - at, "%s", element);
	at += (size_t)snprintf(text + at, size - at, "{}]}");
	assert_int_equal(parse_exact(text, at, &wide, &why), -E2BIG);
	assert_string_equal(why, "too many elements");
	free(text);
}

static const char sample[] =
	"{\"s\":\"text\",\"i\":5,\"neg\":-5,\"big\":18446744073709551615,\"real\":5.0,\"digits\":\"3\","
	"\"t\":true,\"null\":null,\"o\":{\"k\":1},\"l\":[1,\"x\",null]}";

enum getter { STR, INT, BOOL, OBJ, ARRAY };

/* What each getter makes of each member: nothing is converted. */
static const struct {
	const char *key;
	int rc[5]; /* by getter */
} getter_cases[] = {
	{ "s", { 0, -EINVAL, -EINVAL, -EINVAL, -EINVAL } },
	{ "i", { -EINVAL, 0, -EINVAL, -EINVAL, -EINVAL } },
	{ "neg", { -EINVAL, -ERANGE, -EINVAL, -EINVAL, -EINVAL } },
	{ "big", { -EINVAL, -ERANGE, -EINVAL, -EINVAL, -EINVAL } },
	{ "real", { -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL } },
	{ "digits", { 0, -EINVAL, -EINVAL, -EINVAL, -EINVAL } },
	{ "t", { -EINVAL, -EINVAL, 0, -EINVAL, -EINVAL } },
	{ "null", { -ENOENT, -ENOENT, -ENOENT, -ENOENT, -ENOENT } },
	{ "missing", { -ENOENT, -ENOENT, -ENOENT, -ENOENT, -ENOENT } },
	{ "o", { -EINVAL, -EINVAL, -EINVAL, 0, -EINVAL } },
	{ "l", { -EINVAL, -EINVAL, -EINVAL, -EINVAL, 0 } },
};

static int call(enum getter g, json_object *obj, const char *key)
{
	const char *s = NULL;
	int64_t i = -77;
	bool b = false;
	json_object *o = NULL;
	int r = -1;

	switch (g) {
	case STR:
		r = json_in_str(obj, key, 4, &s);
		assert_int_equal(r == 0, s != NULL);
		break;
	case INT:
		r = json_in_int(obj, key, 0, INT64_MAX, &i);
		assert_int_equal(r == 0, i != -77);
		break;
	case BOOL:
		r = json_in_bool(obj, key, &b);
		assert_int_equal(r == 0, b);
		break;
	case OBJ:
		r = json_in_obj(obj, key, &o);
		assert_int_equal(r == 0, o != NULL);
		break;
	case ARRAY:
		r = json_in_array(obj, key, 3, &o);
		assert_int_equal(r == 0, o != NULL);
		break;
	}
	return r;
}

static json_object *parse_sample(void)
{
	json_object *obj = NULL;

	assert_int_equal(json_in_parse(sample, strlen(sample), &wide, &obj, NULL), 0);
	return obj;
}

static void getters_convert_nothing(void **state)
{
	_cleanup_json_ json_object *obj = parse_sample();
	json_object *list;

	for (size_t i = 0; i < sizeof(getter_cases) / sizeof(*getter_cases); i++)
		for (int g = STR; g <= ARRAY; g++)
			if (call(g, obj, getter_cases[i].key) != getter_cases[i].rc[g])
				fail_msg("getter %d of %s", g, getter_cases[i].key);
	assert_int_equal(json_in_array(obj, "l", 3, &list), 0);
	for (int g = STR; g <= ARRAY; g++) {
		assert_int_equal(call(g, list, "s"), -EINVAL);
		assert_int_equal(call(g, NULL, "s"), -EINVAL);
	}
}

static void ranges_are_checked(void **state)
{
	_cleanup_json_ json_object *obj = parse_sample();
	const char *s;
	json_object *l;
	int64_t i;

	assert_int_equal(json_in_str(obj, "s", 3, &s), -ERANGE);
	assert_int_equal(json_in_int(obj, "i", 5, 5, &i), 0);
	assert_int_equal(i, 5);
	assert_int_equal(json_in_int(obj, "i", 6, 9, &i), -ERANGE);
	assert_int_equal(json_in_int(obj, "i", 0, 4, &i), -ERANGE);
	assert_int_equal(json_in_int(obj, "neg", INT64_MIN, 0, &i), 0);
	assert_int_equal(i, -5);
	assert_int_equal(json_in_int(obj, "big", INT64_MIN, INT64_MAX, &i), -ERANGE);
	assert_int_equal(json_in_array(obj, "l", 2, &l), -ERANGE);
}

static void unknown_keys_are_named(void **state)
{
	_cleanup_json_ json_object *obj = parse_sample();
	json_object *o;
	const char *const some[] = { "k", "s", NULL };
	const char *const none[] = { NULL };

	assert_int_equal(json_in_obj(obj, "o", &o), 0);
	assert_int_equal(json_in_only(o, "k", NULL), 0);
	assert_int_equal(json_in_only(o, "j", "k", "l", NULL), 0);
	assert_int_equal(json_in_only(o, "j", NULL), -EINVAL);
	assert_null(json_in_unknown(o, some));
	assert_string_equal(json_in_unknown(o, none), "k");
	assert_null(json_in_unknown(NULL, none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_json_is_accepted),
		cmocka_unit_test(it_is_what_json_c_would_make),
		cmocka_unit_test(no_prefix_is_accepted),
		cmocka_unit_test(a_nul_byte_is_no_end),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(the_greatest_depth_works),
		cmocka_unit_test(a_costly_text_is_refused_before_it_costs),
		cmocka_unit_test(getters_convert_nothing),
		cmocka_unit_test(ranges_are_checked),
		cmocka_unit_test(unknown_keys_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
