/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_DUTIES_H
#define BENCH_DUTIES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * What an agent owes for each CPU beside the kernel's online, done as directly as it can be in one
 * process: the yardstick for how much of vcpuhp's time is its own. No answer to anything that goes
 * wrong: it fails, and the benchmark with it.
 */

struct duties {
	pthread_mutex_t lock;
	int record;
	int expedited;
	int trace;
	char text[64 << 10];
};

void duties_init(struct duties *d);

/*
 * Before a batch, and @on = false behind it: make ready what an agent has ready, the record and the
 * kernel's ladder, which holds nothing yet. Return: 0 or an errno.
 */
int duties_arm(struct duties *d, bool on);

/* For a batch: rcu_expedited, with the old value kept where a killed agent's successor finds it. */
int duties_expedite(struct duties *d, bool on);

/* Before the kernel's online: the record. */
int duties_before(struct duties *d, int cpu);

/*
 * Behind it, from a thread bound to @cpu: its timer and CPU time, the record, the announcement, and
 * the kernel's ladder into @report. Return: bytes of that, or less than 0 and -errno.
 */
int duties_after(struct duties *d, int cpu, char *report, size_t size);

#endif
