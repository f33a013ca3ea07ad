/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Operations over io.vcpuhp.Manager: their list, in one answer or many, and what they keep from being done. */
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

static void lists_operations_newest_last(void **state)
{
	struct bench *b = *state;
	struct domain *d = &b->fake.domain;
	static const char *const ids[] = { "first", "second", "third" };
	const char *text, *at[3];

	for (int i = 0; i < 3; i++) {
		char params[128];

		snprintf(params, sizeof(params),
			 "\"domain\":\"web1\",\"count\":3,\"op\":\"%s\",\"wait\":false", ids[i]);
		send_call(b, "SetVcpus", params, false);
		receive(b);
	}
	d->running = b->fake.ops[1];
	d->kept[d->n_kept++] = b->fake.ops[0];
	d->queue[d->n_queued++] = b->fake.ops[2];
	send_call(b, "ListOperations", "\"domain\":\"web1\"", false);
	text = receive(b);
	for (int i = 0; i < 3; i++)
		at[i] = strstr(text, ids[i]);
	assert_true(at[0] && at[0] < at[1] && at[1] < at[2]);
}

/* Eight of 254 vCPUs are more than a client may leave unread at once. */
static void lists_operations_one_by_one_to_who_asked_for_more(void **state)
{
	struct bench *b = *state;
	struct domain *d = &b->fake.domain;

	send_call(b, "ListOperations", "", true);
	assert_string_equal(receive(b), "{\"parameters\":{\"operations\":[]}}");
	for (int i = 0; i < 8; i++) {
		send_call(b, "SetVcpus", "\"domain\":\"web1\",\"count\":3,\"wait\":false", false);
		receive(b);
		snprintf(b->fake.ops[i]->id, sizeof(b->fake.ops[i]->id), "op-%d", i);
		b->fake.ops[i]->n_vcpus = 254;
		b->fake.ops[i]->vcpus = calloc(254, sizeof(struct op_vcpu));
		d->kept[d->n_kept++] = b->fake.ops[i];
	}
	send_call(b, "ListOperations", "", false);
	assert_string_equal(receive(b), "{\"error\":\"org.varlink.service.ExpectedMore\"}");
	d->n_kept = 4;
	send_call(b, "ListOperations", "", false);
	assert_part(receive(b), "{\"op\":\"op-3\"");
	d->n_kept = 8;
	send_call(b, "ListOperations", "\"domain\":\"web1\"", true);
	for (int i = 0; i < 8; i++) {
		const char *text = receive(b);
		char part[64];

		snprintf(part, sizeof(part), "{\"operations\":[{\"op\":\"op-%d\"", i);
		assert_part(text, part);
		assert_int_equal(strstr(text, "\"continues\":true") != NULL, i < 7);
	}
	/* Who leaves in the middle leaves no references. */
	send_call(b, "ListOperations", "", true);
	assert_int_equal(b->fake.ops[7]->refs, 2);
	close(b->fd);
	varlink_bench_pump(&b->varlink);
	b->fd = varlink_bench_connect(&b->varlink);
	for (int i = 0; i < 8; i++)
		assert_int_equal(b->fake.ops[i]->refs, 1);
}

static void an_operation_keeps_its_domain_from_being_detached(void **state)
{
	struct bench *b = *state;
	struct domain *d = &b->fake.domain;

	d->configured = false;
	for (int i = 0; i < 2; i++) {
		send_call(b, "SetVcpus", "\"domain\":\"web1\",\"count\":3,\"wait\":false", false);
		receive(b);
		snprintf(b->fake.ops[i]->id, sizeof(b->fake.ops[i]->id), "op-%d", i);
	}
	d->queue[d->n_queued++] = b->fake.ops[0];
	send_call(b, "Detach", "\"name\":\"web1\"", false);
	assert_part(receive(b), "Manager.Busy\",\"parameters\":{\"text\":\"operation op-0 is under "
				"way in web1: wait for it (vcpuhpctl wait op-0) or cancel it");
	d->running = b->fake.ops[0];
	d->queue[0] = b->fake.ops[1];
	send_call(b, "Detach", "\"name\":\"web1\"", false);
	assert_part(receive(b), "operation op-0 is under way in web1 (1 queued behind it): ");
	assert_int_equal(b->fake.detached, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, api_bench_setup, api_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(lists_operations_newest_last),
		CASE(lists_operations_one_by_one_to_who_asked_for_more),
		CASE(an_operation_keeps_its_domain_from_being_detached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
