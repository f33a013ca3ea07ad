/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_DUTIES_H
#define BENCH_DUTIES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * What an agent owes for each CPU beside the kernel's online, done directly: a yardstick for how much of
 * vcpuhp's time is its own. Left out is what costs little: which slot a CPU is, frames, the states that
 * are configured to do nothing. It is done by as many processes as the
 * contract asks for: one that must not block, one for the kernel's write, which may hang, and one
 * on each CPU, which may hang as well and can be killed. No answer to anything that goes wrong: it
 * fails, and the benchmark with it.
 */

enum { DUTY_WORKERS = 8 };

/**
 * struct duty_child - a process that is asked one thing at a time over a socket
 * @cpu: what it works on, -1 nothing
 */
struct duty_child {
	pid_t pid;
	int fd;
	int cpu;
};

/* CLOCK_MONOTONIC, nanoseconds; @online_ns a duration. */
struct duty_times {
	long long write_ns, online_ns, proof_ns;
};

struct duties {
	int record;
	int saved;
	int expedited;
	int trace;
	struct duty_child writer;
	struct duty_child workers[DUTY_WORKERS];
	struct duty_times times[DUTY_WORKERS];
	char text[64 << 10];
};

/**
 * struct duty_batch - CPUs to take online
 * @port: where to say of each "did CPU ONLINE BEFORE PROOF ANNOUNCE": nanoseconds of the
 *	kernel's online alone, from the batch's begin to that, and behind it to the proof and the
 *	announcement
 * @uevents: CPUs that are to be added are told of there, "present CPU" is said of each, and it is
 *	begun with when the port says "kick CPU"; -1: they are there, @first to @first + @n - 1
 */
struct duty_batch {
	int port;
	int uevents;
	int first;
	int n;
	bool expedited;
};

void duties_init(struct duties *d);

/*
 * Before a batch, and @on = false behind it: make ready what an agent has ready, the record, the
 * processes and the kernel's ladder, which holds nothing yet. Return: 0 or an errno.
 */
int duties_arm(struct duties *d, bool on);

/* At most DUTY_WORKERS of them. Return: 0 or an errno. */
int duties_run(struct duties *d, const struct duty_batch *b);

/* Of bench-onliner.c: CLOCK_MONOTONIC. */
long long bench_now_ns(void);

/* The kernel's write, and the time it took. Return: 0 or an errno. */
int bench_write_online(int cpu, const char *value, long long *ret_ns);

/* The CPU that a uevent says was added, or -1. */
int bench_added_cpu(int uevents);

#endif
