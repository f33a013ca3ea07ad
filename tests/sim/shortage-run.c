/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * One domain, an add of one vCPU and a remove of it, with Place= and a thread for each vCPU. A first run counts the daemon's allocations and
 * calls between the client's word and the domain's rest; then comes one run for each allocation, and
 * one for each call and each error that it may have. All runs begin from the same state, in a process
 * of their own: what crashes or never ends is that one's, and what a library keeps for good is the
 * same in all.
 *
 * What must hold besides the checker's: each of the two has its one end, or was denied with a word of
 * why; one that is not done says why; nothing is left behind in memory or descriptors that the first
 * run has not left; and the last operations, which every run comes to, are done.
 */
#include "tests/sim/shortage.h"
#include "tests/sim/world.h"

#include <assert.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPERATIONS = 2, DENIED = -1, HANGS_S = 60, SHOWN_MAX = 40, FDS_SEEN = 64 };

/**
 * struct outcome - what came of one run
 * @ended: it has come to its end at all; @wrong: "" all is well
 * @ends: of the add and of the remove: enum op_result or DENIED; @why: as it says
 * @left: allocations that were not freed
 */
struct outcome {
	struct shortage s;
	bool ended;
	char wrong[512];
	int ends[OPERATIONS];
	char why[OPERATIONS][OP_TEXT_MAX];
	long left;
};

static void complain(struct outcome *o, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void complain(struct outcome *o, const char *format, ...)
{
	va_list ap;

	if (o->wrong[0])
		return;
	va_start(ap, format);
	vsnprintf(o->wrong, sizeof(o->wrong), format, ap);
	va_end(ap);
}

/* One run */

static void *rest(void *tid)
{
	__atomic_store_n((int *)tid, gettid(), __ATOMIC_RELEASE);
	for (;;)
		pause();
	return NULL;
}

/* Of the vCPUs: they do nothing, and can be pinned. They end with the process. */
static const int *make_threads(void)
{
	static int threads[SIM_SLOTS];
	pthread_t t;

	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		int r = pthread_create(&t, NULL, rest, &threads[i]);

		assert(r == 0);
		while (!__atomic_load_n(&threads[i], __ATOMIC_ACQUIRE))
			sched_yield();
	}
	return threads;
}

static struct script *make_script(const int *threads)
{
	struct script *s = script_new(1, 1);

	s->drill = true;
	s->threads = threads;
	for (unsigned int n = 0; n < OPERATIONS; n++) {
		const struct item i = {
			.kind = ITEM_OPERATION,
			.number = n,
			.gap_us = 300000,
			.request = { .goal = OP_GOAL_COUNT, .count = OPERATIONS - n, .standby = -1 }
		};

		script_add(s, &i);
	}
	return s;
}

/* QEMU and the agent are there all the time, so these would not be true. */
static bool is_a_lie(enum op_result r)
{
	return r == OP_ACCEPTED || r == OP_VM_GONE || r == OP_BUSY || r == OP_CONFLICT;
}

static void judge_operation(struct outcome *o, const struct track *t)
{
	o->ends[t->number] = (int)t->result;
	snprintf(o->why[t->number], sizeof(o->why[0]), "%s", t->why);
	if (is_a_lie(t->result))
		complain(o, "op %u: %s: that is not so", t->number, op_result_name(t->result));
	if (t->end == TRACK_ENDED && t->result != OP_DONE && !*t->why)
		complain(o, "op %u: %s, and not a word of why", t->number,
			 op_result_name(t->result));
}

static void judge(struct outcome *o, const struct world *w, const struct run_result *r)
{
	const struct driver *v = &w->drivers[0];

	if (r->breach[0])
		complain(o, "%s", r->breach);
	for (unsigned int n = 0; n < OPERATIONS; n++)
		o->ends[n] = DENIED;
	for (unsigned int i = 0; i < v->n_tracks; i++)
		if (v->tracks[i].number < OPERATIONS)
			judge_operation(o, &v->tracks[i]);
}

