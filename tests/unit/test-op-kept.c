/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is kept of an operation is what was told of it, and takes little memory; also where there is none left. */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/op.h"
#include "shortage.h"

static void a_text_is_what_it_was_set_to_last(void **state)
{
	struct text t = { 0 };
	char longest[2 * TEXT_SIZE];

	assert_false(text_is_set(&t));
	assert_string_equal(text_of(&t), "");
	text_set(&t, "vcpu %u: %s", 3, "killed");
	assert_true(text_is_set(&t));
	assert_string_equal(text_of(&t), "vcpu 3: killed");
	text_set(&t, "%s, and %s", "web1", text_of(&t));
	assert_string_equal(text_of(&t), "web1, and vcpu 3: killed");
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	text_set(&t, "%s", longest);
	assert_int_equal(strlen(text_of(&t)), TEXT_SIZE - 1);
	text_set(&t, "%s", "");
	assert_false(text_is_set(&t));
	assert_string_equal(text_of(&t), "");
	text_done(&t);
}

static void that_there_is_an_error_outlives_the_lack_of_memory(void **state)
{
	struct text t = { 0 };

	for (int set = 0; set < 2; set++) {
		shortage_start(1, true);
		text_set(&t, "vcpu 3: %s", "killed");
		assert_true(shortage_stop());
		assert_true(text_is_set(&t));
		assert_string_equal(text_of(&t), "no memory was left to say more");
		text_set(&t, "vcpu 4: %s", "killed");
		assert_string_equal(text_of(&t), "vcpu 4: killed");
	}
	shortage_start(1, true);
	text_set(&t, "%s", "");
	shortage_stop();
	assert_false(text_is_set(&t));
	text_done(&t);
}

static void each_step_has_its_time_in_whatever_order_they_come(void **state)
{
	/* 7 is coprime to the number of states, so this meets all of them. */
	struct op_vcpu e = { 0 };

	for (int i = 0; i < CPUHP_STATES; i++) {
		int s = 7 * i % CPUHP_STATES;

		assert_int_equal(op_vcpu_step_us(&e, s), -1);
		op_vcpu_keep_step(&e, s, 1);
		op_vcpu_keep_step(&e, s, UINT64_C(1000) * (unsigned int)s);
		for (int k = 0; k <= i; k++)
			assert_int_equal(op_vcpu_step_us(&e, 7 * k % CPUHP_STATES),
					 1000 * (7 * k % CPUHP_STATES));
	}
	op_vcpu_keep_step(&e, CPUHP_ONLINE, UINT64_C(1) << 40);
	assert_int_equal(op_vcpu_step_us(&e, CPUHP_ONLINE), UINT32_MAX);
	op_vcpu_done(&e);
}

static void a_step_without_memory_is_not_told_and_the_others_are(void **state)
{
	struct op_vcpu e = { 0 };

	op_vcpu_keep_step(&e, CPUHP_AP_ONLINE, 76000);
	shortage_start(1, true);
	op_vcpu_keep_step(&e, CPUHP_QEMU_DEVICE, 3100);
	op_vcpu_keep_step(&e, CPUHP_AP_ONLINE, 77000);
	assert_true(shortage_stop());
	assert_int_equal(op_vcpu_step_us(&e, CPUHP_QEMU_DEVICE), -1);
	assert_int_equal(op_vcpu_step_us(&e, CPUHP_AP_ONLINE), 77000);
	op_vcpu_done(&e);
}

