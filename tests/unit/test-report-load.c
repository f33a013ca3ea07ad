/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's load as users see it, byte by byte. */
#include "daemon/report.h"
#include "fake-domain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

/* @o is put. */
static void assert_json(json_object *o, const char *expected)
{
	assert_string_equal(json_object_to_json_string_ext(
				    o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
			    expected);
	json_object_put(o);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct fake));
	assert_non_null(*state);
	fake_init(*state, NULL);
	return 0;
}

static int teardown(void **state)
{
	fake_done(*state);
	free(*state);
	return 0;
}

static void load_that_is_known(void **state)
{
	struct fake *f = *state;
	struct event e = { .type = EVENT_LOAD, .domain = &f->domain, .t_us = 1500000 };

	f->domain.load = (struct load){ .known = true,
					.number = 3,
					.t_us = 1250000,
					.guest = { .span_ms = 2000,
						   .avg10 = 4210,
						   .avg60 = 10000,
						   .total_us = INT64_MAX,
						   .load1 = 512,
						   .load5 = 5,
						   .load15 = 0,
						   .runnable = 9 } };
	f->vcpus[0].load = (struct load_row){ 3, 875, LOAD_NO_SHARE };
	f->vcpus[1].load = (struct load_row){ 2, 1, 1 };
	assert_json(report_event(&e),
		    "{\"type\":\"load\",\"domain\":\"web1\",\"load\":{\"age_ms\":250,"
		    "\"span_ms\":2000,\"pressure\":{\"avg10\":42.1,\"avg60\":100.0,"
		    "\"total_us\":9223372036854775807},\"average\":[5.12,0.05,0.0],"
		    "\"runnable\":9,\"busy\":87.5,\"steal\":null,"
		    "\"cpus\":[{\"vcpu\":0,\"cpu\":0,\"busy\":87.5,\"steal\":null}]},"
		    "\"op\":null,\"t_us\":1500000,\"error_us\":0,\"text\":null}");
	f->domain.load.guest = (struct record_load){ .avg10 = LOAD_NO_SHARE,
						     .avg60 = LOAD_NO_SHARE,
						     .total_us = LOAD_NO_TIME,
						     .load1 = 1,
						     .load5 = LOAD_NO_NUMBER,
						     .load15 = LOAD_NO_NUMBER,
						     .runnable = LOAD_NO_NUMBER };
	f->vcpus[0].load.busy = LOAD_NO_SHARE;
	assert_json(report_load(&f->domain, false, 0),
		    "{\"age_ms\":0,\"span_ms\":0,\"pressure\":null,\"average\":null,"
		    "\"runnable\":null,\"busy\":null,\"steal\":null}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(load_that_is_known, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
