/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many simulated domains and the real daemon in one process, in virtual time. See README.md beside
 * this file for what it does and how a failure is looked at.
 */
#include "tests/sim/matrix.h"
#include "tests/sim/play.h"
#include "tests/sim/serve.h"
#include "tests/sim/shortage.h"
#include "tests/sim/world.h"

#include <assert.h>
#include <dirent.h>
#include <getopt.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HEAP_SLACK = 64 * 1024 };

struct options {
	struct script_options script;
	unsigned int seeds;
	bool no_shrink, log, matrix, write, unaffected, shortage;
	unsigned int jobs, every, one_case;
	const char *table, *fault, *phase, *play, *serve;
};

static void run_quietly(const struct script *s, struct run_result *ret)
{
	struct world w;

	world_run(&w, s, ret, NULL);
	world_done(&w);
}

static void report(struct script *s, const struct run_result *r, const struct options *o)
{
	struct run_result again;
	struct world w;
	unsigned int runs;

	printf("seed %llu fails: %s\n", (unsigned long long)s->seed, r->breach);
	if (o->no_shrink)
		return;
	runs = script_shrink(s, r->breach, run_quietly);
	printf("after %u more runs this is left of it:\n", runs);
	script_print(s, stdout);
	world_run(&w, s, &again, stdout);
	world_done(&w);
	fflush(stdout);
}

