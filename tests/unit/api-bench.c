/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api-bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char operators_group[] = "daemon", allowed_user[] = "nobody", allowed_group[] = "@bin";
static char *operators[] = { operators_group, NULL };
static char *allow[] = { allowed_user, allowed_group, NULL };

int api_bench_setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	sd_event *event;

	assert_non_null(b);
	assert_true(sd_event_new(&event) >= 0);
	fake_init(&b->fake, event);
	b->fake.config.operators = operators;
	b->fake.domain_configs[0].allow = allow;
	assert_int_equal(api_new(&b->api, &b->fake.manager, getuid() ? getuid() : DAEMON_UID), 0);
	sd_event_unref(event);
	varlink_bench_init(&b->varlink, api_interface(b->api));
	b->fake.manager.event = b->varlink.event;
	b->fd = varlink_bench_connect(&b->varlink);
	*state = b;
	return 0;
}

int api_bench_teardown(void **state)
{
	struct bench *b = *state;

	close(b->fd);
	varlink_bench_done(&b->varlink);
	api_free(b->api);
	fake_done(&b->fake);
	free(b);
	return 0;
}

void send_call(struct bench *b, const char *method, const char *params, bool more)
{
	char text[2048];

	snprintf(text, sizeof(text), "{\"method\":\"io.vcpuhp.Manager.%s\",\"parameters\":{%s}%s}",
		 method, params, more ? ",\"more\":true" : "");
	varlink_bench_send(&b->varlink, b->fd, text);
}

const char *receive(struct bench *b)
{
	const char *text = varlink_bench_receive(&b->varlink, b->fd);

	assert_non_null(text);
	return text;
}

void assert_part(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("%s\nis not in\n%s", part, text);
}
