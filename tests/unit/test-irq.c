/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-root.h"
#include "guest-agent/steps.h"

#define RECORD "run/vcpuhp-agent/irq-3"

static void put_irq(const struct fake_root *f, int irq, const char *list, const char *effective)
{
	char path[64];

	snprintf(path, sizeof(path), "proc/irq/%d/smp_affinity_list", irq);
	fake_put(f, path, list);
	if (!effective)
		return;
	snprintf(path, sizeof(path), "proc/irq/%d/effective_affinity_list", irq);
	fake_put(f, path, effective);
}

static const char *list_of(const struct fake_root *f, int irq, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "proc/irq/%d/smp_affinity_list", irq);
	return fake_get(f, path, buf, size);
}

#define assert_irq(f, irq, list)                                                      \
	do {                                                                          \
		char irq_buf[256];                                                    \
		assert_string_equal(list_of(f, irq, irq_buf, sizeof(irq_buf)), list); \
	} while (0)

static unsigned int count_on(const struct fake_root *f, int first, int last, const char *list)
{
	char buf[256];
	unsigned int n = 0;

	for (int irq = first; irq <= last; irq++)
		n += strcmp(list_of(f, irq, buf, sizeof(buf)), list) == 0;
	return n;
}

struct fixture {
	const struct fake_root *f;
	struct agent_config config;
	struct step_env env;
};

/* CPU 3 is new beside 0 to 2. */
static struct step_env *fixture_init(struct fixture *x, const struct fake_root *f)
{
	x->f = f;
	agent_config_defaults(&x->config);
	x->config.irq = IRQ_SPREAD;
	x->env = (struct step_env){ .root = f->fd, .config = &x->config, .cpu = 3 };
	strcpy(x->env.text, "left over");
	fake_put(f, "sys/devices/system/cpu/online", "0-3\n");
	fake_put(f, "proc/1/comm", "init\n");
	fake_put(f, "proc/irq/default_smp_affinity", "f\n");
	return &x->env;
}

/*
 * Eight interrupts, six on CPU 1; two others stand at @shift among them, so that the order they are
 * read in decides nothing.
 */
static void spread_and_away(const struct fake_root *f, struct step_env *env, int shift)
{
	char record[64];
	int lowest[8], n = 0;

	for (int i = 0; i < 8; i++) {
		bool other = i == shift || i == (shift + 1) % 8;

		put_irq(f, 20 + i, "0-2\n", !other ? "1\n" : i == shift ? "0\n" : "2\n");
		if (!other)
			lowest[n++] = 20 + i;
	}
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(step_irq_spread(env), 0);
		assert_string_equal(env->text, "");
		assert_int_equal(count_on(f, 20, 27, "3"), 2);
		assert_irq(f, lowest[0], "3");
		assert_irq(f, lowest[1], "3");
	}
	snprintf(record, sizeof(record), "%d 0-2\n%d 0-2", lowest[0], lowest[1]);
	assert_file(f, RECORD, record);
	assert_int_equal(step_irq_away(env), 0);
	assert_string_equal(env->text, "");
	assert_int_equal(count_on(f, 20, 27, "0-2"), 8);
	assert_false(fake_exists(f, RECORD));
	assert_int_equal(step_irq_away(env), 0);
}

static void test_a_fair_share_from_the_busiest(void **state)
{
	struct fixture x;
	struct step_env *env = fixture_init(&x, *state);

	for (int shift = 0; shift < 8; shift++)
		spread_and_away(*state, env, shift);
}

static void test_off_touches_nothing(void **state)
{
	const struct fake_root *f = *state;
	struct fixture x;
	struct step_env *env = fixture_init(&x, f);

	x.config.irq = IRQ_OFF;
	for (int irq = 20; irq < 28; irq++)
		put_irq(f, irq, "0-2\n", NULL);
	assert_int_equal(step_irq_spread(env), 0);
	assert_string_equal(env->text, "");
	assert_int_equal(count_on(f, 20, 27, "0-2"), 8);
	assert_false(fake_exists(f, "run"));
}

static void test_irqbalance_is_left_alone(void **state)
{
	const struct fake_root *f = *state;
	struct fixture x;
	struct step_env *env = fixture_init(&x, f);

	for (int irq = 20; irq < 28; irq++)
		put_irq(f, irq, "0-2\n", NULL);
	fake_put(f, "proc/417/comm", "irqbalance\n");
	assert_int_equal(step_irq_spread(env), 0);
	assert_string_equal(env->text, "irqbalance runs: no interrupts moved");
	assert_int_equal(count_on(f, 20, 27, "0-2"), 8);
	assert_false(fake_exists(f, RECORD));
}

/* Like an interrupt whose affinity the kernel manages: readable, but every write is refused. */
static void refuse_writes(const struct fake_root *f, int irq)
{
	char path[64];

	snprintf(path, sizeof(path), "proc/irq/%d/smp_affinity_list", irq);
	assert_int_equal(fchmodat(f->fd, path, 0444, 0), 0);
}

