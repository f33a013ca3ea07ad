/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "varlink-echo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

struct service service;

static void echo(void *ctx, struct varlink_call *call)
{
	json_object *o = json_object_new_object();

	service.echoes++;
	json_object_object_add(o, "text",
			       json_object_new_string(varlink_call_str(call, "text", "none")));
	json_object_object_add(o, "n", json_object_new_int64(varlink_call_int(call, "n", -1)));
	json_object_object_add(o, "flag",
			       json_object_new_boolean(varlink_call_bool(call, "flag", true)));
	varlink_reply(call, o);
}

static void on_gone(void *ctx)
{
	service.gone++;
	service.held = NULL;
}

static void hold(void *ctx, struct varlink_call *call)
{
	service.held = call;
	varlink_call_on_gone(call, on_gone, NULL);
}

/* An answer of a megabyte would not fit any queue limit. */
static void big(void *ctx, struct varlink_call *call)
{
	char *text = malloc(700001);
	json_object *o = json_object_new_object();

	assert_non_null(text);
	memset(text, 'x', 700000);
	text[700000] = '\0';
	json_object_object_add(o, "text", json_object_new_string(text));
	free(text);
	varlink_reply(call, o);
}

static bool admit(void *ctx, struct varlink_call *call)
{
	if (service.closed)
		varlink_fail(call, "test.bench.Closed", NULL);
	return !service.closed;
}

static const struct varlink_param echo_params[] = {
	{ .name = "text", .type = VARLINK_STRING, .max = 60000 },
	{ .name = "n", .type = VARLINK_INT, .optional = true, .min = 1, .max = 10 },
	{ .name = "flag", .type = VARLINK_BOOL, .optional = true },
	{ 0 },
};

static const struct varlink_method methods[] = {
	{ .name = "Echo", .params = echo_params, .handler = echo },
	{ .name = "Later", .handler = hold },
	{ .name = "Stream", .needs_more = true, .handler = hold },
	{ .name = "Big", .handler = big },
	{ 0 },
};

static const struct varlink_interface interface = {
	.name = "test.bench",
	.description = "interface test.bench\n",
	.methods = methods,
	.range_error = "test.bench.OutOfRange",
	.admit = admit,
};

int varlink_echo_setup(void **state)
{
	struct varlink_bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	service = (struct service){ 0 };
	varlink_bench_init(b, &interface);
	*state = b;
	return 0;
}

int varlink_echo_teardown(void **state)
{
	varlink_bench_done(*state);
	free(*state);
	return 0;
}
