/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_CONTROL_H
#define AGENT_CONTROL_H

#include "guest-agent/agent.h"

/*
 * The control part: takes a CPU along the agent's stretch of the ladder. It runs ap:online and
 * ap:threads itself and hands the walk to the worker for what is above.
 */

/**
 * struct errand - what to do with a CPU
 * @kind: why
 * @from: the state its walk begins at, to which a rollback returns
 * @state: where it is now, mostly @from
 * @target: where it shall rest
 * @only: R13: the one state whose callback runs
 * @resume: adoption: the state the record of this boot says is done, at least ap:threads
 * @doubt: adoption: a state whose callback an agent that was killed left in doubt, 0 none
 * @kick, @slow, @rollback, @ladder_later, @op: of the host's kick
 * @deadline_ms: CLOCK_MONOTONIC, of the whole walk, 0 none
 */
struct errand {
	enum job_kind kind;
	int from;
	int state;
	int target;
	int only;
	int resume;
	int doubt;
	uint32_t kick;
	unsigned int slow;
	uint64_t deadline_ms;
	bool rollback;
	bool ladder_later;
	const char *op;
};

enum {
	CONTROL_CALLBACKS_MS = 60000, /* all callbacks of a walk */
	CONTROL_GRACE_MS = 2000,      /* in which the worker itself ends a call that is late */
};

/* Begin; the CPU must rest (asserted). It may be over on return. */
void control_begin(struct agent *a, struct cpu *c, const struct errand *e);

/**
 * control_invoke() - run one callback on one CPU by its worker (R13)
 *
 * registry_on_invoked() follows.
 *
 * Return: 0, -EBUSY while the CPU is in transition, -ENXIO where no worker can be had, -EINVAL
 * where no callback stands that way.
 */
int control_invoke(struct agent *a, struct cpu *c, int state, bool startup);

/* Fail the walk between two steps with @rc; nothing where it is to be failed already. */
void control_abort(struct agent *a, struct cpu *c, int rc);
/* Do it now: no call is under way. */
void control_aborted(struct agent *a, struct cpu *c);

/* Go on with the walk: the next call is begun, handed over, or it is finished. */
void control_run(struct agent *a, struct cpu *c);

/* Events. */
void control_on_write_started(struct agent *a, struct cpu *c, uint64_t time_ns);
/* @time_ns: when it returned. @why: what failed, where that is not the kernel, or NULL. */
void control_on_written(struct agent *a, struct cpu *c, int rc, uint64_t time_ns, const char *why);
/* A worker has proved itself, and walks on, or it could not. */
void control_on_worker(struct agent *a, struct cpu *c, int rc, int ran_on, uint64_t time_ns,
		       const char *text);
/* It has ended, as it was told to or not: @rc is what that counts as where it had the walk. */
void control_on_worker_gone(struct agent *a, struct cpu *c, int rc);
void control_on_observed(struct agent *a, struct cpu *c);
void control_on_time(struct agent *a, struct cpu *c, uint64_t now);

/* A call was entered, or left, whoever runs it: reported, and the walk moved on. */
void control_enter(struct agent *a, struct cpu *c, const struct walk_call *call, uint64_t time_ns,
		   int ran_on);
void control_leave(struct agent *a, struct cpu *c, int rc, int ran_on, uint64_t time_ns,
		   const char *text);

#endif
