/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-root.h"
#include "guest-agent/steps.h"

#define V2(group) "sys/fs/cgroup/" group "/cpuset.cpus"
#define V1(group) "sys/fs/cgroup/cpuset/" group "/cpuset.cpus"

static struct agent_config config_of(const char *const *groups)
{
	struct agent_config c;

	agent_config_defaults(&c);
	for (; *groups; groups++)
		snprintf(c.cpusets[c.n_cpusets++], sizeof(c.cpusets[0]), "%s", *groups);
	return c;
}

static struct step_env env_of(const struct fake_root *f, const struct agent_config *c, int cpu)
{
	return (struct step_env){ .root = f->fd, .config = c, .cpu = cpu, .text = "left over" };
}

static const struct {
	const char *what;
	const char *v2, *v1;               /* NULL: no such file */
	const char *v2_wide, *v1_wide;     /* after widening by 5, twice */
	const char *v2_narrow, *v1_narrow; /* after narrowing that by 5, twice */
} cases[] = {
	{ "v2 alone", "0-3\n", NULL, "0-3,5", NULL, "0-3", NULL },
	{ "v1 alone", NULL, "0-4\n", NULL, "0-5", NULL, "0-4" },
	{ "both", "0\n", "1\n", "0,5", "1,5", "0", "1" },
	{ "an empty v2 list is everything, an empty v1 list nothing", "\n", "\n", "", "5", "",
	  "5" },
	{ "the CPU is in already", "4-6\n", "5-6\n", "4-6", "5-6", "4,6", "6" },
	{ "the only one is never taken", "5\n", "5\n", "5", "5", "5", "5" },
};

static void put_or_remove(const struct fake_root *f, const char *path, const char *text)
{
	if (text)
		fake_put(f, path, text);
	else
		unlinkat(f->fd, path, 0);
}

static void assert_lists(const struct fake_root *f, const char *v2, const char *v1)
{
	if (v2)
		assert_file(f, V2("a.slice"), v2);
	if (v1)
		assert_file(f, V1("a.slice"), v1);
}

static void test_widen_and_narrow(void **state)
{
	const struct fake_root *f = *state;
	const struct agent_config c = config_of((const char *const[]){ "a.slice", NULL });

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct step_env env = env_of(f, &c, 5);

		print_message("# %s\n", cases[i].what);
		put_or_remove(f, V2("a.slice"), cases[i].v2);
		put_or_remove(f, V1("a.slice"), cases[i].v1);
		for (int twice = 0; twice < 2; twice++) {
			assert_int_equal(step_cpuset_widen(&env), 0);
			assert_string_equal(env.text, "");
			assert_lists(f, cases[i].v2_wide, cases[i].v1_wide);
		}
		for (int twice = 0; twice < 2; twice++) {
			assert_int_equal(step_cpuset_narrow(&env), 0);
			assert_lists(f, cases[i].v2_narrow, cases[i].v1_narrow);
		}
	}
	assert_false(fake_exists(f, "sys/fs/cgroup/cpuset.cpus"));
}

static void test_none_configured_touches_nothing(void **state)
{
	const struct fake_root *f = *state;
	const struct agent_config c = config_of((const char *const[]){ NULL });
	struct step_env env = env_of(f, &c, 5);

	assert_int_equal(step_cpuset_widen(&env), 0);
	assert_string_equal(env.text, "");
	assert_int_equal(step_cpuset_narrow(&env), 0);
	assert_false(fake_exists(f, "run"));
}

static void test_a_missing_group_is_a_warning(void **state)
{
	const struct fake_root *f = *state;
	const struct agent_config c = config_of((const char *const[]){ "gone", "here", NULL });
	struct step_env env = env_of(f, &c, 1);

	fake_put(f, V2("here"), "0\n");
	assert_int_equal(step_cpuset_widen(&env), 0);
	assert_string_equal(env.text, "cpuset gone does not exist");
	assert_file(f, V2("here"), "0-1");
	assert_int_equal(step_cpuset_narrow(&env), 0);
	assert_string_equal(env.text, "");
	assert_file(f, V2("here"), "0");
}

