/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_PROCESS_H
#define AGENT_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/**
 * struct process_stat - what the kernel says of a process
 * @state: 'R', 'S', 'Z' ...
 * @start: in clock ticks since boot
 * @cpu: it last ran on
 *
 * Source: /proc/PID/stat. Always the real one: a process is a real one, and a test's root folder
 * knows nothing of it.
 */
struct process_stat {
	char state;
	pid_t group;
	pid_t session;
	uint64_t start;
	int cpu;
};

/* Of a process, or of a zombie. Return: 0 or -errno. */
int process_read(pid_t pid, struct process_stat *ret);

/**
 * struct process_group - a process group, told from a later one of the same number
 * @start: when its leader started
 * @id: its number, the leader's pid; 0 none
 * @session: all of a group are of one session
 *
 * The number cannot be taken by another group while anybody is left in this one; but who looks
 * later does not know whether anybody was. So a group is taken for this one only if its leader, where
 * there is one, started at @start, and nobody in it is of another session or older.
 */
struct process_group {
	uint64_t start;
	int32_t id;
	int32_t session;
};

/* The one that the calling process leads. Return: 0 or -errno. */
int process_group_own(struct process_group *ret);

/**
 * process_group_kill() - SIGKILL for all that is left of a group
 *
 * A group that may be another than @g is left alone.
 *
 * Context: reads all of /proc, unless there is no such group.
 * Return: how many were alive. They may take long to die.
 */
unsigned int process_group_kill(const struct process_group *g);

#endif
