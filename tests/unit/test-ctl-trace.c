/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ctl/trace-svg.h"
#include "daemon/ctl/trace.h"
#include "daemon/ctl/value.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

#define STEP(t, vcpu, state, name, phase)                                           \
	"{\"t_us\":" #t ",\"vcpu\":" #vcpu ",\"state\":" #state ",\"name\":\"" name \
	"\",\"phase\":\"" phase "\",\"rc\":0,\"op\":\"o1\",\"error_us\":7}"
#define KERNEL(t, vcpu, step, name, phase)                                                        \
	"{\"t_us\":" #t ",\"vcpu\":" #vcpu                                                        \
	",\"state\":7,\"name\":\"ap:online\",\"phase\":\"" phase "\",\"kernel\":{\"step\":" #step \
	",\"name\":\"" name "\"}}"

/*
 * Steps, and the spans made of them: "process/vCPU name ts+dur", then "!" for one that was not left
 * and "?" for one whose beginning is unknown.
 */
static const struct {
	const char *steps;
	const char *want;
} cases[] = {
	{ "", "" },
	{ STEP(1000, 5, 2, "qemu:device", "enter") "," STEP(4100, 5, 2, "qemu:device", "exit"),
	  "1/5 qemu:device 0+3100\n" },
	/* The guest's part in a process of its own, its kernel in a third. */
	{ STEP(10, 1, 7, "ap:online", "enter") "," KERNEL(
		  12, 1, 156, "smpboot/threads:online",
		  "enter") "," KERNEL(15, 1, 156, "smpboot/threads:online",
				      "exit") "," STEP(20, 1, 7, "ap:online", "exit"),
	  "2/1 ap:online 0+10\n3/1 smpboot/threads:online 2+3\n" },
	/* Steps of several vCPUs interleave. */
	{ STEP(0, 1, 2, "a", "enter") "," STEP(1, 2, 2, "b", "enter") "," STEP(
		  2, 1, 2, "a", "exit") "," STEP(5, 2, 2, "b", "exit"),
	  "1/1 a 0+2\n1/2 b 1+4\n" },
	/* Those of the kernel need not come in order. */
	{ KERNEL(9, 1, 3, "k", "exit") "," KERNEL(4, 1, 3, "k", "enter"), "3/1 k 0+5\n" },
	/* The others do, and the clock may have been corrected in between. */
	{ STEP(4, 1, 2, "a", "enter") "," STEP(9, 1, 2, "a", "exit") "," STEP(
		  7, 1, 3, "b", "enter") "," STEP(12, 1, 3, "b", "exit"),
	  "1/1 a 0+5\n1/1 b 5.001+2.999\n" },
	/* What was not left ends with the next of that vCPU, or with the last point. */
	{ STEP(0, 1, 2, "a", "enter") "," STEP(3, 1, 3, "b", "enter") "," STEP(8, 1, 3, "b",
									       "exit"),
	  "1/1 a 0+3!\n1/1 b 3+5\n" },
	{ STEP(0, 1, 2, "a", "enter") "," STEP(3, 2, 3, "b", "enter") "," STEP(8, 2, 3, "b",
									       "exit"),
	  "1/1 a 0+8!\n1/2 b 3+5\n" },
	/* The kernel's stand in one another, and what is not left ends with what is around it. */
	{ KERNEL(0, 1, 3, "out", "enter") "," KERNEL(0, 1, 4, "in", "enter") "," KERNEL(
		  2, 1, 4, "in", "exit") "," KERNEL(3, 1, 5, "lost",
						    "enter") "," KERNEL(5, 1, 3, "out", "exit"),
	  "3/1 out 0+5\n3/1 in 0.001+1.999\n3/1 lost 3+2!\n" },
	/* Within a microsecond they stay one behind the other. */
	{ KERNEL(7, 1, 3, "a", "enter") "," KERNEL(7, 1, 3, "a", "exit") "," KERNEL(
		  7, 1, 4, "b",
		  "enter") "," KERNEL(7, 1, 4, "b",
				      "exit") "," KERNEL(7, 1, 5, "c",
							 "enter") "," KERNEL(9, 1, 5, "c", "exit"),
	  "3/1 a 0+0.001\n3/1 b 0.002+0.001\n3/1 c 0.004+1.996\n" },
	/* Entered again without having been left. */
	{ STEP(0, 1, 2, "a", "enter") "," STEP(3, 1, 2, "a", "enter") "," STEP(8, 1, 2, "a",
									       "exit"),
	  "1/1 a 0+3!\n1/1 a 3+5\n" },
	/* Left, but the ring has forgotten when it was entered; and left twice. */
	{ STEP(2, 1, 2, "a", "exit") "," STEP(3, 1, 2, "a", "exit"), "1/1 a 0+0?\n1/1 a 1+0?\n" },
	/* A span that was closed is not closed again. */
	{ STEP(0, 1, 2, "a", "enter") "," STEP(2, 1, 2, "a", "exit") "," STEP(3, 1, 2, "a", "exit"),
	  "1/1 a 0+2\n1/1 a 3+0?\n" },
	{ STEP(0, 1, 2, "a", "enter") "," STEP(2, 1, 2, "a", "exit") "," STEP(
		  3, 1, 2, "a", "enter") "," STEP(9, 1, 2, "a", "exit"),
	  "1/1 a 0+2\n1/1 a 3+6\n" },
	/* What makes no sense is left out. */
	{ "1,null,{},{\"t_us\":\"5\",\"vcpu\":1,\"state\":2,\"phase\":\"exit\"},"
	  "{\"t_us\":-1,\"vcpu\":1,\"state\":2,\"phase\":\"exit\"},"
	  "{\"t_us\":5,\"vcpu\":99999,\"state\":2,\"phase\":\"exit\"},"
	  "{\"t_us\":5,\"vcpu\":1,\"state\":45,\"phase\":\"exit\"},"
	  "{\"t_us\":5,\"vcpu\":1,\"state\":2,\"phase\":\"left\"}",
	  "" },
};

