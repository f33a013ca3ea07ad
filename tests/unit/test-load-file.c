/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel says of the load: each file's text, and what a file that is not there means. */
#include "fake-root.h"
#include "guest-agent/load-file.h"

static const struct record_load unknown = {
	.avg10 = LOAD_NO_SHARE,
	.avg60 = LOAD_NO_SHARE,
	.total_us = LOAD_NO_TIME,
	.load1 = LOAD_NO_NUMBER,
	.load5 = LOAD_NO_NUMBER,
	.load15 = LOAD_NO_NUMBER,
	.runnable = LOAD_NO_NUMBER,
};

static const struct {
	const char *what, *text;
	bool good;
	unsigned int avg10, avg60;
	uint64_t total_us;
} pressures[] = {
	{ "at rest", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", true, 0, 0, 0 },
	{ "under load, of a kernel that has full too",
	  "some avg10=42.10 avg60=18.05 avg300=3.50 total=123456789\n"
	  "full avg10=1.00 avg60=1.00 avg300=1.00 total=5\n",
	  true, 4210, 1805, 123456789 },
	{ "all the time", "some avg10=100.00 avg60=99.99 avg300=0.00 total=1\n", true, 10000, 9999,
	  1 },
	{ "nothing", "", false, 0, 0, 0 },
	{ "above all there is", "some avg10=100.01 avg60=0.00 avg300=0.00 total=0\n", false, 0, 0,
	  0 },
	{ "no point", "some avg10=1 avg60=0.00 avg300=0.00 total=0\n", false, 0, 0, 0 },
	{ "three decimals", "some avg10=1.000 avg60=0.00 avg300=0.00 total=0\n", false, 0, 0, 0 },
	{ "below 0", "some avg10=-1.00 avg60=0.00 avg300=0.00 total=0\n", false, 0, 0, 0 },
	{ "cut short", "some avg10=1.00 avg60=2.00 avg3", false, 0, 0, 0 },
	{ "no total", "some avg10=1.00 avg60=2.00 avg300=0.00 total=\n", false, 0, 0, 0 },
	{ "a total of 19 digits",
	  "some avg10=1.00 avg60=2.00 avg300=0.00 total=9999999999999999999\n", false, 0, 0, 0 },
	{ "more behind it", "some avg10=1.00 avg60=2.00 avg300=0.00 total=1 x\n", false, 0, 0, 0 },
};

static void pressure_is_read_whole_or_not_at_all(void **ctx)
{
	for (size_t i = 0; i < sizeof(pressures) / sizeof(pressures[0]); i++) {
		struct record_load r = unknown;

		print_message("# %s\n", pressures[i].what);
		assert_int_equal(load_parse_pressure(pressures[i].text, &r), pressures[i].good);
		if (!pressures[i].good) {
			assert_memory_equal(&r, &unknown, sizeof(r));
			continue;
		}
		assert_int_equal(r.avg10, pressures[i].avg10);
		assert_int_equal(r.avg60, pressures[i].avg60);
		assert_int_equal(r.total_us, pressures[i].total_us);
		assert_int_equal(r.load1, LOAD_NO_NUMBER);
	}
}

static const struct {
	const char *text;
	bool good;
	unsigned int load1, load15, runnable;
} averages[] = {
	{ "0.20 0.18 0.12 3/80 11206\n", true, 20, 12, 2 },
	{ "512.07 1.00 0.00 1/1 1\n", true, 51207, 0, 0 },
	/* The one who reads it runs: none would be a kernel's joke. */
	{ "0.00 0.00 0.00 0/80 1\n", true, 0, 0, 0 },
	{ "", false, 0, 0, 0 },
	{ "0.20 0.18 0.12\n", false, 0, 0, 0 },
	{ "0.20 0.18 0.12 x/80 1\n", false, 0, 0, 0 },
	{ "nan 0.18 0.12 1/80 1\n", false, 0, 0, 0 },
	{ "99999999.00 0.18 0.12 1/80 1\n", false, 0, 0, 0 },
	{ "0.20 0.18 0.12 4294967296/80 1\n", false, 0, 0, 0 },
};

static void averages_are_read_whole_or_not_at_all(void **ctx)
{
	for (size_t i = 0; i < sizeof(averages) / sizeof(averages[0]); i++) {
		struct record_load r = unknown;

		print_message("# %s", averages[i].text);
		assert_int_equal(load_parse_average(averages[i].text, &r), averages[i].good);
		if (!averages[i].good) {
			assert_memory_equal(&r, &unknown, sizeof(r));
			continue;
		}
		assert_int_equal(r.load1, averages[i].load1);
		assert_int_equal(r.load15, averages[i].load15);
		assert_int_equal(r.runnable, averages[i].runnable);
	}
}

static const struct {
	const char *line;
	int cpu; /* -1: none */
	struct load_times times;
} lines[] = {
	{ "cpu0 10 20 30 400 50 6 7 80 9 1", 0, { 73, 80, 603 } },
	{ "cpu4095 1 0 0 0 0 0 0 0", 4095, { 1, 0, 1 } },
	{ "cpu  10 20 30 400 50 6 7 80 9 1", -1, { 0, 0, 0 } },
	{ "cpu4096 1 0 0 0 0 0 0 0", -1, { 0, 0, 0 } },
	{ "cpu1 10 20 30 400 50 6 7", -1, { 0, 0, 0 } },
	{ "cpu1 10 20 30 -4 50 6 7 8", -1, { 0, 0, 0 } },
	{ "cpu1 10 20 30 1111111111111111111 50 6 7 8", -1, { 0, 0, 0 } },
	{ "cpufreq 1 2 3 4 5 6 7 8", -1, { 0, 0, 0 } },
	{ "intr 1 2 3 4 5 6 7 8", -1, { 0, 0, 0 } },
	{ "", -1, { 0, 0, 0 } },
};

static void a_cpus_line_is_told_from_others(void **ctx)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct load_times t = { 0 };
		int cpu = -1;

		print_message("# %s\n", lines[i].line);
		assert_int_equal(load_parse_cpu(lines[i].line, &cpu, &t), lines[i].cpu >= 0);
		assert_int_equal(cpu, lines[i].cpu);
		assert_memory_equal(&t, &lines[i].times, sizeof(t));
	}
}

