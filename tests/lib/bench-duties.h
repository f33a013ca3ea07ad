/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_DUTIES_H
#define BENCH_DUTIES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What an agent owes for each CPU beside the kernel's online, done as directly as it can be in one
 * process: the yardstick for how much of vcpuhp's time is its own. No answer to anything that goes
 * wrong: it fails, and the benchmark with it.
 */

/* Make ready what an agent has ready: the record, the kernel's ladder. Return: 0 or an errno. */
int duties_init(void);

/* For a batch: rcu_expedited, with the old value kept where a killed agent's successor finds it. */
int duties_expedite(bool on);

/* Before the kernel's online: the record. */
int duties_before(int cpu);

/*
 * Behind it, from a thread bound to @cpu: its timer and CPU time, the record, the announcement, and
 * the kernel's ladder into @report. Return: bytes of that, or less than 0 and -errno.
 */
int duties_after(int cpu, char *report, size_t size);

#endif