static json_object *build(const char *steps, size_t *ret_n)
{
	json_object *array, *trace = NULL;
	char text[4096];

	snprintf(text, sizeof(text), "[%s]", steps);
	array = json_tokener_parse(text);
	assert_non_null(array);
	assert_int_equal(trace_build(array, &trace, ret_n), 0);
	json_object_put(array);
	assert_string_equal(value_string(trace, "displayTimeUnit", ""), "ms");
	assert_non_null(value_array(trace, "traceEvents"));
	return trace;
}

static void describe(json_object *trace, char *buf, size_t size)
{
	json_object *events = value_array(trace, "traceEvents");

	*buf = '\0';
	for (size_t i = 0; i < value_count(events); i++) {
		json_object *e = value_at(events, i), *args = value_object(e, "args");
		size_t len = strlen(buf);

		if (strcmp(value_string(e, "ph", ""), "X") != 0)
			continue;
		snprintf(buf + len, size - len, "%d/%d %s %.12g+%.12g%s%s\n",
			 (int)value_int(e, "pid", -1), (int)value_int(args, "vcpu", -1),
			 value_string(e, "name", "?"), value_number(e, "ts", -1),
			 value_number(e, "dur", -1),
			 value_bool(args, "unfinished", false) ? "!" : "",
			 value_bool(args, "truncated", false) ? "?" : "");
	}
}

static void spans_are_made_of_points(void **ctx)
{
	for (size_t i = 0; i < N(cases); i++) {
		size_t n = 0, lines = 0;
		json_object *trace = build(cases[i].steps, &n);
		char got[1024];

		describe(trace, got, sizeof(got));
		if (strcmp(got, cases[i].want) != 0)
			fail_msg("row %zu:\n%s", i, got);
		for (const char *p = got; *p; p++)
			lines += *p == '\n';
		assert_int_equal(n, lines);
		json_object_put(trace);
	}
}

static void a_span_carries_what_is_known_of_its_end(void **ctx)
{
	size_t n;
	json_object *trace = build(
		"{\"t_us\":5,\"vcpu\":1,\"state\":9,\"name\":\"ap:verify\",\"phase\":\"enter\"},"
		"{\"t_us\":9,\"vcpu\":1,\"state\":9,\"name\":\"ap:verify\",\"phase\":\"exit\",\"rc\":-11,"
		"\"ran_on\":3,\"op\":\"o1\",\"rollback\":true,\"startup\":false,\"error_us\":40}",
		&n);
	json_object *events = value_array(trace, "traceEvents");
	json_object *args = value_object(value_at(events, value_count(events) - 1), "args");

	assert_int_equal(value_int(args, "rc", 0), -11);
	assert_int_equal(value_int(args, "ran_on", 0), 3);
	assert_int_equal(value_int(args, "error_us", 0), 40);
	assert_true(value_bool(args, "rollback", false));
	assert_false(value_bool(args, "startup", true));
	assert_string_equal(value_string(args, "op", ""), "o1");
	json_object_put(trace);
}

