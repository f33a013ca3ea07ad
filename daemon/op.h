/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_OP_H
#define DAEMON_OP_H

#include "daemon/outcome.h"
#include "daemon/persist.h"
#include "daemon/text.h"
#include "proto/cpulist.h"
#include "proto/ladder.h"
#include "proto/msg.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

struct domain;

enum { OP_TEXT_MAX = TEXT_SIZE, OP_QUEUE_MAX = 8, OP_KEPT_MAX = 64 };

enum op_goal {
	OP_GOAL_COUNT, /* so many at online (and so many at standby) */
	OP_GOAL_TARGET /* these vCPUs to that state */
};

enum op_policy { OP_POLICY_ALL, OP_POLICY_AT_LEAST, OP_POLICY_BEST_EFFORT };

/**
 * struct op_request - what a client asked for; compared as a whole when an id is used again
 * @id: given by the client, or "" to have one made
 * @count: 1..65535
 * @standby: -1 not asked
 * @list: OP_GOAL_TARGET: which vCPUs
 * @target: OP_GOAL_TARGET: CPUHP_OFFLINE.. any target state; -1 with @callback
 * @callback: OP_GOAL_TARGET: the target by the name of the callback that stands there, "" none. It
 *            is kept as a name: its number is the agent's to tell, and may be another the next time
 * @at_least: OP_POLICY_AT_LEAST: K
 * @timeout_ms: 0 for the configured deadline
 * @foreign: may also remove what others plugged
 * @persist: the persistent configuration is to have the same; of a TARGET only online and offline
 * @uid: who asked
 * @own: nobody: what the guest did has made it necessary
 */
struct op_request {
	char id[MSG_OP_MAX + 1];
	enum op_goal goal;
	unsigned int count;
	int standby;
	struct cpulist list;
	int target;
	char callback[MSG_NAME_MAX + 1];
	enum op_policy policy;
	unsigned int at_least;
	unsigned int timeout_ms;
	bool foreign;
	bool persist;
	uid_t uid;
	bool own;
};

/**
 * struct op_vcpu - one vCPU of an operation
 * @from, @to: where it was and should go
 * @state: where it is; after the end, where it rested then
 * @result: meaningful once the operation has ended
 * @failed_at: state whose step failed, -1 none; @failed_callback: op_vcpu_failed_name()
 * @rc: 0, -errno, callback's exit status, 128+N
 * @rollback_failed_at: -1 none
 * @error: "" none
 * @steps: a bit for each state whose startup or teardown was run; @step_us: the time that its last
 *         pass took, 71 minutes at most, for each of these bits from the lowest on
 */
struct op_vcpu {
	unsigned int vcpu;
	int cpu;
	int from;
	int to;
	int state;
	enum vcpu_result result;
	int ran_on;
	int failed_at;
	char *failed_callback;
	int rc;
	int rollback_failed_at;
	int rollback_rc;
	struct text error;
	uint64_t steps;
	uint32_t *step_us;
};

/* A line of a plan, and why it cannot be carried out. */
struct plan_move {
	unsigned int vcpu;
	int from;
	int to;
};

struct plan {
	unsigned int n_moves;
	struct plan_move *moves;
	unsigned int n_refusals;
	char (*refusals)[OP_TEXT_MAX];
	/* Of the first refusal: "guest", "limit", "policy" (which is also a domain in a state that
	 * allows no change) or "hook"; NULL none. */
	const char *refused_by;
	char warning[OP_TEXT_MAX]; /* what does not keep it from being carried out, "" nothing */
};

void plan_done(struct plan *p);

/**
 * struct vcpu_counts - how many vCPUs of a domain, -1 unknown
 * @maximum, @present: QEMU's slots, and those filled (also where the removal is pending); unknown
 *                     before QEMU was heard and after the VM is gone
 * @online, @standby: at CPUHP_ONLINE, and resting at CPUHP_STANDBY; unknown as well while the
 *                    guest was not heard of all that are present
 */
struct vcpu_counts {
	int maximum, present, online, standby;
};

#define VCPU_COUNTS_UNKNOWN ((struct vcpu_counts){ -1, -1, -1, -1 })

/* A callback and its dynamic state. */
struct op_callback {
	int state;
	char *name;
};

/**
 * struct op - an operation, from its acceptance until it is forgotten
 * @id: unique in the daemon
 * @tag: 8 hex digits of it for device ids (CRC32C of @id)
 * @domain_name: outlives the domain
 * @ended: @result is final; until then it is OP_ACCEPTED
 * @running: taken from the queue
 * @refused_by: NULL, or as in struct plan
 * @denied: it should not have been accepted, which showed only later: clients get @denial instead
 * @error: why the operation as a whole ended so, "" none
 * @warning: its plan's, "" none
 * @persist: of the persistent configuration, NULL where the request has it not
 * @counts: at the end; until then whoever shows it counts what there is then
 * @vcpus: @n_vcpus entries, in the order of the plan
 * @callbacks: whose steps were taken, @n_callbacks entries: what is called so later, or not at all,
 *             is another matter
 * @deadline: counts from its acceptance, in the queue too
 * @record: what the intent has of it once it has ended (op_keep_ended()), NULL not made; owned
 * @ladder_watched: somebody who waits for it wants the kernel's steps as they come
 * @stretched: the deadline is as long as this domain's speed asks for
 */
struct op {
	char id[MSG_OP_MAX + 1];
	uint32_t tag;
	char domain_name[65];
	struct domain *domain; /* NULL once the domain is detached */
	struct op_request request;
	bool ended;
	bool running;
	enum op_result result;
	const char *refused_by;
	bool denied;
	enum request_error denial;
	struct text error;
	struct text warning;
	uint64_t accepted_us; /* CLOCK_MONOTONIC */
	uint64_t ended_us;
	uint64_t accepted_realtime_us;
	unsigned int asked;
	struct persist_outcome *persist;
	struct vcpu_counts counts;
	unsigned int n_vcpus;
	struct op_vcpu *vcpus;
	unsigned int n_callbacks;
	struct op_callback *callbacks;
	struct op_run *run; /* the engine's own, NULL unless running */
	sd_event_source *deadline;
	struct intent_bytes *record;
	bool stretched;
	bool ladder_watched;
	unsigned int refs;
};

/* What @r asks of the persistent configuration, where it does. */
void op_request_persist(const struct op_request *r, struct persist_change *ret);

struct op *op_ref(struct op *o);
struct op *op_unref(struct op *o); /* returns NULL */

/* op-kept.c: what is kept beside numbers. */

/* A step was run. Out of memory it is not told. */
void op_vcpu_keep_step(struct op_vcpu *e, int state, uint64_t us);
/* Return: the time that @state's step took, -1 where none was run. */
int64_t op_vcpu_step_us(const struct op_vcpu *e, int state);

/* Where it failed; @name: of the callback, where @state is a dynamic one. */
void op_vcpu_keep_failed(struct op_vcpu *e, int state, const char *name);
/* As users see it; out of memory by its number's name. */
const char *op_vcpu_failed_name(const struct op_vcpu *e);

/* The first name that is kept of a state stays. Return: 0 or -ENOMEM. */
int op_keep_callback(struct op *o, int state, const char *name);
/* Return: NULL none. */
const char *op_find_callback(const struct op *o, int state);

/* Frees what @e, or @o, keeps; itself it is the caller's. */
void op_vcpu_done(struct op_vcpu *e);
void op_done(struct op *o);

#endif
