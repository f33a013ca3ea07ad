/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-root.h"
#include "guest-agent/ktrace.h"

#define INSTANCE "sys/kernel/tracing/instances/vcpuhp"

static const struct {
	const char *line;
	struct ktrace_event event;
} lines[] = {
	{ "           sh-217     [000] .....    12.345678: cpuhp_enter: cpu: 0003 target: 236 step:   1 (threads_prepare)",
	  { .cpu = 3, .step = 1, .startup = true, .time_ns = 12345678000 } },
	{ "      cpuhp/3-31      [003] d..1.    12.345700: cpuhp_multi_enter: cpu: 0003 target: 236 step: 202 (x)",
	  { .cpu = 3, .step = 202, .startup = true, .time_ns = 12345700000 } },
	{ "      cpuhp/3-31      [003] d..1.  1234.000001: cpuhp_exit:  cpu: 0003  state: 156 step: 156 ret: 0",
	  { .cpu = 3, .step = 156, .startup = true, .exit = true, .time_ns = 1234000001000 } },
	{ "      cpuhp/3-31      [003] d..1.    0.000001: cpuhp_exit:  cpu: 0003  state: 155 step: 156 ret: -16",
	  { .cpu = 3, .step = 156, .exit = true, .rc = -16, .time_ns = 1000 } },
	{ "      cpuhp/3-31      [003] d..1.    1.5: cpuhp_enter: cpu: 1023 target: 140 step: 156 (f)",
	  { .cpu = 1023, .step = 156, .time_ns = 1500000000 } },
	{ "x-1 [003] 1.000000: cpuhp_enter: cpu: 0003 target: 156 step: 156 (the target itself: upwards)",
	  { .cpu = 3, .step = 156, .startup = true, .time_ns = 1000000000 } },
	{ "x-1 [003] 1.123456789: cpuhp_enter: cpu: 0003 target: 0 step: 0 (f)",
	  { .cpu = 3, .step = 0, .startup = true, .time_ns = 1123456789 } },
	/* A task may be called anything, within fifteen bytes. */
	{ "1: cpuhp_exit: -9     [001] .....    7.000000: cpuhp_enter: cpu: 0002 target: 236 step: 33 (f)",
	  { .cpu = 2, .step = 33, .startup = true, .time_ns = 7000000000 } },
	{ "1: cpuhp_enter: -9    [001] .....    7.000000: cpuhp_exit:  cpu: 0002  state: 33 step: 33 ret: 0",
	  { .cpu = 2, .step = 33, .startup = true, .exit = true, .time_ns = 7000000000 } },
	{ "        a b c-9     [001] .....    7.000000: cpuhp_enter: cpu: 0002 target: 236 step: 33 (f)",
	  { .cpu = 2, .step = 33, .startup = true, .time_ns = 7000000000 } },
};

static const char *const alien[] = {
	"",
	"CPU:1 [LOST 66 EVENTS]",
	"# tracer: nop",
	"sh-217 [000] ..... 12.345678: sched_switch: prev_comm=sh",
	"sh-217 [000] ..... 12.345678: cpuhp_enter: ",
	"sh-217 [000] ..... 12.345678: cpuhp_enter: cpu: 0003 target: 236",
	"sh-217 [000] ..... 12.345678: cpuhp_enter: cpu: 0003 target: 236 step: x",
	"sh-217 [000] ..... 12.345678: cpuhp_enter: cpu: 0003 target: 236 step: 300 (f)",
	"sh-217 [000] ..... 12.345678: cpuhp_enter: cpu: 99999999999 target: 236 step: 3 (f)",
	"sh-217 [000] ..... 12.345678: cpuhp_exit: cpu: 0003 state: 156 step: 156 ret: ",
	"sh-217 [000] ..... 12.345678: cpuhp_exit: cpu: 0003 state: 156 step: 156 ret: -",
	"sh-217 [000] ..... 12345678: cpuhp_enter: cpu: 0003 target: 236 step: 1 (f)",
	"sh-217 [000] ..... 12.: cpuhp_enter: cpu: 0003 target: 236 step: 1 (f)",
	"sh-217 [000] ..... 12.1234567890: cpuhp_enter: cpu: 0003 target: 236 step: 1 (f)",
	"sh-217 [000] ..... 99999999999999.1: cpuhp_enter: cpu: 0003 target: 236 step: 1 (f)",
	": cpuhp_enter: cpu: 0003 target: 236 step: 1 (f)",
};