static json_object *any_point(unsigned int *seed)
{
	static const char *const names[] = { "qemu:device", "guest:present", "ap:verify",
					     "ap:irq" };
	static const int states[] = { 2, 4, 9, 11 };
	unsigned int r = *seed = *seed * 1103515245 + 12345, what = r >> 16 & 3;
	json_object *o = json_object_new_object();

	json_object_object_add(o, "t_us", json_object_new_int((int)(r >> 18 & 0xff)));
	json_object_object_add(o, "vcpu", json_object_new_int((int)(r >> 26 & 1)));
	json_object_object_add(o, "state", json_object_new_int(states[what]));
	json_object_object_add(o, "name", json_object_new_string(names[what]));
	json_object_object_add(o, "phase", json_object_new_string(r >> 27 & 1 ? "enter" : "exit"));
	if (r >> 28 & 1) {
		json_object *k = json_object_new_object();

		json_object_object_add(k, "step", json_object_new_int((int)what));
		json_object_object_add(k, "phase",
				       json_object_new_string(r >> 27 & 1 ? "enter" : "exit"));
		json_object_object_add(o, "kernel", k);
	}
	return o;
}

static int64_t ns(json_object *e, const char *key)
{
	return (int64_t)(value_number(e, key, -1) * 1000 + 0.5);
}

/*
 * Behind @a, or within it: what else there is on a track is dropped by who draws it. And not when @a
 * begins, for then one without a length would stand beneath the other.
 */
static bool fits(json_object *a, json_object *b)
{
	int64_t end = ns(a, "ts") + ns(a, "dur"), at = ns(b, "ts");

	if (value_int(a, "pid", 0) != value_int(b, "pid", 0) ||
	    value_int(a, "tid", 0) != value_int(b, "tid", 0))
		return true;
	return at > ns(a, "ts") && (at >= end || at + ns(b, "dur") <= end);
}

/* Whatever is remembered, and in whatever order. */
static void spans_of_a_track_never_overlap(void **ctx)
{
	for (unsigned int seed = 1; seed <= 200; seed++) {
		json_object *steps = json_object_new_array(), *trace, *events;
		unsigned int random = seed;
		size_t n, first;

		for (int i = 0; i < 60; i++)
			json_object_array_add(steps, any_point(&random));
		assert_int_equal(trace_build(steps, &trace, &n), 0);
		events = value_array(trace, "traceEvents");
		first = value_count(events) - n;
		for (size_t i = first; i < first + n; i++) {
			json_object *e = value_at(events, i);

			assert_true(ns(e, "ts") >= 0 && ns(e, "dur") >= 0);
			for (size_t k = first; k < i; k++) {
				json_object *before = value_at(events, k);

				assert_true(ns(before, "ts") <= ns(e, "ts"));
				if (!fits(before, e))
					fail_msg("seed %u: %s\n%s", seed,
						 json_object_to_json_string(before),
						 json_object_to_json_string(e));
			}
		}
		json_object_put(steps);
		json_object_put(trace);
	}
}

/* Metadata: three processes always, and each thread once, each with its place. */
static void processes_and_threads_have_names(void **ctx)
{
	size_t n, threads = 0, processes = 0, places = 0;
	json_object *trace = build(
		STEP(1, 4, 2, "a", "enter") "," STEP(2, 4, 2, "a", "exit") "," STEP(
			3, 4, 9, "b", "enter") "," STEP(4, 5, 2, "c",
							"enter") "," STEP(5, 0, 4, "d", "exit"),
		&n);
	json_object *events = value_array(trace, "traceEvents");

	for (size_t i = 0; i < value_count(events); i++) {
		json_object *e = value_at(events, i);
		const char *name = value_string(value_object(e, "args"), "name", "");
		char want[16];

		processes += strcmp(value_string(e, "name", ""), "process_name") == 0;
		if (strstr(value_string(e, "name", ""), "_sort_index")) {
			places++;
			assert_int_equal(value_int(value_object(e, "args"), "sort_index", -1),
					 value_int(e, "tid", value_int(e, "pid", -2)));
		}
		if (strcmp(value_string(e, "name", ""), "thread_name") != 0)
			continue;
		threads++;
		snprintf(want, sizeof(want), "vcpu %d", (int)value_int(e, "tid", 0) % TRACE_TIDS);
		assert_string_equal(name, want);
	}
	assert_int_equal(processes, 3);
	assert_int_equal(threads, 4); /* vCPU 4 and 5 of the host, 0 and 4 of the guest */
	assert_int_equal(places, 7);
	json_object_put(trace);
}

