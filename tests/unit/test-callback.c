/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The run, with real programs. What a callback leaves behind becomes a child of this program
 * (PR_SET_CHILD_SUBREAPER), so that waiting for it is the proof that it was killed.
 */
#include "callback-root.h"
#include "guest-agent/process.h"
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void test_words_and_environment(void **state)
{
	const struct fake_root *f = *state;
	struct callback_call call = {
		.root = f->fd,
		.dir = DIR_PATH,
		.name = "10-x",
		.startup = true,
		.cpu = 3,
		.state = 12,
		.op = "op-1",
		.deadline_ms = 20000,
	};
	struct callback_result r;

	put_script(f, BELOW "10-x", "echo \"${0##*/} $# $1 $2\"");
	callback_run(&call, &r);
	assert_int_equal(r.rc, 0);
	assert_string_equal(r.text, "10-x 2 startup 3");
	call.startup = false;
	call.cpu = 4095;
	callback_run(&call, &r);
	assert_string_equal(r.text, "10-x 2 teardown 4095");
	setenv("LEAK", "1", 1);
	put_script(f, BELOW "10-x", "tr '\\0' ';' </proc/$$/environ");
	callback_run(&call, &r);
	assert_string_equal(r.text,
			    "PATH=/usr/sbin:/usr/bin:/sbin:/bin;VCPUHP_STATE=12;VCPUHP_OP=op-1;");
	call.late = true;
	call.op = "";
	callback_run(&call, &r);
	assert_string_equal(r.text, "PATH=/usr/sbin:/usr/bin:/sbin:/bin;VCPUHP_STATE=12;VCPUHP_OP=;"
				    "VCPUHP_LATE=1;");
	put_script(f, BELOW "10-x", "umask");
	callback_run(&call, &r);
	assert_string_equal(r.text, "0022");
	put_script(f, BELOW "10-x", "pwd -P");
	callback_run(&call, &r);
	assert_string_equal(r.text, f->path);
}

static void tell_group(void *ctx)
{
	struct process_group g = { 0 };
	const int *end = ctx;

	if (process_group_own(&g) < 0 || write(*end, &g, sizeof(g)) != sizeof(g))
		_exit(1);
}

static void test_its_group_is_known_before_it_begins(void **state)
{
	const struct fake_root *f = *state;
	struct process_group g;
	struct callback_result r;
	struct callback_call call = {
		.root = f->fd,
		.dir = DIR_PATH,
		.name = "10-x",
		.op = "",
		.on_start = tell_group,
	};
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	call.ctx = &ends[1];
	put_script(f, BELOW "10-x", "echo $$; exit 3");
	callback_run(&call, &r);
	assert_int_equal(r.rc, 3);
	assert_int_equal(read(ends[0], &g, sizeof(g)), sizeof(g));
	assert_int_equal(strtol(r.text, NULL, 10), g.id);
	assert_int_equal(g.session, getsid(0));
	close(ends[0]);
	close(ends[1]);
}

