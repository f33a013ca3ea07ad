/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PROTO_WALK_H
#define PROTO_WALK_H

#include <stdbool.h>

/**
 * struct walk - one vCPU's way along a stretch of the ladder; pure, no I/O, no clock
 *
 * The same walker serves the daemon (0..6), the agent's control part (6..8) and its worker
 * (8..44). The caller asks walk_next() what to run, runs it however long it takes, and answers
 * with walk_result(). Order, rollback and the stuck state live here and nowhere else.
 *
 * @from: where the walk began; a rollback returns here
 * @target: where it is going
 * @state: the state reached by now: every startup up to and including it has been run
 * @step: the state whose callback was handed out and has not been answered, else -1
 * @rolling_back: the way back after a failure
 * @done: nothing more to run
 * @rc: 0, or the error of the step that failed
 * @failed_at: that step, else -1
 * @rollback_rc: 0, or the error of the rollback step that failed as well: the walk is stuck (R17)
 * @rollback_failed_at: that step, else -1
 */
struct walk {
	int from;
	int target;
	int state;
	int step;
	bool rolling_back;
	bool done;
	int rc;
	int failed_at;
	int rollback_rc;
	int rollback_failed_at;
};

/**
 * struct walk_call - one callback to run
 * @state: whose callback
 * @startup: startup, else teardown
 * @rollback: it is part of a rollback
 */
struct walk_call {
	int state;
	bool startup;
	bool rollback;
};

/**
 * typedef walk_has_fn - does @state have a callback in this direction on this side?
 *
 * States without one are passed without a call and without a report.
 */
typedef bool (*walk_has_fn)(void *ctx, int state, bool startup);

/* Begin a walk from @from to @target (0..CPUHP_ONLINE each; asserted). Equal is done at once. */
void walk_init(struct walk *w, int from, int target);

/**
 * walk_next() - what to run now
 * @w: the walk; no call may be outstanding (asserted)
 * @has: which states have callbacks
 * @ctx: handed to @has
 * @call: returned
 *
 * Going up runs startups of from+1..target ascending; going down runs teardowns of from..target+1
 * descending. After a failed startup at k the teardowns of k-1 down to from+1 run (R8); after a
 * failed teardown at k the startups of k+1 up to from (R9). A rollback passes states marked
 * skip_rollback (R10). If a rollback step fails too the walk is done where it stands (R17).
 *
 * Return: true with @call filled, false when the walk is done.
 */
bool walk_next(struct walk *w, walk_has_fn has, void *ctx, struct walk_call *call);

/* Answer the outstanding call: 0, or the error (any non-zero value is a failure and kept as is). */
void walk_result(struct walk *w, int rc);

/* Make the walk fail between two steps with @rc (cancel, deadline): the rollback starts. */
void walk_abort(struct walk *w, int rc);

/* True once done with the rollback failed too. */
bool walk_is_stuck(const struct walk *w);

#endif