static void test_managed_ones_are_passed_over_and_do_not_count(void **state)
{
	const struct fake_root *f = *state;
	struct fixture x;
	struct step_env *env = fixture_init(&x, f);

	for (int irq = 20; irq < 28; irq++)
		put_irq(f, irq, "0-2\n", "0\n");
	for (int irq = 20; irq < 24; irq++)
		refuse_writes(f, irq);
	assert_int_equal(step_irq_spread(env), 0);
	assert_string_equal(env->text, "");
	assert_int_equal(count_on(f, 24, 27, "3"), 1);
	assert_int_equal(count_on(f, 20, 23, "0-2"), 4);
	assert_int_equal(step_irq_away(env), 0);
	assert_string_equal(env->text, "");
	assert_int_equal(count_on(f, 20, 27, "0-2"), 8);
}

static void test_one_that_will_not_go_back_is_a_warning(void **state)
{
	const struct fake_root *f = *state;
	struct fixture x;
	struct step_env *env = fixture_init(&x, f);

	put_irq(f, 20, "3\n", NULL);
	put_irq(f, 21, "3\n", NULL);
	refuse_writes(f, 20);
	fake_put(f, RECORD, "20 0-1\n21 0-2\n");
	assert_int_equal(step_irq_away(env), 0);
	assert_string_equal(env->text, "irq 20 stays on cpu 3: Permission denied");
	assert_irq(f, 21, "0-2");
}

static void test_a_list_changed_by_another_is_left(void **state)
{
	const struct fake_root *f = *state;
	struct fixture x;
	struct step_env *env = fixture_init(&x, f);

	for (int irq = 20; irq < 28; irq++)
		put_irq(f, irq, "0-2\n", "0\n");
	assert_int_equal(step_irq_spread(env), 0);
	put_irq(f, 20, "1-3\n", "3\n");
	assert_int_equal(step_irq_away(env), 0);
	assert_irq(f, 20, "1-3");
	assert_irq(f, 21, "0-2");
}

static void test_a_record_with_garbage(void **state)
{
	const struct fake_root *f = *state;
	struct fixture x;
	struct step_env *env = fixture_init(&x, f);

	put_irq(f, 20, "3\n", NULL);
	put_irq(f, 21, "3\n", NULL);
	put_irq(f, 22, "3\n", NULL);
	/* A torn last line, a name that leads elsewhere, an irq that is gone, a list that is none. */
	fake_put(f, RECORD, "\n../20 0\n99 0-2\n21 x\n22\n20 0-1\n20 ");
	assert_int_equal(step_irq_away(env), 0);
	assert_irq(f, 20, "0-1");
	assert_irq(f, 21, "3");
	assert_irq(f, 22, "3");
	assert_false(fake_exists(f, RECORD));
}

/* The oldest list is the one to return to, however often a killed agent began anew. */
static void test_the_first_record_wins(void **state)
{
	const struct fake_root *f = *state;
	struct fixture x;
	struct step_env *env = fixture_init(&x, f);

	put_irq(f, 20, "3\n", NULL);
	fake_put(f, RECORD, "20 0-1\n20 0-2\n");
	assert_int_equal(step_irq_away(env), 0);
	assert_irq(f, 20, "0-1");
}

/* Interrupts nobody has asked for must not fill the share. */
static void test_only_those_in_use_are_spread(void **state)
{
	const struct fake_root *f = *state;
	struct fixture x;
	struct step_env *env = fixture_init(&x, f);
	char path[64];

	for (int irq = 20; irq < 28; irq++) {
		put_irq(f, irq, "0-2\n", "0\n");
		snprintf(path, sizeof(path), "sys/kernel/irq/%d/actions", irq);
		fake_put(f, path, irq < 24 ? "\n" : "virtio0-input.0\n");
	}
	assert_int_equal(step_irq_spread(env), 0);
	assert_int_equal(count_on(f, 20, 23, "3"), 0);
	assert_int_equal(count_on(f, 24, 27, "3"), 1);
}

static void test_too_few_to_share(void **state)
{
	const struct fake_root *f = *state;
	struct fixture x;
	struct step_env *env = fixture_init(&x, f);

	for (int irq = 20; irq < 23; irq++)
		put_irq(f, irq, "0-2\n", "0\n");
	assert_int_equal(step_irq_spread(env), 0);
	assert_int_equal(count_on(f, 20, 22, "0-2"), 3);
}

static void test_no_proc(void **state)
{
	const struct fake_root *f = *state;
	struct fixture x;
	struct step_env *env = fixture_init(&x, f);

	unlinkat(f->fd, "proc/irq/default_smp_affinity", 0);
	unlinkat(f->fd, "proc/irq", AT_REMOVEDIR);
	assert_int_equal(step_irq_spread(env), -ENOENT);
	assert_non_null(strstr(env->text, "cannot spread interrupts"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_root_test(test_a_fair_share_from_the_busiest),
		fake_root_test(test_off_touches_nothing),
		fake_root_test(test_irqbalance_is_left_alone),
		fake_root_test(test_managed_ones_are_passed_over_and_do_not_count),
		fake_root_test(test_one_that_will_not_go_back_is_a_warning),
		fake_root_test(test_a_list_changed_by_another_is_left),
		fake_root_test(test_a_record_with_garbage),
		fake_root_test(test_the_first_record_wins),
		fake_root_test(test_only_those_in_use_are_spread),
		fake_root_test(test_too_few_to_share),
		fake_root_test(test_no_proc),
	};

	return cmocka_run_group_tests(tests, fake_root_unprivileged, fake_root_privileged);
}
