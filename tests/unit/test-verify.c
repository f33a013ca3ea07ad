/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-root.h"
#include "guest-agent/steps.h"

#define CURRENT "sys/devices/system/clocksource/clocksource0/current_clocksource"
#define NOTED "run/vcpuhp-agent/clocksource"

/* As a worker does: made ahead, used once, gone with it. */
static int verify(const struct fake_root *f, struct step_env *ret)
{
	struct verify_kit kit;
	int r;

	step_verify_prepare(f->fd, &kit);
	*ret = (struct step_env){ .root = f->fd, .verify = &kit, .text = "left over" };
	r = step_verify(ret);
	close(kit.timer);
	if (kit.clocksource >= 0)
		close(kit.clocksource);
	return r;
}

static void test_a_cpu_that_works(void **state)
{
	const struct fake_root *f = *state;
	struct step_env env;

	assert_int_equal(verify(f, &env), 0);
	assert_string_equal(env.text, "");
	assert_false(fake_exists(f, NOTED));
}

static void test_a_changed_clocksource_is_a_warning(void **state)
{
	const struct fake_root *f = *state;
	struct step_env env;

	fake_put(f, CURRENT, "tsc\n");
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(verify(f, &env), 0);
		assert_string_equal(env.text, "");
		assert_file(f, NOTED, "tsc");
	}
	fake_put(f, CURRENT, "hpet\n");
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(verify(f, &env), 0);
		assert_string_equal(env.text,
				    "the clocksource changed from tsc to hpet since boot");
		assert_file(f, NOTED, "tsc");
	}
}

/* What was made ahead is asked again each time, and what was missing then is there later. */
static void test_what_comes_after_the_preparation_is_seen(void **state)
{
	const struct fake_root *f = *state;
	struct verify_kit kit;
	struct step_env env = { .root = f->fd, .verify = &kit };

	step_verify_prepare(f->fd, &kit);
	close(kit.timer);
	kit.timer = -1;
	fake_put(f, CURRENT, "tsc\n");
	fake_put(f, NOTED, "acpi_pm");
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(step_verify(&env), 0);
		assert_string_equal(env.text,
				    "the clocksource changed from acpi_pm to tsc since boot");
	}
	fake_put(f, CURRENT, "acpi_pm\n");
	assert_int_equal(step_verify(&env), 0);
	assert_string_equal(env.text, "");
	close(kit.timer);
	close(kit.clocksource);
}

/* A record that is no name of a clocksource is not shown, but made anew. */
static void test_a_record_that_is_too_long(void **state)
{
	const struct fake_root *f = *state;
	struct step_env env;
	char text[100];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	fake_put(f, CURRENT, "tsc\n");
	fake_put(f, NOTED, text);
	assert_int_equal(verify(f, &env), 0);
	assert_string_equal(env.text, "");
	assert_file(f, NOTED, "tsc");
}

static void test_a_record_that_cannot_be_kept(void **state)
{
	const struct fake_root *f = *state;
	struct step_env env;

	fake_put(f, CURRENT, "tsc\n");
	fake_put(f, "run", "a file in the way");
	assert_int_equal(verify(f, &env), 0);
	assert_string_equal(env.text, "cannot note the clocksource");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_root_test(test_a_cpu_that_works),
		fake_root_test(test_a_changed_clocksource_is_a_warning),
		fake_root_test(test_what_comes_after_the_preparation_is_seen),
		fake_root_test(test_a_record_that_is_too_long),
		fake_root_test(test_a_record_that_cannot_be_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