static const struct {
	const char *what;
	struct load_times before, now;
	unsigned int busy, steal;
} shares[] = {
	{ "idle", { 5, 5, 100 }, { 5, 5, 300 }, 0, 0 },
	{ "busy", { 5, 5, 100 }, { 205, 5, 300 }, 1000, 0 },
	{ "a bit of each", { 0, 0, 0 }, { 1, 2, 3 }, 333, 666 },
	{ "no time passed", { 5, 5, 100 }, { 5, 5, 100 }, LOAD_NO_SHARE, LOAD_NO_SHARE },
	{ "the idle time ran backwards",
	  { 5, 5, 100 },
	  { 90, 5, 150 },
	  LOAD_NO_SHARE,
	  LOAD_NO_SHARE },
	{ "all ran backwards", { 5, 5, 100 }, { 4, 5, 150 }, LOAD_NO_SHARE, LOAD_NO_SHARE },
	{ "a number like no other",
	  { 0, 0, 0 },
	  { UINT64_C(900000000000000000), 0, UINT64_C(900000000000000000) },
	  LOAD_NO_SHARE,
	  LOAD_NO_SHARE },
};

static void shares_are_those_of_the_time_between(void **ctx)
{
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		struct record_load_cpu r = { 0 };

		print_message("# %s\n", shares[i].what);
		load_shares(&shares[i].before, &shares[i].now, &r);
		assert_int_equal(r.busy, shares[i].busy);
		assert_int_equal(r.steal, shares[i].steal);
	}
}

static void what_is_not_there_is_unknown(void **state)
{
	const struct fake_root *f = *state;
	struct load_files files;
	struct record_load r;

	load_files_init(&files);
	load_files_read(&files, f->fd, &r);
	assert_memory_equal(&r, &unknown, sizeof(r));
	/* It is looked for again: what a root is given later counts. */
	fake_put(f, "proc/loadavg", "1.00 2.00 3.00 2/80 11206\n");
	load_files_read(&files, f->fd, &r);
	assert_int_equal(r.load5, 200);
	assert_int_equal(r.avg10, LOAD_NO_SHARE);
	assert_int_equal(r.total_us, LOAD_NO_TIME);
	load_files_close(&files);
}

struct seen {
	unsigned int n;
	uint64_t busy;
};

static void count(void *ctx, int cpu, const struct load_times *t)
{
	struct seen *s = ctx;

	assert_int_equal(cpu, s->n);
	s->n++;
	s->busy += t->busy;
}

/* More than one piece of a read, with lines that lie across two, and what stands behind the CPUs. */
static void many_cpus_are_read_in_pieces(void **state)
{
	static char text[1 << 16];
	const struct fake_root *f = *state;
	struct load_files files;
	size_t at = (size_t)snprintf(text, sizeof(text), "cpu  1 1 1 1 1 1 1 1 1 1\n");

	for (int cpu = 0; cpu < 1000; cpu++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       "cpu%d %d 0 0 1000 0 0 0 0 0 0\n", cpu, cpu);
	snprintf(text + at, sizeof(text) - at, "intr 5\ncpu1000 1 1 1 1 1 1 1 1 1 1\n");
	fake_put(f, "proc/stat", text);
	load_files_init(&files);
	for (int twice = 0; twice < 2; twice++) {
		struct seen s = { 0 };

		load_files_read_cpus(&files, f->fd, count, &s);
		assert_int_equal(s.n, 1000);
		assert_int_equal(s.busy, 999 * 1000 / 2);
	}
	load_files_close(&files);
}

static void a_line_that_never_ends_is_the_end(void **state)
{
	static char text[3 * 4096];
	const struct fake_root *f = *state;
	struct load_files files;
	struct seen s = { 0 };

	memset(text, 'c', sizeof(text) - 1);
	/* No NUL behind it. */
	text[snprintf(text, sizeof(text), "cpu0 1 0 0 0 0 0 0 0\ncpu1")] = 'c';
	fake_put(f, "proc/stat", text);
	load_files_init(&files);
	load_files_read_cpus(&files, f->fd, count, &s);
	assert_int_equal(s.n, 1);
	load_files_close(&files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pressure_is_read_whole_or_not_at_all),
		cmocka_unit_test(averages_are_read_whole_or_not_at_all),
		cmocka_unit_test(a_cpus_line_is_told_from_others),
		cmocka_unit_test(shares_are_those_of_the_time_between),
		fake_root_test(what_is_not_there_is_unknown),
		fake_root_test(many_cpus_are_read_in_pieces),
		fake_root_test(a_line_that_never_ends_is_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
