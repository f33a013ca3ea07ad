/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dlhog N PERCENT: N sleeping SCHED_DEADLINE tasks with PERCENT of a CPU reserved each. The kernel
 * then refuses (EBUSY) to take a CPU offline that the reservations need. Prints "ready" and stays;
 * its children go with it.
 */
#include <fcntl.h>
#include <linux/sched/types.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const uint64_t period_ns = 100000000;
static const uint32_t policy_deadline = 6;

static int reserve(uint64_t percent)
{
	struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = policy_deadline,
		.sched_runtime = period_ns * percent / 100,
		.sched_deadline = period_ns,
		.sched_period = period_ns,
	};

	return (int)syscall(SYS_sched_setattr, 0, &attr, 0);
}

/* One hog; says over @ready whether it holds its reservation. */
static void hog(int ready, uint64_t percent)
{
	char ok = '1';

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (reserve(percent) < 0) {
		perror("dlhog: sched_setattr");
		_exit(1);
	}
	if (write(ready, &ok, 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	long n = argc == 3 ? strtol(argv[1], NULL, 10) : 0;
	long percent = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	int ready[2];

	if (n < 1 || n > 64 || percent < 1 || percent > 95) {
		fputs("Usage: dlhog N PERCENT\n", stderr);
		return 2;
	}
	if (pipe2(ready, O_CLOEXEC) < 0)
		return 1;
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 1;
		if (pid == 0)
			hog(ready[1], (uint64_t)percent);
	}
	close(ready[1]);
	for (long i = 0; i < n; i++) {
		char c;

		if (read(ready[0], &c, 1) != 1)
			return 1;
	}
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}
