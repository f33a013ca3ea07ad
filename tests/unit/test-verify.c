/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-root.h"
#include "guest-agent/steps.h"

#define CURRENT "sys/devices/system/clocksource/clocksource0/current_clocksource"
#define SAVED "run/vcpuhp-agent/clocksource"

static struct step_env env_of(const struct fake_root *f)
{
	return (struct step_env){ .root = f->fd, .text = "left over" };
}

static void test_a_cpu_that_works(void **state)
{
	const struct fake_root *f = *state;
	struct step_env env = env_of(f);

	assert_int_equal(step_verify(&env), 0);
	assert_string_equal(env.text, "");
	assert_false(fake_exists(f, SAVED));
}

static void test_a_changed_clocksource_is_a_warning(void **state)
{
	const struct fake_root *f = *state;
	struct step_env env = env_of(f);

	fake_put(f, CURRENT, "tsc\n");
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(step_verify(&env), 0);
		assert_string_equal(env.text, "");
		assert_file(f, SAVED, "tsc");
	}
	fake_put(f, CURRENT, "hpet\n");
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(step_verify(&env), 0);
		assert_string_equal(env.text,
				    "the clocksource changed from tsc to hpet since boot");
		assert_file(f, SAVED, "tsc");
	}
}

static void test_a_record_that_cannot_be_kept(void **state)
{
	const struct fake_root *f = *state;
	struct step_env env = env_of(f);

	fake_put(f, CURRENT, "tsc\n");
	fake_put(f, "run", "a file in the way");
	assert_int_equal(step_verify(&env), 0);
	assert_string_equal(env.text, "cannot note the clocksource");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_root_test(test_a_cpu_that_works),
		fake_root_test(test_a_changed_clocksource_is_a_warning),
		fake_root_test(test_a_record_that_cannot_be_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