static unsigned int count_descriptors(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < FDS_SEEN; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void run_once(struct outcome *o, FILE *log)
{
	const int *threads = make_threads();
	unsigned int fds = count_descriptors();
	long live = shortage_live();
	struct script *s = make_script(threads);
	struct run_result r;
	struct world w;

	shortage_begin(&o->s);
	world_run(&w, s, &r, log);
	judge(o, &w, &r);
	world_done(&w);
	shortage_begin(NULL);
	script_free(s);
	o->left = shortage_live() - live;
	if (count_descriptors() != fds)
		complain(o, "descriptors are left open");
	if (clock_sources() > 0)
		complain(o, "timers are left behind");
	o->ended = true;
}

/* The cases */

/**
 * struct cases - all there are: the allocations, then each call with each of its errors
 * @counted: the first run's, in which nothing fails
 */
struct cases {
	const struct outcome *counted;
	unsigned int n;
};

static unsigned int count_errors(enum shortage_call call)
{
	unsigned int n = 0;

	while (n < 5 && shortage_call_errors(call)[n])
		n++;
	return n;
}

/* Of the case @number, counted from 1. */
static void plan(const struct cases *c, unsigned int number, struct shortage *ret)
{
	const struct shortage *s = &c->counted->s;
	unsigned int left = number - s->allocations - 1, call = 0;

	if (number <= s->allocations) {
		ret->allocation = number;
		return;
	}
	for (; left >= count_errors(s->calls[call]); call++)
		left -= count_errors(s->calls[call]);
	ret->call = call + 1;
	ret->error = shortage_call_errors(s->calls[call])[left];
}

static void describe(const struct cases *c, unsigned int number, char text[128])
{
	struct shortage s = { 0 };

	plan(c, number, &s);
	if (s.allocation)
		snprintf(text, 128, "case %u: allocation %u fails", number, s.allocation);
	else
		snprintf(text, 128, "case %u: call %u, %s(), fails with %s", number, s.call,
			 shortage_call_name(c->counted->s.calls[s.call - 1]),
			 strerrorname_np(s.error));
}

static struct outcome *new_outcomes(size_t n)
{
	struct outcome *o = mmap(NULL, n * sizeof(*o), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert(o != MAP_FAILED);
	return o;
}

static pid_t start(struct outcome *o, FILE *log)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert(pid >= 0);
	if (pid > 0)
		return pid;
	alarm(HANGS_S);
	run_once(o, log);
	/* Not _exit(): a sanitizer has the last word. */
	exit(0);
}

static void take_status(struct outcome *o, int status)
{
	if (WIFSIGNALED(status))
		complain(o, "%s",
			 WTERMSIG(status) == SIGALRM ? "it hangs" : strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0 || !o->ended)
		complain(o, "it ends with exit status %d", WEXITSTATUS(status));
}

/* Return: 0, or -1 where nothing can be counted. */
static int count_cases(struct cases *c)
{
	struct outcome *o = new_outcomes(1);
	void *warm[1];
	int status;

	/* Its library is loaded by the first call. */
	(void)backtrace(warm, 1);
	(void)waitpid(start(o, NULL), &status, 0);
	take_status(o, status);
	c->counted = o;
	c->n = o->s.allocations;
	for (unsigned int i = 0; i < o->s.n_calls; i++)
		c->n += count_errors(o->s.calls[i]);
	if (o->wrong[0] || o->s.n_calls >= SHORTAGE_CALLS_MAX || !o->s.allocations)
		printf("the run without any failure is wrong: %s\n", o->wrong);
	return o->wrong[0] || o->s.n_calls >= SHORTAGE_CALLS_MAX || !o->s.allocations ? -1 : 0;
}

/* What only the comparison with the first run can tell. */
static void compare(const struct cases *c, struct outcome *o)
{
	if (o->ended && !o->s.hit)
		complain(o, "it never came to the failure");
	if (o->ended && o->left != c->counted->left)
		complain(o, "%ld allocations are left behind", o->left - c->counted->left);
}

/* All of them, @jobs at a time. Those that are not to be run stay as they are. */
static void run_cases(const struct cases *c, struct outcome *all, unsigned int jobs,
		      unsigned int every)
{
	struct {
		pid_t pid;
		unsigned int number;
	} running[16] = { 0 };
	unsigned int next = 1;
	int status;
	pid_t pid;

	assert(jobs > 0 && jobs <= 16);
	do {
		for (unsigned int j = 0; j < jobs && next <= c->n; j++) {
			if (running[j].pid)
				continue;
			plan(c, next, &all[next].s);
			running[j].pid = start(&all[next], NULL);
			running[j].number = next;
			next += every;
		}
		pid = wait(&status);
		for (unsigned int j = 0; pid > 0 && j < jobs; j++) {
			if (running[j].pid != pid)
				continue;
			running[j].pid = 0;
			take_status(&all[running[j].number], status);
			compare(c, &all[running[j].number]);
		}
	} while (pid > 0);
}

/* What came of them */

static void print_ends(const struct outcome *all, unsigned int first, unsigned int last,
		       unsigned int every, const char *what)
{
	static const char *const words[OPERATIONS] = { "the add", "the remove" };

	printf("%s:", what);
	for (unsigned int op = 0; op < OPERATIONS; op++) {
		unsigned int counts[OP_RESULTS + 1] = { 0 };

		for (unsigned int i = 1; i <= last; i += every)
			if (i >= first && all[i].ended)
				counts[all[i].ends[op] + 1]++;
		printf("%s %s", op ? ";" : "", words[op]);
		for (int r = DENIED; r < OP_RESULTS; r++)
			if (counts[r + 1])
				printf(" %s %u", r == DENIED ? "denied" : op_result_name(r),
				       counts[r + 1]);
	}
	putchar('\n');
}

static void print_calls(const struct shortage *s)
{
	unsigned int counts[CALLS] = { 0 };

	for (unsigned int i = 0; i < s->n_calls; i++)
		counts[s->calls[i]]++;
	printf("there are");
	for (unsigned int i = 0; i < CALLS; i++)
		if (counts[i])
			printf(" %u %s()", counts[i], shortage_call_name(i));
	putchar('\n');
}

static void print_why(const struct cases *c, const struct outcome *o, unsigned int number)
{
	char text[128];

	describe(c, number, text);
	for (unsigned int op = 0; op < OPERATIONS; op++)
		if (o->ended && o->ends[op] != OP_DONE)
			printf("%s: op %u: %s: %s\n", text, op,
			       o->ends[op] == DENIED ? "denied" : op_result_name(o->ends[op]),
			       o->why[op]);
}

unsigned int shortage_run(unsigned int jobs, unsigned int every, bool log)
{
	unsigned int wrong = 0, runs = 0, allocations;
	struct outcome *all;
	struct cases c;
	char text[128];

	if (count_cases(&c) < 0)
		return 1;
	allocations = c.counted->s.allocations;
	all = new_outcomes(c.n + 1);
	run_cases(&c, all, jobs, every);
	for (unsigned int i = 1; i <= c.n; i += every) {
		runs++;
		if (log)
			print_why(&c, &all[i], i);
		if (!all[i].wrong[0] || wrong++ >= SHOWN_MAX)
			continue;
		describe(&c, i, text);
		printf("%s: %s\n", text, all[i].wrong);
	}
	print_calls(&c.counted->s);
	print_ends(all, 1, allocations, every, "allocations");
	print_ends(all, allocations + 1, c.n, every, "calls");
	printf("%u allocations, %u calls with their errors in %u cases: %u runs, %u wrong\n",
	       allocations, c.counted->s.n_calls, c.n - allocations, runs, wrong);
	munmap(all, (c.n + 1) * sizeof(*all));
	return wrong;
}

int shortage_show(unsigned int number)
{
	struct outcome *o = new_outcomes(1);
	struct cases c;
	char text[128];
	int status;

	if (count_cases(&c) < 0 || number < 1 || number > c.n)
		return -1;
	describe(&c, number, text);
	printf("%s\n", text);
	plan(&c, number, &o->s);
	(void)waitpid(start(o, stdout), &status, 0);
	take_status(o, status);
	compare(&c, o);
	printf("asked for by (see addr2line):\n");
	fflush(stdout);
	backtrace_symbols_fd(o->s.stack, o->s.depth, STDOUT_FILENO);
	printf("%s\n", o->wrong[0] ? o->wrong : "all is well");
	return o->wrong[0] ? 1 : 0;
}
