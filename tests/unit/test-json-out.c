/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/json-out.h"

/* @o is put. */
static void assert_json(json_object *o, const char *expected)
{
	assert_string_equal(json_object_to_json_string_ext(
				    o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
			    expected);
	json_object_put(o);
}

static const struct {
	int64_t us;
	const char *json;
} times[] = {
	{ 0, "{\"t\":0.0}" },
	{ 1, "{\"t\":0.001}" },
	{ 3100, "{\"t\":3.1}" },
	{ 76000, "{\"t\":76.0}" },
	{ 41230, "{\"t\":41.23}" },
	{ 1234567, "{\"t\":1234.567}" },
	{ -1500, "{\"t\":-1.5}" },
	{ -1, "{\"t\":-0.001}" },
	{ 100, "{\"t\":0.1}" },
	{ 10, "{\"t\":0.01}" },
	{ 1000, "{\"t\":1.0}" },
	{ 999990, "{\"t\":999.99}" },
	{ INT64_MAX, "{\"t\":9223372036854775.807}" },
	{ INT64_MIN, "{\"t\":-9223372036854775.808}" },
};

static void milliseconds_are_exact(void **state)
{
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		json_object *o = json_object_new_object();

		json_out_ms(o, "t", times[i].us);
		assert_json(o, times[i].json);
	}
}

static const struct {
	const char *text, *json;
} texts[] = {
	{ NULL, "{\"t\":null}" },
	{ "", "{\"t\":\"\"}" },
	{ "a\"b\\c\n\x01", "{\"t\":\"a\\\"b\\\\c\\n\\u0001\"}" },
	{ "caf\xc3\xa9", "{\"t\":\"caf\xc3\xa9\"}" },
	{ "cut \xc3", "{\"t\":\"cut ?\"}" },
	{ "cut \xe2\x82", "{\"t\":\"cut ??\"}" },
	{ "\xed\xa0\x80 surrogate", "{\"t\":\"??? surrogate\"}" },
	{ "\xc0\x80 overlong", "{\"t\":\"?? overlong\"}" },
	{ "\xf0\x9f\x99\x82", "{\"t\":\"\xf0\x9f\x99\x82\"}" },
	{ "\xff\xfe", "{\"t\":\"??\"}" },
};

static void text_is_always_utf8(void **state)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_object *o = json_object_new_object();

		json_out_str(o, "t", texts[i].text);
		assert_json(o, texts[i].json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(milliseconds_are_exact),
		cmocka_unit_test(text_is_always_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
