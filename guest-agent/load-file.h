/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_LOAD_FILE_H
#define AGENT_LOAD_FILE_H

#include "proto/msg.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * What the kernel says of the guest's load. Its files stay open from the first look to
 * load_files_close() and are read from their beginning each time, without allocation.
 */

/**
 * struct load_files - /proc/pressure/cpu, /proc/loadavg and /proc/stat; -1: not open
 */
struct load_files {
	int pressure;
	int average;
	int stat;
};

/**
 * struct load_times - what one CPU has done since it came online, in ticks
 * @busy: it ran something
 * @steal: it wanted to run and the host ran another
 * @total: those, and the time it was idle
 */
struct load_times {
	uint64_t busy;
	uint64_t steal;
	uint64_t total;
};

void load_files_init(struct load_files *f);
void load_files_close(struct load_files *f);

/* Pressure, averages, runnable tasks; what is not there or not understood is unknown. @ret->span_ms is 0. */
void load_files_read(struct load_files *f, int root, struct record_load *ret);

/* Call @cb for each CPU that the kernel counts, which are those online. */
void load_files_read_cpus(struct load_files *f, int root,
			  void (*cb)(void *ctx, int cpu, const struct load_times *t), void *ctx);

/* PURE: the parsers, each of the text of its file or one line of it. Return: whether it is one. */
bool load_parse_pressure(const char *text, struct record_load *ret);
bool load_parse_average(const char *text, struct record_load *ret);
bool load_parse_cpu(const char *line, int *ret_cpu, struct load_times *ret);

/* PURE: what it did between two looks. Unknown where no time has passed, or some ran backwards. */
void load_shares(const struct load_times *before, const struct load_times *now,
		 struct record_load_cpu *ret);

#endif
