/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MICROGUEST_WORKER_H
#define MICROGUEST_WORKER_H

#include "proto/walk.h"
#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct guest;

/* What an added vCPU is asked to do. */
enum order {
	ORDER_NONE,
	ORDER_PROVE, /* say where you are */
	ORDER_WALK,  /* as far as the walk is the worker's */
	ORDER_LEAVE, /* stop for good */
};

/**
 * struct run - a walk and what it needs to know
 * @dyn_done: dynamic states whose startup was done
 * @skip: the host rolls back: states marked so are passed
 * @armed: one-shot failure of that state, 0 none (R18)
 */
struct run {
	struct walk walk;
	uint32_t dyn_done;
	bool skip;
	uint8_t armed;
	int armed_rc;
};

/**
 * struct note - a step was entered or left, for the report
 * @flags: RECORD_STEP_*
 */
struct note {
	uint64_t time_ns;
	int rc;
	uint16_t ran_on;
	uint8_t state;
	uint8_t flags;
	const char *text;
};

enum { NOTES = 16, STACK = 8192, CALLS = 32 };

/**
 * struct worker - what the boot vCPU and an added one say to each other
 * @alive: it has begun to run
 * @order, @answered: by the boot vCPU; by the worker, which sets it to the order when that is done
 * @cancel_rc: fail the walk with that between two steps, 0 no
 * @ran_on: where the last order ran, by the vCPU's own APIC: the guest's number
 * @notes, @noted, @taken: a ring; written by the worker, read by the boot vCPU
 * @counted: the callback 10-count's
 */
struct worker {
	volatile bool alive;
	volatile uint32_t order, answered;
	volatile int cancel_rc;
	volatile uint16_t ran_on;
	uint64_t asked_ns;
	struct note notes[NOTES];
	volatile uint32_t noted, taken;
	volatile uint32_t counted;
	uint8_t stack[STACK] __attribute__((aligned(16)));
};

/* A call of a registered callback, as it happened. */
struct call {
	const char *name;
	uint16_t cpu, ran_on;
	bool startup;
};

/* The callbacks: name of the dynamic state, or NULL where none stands. */
const char *worker_callback(int state);

/* Which states have callbacks here: a walk_has_fn of a struct run. */
bool run_has(void *run, int state, bool startup);
/* The next call without taking it. */
bool run_peek(const struct run *r, struct walk_call *call);
void run_result(struct run *r, const struct walk_call *call, int rc);

/* By the boot vCPU. */
void worker_give(struct cpu *c, enum order order);
bool worker_has_answered(const struct cpu *c);

/* Whether this moment was chosen to hang in or to fail with (0: not). */
bool worker_hangs(const struct guest *g, const struct cpu *c, const struct walk_call *call);
int worker_failure(const struct guest *g, struct cpu *c, const struct walk_call *call);

/* Take the oldest call of a callback. Return: whether there was one. */
bool worker_take_call(struct call *ret);

#endif