static void copy_program(const struct fake_root *f, const char *from, const char *path)
{
	char bytes[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	ssize_t n;

	assert_true(in >= 0);
	put_program(f, path, "", 0755);
	out = openat(f->fd, path, O_WRONLY | O_CLOEXEC);
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		assert_int_equal(write(out, bytes, (size_t)n), n);
	close(in);
	close(out);
}

static void test_a_binary(void **state)
{
	struct callback_result r;

	copy_program(*state, "/bin/echo", BELOW "10-echo");
	r = run(*state, "10-echo");
	assert_int_equal(r.rc, 0);
	assert_string_equal(r.text, "startup 3");
	assert_true(r.ran_on >= 0);
}

static const struct {
	const char *body;
	int rc;
	const char *text;
	int signal;
} cases[] = {
	{ "exit 0", 0, "" },
	{ "exit 1", 1, "" },
	{ "exit 127", 127, "" },
	{ "echo veto >&2; exit 77", 77, "veto" },
	{ "echo no licence; exit 255", 255, "no licence" },
	{ "exit 143", 128 + SIGTERM, "" },
	{ "kill -TERM $$", 128 + SIGTERM, "", SIGTERM },
	{ "kill -KILL $$", 128 + SIGKILL, "", SIGKILL },
	{ "echo one; echo two; echo; printf '  \\n\\n'", 0, "two" },
	{ "echo one; printf 'no newline'", 0, "no newline" },
	{ "printf 'a\\033[2Jb\\tc\\351\\n'", 0, "a?[2Jb?c?" },
	{ "read x && echo got || echo end of file", 0, "end of file" },
	{ "[ -e /proc/$$/fd/77 ] && echo leaked || echo clean", 0, "clean" },
	{ "sleep 1000 & exit 5", 5, "" },
	{ "exec >&- 2>&-; exit 6", 6, "" },
};

static void test_results(void **state)
{
	sigset_t blocked, old;
	int kept;

	/* What this process blocks, ignores and holds open must not reach the program. */
	sigfillset(&blocked);
	sigprocmask(SIG_SETMASK, &blocked, &old);
	signal(SIGTERM, SIG_IGN);
	kept = dup2(((struct fake_root *)*state)->fd, 77);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct callback_result r;

		print_message("# case %zu\n", i);
		put_script(*state, BELOW "10-x", cases[i].body);
		r = run(*state, "10-x");
		assert_int_equal(r.rc, cases[i].rc);
		assert_int_equal(r.signal, cases[i].signal);
		assert_string_equal(r.text, cases[i].text);
	}
	close(kept);
	signal(SIGTERM, SIG_DFL);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void test_what_cannot_be_executed(void **state)
{
	const struct fake_root *f = *state;

	assert_int_equal(run(f, "10-x").rc, -ENOENT);
	put_script(f, BELOW "11-other", "");
	assert_int_equal(run(f, "10-x").rc, -ENOENT);
	put_program(f, BELOW "10-x", "exit 0\n", 0755);
	assert_int_equal(run(f, "10-x").rc, -ENOEXEC);
	put_program(f, BELOW "10-x", "", 0755);
	assert_int_equal(run(f, "10-x").rc, -ENOEXEC);
	put_program(f, BELOW "10-x", "#!/nowhere/sh\n", 0755);
	assert_int_equal(run(f, "10-x").rc, -ENOENT);
	put_program(f, BELOW "10-x", "#!/bin/sh\n", 0644);
	assert_int_equal(run(f, "10-x").rc, -EPERM);
	put_program(f, BELOW "10-x", "#!/bin/sh\n", 0775);
	assert_int_equal(run(f, "10-x").rc, -EPERM);
	assert_int_equal(run(f, "10-x").ran_on, -1);
}

static void test_output_is_limited(void **state)
{
	struct callback_result r;

	put_script(*state, BELOW "10-x", "head -c 300 /dev/zero | tr '\\0' x");
	r = run(*state, "10-x");
	assert_int_equal(r.rc, 0);
	assert_int_equal(strlen(r.text), CALLBACK_TEXT_MAX);
	/* Far more than a pipe holds: it must be read on, or the program would wait for ever. */
	put_script(*state, BELOW "10-x",
		   "echo first; head -c 1000000 /dev/zero | tr '\\0' '\\n'; echo last; exit 3");
	r = run(*state, "10-x");
	assert_int_equal(r.rc, 3);
	assert_string_equal(r.text, "first");
}

static void R1_the_cpu_it_last_ran_on_is_reported(void **state)
{
	cpu_set_t all, one;
	int tried = 0;

	put_script(*state, BELOW "10-x", "grep Cpus_allowed_list /proc/self/status");
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE && tried < 4; cpu++) {
		struct callback_result r;
		char expect[64];

		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
		r = run(*state, "10-x");
		assert_int_equal(r.ran_on, cpu);
		snprintf(expect, sizeof(expect), "Cpus_allowed_list:?%d", cpu);
		assert_string_equal(r.text, expect);
		tried++;
	}
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

static struct callback_result run_with_deadline(const struct fake_root *f, unsigned int ms)
{
	const struct callback_call call = { .root = f->fd,
					    .dir = DIR_PATH,
					    .name = "10-x",
					    .startup = true,
					    .op = "",
					    .deadline_ms = ms };
	struct callback_result r;

	callback_run(&call, &r);
	return r;
}

static pid_t pid_in(const char *text)
{
	char *end;
	long pid = strtol(text, &end, 10);

	assert_true(pid > 1 && pid <= INT_MAX && (*end == '\n' || *end == '\0'));
	return (pid_t)pid;
}

/* Wait for a program that a callback left behind. Return: the signal it died of, 0 if of none. */
static int signal_of(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_the_deadline_kills_the_group(void **state)
{
	struct callback_result r;

	put_script(*state, BELOW "10-x", "sleep 1000 & echo $!; wait");
	r = run_with_deadline(*state, 300);
	assert_int_equal(r.rc, -ETIMEDOUT);
	assert_true(r.ran_on >= 0);
	assert_int_equal(signal_of(pid_in(r.text)), SIGKILL);
	put_script(*state, BELOW "10-x", "trap '' TERM INT HUP; while :; do echo busy; done");
	r = run_with_deadline(*state, 50);
	assert_int_equal(r.rc, -ETIMEDOUT);
	assert_int_equal(r.signal, 0);
	put_script(*state, BELOW "10-x", "kill -STOP $$");
	r = run_with_deadline(*state, 50);
	assert_int_equal(r.rc, -ETIMEDOUT);
}

/* Called as a callback this test's own program leaves its process group, which no shell can. */
static int be_a_program_outside_its_group(void)
{
	if (setpgid(0, getpgid(getppid())) < 0)
		return 1;
	pause();
	return 2;
}

static void test_the_deadline_kills_one_outside_its_group(void **state)
{
	/* Earlier tests' leftovers die first: then any child that is left is this test's. */
	while (waitpid(-1, NULL, 0) > 0)
		;
	copy_program(*state, "/proc/self/exe", BELOW "10-x");
	assert_int_equal(run_with_deadline(*state, 300).rc, -ETIMEDOUT);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* Orders come through a FIFO that the program itself writes to when it is ready for them. */
struct orders {
	int fd;
	unsigned int heard;
	int answer;
	const char *go; /* let the program, whose pid the order is, go on to its end first */
	int root;
};

static void let_end(const struct orders *o, pid_t pid)
{
	int go = openat(o->root, o->go, O_WRONLY | O_CLOEXEC);
	struct process_stat s;

	assert_int_equal(write(go, "\n", 1), 1);
	close(go);
	do
		assert_int_equal(process_read(pid, &s), 0);
	while (s.state != 'Z');
}

static int on_order(void *ctx)
{
	struct orders *o = ctx;
	char line[16];

	ssize_t n = read(o->fd, line, sizeof(line) - 1);

	if (n <= 0)
		return 1;
	line[n] = '\0';
	o->heard++;
	if (o->go)
		let_end(o, pid_in(line));
	return o->answer;
}

static struct callback_result run_with_orders(const struct fake_root *f, struct orders *o)
{
	struct callback_call call = { .root = f->fd, .dir = DIR_PATH, .name = "10-x", .op = "" };
	struct callback_result r;

	unlinkat(f->fd, "order", 0);
	assert_int_equal(mkfifoat(f->fd, "order", 0600), 0);
	o->fd = openat(f->fd, "order", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(o->fd >= 0);
	call.orders = o->fd;
	call.on_order = on_order;
	call.ctx = o;
	callback_run(&call, &r);
	close(o->fd);
	return r;
}

static void test_an_order_ends_it(void **state)
{
	struct orders o = { .answer = -ECANCELED };
	struct callback_result r;

	/* It has no deadline: only the order can end it. */
	put_script(*state, BELOW "10-x",
		   "trap 'echo bye; exit 5' TERM; echo > order; while :; do sleep 0.01; done");
	r = run_with_orders(*state, &o);
	assert_int_equal(r.rc, -ECANCELED);
	assert_string_equal(r.text, "bye");
	assert_int_equal(o.heard, 1);
	put_script(*state, BELOW "10-x",
		   "trap 'exit 0' TERM; echo > order; while :; do sleep 0.01; done");
	assert_int_equal(run_with_orders(*state, &o).rc, 0);
	put_script(*state, BELOW "10-x", "trap '' TERM; sleep 1000 & echo $!; echo > order; wait");
	r = run_with_orders(*state, &o);
	assert_int_equal(r.rc, -ECANCELED);
	assert_int_equal(signal_of(pid_in(r.text)), SIGKILL);
}

/* What it has started has no say in it, whether it ends by the order or of itself. */
static void test_an_order_ends_what_it_has_started(void **state)
{
	const struct fake_root *f = *state;
	struct orders o = { .answer = -ECANCELED };
	struct callback_result r;

	put_script(f, BELOW "10-x",
		   "trap '' TERM; sleep 1000 & pid=$!; trap 'echo $pid; exit 0' TERM;"
		   "echo > order; while :; do sleep 0.01; done");
	r = run_with_orders(*state, &o);
	assert_int_equal(r.rc, 0);
	assert_int_equal(signal_of(pid_in(r.text)), SIGKILL);
	/* It has exited by the time the order is taken. */
	o = (struct orders){ .answer = -ECANCELED, .go = "go", .root = f->fd };
	assert_int_equal(mkfifoat(f->fd, o.go, 0600), 0);
	put_script(f, BELOW "10-x",
		   "trap '' TERM; sleep 1000 & echo $!; echo $$ >order; read x <go; exit 0");
	r = run_with_orders(*state, &o);
	assert_int_equal(o.heard, 1);
	assert_int_equal(r.rc, 0);
	assert_int_equal(signal_of(pid_in(r.text)), SIGKILL);
	put_script(f, BELOW "10-x",
		   "trap '' TERM; sleep 1000 & echo $!; echo $$ >order; read x <go; kill -9 $$");
	r = run_with_orders(*state, &o);
	assert_int_equal(o.heard, 2);
	assert_int_equal(r.rc, -ECANCELED);
	assert_int_equal(r.signal, 0);
	assert_int_equal(signal_of(pid_in(r.text)), SIGKILL);
}

static void test_other_orders_do_not(void **state)
{
	struct orders o = { .answer = 0 };

	/* After the first the FIFO has no writer: nothing more is heard. */
	put_script(*state, BELOW "10-x", "echo > order; sleep 0.1; exit 6");
	assert_int_equal(run_with_orders(*state, &o).rc, 6);
	assert_int_equal(o.heard, 1);
}

static void test_in_time_is_no_timeout(void **state)
{
	put_script(*state, BELOW "10-x", "exit 4");
	assert_int_equal(run_with_deadline(*state, 20000).rc, 4);
}

static void test_what_is_left_behind_is_killed(void **state)
{
	struct callback_result r;

	put_script(*state, BELOW "10-x", "sleep 1000 & echo $!");
	r = run(*state, "10-x");
	assert_int_equal(r.rc, 0);
	assert_int_equal(signal_of(pid_in(r.text)), SIGKILL);
}

/* A daemon that left the group holds the pipe: it is not waited for, and it lives. */
static void test_a_daemon_does_not_hold_the_walk(void **state)
{
	struct callback_result r;
	pid_t pid;

	put_script(*state, BELOW "10-x",
		   "mkfifo go; setsid sh -c 'echo $$ >go; exec sleep 1000' & cat go");
	r = run(*state, "10-x");
	pid = pid_in(r.text);
	assert_int_equal(r.rc, 0);
	assert_int_equal(kill(pid, 0), 0);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(signal_of(pid), SIGTERM);
}

static void test_it_dies_with_its_worker(void **state)
{
	const struct fake_root *f = *state;
	char text[32] = "";
	pid_t worker, program;
	int fd;

	put_script(f, BELOW "10-x", "echo $$ >pid; exec sleep 1000");
	assert_int_equal(mkfifoat(f->fd, "pid", 0600), 0);
	worker = fork();
	if (worker == 0) {
		run(f, "10-x");
		_exit(0);
	}
	assert_true(worker > 0);
	fd = openat(f->fd, "pid", O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	program = pid_in(text);
	assert_int_equal(kill(worker, SIGKILL), 0);
	assert_int_equal(signal_of(worker), SIGKILL);
	assert_int_equal(signal_of(program), SIGKILL);
}

/* In a mount name space whose /dev is empty, as in a guest without udev. Exits with the verdict. */
static void run_without_dev_fd(const struct fake_root *f)
{
	struct callback_result r;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/dev", "tmpfs", 0, NULL) < 0)
		_exit(77);
	r = run(f, "10-x");
	_exit(r.rc == 0 && !strcmp(r.text, "startup 3") ? 0 : 1);
}

static void test_a_script_without_dev_fd(void **state)
{
	int status;
	pid_t pid;

	put_script(*state, BELOW "10-x", "echo $1 $2");
	pid = fork();
	if (pid == 0)
		run_without_dev_fd(*state);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A worker without standard streams: its numbers are taken by what callback_run() opens. */
static void test_without_standard_streams(void **state)
{
	int status;
	pid_t pid;

	put_script(*state, BELOW "10-x", "read x; echo $1 $2; exit 9");
	pid = fork();
	if (pid == 0) {
		struct callback_result r;

		for (int fd = 0; fd <= 2; fd++)
			close(fd);
		r = run(*state, "10-x");
		_exit(r.rc == 9 && !strcmp(r.text, "startup 3") ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		fake_root_test(test_words_and_environment),
		fake_root_test(test_its_group_is_known_before_it_begins),
		fake_root_test(test_a_binary),
		fake_root_test(test_results),
		fake_root_test(test_what_cannot_be_executed),
		fake_root_test(test_output_is_limited),
		fake_root_test(R1_the_cpu_it_last_ran_on_is_reported),
		fake_root_test(test_the_deadline_kills_the_group),
		fake_root_test(test_the_deadline_kills_one_outside_its_group),
		fake_root_test(test_an_order_ends_it),
		fake_root_test(test_an_order_ends_what_it_has_started),
		fake_root_test(test_other_orders_do_not),
		fake_root_test(test_in_time_is_no_timeout),
		fake_root_test(test_what_is_left_behind_is_killed),
		fake_root_test(test_a_daemon_does_not_hold_the_walk),
		fake_root_test(test_it_dies_with_its_worker),
		fake_root_test(test_a_script_without_dev_fd),
		fake_root_test(test_without_standard_streams),
	};

	if (argc == 3 && !strcmp(argv[1], "startup"))
		return be_a_program_outside_its_group();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
