/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/journal-fields.h"
#include "daemon/journal-message.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include <cmocka.h>

static const struct journal_message_def *def(int m)
{
	return journal_message_def((enum journal_message)m);
}

static void each_outcome_has_a_row_of_its_own(void **ctx)
{
	for (int m = JOURNAL_NONE + 1; m < JOURNAL_MESSAGES; m++) {
		assert_non_null(def(m)->name);
		assert_non_null(def(m)->sentence);
		assert_non_null(def(m)->id);
		assert_int_equal(strlen(def(m)->id), 32);
		assert_int_equal(strspn(def(m)->id, "0123456789abcdef"), 32);
		assert_in_range(def(m)->priority, LOG_ERR, LOG_INFO);
		for (int other = JOURNAL_NONE + 1; other < m; other++) {
			assert_string_not_equal(def(m)->id, def(other)->id);
			assert_string_not_equal(def(m)->name, def(other)->name);
		}
	}
}

static void fields_are_kept_in_order_and_once(void **ctx)
{
	struct journal_fields f;

	journal_fields_init(&f);
	journal_field(&f, "VCPUHP_OP", "%s", "o-1");
	for (unsigned int vcpu = 3; vcpu < 6; vcpu++) {
		journal_field(&f, "VCPUHP_VCPU", "%u", vcpu);
		journal_field(&f, "VCPUHP_STATE", "%s", "online");
	}
	assert_int_equal(f.n, 5);
	assert_string_equal(journal_field_at(&f, 0), "VCPUHP_OP=o-1");
	assert_string_equal(journal_field_at(&f, 1), "VCPUHP_VCPU=3");
	assert_string_equal(journal_field_at(&f, 2), "VCPUHP_STATE=online");
	assert_string_equal(journal_field_at(&f, 4), "VCPUHP_VCPU=5");
}

/* In the journal's own protocol a newline would begin the next field. */
static void no_value_can_make_another_field(void **ctx)
{
	struct journal_fields f;

	journal_fields_init(&f);
	journal_field(&f, "VCPUHP_STATE", "%s", "a\nPRIORITY=0\x7f\x01");
	assert_int_equal(f.n, 1);
	assert_string_equal(journal_field_at(&f, 0), "VCPUHP_STATE=a?PRIORITY=0??");
}

static void what_has_no_room_is_left_out_whole(void **ctx)
{
	struct journal_fields f;
	char value[JOURNAL_BYTES_MAX + 1], wanted[32];

	journal_fields_init(&f);
	for (unsigned int vcpu = 0; vcpu < 4096; vcpu++)
		journal_field(&f, "VCPUHP_VCPU", "%u", vcpu);
	assert_int_equal(f.n, JOURNAL_FIELDS_MAX);
	for (unsigned int i = 0; i < f.n; i++) {
		snprintf(wanted, sizeof(wanted), "VCPUHP_VCPU=%u", i);
		assert_string_equal(journal_field_at(&f, i), wanted);
	}
	journal_fields_init(&f);
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	journal_field(&f, "A", "%s", value);
	journal_field(&f, "B", "%s", value + 5);
	journal_field(&f, "C", "%s", "");
	assert_int_equal(f.n, 1);
	assert_int_equal(strlen(journal_field_at(&f, 0)), JOURNAL_BYTES_MAX - 3);
	journal_field(&f, "D", "%s", "");
	assert_int_equal(f.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_outcome_has_a_row_of_its_own),
		cmocka_unit_test(fields_are_kept_in_order_and_once),
		cmocka_unit_test(no_value_can_make_another_field),
		cmocka_unit_test(what_has_no_room_is_left_out_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