static size_t count_entries(const char *folder)
{
	DIR *dir = opendir(folder);
	size_t n = 0;

	assert(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

extern int __real_clock_gettime(clockid_t clock, struct timespec *ret);

static double seconds(void)
{
	struct timespec t;

	__real_clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int run_seeds(const struct options *o)
{
	unsigned int failed = 0;
	unsigned long operations = 0, faults = 0, undisturbed = 0;
	uint64_t latest_us = 0;
	double begin = seconds();
	size_t fds = count_entries("/proc/self/fd"), heap = 0;

	for (unsigned int n = 0; n < o->seeds; n++) {
		struct script_options so = o->script;
		struct run_result r;
		struct script *s;
		struct world w;

		so.seed += n;
		s = script_make(&so);
		world_run(&w, s, &r, o->log ? stdout : NULL);
		world_done(&w);
		operations += r.operations;
		faults += r.faults;
		undisturbed += r.undisturbed;
		if (r.latest_us > latest_us)
			latest_us = r.latest_us;
		if (r.breach[0]) {
			failed++;
			report(s, &r, o);
		}
		script_free(s);
		if (count_entries("/proc/self/fd") != fds ||
		    count_entries("/proc/self/task") != 3 || clock_sources() > 0) {
			printf("seed %llu leaves descriptors, threads or timers behind\n",
			       (unsigned long long)so.seed);
			return 1;
		}
		if (n == o->seeds / 2)
			heap = mallinfo2().uordblks;
	}
	/* What the first half has left behind is the libraries' own. */
	if (o->seeds > 1 && mallinfo2().uordblks > heap + HEAP_SLACK) {
		printf("the heap has grown from %zu to %zu bytes\n", heap, mallinfo2().uordblks);
		failed++;
	}
	printf("%u seeds, %u failed; %lu operations (%lu undisturbed, the latest %.1f s after its "
	       "deadline), %lu faults, %.1f s, %.0f operations/s, heap %zu KiB\n",
	       o->seeds, failed, operations, undisturbed, (double)latest_us / 1e6, faults,
	       seconds() - begin, (double)operations / (seconds() - begin),
	       mallinfo2().uordblks / 1024);
	return failed ? 1 : 0;
}

static int run_matrix(const struct options *o)
{
	double begin = seconds();
	unsigned int wrong = matrix_run(o->seeds, o->jobs, o->table, o->write);

	printf("matrix: %u seeds each, %u wrong, %.1f s\n", o->seeds, wrong, seconds() - begin);
	return wrong ? 1 : 0;
}

static int run_shortage(const struct options *o)
{
	double begin = seconds();
	unsigned int wrong;

	if (o->one_case)
		return shortage_show(o->one_case);
	wrong = shortage_run(o->jobs, o->every, o->log);
	printf("shortage: %u wrong, %.1f s\n", wrong, seconds() - begin);
	return wrong ? 1 : 0;
}

/* When the operations of all domains but the first were accepted and ended, as one number. */
static uint64_t sum_up(const struct script_options *so, struct run_result *r)
{
	struct script *s = script_make(so);
	uint64_t sum = 0;
	struct world w;

	world_run(&w, s, r, NULL);
	for (unsigned int i = 1; i < w.n; i++)
		for (unsigned int t = 0; t < w.drivers[i].n_tracks; t++) {
			const struct track *k = &w.drivers[i].tracks[t];

			/* The last operations come when all are healed. */
			if (k->number < FIRST_DRILL)
				sum = sum * 31 + k->accepted_us * 7 + k->ended_us +
				      (uint64_t)k->result;
		}
	world_done(&w);
	script_free(s);
	return sum;
}

/* One domain's faults change nothing of the others, to the microsecond. */
static int run_unaffected(const struct options *o)
{
	unsigned int wrong = 0, faults = 0;

	for (unsigned int n = 0; n < o->seeds; n++) {
		struct script_options so = o->script;
		struct run_result well, ill;
		uint64_t a, b;

		so.seed += n;
		so.faults = 0;
		a = sum_up(&so, &well);
		so.faults = 60;
		so.only_domain = 0;
		b = sum_up(&so, &ill);
		faults += ill.faults;
		if (a == b && !well.breach[0] && !ill.breach[0])
			continue;
		wrong++;
		printf("seed %llu: %s\n", (unsigned long long)so.seed,
		       ill.breach[0] ? ill.breach : "other domains are affected");
	}
	printf("%u seeds, %u faults in one domain of %u, %u wrong\n", o->seeds, faults,
	       o->script.domains, wrong);
	return wrong || !faults ? 1 : 0;
}

static unsigned int number(const char *text)
{
	return (unsigned int)strtoul(text, NULL, 10);
}

/* Those with a value. Return: whether there is such an option. */
static bool take_value(struct options *o, int c, const char *value)
{
	if (c == 's')
		o->script.seed = strtoull(value, NULL, 10);
	else if (c == 'n')
		o->seeds = number(value);
	else if (c == 'd')
		o->script.domains = number(value);
	else if (c == 'o')
		o->script.operations = number(value);
	else if (c == 'f')
		o->script.faults = number(value);
	else if (c == 'k')
		o->script.only_fault = fault_find(value);
	else if (c == 'F')
		o->fault = value;
	else if (c == 'P')
		o->phase = value;
	else if (c == 'p')
		o->play = value;
	else if (c == 'v')
		o->serve = value;
	else if (c == 't')
		o->table = value;
	else if (c == 'e')
		o->every = number(value);
	else if (c == 'c')
		o->one_case = number(value);
	else if (c == 'j')
		o->jobs = number(value);
	else
		return false;
	return true;
}

static bool take_flag(struct options *o, int c)
{
	o->no_shrink |= c == 'S';
	o->matrix |= c == 'm';
	o->unaffected |= c == 'u';
	o->shortage |= c == 'h';
	o->write |= c == 'w';
	o->log |= c == 'l';
	o->script.steady |= c == 'y';
	return c == 'y' || c == 'S' || c == 'm' || c == 'u' || c == 'h' || c == 'w' || c == 'l';
}

static const struct option long_options[] = {
	{ "seed", required_argument, NULL, 's' },    { "seeds", required_argument, NULL, 'n' },
	{ "domains", required_argument, NULL, 'd' }, { "operations", required_argument, NULL, 'o' },
	{ "faults", required_argument, NULL, 'f' },  { "only-fault", required_argument, NULL, 'k' },
	{ "no-shrink", no_argument, NULL, 'S' },     { "matrix", no_argument, NULL, 'm' },
	{ "fault", required_argument, NULL, 'F' },   { "phase", required_argument, NULL, 'P' },
	{ "play", required_argument, NULL, 'p' },    { "steady", no_argument, NULL, 'y' },
	{ "unaffected", no_argument, NULL, 'u' },    { "serve", required_argument, NULL, 'v' },
	{ "shortage", no_argument, NULL, 'h' },      { "every", required_argument, NULL, 'e' },
	{ "case", required_argument, NULL, 'c' },    { "write", no_argument, NULL, 'w' },
	{ "table", required_argument, NULL, 't' },   { "jobs", required_argument, NULL, 'j' },
	{ "log", no_argument, NULL, 'l' },           { NULL, 0, NULL, 0 },
};

int main(int argc, char **argv)
{
	struct options o = { .script = { .seed = 1,
					 .domains = 8,
					 .operations = 60,
					 .faults = 10,
					 .only_domain = -1,
					 .only_fault = -1 },
			     .seeds = 1,
			     .jobs = 2,
			     .every = 1,
			     .table = "tests/matrix.md" };
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
		if (!(optarg ? take_value(&o, c, optarg) : take_flag(&o, c)))
			return 2;
	if (o.shortage)
		return run_shortage(&o);
	if (o.unaffected)
		return run_unaffected(&o);
	if (o.play)
		return play_file(o.play);
	if (o.serve)
		return serve_domains(o.serve, o.script.domains, o.script.seed);
	if (o.fault && o.phase)
		return matrix_show(o.fault, o.phase, o.script.seed);
	return o.matrix ? run_matrix(&o) : run_seeds(&o);
}
