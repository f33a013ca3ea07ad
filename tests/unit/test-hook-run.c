/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Hooks as real programs, run from a real event loop: what they are given, how each kind of end is told, and
 * that nothing they do holds the loop or outlives them. Times are bounds, and wide ones.
 */
#include "daemon/hook-run.h"
#include "fake-root.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#define LOOP_LATE_US 100000

struct run {
	const struct fake_root *f;
	sd_event *event;
	struct hook_run *run;
	struct hook_outcome o;
	unsigned int ended, gone;
};

static void on_ended(void *arg, const struct hook_outcome *o)
{
	struct run *r = arg;

	assert_int_equal(r->gone, 0);
	r->ended++;
	r->o = *o;
}

static void on_gone(void *arg)
{
	((struct run *)arg)->gone++;
}

static void begin(struct run *r, const struct fake_root *f, const char *body, const char *text,
		  unsigned int timeout_ms)
{
	const struct hook_ends ends = { on_ended, on_gone, r };
	const struct hook_call call = { .dir = f->path,
					.name = "10-x",
					.domain = "web1",
					.op = "op-1",
					.text = text,
					.event = HOOK_DONE,
					.timeout_ms = timeout_ms };
	char program[2048];

	snprintf(program, sizeof(program), "#!/bin/sh\ncd %s || exit 99\n%s\n", f->path, body);
	fake_put(f, "10-x", program);
	assert_int_equal(fchmodat(f->fd, "10-x", 0755, 0), 0);
	*r = (struct run){ .f = f };
	assert_true(sd_event_new(&r->event) >= 0);
	assert_int_equal(hook_run_start(&r->run, r->event, &call, &ends), 0);
}

static void until_gone(struct run *r)
{
	while (!r->gone)
		assert_true(sd_event_run(r->event, UINT64_MAX) >= 0);
	sd_event_unref(r->event);
}

static struct run run(const struct fake_root *f, const char *body, const char *text,
		      unsigned int timeout_ms)
{
	struct run r;

	begin(&r, f, body, text, timeout_ms);
	/* What is told points at this one. */
	until_gone(&r);
	assert_int_equal(r.ended, 1);
	assert_int_equal(r.gone, 1);
	return r;
}

/* Dead, or killed and not buried yet. */
static bool is_dead(long pid)
{
	char path[64], stat[256] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	if (read(fd, stat, sizeof(stat) - 1) < 0)
		stat[0] = '\0';
	close(fd);
	return !*stat || strstr(stat, ") Z ");
}

static void check_dies(long pid)
{
	assert_true(pid > 1);
	for (int i = 0; i < 500 && !is_dead(pid); i++)
		usleep(10000);
	assert_true(is_dead(pid));
}

static void it_is_given_its_words_its_input_and_no_more(void **state)
{
	const struct fake_root *f = *state;
	char text[4096], path[128];

	setenv("SECRET", "1", 1);
	run(f,
	    "echo \"$0 $*\" > args; env | grep -v '^PWD=\\|^_=\\|^SHLVL=\\|^OLDPWD=' | sort > env; cat > in; "
	    "ls /proc/self/fd | tr '\\n' ' ' > fds; umask > umask; ulimit -Sn > files",
	    "{\"event\":\"done\"}", 5000);
	fake_get(f, "args", text, sizeof(text));
	snprintf(path, sizeof(path), "%s/10-x web1 done", f->path);
	assert_string_equal(text, path);
	fake_get(f, "env", text, sizeof(text));
	assert_string_equal(text, "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nVCPUHP_DOMAIN=web1\n"
				  "VCPUHP_EVENT=done\nVCPUHP_OP=op-1");
	fake_get(f, "in", text, sizeof(text));
	assert_string_equal(text, "{\"event\":\"done\"}");
	fake_get(f, "fds", text, sizeof(text));
	assert_string_equal(text, "0 1 2 3 "); /* 3 is the folder that ls reads */
	fake_get(f, "umask", text, sizeof(text));
	assert_string_equal(text, "0022");
	fake_get(f, "files", text, sizeof(text));
	assert_true(strtol(text, NULL, 10) <= 1024);
}

