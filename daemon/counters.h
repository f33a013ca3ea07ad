/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_COUNTERS_H
#define DAEMON_COUNTERS_H

#include "daemon/outcome.h"
#include "proto/ladder.h"
#include "proto/msg.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * What is counted of a domain for as long as the daemon has it; metrics.c shows it.
 *
 * A domain has 5 KiB of it, and 8 more once a callback has run there. How much that is does not
 * depend on what a guest says: it may name as many callbacks as it likes, and those beyond the first
 * 31 names, or with characters that no callback has, are counted together.
 */

enum {
	HISTOGRAM_BUCKETS = 12,
	COUNTERS_DYNS = CPUHP_AP_DYN_END - CPUHP_AP_DYN + 1,
	COUNTERS_FIXED = CPUHP_STATES - COUNTERS_DYNS,
	COUNTERS_CALLBACKS = 1 + COUNTERS_DYNS + 1, /* without a name, by name, all others */
	COUNTERS_ROWS = COUNTERS_FIXED + COUNTERS_CALLBACKS,
	COUNTERS_NAME_SIZE = sizeof("ap:dyn.") + MSG_NAME_MAX,
};

/* The upper end of a bucket: in us, and in seconds as a label has it. */
struct histogram_bound {
	uint64_t us;
	const char *le;
};

/* Ascending; the last is without an end. */
extern const struct histogram_bound histogram_bounds[HISTOGRAM_BUCKETS];

/**
 * struct histogram - how often something took how long
 * @n: by bucket, of those that fit in no lower one
 */
struct histogram {
	uint64_t sum_us;
	uint64_t n[HISTOGRAM_BUCKETS];
};

/* A guest's clock may say anything: more than a day counts as a day. */
void histogram_add(struct histogram *h, uint64_t us);
uint64_t histogram_count(const struct histogram *h);

/* Of one state one way; @time has those that failed too, and not those whose beginning was missed. */
struct step_counters {
	struct histogram time;
	uint64_t failures;
};

/* Of one state: its startup and its teardown. */
struct state_counters {
	struct step_counters up, down;
};

/* Of one callback; @name "" not taken yet (and of the first and the last of them). */
struct callback_counters {
	char name[MSG_NAME_MAX + 1];
	struct state_counters state;
};

/**
 * struct domain_counters - all zero at first; counters_done()
 * @operations: ended, by result; @operation_time: from their acceptance to their end
 * @guest_refusals: of them those that the guest refused
 * @denials: requests that no operation came of, by error
 * @agent_connects: sessions with an agent
 * @fixed: of the states but the dynamic ones, in their order
 * @callbacks: COUNTERS_CALLBACKS of them once one has run, owned
 */
struct domain_counters {
	uint64_t operations[OP_RESULTS];
	struct histogram operation_time[OP_RESULTS];
	uint64_t denials[REQUEST_ERRORS];
	uint64_t drift, guest_refusals, agent_connects;
	struct state_counters fixed[COUNTERS_FIXED];
	struct callback_counters *callbacks;
};

void counters_done(struct domain_counters *c);

/**
 * counters_step() - count a step of the ladder that was left
 * @state: below CPUHP_STATES
 * @callback: the name of what stands at a dynamic state, "" unknown
 * @us: NULL: it is not known when it was entered, so only a failure is counted
 *
 * Out of memory a callback's step goes uncounted.
 */
void counters_step(struct domain_counters *c, int state, const char *callback, bool startup,
		   const uint64_t *us, bool failed);

/**
 * counters_row() - what was counted of one state
 * @i: below COUNTERS_ROWS
 * @ret_name: the state as users see it, another one in each row; "ap:dyn.*" for the callbacks that
 *            are counted together
 *
 * Return: NULL where nothing was counted, and no name then.
 */
const struct state_counters *counters_row(const struct domain_counters *c, unsigned int i,
					  char ret_name[COUNTERS_NAME_SIZE]);

#endif