static void where_it_failed_has_the_callbacks_name_or_the_states(void **state)
{
	struct op_vcpu e = { 0 };

	op_vcpu_keep_failed(&e, CPUHP_AP_DYN + 1, "ap:dyn.20-log");
	assert_int_equal(e.failed_at, CPUHP_AP_DYN + 1);
	assert_string_equal(op_vcpu_failed_name(&e), "ap:dyn.20-log");
	op_vcpu_keep_failed(&e, CPUHP_AP_VERIFY, "ap:verify");
	assert_int_equal(e.failed_at, CPUHP_AP_VERIFY);
	assert_string_equal(op_vcpu_failed_name(&e), "ap:verify");
	shortage_start(1, true);
	op_vcpu_keep_failed(&e, CPUHP_AP_DYN + 1, "ap:dyn.20-log");
	assert_true(shortage_stop());
	assert_string_equal(op_vcpu_failed_name(&e), "ap:dyn");
	op_vcpu_done(&e);
}

static void the_first_name_of_a_callback_stays(void **state)
{
	struct op o = { 0 };

	assert_null(op_find_callback(&o, CPUHP_AP_DYN));
	for (unsigned int nth = 1; nth <= 2; nth++) {
		shortage_start(nth, true);
		assert_int_equal(op_keep_callback(&o, CPUHP_AP_DYN, "10-log"), -ENOMEM);
		assert_true(shortage_stop());
		assert_null(op_find_callback(&o, CPUHP_AP_DYN));
	}
	assert_int_equal(op_keep_callback(&o, CPUHP_AP_DYN, "10-log"), 0);
	assert_int_equal(op_keep_callback(&o, CPUHP_AP_DYN + 3, "20-net"), 0);
	assert_int_equal(op_keep_callback(&o, CPUHP_AP_DYN, "10-other"), 0);
	assert_string_equal(op_find_callback(&o, CPUHP_AP_DYN), "10-log");
	assert_string_equal(op_find_callback(&o, CPUHP_AP_DYN + 3), "20-net");
	assert_null(op_find_callback(&o, CPUHP_AP_DYN + 1));
	op_done(&o);
}

/* What malloc() takes for it. */
static size_t of(void *p)
{
	return p ? malloc_usable_size(p) + sizeof(size_t) : 0;
}

/* An operation that added @n vCPUs, with two callbacks, and whose plan had a warning. */
static size_t weigh(unsigned int n)
{
	struct op *o = calloc(1, sizeof(*o));
	size_t sum = of(o);

	o->vcpus = calloc(n, sizeof(*o->vcpus));
	o->n_vcpus = n;
	for (unsigned int i = 0; i < n; i++)
		for (int s = CPUHP_HOST_ADMIT; s <= CPUHP_AP_DYN + 1; s++)
			op_vcpu_keep_step(&o->vcpus[i], s, 1000);
	op_keep_callback(o, CPUHP_AP_DYN, "10-log");
	op_keep_callback(o, CPUHP_AP_DYN + 1, "20-net");
	text_set(&o->warning, "%u vCPUs are more than KVM recommends on this host", n);
	sum += of(o->vcpus) + of(o->callbacks) + of(o->warning.own);
	for (unsigned int i = 0; i < n; i++)
		sum += of(o->vcpus[i].step_us);
	for (unsigned int i = 0; i < o->n_callbacks; i++)
		sum += of(o->callbacks[i].name);
	op_done(o);
	free(o);
	return sum;
}

static void a_result_takes_as_much_memory_as_it_tells(void **state)
{
	static const struct {
		unsigned int vcpus;
		size_t most;
	} cases[] = { { 2, 1536 }, { 8, 3072 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t took = weigh(cases[i].vcpus);

		print_message("# %u vCPUs: %zu bytes\n", cases[i].vcpus, took);
		assert_in_range(took, sizeof(struct op), cases[i].most);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_is_what_it_was_set_to_last),
		cmocka_unit_test(that_there_is_an_error_outlives_the_lack_of_memory),
		cmocka_unit_test(each_step_has_its_time_in_whatever_order_they_come),
		cmocka_unit_test(a_step_without_memory_is_not_told_and_the_others_are),
		cmocka_unit_test(where_it_failed_has_the_callbacks_name_or_the_states),
		cmocka_unit_test(the_first_name_of_a_callback_stays),
		cmocka_unit_test(a_result_takes_as_much_memory_as_it_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
