/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_KTRACE_H
#define AGENT_KTRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One event of the kernel's own ladder. */
struct ktrace_event {
	int cpu;          /* the CPU in transition, not the one that ran the step */
	int step;         /* the kernel's state number */
	bool exit;        /* cpuhp_exit, else cpuhp_enter or cpuhp_multi_enter */
	bool startup;     /* going up (known on enter: target above the step) */
	int rc;           /* on exit */
	uint64_t time_ns; /* CLOCK_MONOTONIC (trace_clock mono) */
};

/**
 * struct ktrace - the reader of a tracefs instance of ours
 * @fd: trace_pipe, non-blocking, -1 when not available
 * @buf, @used: the torn line kept between reads
 * @lost: the kernel had no room for all since it was read last; whoever looks clears it
 */
struct ktrace {
	int fd;
	char buf[8192];
	size_t used;
	bool lost;
};

/**
 * ktrace_setup() - mount tracefs where it is missing, make instance "vcpuhp", set clock, buffer
 * size and buffer_percent, enable the cpuhp events; reuses an instance left behind
 *
 * Context: takes half a second under TCG, more under load: call it in a child process.
 *
 * Return: 0 or -errno.
 */
int ktrace_setup(int root);

/* Open trace_pipe of the instance made by ktrace_setup(). Return: 0 or -errno. */
int ktrace_open(struct ktrace *k, int root);
void ktrace_close(struct ktrace *k);

/* Removes the instance (at a clean exit). */
void ktrace_remove(int root);

/* PURE: one line of trace_pipe. Return: 1 with @ret filled, 0 for a line that is none of ours. */
int ktrace_parse(const char *line, struct ktrace_event *ret);

/* Read what is there now (at most @max bytes) and call @cb for each event. Return: 0 or -errno. */
int ktrace_read(struct ktrace *k, size_t max, void (*cb)(void *ctx, const struct ktrace_event *e),
		void *ctx);

/**
 * struct kstep_names - names of the kernel's states, from /sys/devices/system/cpu/hotplug/states
 */
struct kstep_names {
	char names[256][40];
};
int kstep_names_load(struct kstep_names *k, int root);
const char *kstep_name(const struct kstep_names *k, int step); /* "" unknown */

#endif
