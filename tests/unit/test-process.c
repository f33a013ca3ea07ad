/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Process groups, with real processes. What has lost its parent becomes a child of this program
 * (PR_SET_CHILD_SUBREAPER), so that waiting for it is the proof that it was killed.
 */
#include "guest-agent/process.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A leader and one that it has started, both asleep. */
struct family {
	struct process_group group;
	pid_t leader;
	pid_t other;
};

__attribute__((noreturn)) static void lead(int fd)
{
	struct family f = { .leader = getpid() };

	setpgid(0, 0);
	if (process_group_own(&f.group) < 0)
		_exit(1);
	f.other = fork();
	if (f.other == 0)
		f.other = pause();
	if (write(fd, &f, sizeof(f)) != sizeof(f))
		_exit(1);
	pause();
	_exit(1);
}

static struct family make_family(void)
{
	struct family f = { 0 };
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0)
		lead(ends[1]);
	assert_int_equal(read(ends[0], &f, sizeof(f)), sizeof(f));
	assert_int_equal(f.leader, pid);
	assert_int_equal(f.group.id, pid);
	close(ends[0]);
	close(ends[1]);
	return f;
}

static int signal_of(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static bool is_alive(pid_t pid)
{
	struct process_stat s;

	return process_read(pid, &s) == 0 && s.state != 'Z';
}

static void end_family(const struct family *f, bool with_leader)
{
	assert_int_equal(process_group_kill(&f->group), with_leader ? 2 : 1);
	if (with_leader)
		assert_int_equal(signal_of(f->leader), SIGKILL);
	assert_int_equal(signal_of(f->other), SIGKILL);
	assert_int_equal(process_group_kill(&f->group), 0);
}

static void test_what_the_kernel_says(void **state)
{
	struct process_stat s;
	struct process_group own;

	/* A name with all that makes a line of /proc/PID/stat hard to read. */
	assert_int_equal(prctl(PR_SET_NAME, "a) R 1 (b"), 0);
	assert_int_equal(process_read(getpid(), &s), 0);
	assert_int_equal(s.state, 'R');
	assert_int_equal(s.group, getpgrp());
	assert_int_equal(s.session, getsid(0));
	assert_true(s.start > 0);
	assert_in_range(s.cpu, 0, 4095);
	assert_int_equal(process_read(0, &s), -ENOENT);
	if (getpgrp() != getpid())
		assert_int_equal(process_group_own(&own), -EINVAL);
}

static void test_the_whole_group_is_killed(void **state)
{
	struct family f = make_family();

	end_family(&f, true);
}

static void test_it_is_killed_when_its_leader_has_gone(void **state)
{
	struct family f = make_family();

	assert_int_equal(kill(f.leader, SIGKILL), 0);
	assert_int_equal(signal_of(f.leader), SIGKILL);
	end_family(&f, false);
}

static void test_zombies_do_not_count(void **state)
{
	struct family f = make_family();

	assert_int_equal(kill(f.leader, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)f.leader, NULL, WEXITED | WNOWAIT), 0);
	end_family(&f, false);
	assert_int_equal(signal_of(f.leader), SIGKILL);
}

static const struct {
	const char *what;
	int64_t start;
	int32_t session;
	bool with_leader;
} others[] = {
	{ "the number was taken by a later leader", -1, 0, true },
	{ "nor is it an earlier one", 1, 0, true },
	{ "those left by a later leader are of another session", 0, 1, false },
	{ "those left are older", 1000000, 0, false },
};

static void test_another_group_of_that_number_is_left_alone(void **state)
{
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct family f = make_family();
		struct process_group g = f.group;

		print_message("# %s\n", others[i].what);
		if (!others[i].with_leader) {
			assert_int_equal(kill(f.leader, SIGKILL), 0);
			assert_int_equal(signal_of(f.leader), SIGKILL);
		}
		g.start += (uint64_t)others[i].start;
		g.session += others[i].session;
		assert_int_equal(process_group_kill(&g), 0);
		assert_true(is_alive(f.other));
		end_family(&f, others[i].with_leader);
	}
}

static void test_no_group_is_nobodys(void **state)
{
	const struct process_group none = { 0 }, all = { .id = 1 }, negative = { .id = -1 };

	assert_int_equal(process_group_kill(&none), 0);
	assert_int_equal(process_group_kill(&all), 0);
	assert_int_equal(process_group_kill(&negative), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_kernel_says),
		cmocka_unit_test(test_the_whole_group_is_killed),
		cmocka_unit_test(test_it_is_killed_when_its_leader_has_gone),
		cmocka_unit_test(test_zombies_do_not_count),
		cmocka_unit_test(test_another_group_of_that_number_is_left_alone),
		cmocka_unit_test(test_no_group_is_nobodys),
	};

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
