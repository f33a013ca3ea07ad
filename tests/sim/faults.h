/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_SIM_FAULTS_H
#define TESTS_SIM_FAULTS_H

#include "tests/sim/script.h"

enum {
	FAULT_UP = 1,       /* makes sense while vCPUs go up */
	FAULT_DOWN = 2,     /* while they go down */
	FAULT_ALL = 4,      /* meets every domain: no use where others are to be unaffected */
	FAULT_TIMEOUT = 8,  /* the operation it belongs to gets a short deadline */
	FAULT_CLIENTS = 16, /* nothing breaks: other clients ask */
	FAULT_SILENCES =
		32, /* the agent may not answer in time: one that has not begun ends no-agent */
	FAULT_WAITED = 64, /* one that has not begun waits until it is over */
	FAULT_STOPS = 128  /* QEMU says it does not run: one that has not begun ends refused */
};

/**
 * struct fault_kind - one way in which things go wrong
 * @strike: at its moment; what it breaks heals by itself after i->span_us
 * @min_ms, @max_ms: of the span
 * @up, @down: the ends that an operation may have which it meets on the way up or down
 * @up_sure, @down_sure: it cannot be done where the fault meets it before this phase: what that breaks
 *	is still to come, however late it strikes. 0: there is none
 */
struct fault_kind {
	const char *name;
	void (*strike)(struct sim_domain *d, const struct item *i);
	unsigned int flags;
	unsigned int min_ms, max_ms;
	const char *up, *down;
	enum phase up_sure, down_sure;
};

extern const struct fault_kind fault_kinds[];
extern const unsigned int n_fault_kinds;

/* The ends that an operation which goes up, or down, may have with this fault, in words. */
const char *fault_may_end(unsigned int fault, bool down);
/* Cannot one be done that meets it in this phase? */
bool fault_is_sure(unsigned int fault, bool down, enum phase p);

/* -1 unknown */
int fault_find(const char *name);

/* faults-steps.c */
void fault_step_fails(struct sim_domain *d, const struct item *i);
void fault_callback_fails(struct sim_domain *d, const struct item *i);
void fault_callback_hangs(struct sim_domain *d, const struct item *i);
void fault_rollback_fails(struct sim_domain *d, const struct item *i);
void fault_kernel_refuses(struct sim_domain *d, const struct item *i);

/* Everything is well again; what has to be started anew is. */
void faults_heal(struct sim_domain *d);

#endif
