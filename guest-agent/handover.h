/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_HANDOVER_H
#define AGENT_HANDOVER_H

#include "guest-agent/process.h"
#include "proto/msg.h"
#include "proto/walk.h"
#include <stdbool.h>
#include <stdint.h>

/**
 * struct handover - one walk on the agent's stretch of the ladder, as control and worker see it
 *
 * One walk covers 6 to 44. Control runs the calls of its own states and hands the whole walk to
 * the worker while the next call is the worker's; the worker walks on by itself, rollback
 * included, and hands it back when the next call is control's or none is left. Control repeats
 * every step in its own copy as it is reported, so a worker that dies leaves nothing in doubt but
 * the one call that was under way, and one that reports anything else is found out at once.
 *
 * @number: of this hand-over; a completion must carry it (R7)
 * @cpu: the guest's number of the CPU
 * @walk: where it is
 * @unknown: a state whose callback was under way in a worker that died: torn down first; 0 none
 * @leftover: what a worker that died has left of a callback: ended before anything else
 * @only: the one state whose callback may run (R13), 0 for all
 * @adopt: states 10 and 11 are passed (R19)
 * @rollback: the host rolls an operation back: what a rollback skips is passed (R10)
 * @late: unbound teardown for a CPU that was taken away; failures are reported and passed
 * @standby_wish, @kick: for the record of this boot
 * @slow: factor for deadlines
 * @deadline_ms: CLOCK_MONOTONIC, to a tick, end of all callbacks' time, 0 none
 * @rest: the state to write into the record while @only runs
 * @dyn: bit i: a callback stands at state 12 + i
 * @dyn_done: bit i: its startup is done on this CPU
 * @fail_state, @fail_rc: armed one-shot failure (R18), 0 none
 * @op: operation id or ""
 */
struct handover {
	uint32_t number;
	int cpu;
	struct walk walk;
	int unknown;
	struct process_group leftover;
	int only;
	bool adopt;
	bool rollback;
	bool late;
	uint8_t standby_wish;
	uint32_t kick;
	unsigned int slow;
	uint64_t deadline_ms;
	int rest;
	uint32_t dyn;
	uint32_t dyn_done;
	int fail_state;
	int fail_rc;
	char op[MSG_OP_MAX + 1];
};

/* A walk_has_fn; @ctx is the struct handover. */
bool handover_has(void *ctx, int state, bool startup);

/* Whether the next thing to run is the worker's. */
bool handover_is_workers(const struct handover *h);

/**
 * handover_next() - take the next call out of the walk
 *
 * What is unknown is torn down before anything else.
 *
 * Return: true with @call filled, false when the walk is done.
 */
bool handover_next(struct handover *h, struct walk_call *call);

/* Answer that call. */
void handover_result(struct handover *h, const struct walk_call *call, int rc);

/* The worker is gone: fail what was under way (@call, or NULL between two steps) with @rc. */
void handover_break(struct handover *h, const struct walk_call *call, int rc);

/* @state's callback is in doubt: it is torn down before anything else. */
void handover_doubt(struct handover *h, int state);

/* Stop where it stands: a rollback that cannot go on (R17). */
void handover_stop(struct handover *h, int state, int rc);

#endif