static void assert_event(const struct ktrace_event *a, const struct ktrace_event *b)
{
	assert_int_equal(a->cpu, b->cpu);
	assert_int_equal(a->step, b->step);
	assert_int_equal(a->exit, b->exit);
	assert_int_equal(a->startup, b->startup);
	assert_int_equal(a->rc, b->rc);
	assert_int_equal(a->time_ns, b->time_ns);
}

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct ktrace_event e = { 0 };

		print_message("# %s\n", lines[i].line);
		assert_int_equal(ktrace_parse(lines[i].line, &e), 1);
		assert_event(&e, &lines[i].event);
	}
}

static void test_alien_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(alien) / sizeof(alien[0]); i++) {
		const struct ktrace_event before = { .cpu = 77, .rc = -1 };
		struct ktrace_event e = before;

		print_message("# %s\n", alien[i]);
		assert_int_equal(ktrace_parse(alien[i], &e), 0);
		assert_event(&e, &before);
	}
}

struct seen {
	size_t n;
	struct ktrace_event events[256];
};

static void note(void *ctx, const struct ktrace_event *e)
{
	struct seen *s = ctx;

	assert_true(s->n < 256);
	s->events[s->n++] = *e;
}

/* A reader on a pipe in place of trace_pipe. Returns the writing end. */
static int open_pipe(struct ktrace *k)
{
	int ends[2];

	memset(k, 0, sizeof(*k));
	assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	k->fd = ends[0];
	return ends[1];
}

static void send(int fd, const char *text, size_t len)
{
	assert_int_equal(write(fd, text, len), len);
}

/* All lines in one stream, cut after every single byte: the same events come out. */
static void test_torn_lines(void **state)
{
	enum { N = sizeof(lines) / sizeof(lines[0]) };
	struct seen seen = { 0 };
	struct ktrace k;
	int fd = open_pipe(&k);

	(void)state;
	for (size_t i = 0; i < N; i++) {
		for (const char *p = lines[i].line; *p; p++) {
			send(fd, p, 1);
			assert_int_equal(ktrace_read(&k, 4096, note, &seen), 0);
			assert_int_equal(seen.n, i);
		}
		send(fd, "\n", 1);
		assert_int_equal(ktrace_read(&k, 4096, note, &seen), 0);
		assert_int_equal(seen.n, i + 1);
		assert_event(&seen.events[i], &lines[i].event);
	}
	assert_int_equal(ktrace_read(&k, 4096, note, &seen), 0);
	close(fd);
	assert_int_equal(ktrace_read(&k, 4096, note, &seen), 0);
	ktrace_close(&k);
	assert_int_equal(k.fd, -1);
}

static void test_what_the_kernel_had_no_room_for_is_told(void **state)
{
	static const char *const stream[] = {
		"x-1 [003] 1.000000: cpuhp_enter: cpu: 0003 target: 156 step: 156 (f)",
		"CPU:1 [LOST 66 EVENTS]",
		"CPU:1 [LOST 66-9     [001] .....    7.000000: cpuhp_enter: cpu: 0002 target: 236 step: 33 (f)"
	};
	struct seen seen = { 0 };
	struct ktrace k;
	int fd = open_pipe(&k);

	(void)state;
	for (size_t i = 0; i < sizeof(stream) / sizeof(stream[0]); i++) {
		k.lost = false;
		send(fd, stream[i], strlen(stream[i]));
		send(fd, "\n", 1);
		assert_int_equal(ktrace_read(&k, 4096, note, &seen), 0);
		assert_int_equal(k.lost, i == 1);
	}
	assert_int_equal(seen.n, 2);
	close(fd);
	ktrace_close(&k);
}

static void test_no_more_than_asked(void **state)
{
	struct seen seen = { 0 };
	struct ktrace k;
	int fd = open_pipe(&k);
	size_t len = strlen(lines[0].line);

	(void)state;
	for (int i = 0; i < 3; i++) {
		send(fd, lines[0].line, len);
		send(fd, "\n", 1);
	}
	assert_int_equal(ktrace_read(&k, len + 1, note, &seen), 0);
	assert_int_equal(seen.n, 1);
	assert_int_equal(ktrace_read(&k, 1, note, &seen), 0);
	assert_int_equal(seen.n, 1);
	assert_int_equal(ktrace_read(&k, 65536, note, &seen), 0);
	assert_int_equal(seen.n, 3);
	close(fd);
	ktrace_close(&k);
}

static void test_an_endless_line_is_dropped(void **state)
{
	struct seen seen = { 0 };
	struct ktrace k;
	int fd = open_pipe(&k);
	char much[20000];

	(void)state;
	memset(much, 'x', sizeof(much));
	send(fd, much, sizeof(much));
	assert_int_equal(ktrace_read(&k, 65536, note, &seen), 0);
	assert_true(k.used < sizeof(k.buf));
	send(fd, "\n", 1);
	send(fd, lines[0].line, strlen(lines[0].line));
	send(fd, "\n", 1);
	assert_int_equal(ktrace_read(&k, 65536, note, &seen), 0);
	assert_int_equal(seen.n, 1);
	assert_event(&seen.events[0], &lines[0].event);
	close(fd);
	ktrace_close(&k);
}

