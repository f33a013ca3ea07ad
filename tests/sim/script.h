/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_SIM_SCRIPT_H
#define TESTS_SIM_SCRIPT_H

#include "tests/sim/sim.h"
#include <stdio.h>

/*
 * What happens in a run, as a list: operations of each domain in their order, and faults, each at a
 * moment of one operation. It is made by seed, printed where it fails, and made shorter item by
 * item as long as it still fails.
 */

enum item_kind { ITEM_OPERATION, ITEM_FAULT };

/**
 * struct item - one line of a script
 * @domain, @number: the operation's, or that of the operation that the fault belongs to
 * @gap_us: since the operation before it has ended
 * @request: without its id
 * @fault: index into fault_kinds
 * @phase, @nth: the moment: the nth time that the operation comes to this phase
 * @delay_us: after that; @span_us: how long it lasts, where it ends by itself
 * @arg: a slot, a number of frames, as the fault has it
 */
struct item {
	enum item_kind kind;
	unsigned int domain, number;
	uint64_t gap_us;
	struct op_request request;
	unsigned int fault;
	enum phase phase;
	unsigned int nth;
	uint64_t delay_us, span_us;
	unsigned int arg;
};

/**
 * struct script - a whole run
 * @seed: also of all times that the parts take
 * @drill: at the end every domain has to do as it is told
 * @steady: nothing may grow while it goes on
 * @first_kind: of the first domain, and so on with the others
 * @threads: as in struct sim_domain; NULL none
 */
struct script {
	uint64_t seed;
	unsigned int domains, first_kind;
	bool drill, steady;
	const int *threads;
	struct item *items;
	size_t n, room;
};

/* What a generated script is made of. @faults: percent of operations that get one; @steady: none that ends
 * the daemon, whose growth is looked at */
struct script_options {
	uint64_t seed;
	unsigned int domains, operations, faults;
	int only_domain; /* faults there alone, -1 in all */
	int only_fault;  /* -1 any */
	bool steady;
};

/* From how many vCPUs such a domain boots. */
unsigned int script_boot_cpus(unsigned int kind);

struct script *script_make(const struct script_options *o);
struct script *script_new(uint64_t seed, unsigned int domains);
struct script *script_free(struct script *s);
void script_add(struct script *s, const struct item *i);
void script_print(const struct script *s, FILE *out);

/* The outcome of running a script. */
struct run_result {
	char breach[512]; /* "" none */
	unsigned int operations, faults;
	unsigned int undisturbed; /* operations, of those */
	uint64_t latest_us;       /* how long after its deadline one ended */
};

typedef void (*script_run_fn)(const struct script *s, struct run_result *ret);

/* Drop domains, then items, while it fails in the same way; @s is changed. Return: how many runs it
 * took. */
unsigned int script_shrink(struct script *s, const char *breach, script_run_fn run);

#endif
