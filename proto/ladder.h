/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PROTO_LADDER_H
#define PROTO_LADDER_H

#include <stdbool.h>

/**
 * enum cpuhp_state - the ladder a vCPU climbs, host and guest together
 *
 * The numbers travel in frames, JSON and state files and never change meaning.
 *
 * Source: PROTOCOL.md, section "Ladder".
 */
enum cpuhp_state {
	CPUHP_OFFLINE = 0,
	CPUHP_HOST_ADMIT = 1,
	CPUHP_QEMU_DEVICE = 2,
	CPUHP_HOST_PLACE = 3,
	CPUHP_GUEST_PRESENT = 4,
	CPUHP_AP_KICK = 5,
	CPUHP_STANDBY = 6,
	CPUHP_AP_ONLINE = 7,
	CPUHP_AP_THREADS = 8,
	CPUHP_AP_VERIFY = 9,
	CPUHP_AP_CPUSET = 10,
	CPUHP_AP_IRQ = 11,
	CPUHP_AP_DYN = 12,
	CPUHP_AP_DYN_END = 42,
	CPUHP_AP_ACTIVE = 43,
	CPUHP_ONLINE = 44,
	CPUHP_STATES
};

/**
 * enum cpuhp_side - who runs a state's callbacks
 * @CPUHP_SIDE_REST: nobody; a state to rest in
 * @CPUHP_SIDE_HOST: the daemon
 * @CPUHP_SIDE_CONTROL: the agent's main loop
 * @CPUHP_SIDE_WORKER: the agent's hotplug worker, bound to the vCPU
 */
enum cpuhp_side {
	CPUHP_SIDE_REST,
	CPUHP_SIDE_HOST,
	CPUHP_SIDE_CONTROL,
	CPUHP_SIDE_WORKER,
};

/**
 * struct cpuhp_step - one row of the ladder
 * @name: the word users see; for a dynamic state the family name "ap:dyn"
 * @meaning: one line for `vcpuhpctl states` and the manual
 * @side: who owns it (ask ladder_side(), not the row)
 * @is_target: a vCPU may be asked to rest here (a dynamic state only where a callback stands)
 * @skip_rollback: a rollback passes this state without its callback
 * @startup_ms: deadline of the startup in milliseconds, 0 where there is none
 * @teardown_ms: deadline of the teardown in milliseconds, 0 where there is none
 */
struct cpuhp_step {
	const char *name;
	const char *meaning;
	enum cpuhp_side side;
	bool is_target;
	bool skip_rollback;
	unsigned int startup_ms;
	unsigned int teardown_ms;
};

/* The row of @state, or NULL beyond the ladder. Dynamic states share one row's text. */
const struct cpuhp_step *ladder_step(int state);

/* The side that owns @state; CPUHP_SIDE_REST for numbers beyond the ladder (R15: ask only here). */
enum cpuhp_side ladder_side(int state);

/* True for the dynamic range, where registered callbacks stand. */
bool ladder_is_dyn(int state);

/* The name of @state ("ap:dyn" for a dynamic one), "unknown" beyond the ladder. */
const char *ladder_name(int state);

/**
 * ladder_find() - parse a state given as number or name
 * @word: what the user wrote, borrowed
 *
 * Dynamic states are found by number here; by name only where a callback stands, which the
 * caller knows.
 *
 * Return: the state, or -EINVAL.
 */
int ladder_find(const char *word);

/* Whether @state may be a target; @has_callback answers for a dynamic state (R10). */
bool ladder_is_target(int state, bool has_callback);

#endif