/* No thread of two processes, none that is 0 or as a process: those Perfetto draws elsewhere. */
static void a_thread_is_of_one_process(void **ctx)
{
	size_t n;
	json_object *trace =
		build(STEP(1, 0, 2, "a", "exit") "," STEP(2, 0, 9, "b", "exit") "," KERNEL(
			      3, 0, 1, "c", "exit") "," STEP(4, 4095, 2, "d", "exit"),
		      &n);
	json_object *events = value_array(trace, "traceEvents");
	static const int64_t want[] = { 10000, 20000, 30000, 14095 };

	assert_int_equal(n, N(want));
	for (size_t i = 0; i < n; i++) {
		json_object *e = value_at(events, value_count(events) - n + i);

		assert_int_equal(value_int(e, "tid", -1), want[i]);
		assert_int_equal(value_int(e, "pid", -1), want[i] / TRACE_TIDS);
	}
	json_object_put(trace);
}

static char *picture(const char *steps)
{
	char *svg;
	size_t n, len;
	json_object *trace = build(steps, &n);

	assert_int_equal(trace_svg(trace, "web1", &svg, &len), 0);
	assert_int_equal(len, strlen(svg));
	json_object_put(trace);
	return svg;
}

static void a_picture_has_a_panel_for_each_operation(void **ctx)
{
	char *svg = picture(STEP(0, 1, 2, "qemu:device", "enter") "," STEP(
		3000, 1, 2, "qemu:device",
		"exit") ",{\"t_us\":90000,\"vcpu\":2,\"state\":9,"
			"\"name\":\"ap:verify\",\"phase\":\"enter\",\"op\":\"o2\"},"
			"{\"t_us\":91500,\"vcpu\":2,\"state\":9,\"rc\":-5,"
			"\"name\":\"ap:verify\",\"phase\":\"exit\",\"op\":\"o2\"}");

	assert_non_null(strstr(svg, ">operation o1: 3.0 ms<"));
	assert_non_null(strstr(svg, ">operation o2: 1.5 ms<"));
	assert_non_null(strstr(svg, ">qemu:device 3.0<"));
	assert_non_null(strstr(svg, "class=\"agent bad\""));
	assert_non_null(strstr(svg, "<title>ap:verify: 1.5 ms, Input/output error (-5)</title>"));
	free(svg);
	svg = picture(STEP(0, 1, 2, "a", "enter") "," STEP(2000, 1, 3, "b", "enter") "," STEP(
		3500, 1, 4, "c", "exit"));
	assert_non_null(strstr(svg, ">a 2.0+ \xc2\xb7 b 1.5+ \xc2\xb7 c ?<"));
	free(svg);
	svg = picture("");
	assert_non_null(strstr(svg, "no steps are remembered"));
	free(svg);
}

/* What a guest calls its callbacks stays text. */
static void names_are_no_markup(void **ctx)
{
	char *svg = picture(STEP(0, 1, 12, "ap:dyn.<b>&\\\"x",
				 "enter") "," STEP(9000, 1, 12, "ap:dyn.<b>&\\\"x", "exit"));

	assert_null(strstr(svg, "<b>"));
	assert_non_null(strstr(svg, "ap:dyn.&lt;b&gt;&amp;&quot;x"));
	free(svg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_are_made_of_points),
		cmocka_unit_test(a_span_carries_what_is_known_of_its_end),
		cmocka_unit_test(spans_of_a_track_never_overlap),
		cmocka_unit_test(processes_and_threads_have_names),
		cmocka_unit_test(a_thread_is_of_one_process),
		cmocka_unit_test(a_picture_has_a_panel_for_each_operation),
		cmocka_unit_test(names_are_no_markup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