static void test_the_last_cpu_is_a_warning(void **state)
{
	const struct fake_root *f = *state;
	const struct agent_config c = config_of((const char *const[]){ "a", NULL });
	struct step_env env = env_of(f, &c, 5);

	fake_put(f, V2("a"), "5\n");
	assert_int_equal(step_cpuset_narrow(&env), 0);
	assert_non_null(strstr(env.text, "no other cpu"));
}

/* The order is seen by where it stops, and by what it complains of first. */
static void test_parents_first_when_widening_last_when_narrowing(void **state)
{
	const struct fake_root *f = *state;
	const struct agent_config c = config_of((const char *const[]){ "p/c", "q", "p", NULL });
	struct step_env env = env_of(f, &c, 5);

	fake_put(f, V2("q"), "0\n");
	fake_put(f, V2("p"), "garbage\n");
	fake_put(f, V2("p/c"), "garbage\n");
	assert_int_equal(step_cpuset_widen(&env), -EINVAL);
	assert_string_equal(env.text, "cannot widen cpuset p by cpu 5: Invalid argument");
	/* q had been widened and is taken back: no teardown of this step will come. */
	assert_file(f, V2("q"), "0");
	assert_int_equal(step_cpuset_narrow(&env), 0);
	assert_string_equal(env.text, "cpuset p/c keeps cpu 5: Invalid argument; "
				      "cpuset p keeps cpu 5: Invalid argument");
}

static void test_a_failed_widening_takes_back_only_its_own(void **state)
{
	const struct fake_root *f = *state;
	const struct agent_config c = config_of((const char *const[]){ "had", "got", "bad", NULL });
	struct step_env env = env_of(f, &c, 5);

	fake_put(f, V2("had"), "0,5\n");
	fake_put(f, V2("got"), "0\n");
	fake_put(f, V1("bad"), "garbage\n");
	assert_int_equal(step_cpuset_widen(&env), -EINVAL);
	assert_file(f, V2("had"), "0,5");
	assert_file(f, V2("got"), "0");
}

static void test_a_refused_narrowing_is_a_warning(void **state)
{
	const struct fake_root *f = *state;
	const struct agent_config c = config_of((const char *const[]){ "p", "p/c", NULL });
	struct step_env env = env_of(f, &c, 5);

	fake_put(f, V2("p/c"), "0,5\n");
	fake_put(f, V1("p/c"), "garbage\n");
	fake_put(f, V2("p"), "0,5\n");
	assert_int_equal(fchmodat(f->fd, V2("p/c"), 0444, 0), 0);
	assert_int_equal(step_cpuset_narrow(&env), 0);
	assert_string_equal(env.text, "cpuset p/c keeps cpu 5: Invalid argument; "
				      "cpuset p/c keeps cpu 5: Permission denied");
	assert_file(f, V2("p/c"), "0,5");
	assert_file(f, V2("p"), "0");
}

static void test_without_the_lock(void **state)
{
	const struct fake_root *f = *state;
	const struct agent_config c = config_of((const char *const[]){ "p", NULL });
	struct step_env env = env_of(f, &c, 5);

	fake_put(f, V2("p"), "0,5\n");
	fake_put(f, "run", "a file in the way");
	assert_int_equal(step_cpuset_widen(&env), -ENOTDIR);
	assert_non_null(strstr(env.text, "cannot lock"));
	/* The CPU leaves in any case. */
	assert_int_equal(step_cpuset_narrow(&env), 0);
	assert_non_null(strstr(env.text, "cannot lock"));
	assert_file(f, V2("p"), "0,5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_root_test(test_widen_and_narrow),
		fake_root_test(test_none_configured_touches_nothing),
		fake_root_test(test_a_missing_group_is_a_warning),
		fake_root_test(test_the_last_cpu_is_a_warning),
		fake_root_test(test_parents_first_when_widening_last_when_narrowing),
		fake_root_test(test_a_failed_widening_takes_back_only_its_own),
		fake_root_test(test_a_refused_narrowing_is_a_warning),
		fake_root_test(test_without_the_lock),
	};

	return cmocka_run_group_tests(tests, fake_root_unprivileged, fake_root_privileged);
}
