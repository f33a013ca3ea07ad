/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_LOAD_H
#define AGENT_LOAD_H

#include "guest-agent/load-file.h"

struct agent;

/**
 * struct load - the guest's load, told while a host asks for it
 * @interval_ms: 0: nobody asks
 * @due_ms: CLOCK_MONOTONIC of the next report
 * @told_ms: of the last, to whatever host, 0 none
 * @goes_on: the last was told since the host asked, and the next is of the time after it
 * @reports: how many were told, for the CPUs' own marks (struct load_mark)
 */
struct load {
	struct load_files files;
	uint64_t interval_ms;
	uint64_t due_ms;
	uint64_t told_ms;
	bool goes_on;
	uint32_t reports;
};

/**
 * struct load_mark - a CPU at a report
 * @report: which; 0 none
 */
struct load_mark {
	struct load_times times;
	uint32_t report;
};

void load_init(struct load *l);
/* Nobody asks any more: nothing is told, nothing is open, and nothing wakes the agent for it. */
void load_stop(struct load *l);

/* The host asks. */
void load_on_request(struct agent *a, const struct msg_load *m);

/* When the next report is due, 0 never; and send it then. */
uint64_t load_deadline(const struct agent *a);
void load_on_time(struct agent *a, uint64_t now_ms);

#endif