static void put_instance(const struct fake_root *f, const char *tracing)
{
	static const char *const files[] = {
		"tracing_on",     "trace_clock", "buffer_size_kb",
		"buffer_percent", "trace_pipe",  "events/cpuhp/enable"
	};
	char path[256];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/instances/vcpuhp/%s", tracing, files[i]);
		fake_put(f, path, "old\n");
	}
}

static void test_setup_writes_the_instance(void **state)
{
	const struct fake_root *f = *state;

	put_instance(f, "sys/kernel/tracing");
	assert_int_equal(ktrace_setup(f->fd), 0);
	assert_file(f, INSTANCE "/trace_clock", "mono");
	assert_file(f, INSTANCE "/buffer_percent", "0");
	assert_file(f, INSTANCE "/events/cpuhp/enable", "1");
	assert_file(f, INSTANCE "/tracing_on", "1");
	unlinkat(f->fd, INSTANCE "/buffer_percent", 0);
	assert_int_equal(ktrace_setup(f->fd), 0);
	assert_false(fake_exists(f, INSTANCE "/buffer_percent"));
}

static void test_debugfs_where_it_is_the_only_one(void **state)
{
	const struct fake_root *f = *state;
	char where[] = "sys/kernel/debug/tracing";
	struct seen seen = { 0 };
	struct ktrace k;
	char text[512];

	put_instance(f, where);
	assert_int_equal(ktrace_setup(f->fd), 0);
	snprintf(text, sizeof(text), "%s\n%s\n", lines[0].line, lines[2].line);
	fake_put(f, "sys/kernel/debug/tracing/instances/vcpuhp/trace_pipe", text);
	assert_int_equal(ktrace_open(&k, f->fd), 0);
	assert_int_equal(ktrace_read(&k, 65536, note, &seen), 0);
	assert_int_equal(seen.n, 2);
	ktrace_close(&k);
}

/* A test's root is no sysfs: the real tracefs must never be mounted on it. */
static void test_no_tracefs(void **state)
{
	const struct fake_root *f = *state;
	struct ktrace k;

	assert_int_equal(ktrace_setup(f->fd), -ENOENT);
	assert_int_equal(ktrace_open(&k, f->fd), -ENOENT);
	assert_int_equal(k.fd, -1);
	fake_mkdir(f, "sys/kernel/tracing");
	assert_int_equal(ktrace_setup(f->fd), -ENOENT);
	assert_false(fake_exists(f, "sys/kernel/tracing/instances"));
	ktrace_close(&k);
	ktrace_remove(f->fd);
	/* tracefs there, but a kernel without the events */
	fake_mkdir(f, INSTANCE);
	assert_int_equal(ktrace_setup(f->fd), -ENOENT);
	ktrace_remove(f->fd);
	assert_false(fake_exists(f, INSTANCE));
}

static void test_step_names(void **state)
{
	const struct fake_root *f = *state;
	struct kstep_names names;

	assert_int_equal(kstep_names_load(&names, f->fd), -ENOENT);
	assert_string_equal(kstep_name(&names, 156), "");
	fake_put(f, "sys/devices/system/cpu/hotplug/states",
		 "  0: offline\n  1: threads:prepare\n156: smpboot/threads:online\n"
		 "rubbish\n999: beyond\n 12 no colon\n"
		 "200: a name that is much longer than the table has room for it\n235: online");
	assert_int_equal(kstep_names_load(&names, f->fd), 0);
	assert_string_equal(kstep_name(&names, 0), "offline");
	assert_string_equal(kstep_name(&names, 1), "threads:prepare");
	assert_string_equal(kstep_name(&names, 156), "smpboot/threads:online");
	assert_string_equal(kstep_name(&names, 235), "online");
	assert_int_equal(strlen(kstep_name(&names, 200)), 39);
	assert_string_equal(kstep_name(&names, 12), "");
	assert_string_equal(kstep_name(&names, -1), "");
	assert_string_equal(kstep_name(&names, 256), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_alien_lines),
		cmocka_unit_test(test_torn_lines),
		cmocka_unit_test(test_what_the_kernel_had_no_room_for_is_told),
		cmocka_unit_test(test_no_more_than_asked),
		cmocka_unit_test(test_an_endless_line_is_dropped),
		fake_root_test(test_setup_writes_the_instance),
		fake_root_test(test_debugfs_where_it_is_the_only_one),
		fake_root_test(test_no_tracefs),
		fake_root_test(test_step_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