static void its_end_is_told(void **state)
{
	static const struct {
		const char *body;
		int how, code;
		const char *reason;
	} cases[] = {
		{ "exit 0", HOOK_EXITED, 0, "" },
		{ "echo fine", HOOK_EXITED, 0, "fine" },
		{ "echo; echo no >&2; echo more; exit 3", HOOK_EXITED, 3, "no" },
		{ "kill -SEGV $$", HOOK_KILLED, SIGSEGV, "" },
		{ "kill -KILL $$", HOOK_KILLED, SIGKILL, "" },
		{ "exit 139", HOOK_EXITED, 139, "" },
	};
	const struct fake_root *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct run r = run(f, cases[i].body, "{}", 5000);

		assert_int_equal(r.o.how, cases[i].how);
		assert_int_equal(r.o.code, cases[i].code);
		assert_string_equal(r.o.reason, cases[i].reason);
	}
}

static void one_that_cannot_be_executed_says_so(void **state)
{
	const struct fake_root *f = *state;
	struct run r = { 0 };
	const struct hook_ends ends = { on_ended, on_gone, &r };
	const struct hook_call call = { f->path, "10-y", "web1", "", "{}", HOOK_DRIFT, 5000 };

	fake_put(f, "10-y", "#!/no/such/shell\n");
	assert_int_equal(fchmodat(f->fd, "10-y", 0755, 0), 0);
	assert_true(sd_event_new(&r.event) >= 0);
	assert_int_equal(hook_run_start(&r.run, r.event, &call, &ends), 0);
	until_gone(&r);
	assert_int_equal(r.o.how, HOOK_EXITED);
	assert_int_equal(r.o.code, 127);
	assert_string_equal(r.o.reason, "cannot be executed: No such file or directory");
}

/* 8 MiB of input that nobody reads, and then all of it read. */
static void input_of_any_length_holds_nobody(void **state)
{
	enum { LEN = 8 << 20 };
	const struct fake_root *f = *state;
	char *text = malloc(LEN + 1), count[32];

	assert_non_null(text);
	memset(text, 'x', LEN);
	text[LEN] = '\0';
	assert_int_equal(run(f, "exec 0<&-; exit 0", text, 5000).o.code, 0);
	assert_int_equal(run(f, "wc -c > count", text, 5000).o.code, 0);
	fake_get(f, "count", count, sizeof(count));
	assert_int_equal(strtol(count, NULL, 10), LEN + 1);
	free(text);
}

static uint64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void one_that_hangs_is_told_at_once_and_killed_with_all_it_has(void **state)
{
	const struct fake_root *f = *state;
	uint64_t begun = clock_us(), told;
	struct run r;

	begin(&r, f,
	      "trap '' TERM; (trap '' TERM; sleep 60; touch late) & echo waiting; sleep 60; touch late",
	      "{}", 200);
	while (!r.ended)
		sd_event_run(r.event, UINT64_MAX);
	told = clock_us() - begun;
	assert_int_equal(r.o.how, HOOK_LATE);
	assert_int_equal(r.o.code, 200);
	assert_string_equal(r.o.reason, "waiting");
	assert_true(told >= 200000 && told < 1000000);
	assert_int_equal(r.gone, 0);
	until_gone(&r);
	assert_true(clock_us() - begun < 4000000);
	assert_false(fake_exists(f, "late"));
	assert_int_equal(r.ended, 1);
}

/* Traces it and does not look: a process that was killed is not gone for its parent until then. */
static pid_t hold(long pid)
{
	int ends[2];
	char c = 0;
	pid_t tracer;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	tracer = fork();
	if (tracer == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		c = ptrace(PTRACE_SEIZE, (pid_t)pid, 0, 0) == 0 ? 'y' : 'n';
		if (write(ends[1], &c, 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ends[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	close(ends[0]);
	close(ends[1]);
	return tracer;
}

static void one_that_cannot_be_killed_is_not_gone(void **state)
{
	const struct fake_root *f = *state;
	uint64_t begun = clock_us();
	pid_t tracer;
	char pid[32];
	struct run r;

	begin(&r, f, "trap '' TERM; echo $$ > new; mv new pid; sleep 60", "{}", 500);
	while (!fake_exists(f, "pid"))
		sd_event_run(r.event, 10000);
	fake_get(f, "pid", pid, sizeof(pid));
	tracer = hold(strtol(pid, NULL, 10));
	while (clock_us() - begun < 2500000)
		sd_event_run(r.event, 10000);
	assert_int_equal(r.o.how, HOOK_LATE);
	assert_int_equal(r.gone, 0);
	kill(tracer, SIGKILL);
	waitpid(tracer, NULL, 0);
	until_gone(&r);
	assert_int_equal(r.ended, 1);
}

static void one_that_obeys_sigterm_is_gone_sooner(void **state)
{
	const struct fake_root *f = *state;
	uint64_t begun = clock_us();

	assert_int_equal(
		run(f, "trap 'touch term; exit 0' TERM; while :; do sleep 0.01; done", "{}", 200)
			.o.how,
		HOOK_LATE);
	assert_true(clock_us() - begun < 1000000);
	assert_true(fake_exists(f, "term"));
}

/* It holds the output open, and would for a minute. */
static void what_it_leaves_in_the_background_goes_with_it(void **state)
{
	const struct fake_root *f = *state;
	uint64_t begun = clock_us();
	char pid[32];

	assert_int_equal(run(f, "sleep 60 & echo $! > pid; exit 0", "{}", 30000).o.code, 0);
	assert_true(clock_us() - begun < 5000000);
	fake_get(f, "pid", pid, sizeof(pid));
	check_dies(strtol(pid, NULL, 10));
}

struct beat {
	uint64_t due_us, latest_us;
	unsigned int n;
};

static int on_beat(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct beat *b = userdata;
	uint64_t now = clock_us();

	if (now - b->due_us > b->latest_us)
		b->latest_us = now - b->due_us;
	b->n++;
	b->due_us = now + 5000;
	sd_event_source_set_time(s, b->due_us);
	sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
	return 0;
}

/* Endless output: the reading ends, the rest of the loop goes on meanwhile, and so does the program's way out. */
static void a_flood_of_output_does_not_hold_the_loop(void **state)
{
	const struct fake_root *f = *state;
	struct beat b = { .due_us = clock_us() };
	sd_event_source *s = NULL;
	struct run r;

	begin(&r, f, "echo first; exec yes", "{}", 20000);
	assert_true(sd_event_add_time(r.event, &s, CLOCK_MONOTONIC, b.due_us, 1, on_beat, &b) >= 0);
	while (!r.gone)
		assert_true(sd_event_run(r.event, UINT64_MAX) >= 0);
	sd_event_source_disable_unref(s);
	sd_event_unref(r.event);
	assert_int_equal(r.o.how, HOOK_KILLED);
	assert_int_equal(r.o.code, SIGPIPE);
	assert_string_equal(r.o.reason, "first");
	assert_true(b.latest_us < LOOP_LATE_US);
}

static void one_that_is_dropped_is_ended_without_a_word(void **state)
{
	const struct fake_root *f = *state;
	struct run r;

	begin(&r, f, "touch begun; sleep 60; touch late", "{}", 30000);
	while (!fake_exists(f, "begun"))
		sd_event_run(r.event, 10000);
	hook_run_drop(r.run);
	until_gone(&r);
	assert_int_equal(r.ended, 0);
	assert_false(fake_exists(f, "late"));
}

/* A daemon that is killed, in the middle: its hook and what that has started are killed with it. */
static void nothing_outlives_the_daemon(void **state)
{
	const struct fake_root *f = *state;
	char pids[64] = "";
	long pid[2];
	char *rest;
	pid_t daemon = fork();

	assert_true(daemon >= 0);
	if (daemon == 0) {
		struct run r;

		begin(&r, f, "trap '' TERM HUP; sleep 60 & echo $$ $! > new; mv new pids; sleep 60",
		      "{}", 50000);
		for (;;)
			sd_event_run(r.event, UINT64_MAX);
	}
	while (!fake_exists(f, "pids"))
		usleep(10000);
	fake_get(f, "pids", pids, sizeof(pids));
	pid[0] = strtol(pids, &rest, 10);
	pid[1] = strtol(rest, NULL, 10);
	kill(daemon, SIGKILL);
	waitpid(daemon, NULL, 0);
	check_dies(pid[0]);
	check_dies(pid[1]);
}

static int setup(void **state)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_root_test(it_is_given_its_words_its_input_and_no_more),
		fake_root_test(its_end_is_told),
		fake_root_test(one_that_cannot_be_executed_says_so),
		fake_root_test(input_of_any_length_holds_nobody),
		fake_root_test(one_that_hangs_is_told_at_once_and_killed_with_all_it_has),
		fake_root_test(one_that_cannot_be_killed_is_not_gone),
		fake_root_test(one_that_obeys_sigterm_is_gone_sooner),
		fake_root_test(what_it_leaves_in_the_background_goes_with_it),
		fake_root_test(a_flood_of_output_does_not_hold_the_loop),
		fake_root_test(one_that_is_dropped_is_ended_without_a_word),
		fake_root_test(nothing_outlives_the_daemon),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
