/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_UNIT_HOST_BENCH_H
#define TESTS_UNIT_HOST_BENCH_H

#include "daemon/domain.h"
#include "daemon/hostwalk.h"
#include "daemon/log.h"
#include "daemon/op-run.h"

/*
 * A bench for the daemon's core: one domain between a scripted QEMU (struct hv_ops) and a scripted
 * agent (link.h is faked whole), both played in the same thread between turns of a private event
 * loop.
 *
 * What the domain says to either is remembered in words, to be read in order:
 *   "plug 3"  "unplug 3"  "place 3"  "unplace 3"          to QEMU
 *   "kick 3 44"  "kick 3 6 rollback"  "cancel 3"  "arm 3 9"  "load 2000"  to the agent
 * Queries, pings and acks are answered or counted without a word.
 *
 * Where @auto_qemu or @auto_agent is set that side does what it is asked, at once, except for the
 * slots named in @qemu_silent, @agent_silent and the failures planted with bench_plant().
 *
 * The guest's number of a CPU is never its slot: it is BENCH_CPU(slot).
 */

enum { BENCH_SLOTS_MAX = 16, BENCH_WORDS_MAX = 512 };

#define BENCH_CPU(slot) ((slot) ? (slot) + 20 : 0)

struct bench_options {
	unsigned int slots;  /* 8 */
	unsigned int online; /* vCPUs from boot, 1 */
	bool tcg;
	bool no_agent;  /* the agent's first HELLO is left to the test */
	bool no_attach; /* so is QEMU's */
	bool has_place;
	unsigned int max_vcpus;
	enum one_by_one one_by_one;
	enum foreign_mode foreign;
	const char *
		runtime_dir; /* where intents are kept, NULL nowhere; borrowed until bench_stop() */
};

struct bench_request {
	enum { REQUEST_PLUG, REQUEST_UNPLUG, REQUEST_QUERY } kind;
	unsigned int slot;
	char id[64];
	hv_done_fn cb;
	void *arg;
};

/* A failure that the agent acts out when it is kicked that way. */
struct bench_plant {
	int rc;
	int failed_at;
	int rests_at; /* -1: where it was */
	int rollback_rc;
	bool teardown;
	bool once;
	const char *text; /* NULL: no reason of its own */
};

struct bench_ping {
	void (*cb)(void *arg, int rc);
	void *arg;
};

/* The agent's port, of which the bench is the other side. */
struct link {
	struct bench *b;
};

struct bench {
	sd_event *event;
	struct manager *manager;
	struct domain *d;
	struct config config;
	struct domain_config *domain_config;
	struct hv_facts facts;
	/* QEMU */
	const struct hv_events *hv_events;
	void *hv_ctx;
	struct hv_slot slots[BENCH_SLOTS_MAX];
	struct bench_request requests[64];
	unsigned int n_requests;
	int plug_rc, unplug_rc; /* what the call itself returns */
	int place_rc;
	bool auto_qemu, hold_queries;
	bool is_there;                      /* its process, after a loss */
	bool qemu_silent[BENCH_SLOTS_MAX];  /* device_del is answered, but nothing leaves */
	bool qemu_refuses[BENCH_SLOTS_MAX]; /* the guest says no by _OST */
	int qemu_plug_rc[BENCH_SLOTS_MAX];
	unsigned int queries;
	bool resumed; /* it runs again; told with the next query's answer */
	/* the agent */
	const struct link_ops *link_ops;
	void *link_ctx;
	bool up, mute, auto_agent;
	bool agent_silent[BENCH_SLOTS_MAX]; /* takes a kick and never gives it back */
	struct msg_hello hello;
	struct msg_kick kicks[BENCH_SLOTS_MAX]; /* the last of each slot */
	bool kick_due[BENCH_SLOTS_MAX];
	unsigned int prepared; /* kicks it was told of ahead */
	struct bench_plant plants[BENCH_SLOTS_MAX];
	bool guest_present[BENCH_SLOTS_MAX];
	bool guest_walking[BENCH_SLOTS_MAX]; /* in a walk of the agent's own */
	bool guest_taken[BENCH_SLOTS_MAX];
	bool guest_parked[BENCH_SLOTS_MAX];
	int guest_state[BENCH_SLOTS_MAX];
	uint32_t next_kick;
	struct bench_ping pings[16];
	unsigned int n_pings, acks, rests, agent_queries, abandoned;
	bool silent; /* of the agent's port: see link_is_silent() */
	struct msg_arm arm;
	/* what was said and heard */
	char words[BENCH_WORDS_MAX][40];
	unsigned int n_words, n_read;
	struct event_listener *listener;
	unsigned int removed[BENCH_SLOTS_MAX];
	unsigned int n_logs, n_events; /* of any kind */
	unsigned int drifts, entered[CPUHP_STATES], rolled_back[CPUHP_STATES];
	char last_log[512], last_warning[512];
	enum journal_message last_message;
	struct journal_fields last_fields;
	unsigned int n_warnings;
};

/* NULL for the usual: KVM, 8 slots, one vCPU from boot, agent connected and idle. */
struct bench *bench_start(const struct bench_options *o);
void bench_stop(struct bench *b);

/* The daemon's tick asks by itself, every four seconds: not in a case that counts what is asked. */
void bench_hold_tick(struct bench *b);
/* The daemon is killed, and the next one begins: neither has attached to QEMU nor met the agent. */
void bench_restart(struct bench *b);

/* Let the loop and the automatic sides run until nothing is left to do now. */
void bench_turn(struct bench *b);
/* Let time pass until @done says so; fails the test after 5 s. */
void bench_wait(struct bench *b, bool (*done)(struct bench *b, void *arg), void *arg);
void bench_wait_ended(struct bench *b, struct op *o);

/* The next word is this one / there is none. */
void bench_said(struct bench *b, const char *word);
void bench_silent(struct bench *b);
/* How many words so far begin with @start. */
unsigned int bench_count(const struct bench *b, const char *start);

/* QEMU's part. */
void bench_attach(struct bench *b);
void bench_status(struct bench *b, enum hv_status status);
void bench_table(struct bench *b);
void bench_answer_plug(struct bench *b, unsigned int slot, int rc, const char *text);
void bench_answer_unplug(struct bench *b, unsigned int slot, int rc, const char *text);
void bench_eject(struct bench *b, unsigned int slot);
void bench_ost(struct bench *b, unsigned int slot, int source, int status);
/* The connection is lost: requests are answered -ECONNRESET, then on_gone. */
void bench_lose_qemu(struct bench *b);
/* Plugged by somebody else. */
void bench_plug_foreign(struct bench *b, unsigned int slot);

/* The agent's part. @boot: a number for the guest's boot id. */
void bench_agent_hello(struct bench *b, unsigned int boot);
void bench_agent_table(struct bench *b);
void bench_agent_up(struct bench *b, unsigned int boot);
void bench_agent_down(struct bench *b);
void bench_row(struct bench *b, unsigned int slot, int state);
/* The same with a sentence of the agent's. */
void bench_row_because(struct bench *b, unsigned int slot, int state, const char *text);
/* The end of a table, asked for or not. */
void bench_agent_end(struct bench *b);
void bench_kicked(struct bench *b, unsigned int slot, int rc);
void bench_done(struct bench *b, unsigned int slot, int state, int rc, int failed_at);
void bench_record_done(struct bench *b, const struct record_done *r);
void bench_step(struct bench *b, unsigned int slot, int state, bool startup, int rc);
void bench_plant(struct bench *b, unsigned int slot, struct bench_plant p);

/* A vCPU already plugged by us and at @state, before the test begins. */
void bench_put(struct bench *b, unsigned int slot, int state);

/* Operations. Both return a reference. */
struct op *bench_count_op(struct bench *b, unsigned int count, enum op_policy policy,
			  unsigned int at_least);
struct op *bench_target_op(struct bench *b, unsigned int first, unsigned int last, int target,
			   enum op_policy policy);
struct op *bench_submit(struct bench *b, const struct op_request *r);
struct op *bench_submit_with(struct bench *b, unsigned int count, enum op_policy policy,
			     unsigned int timeout_ms);
/* It ends so; @vcpus: its entries in the order of the plan, "3:ok 4:failed". */
void bench_check(struct bench *b, struct op *o, enum op_result result);
void bench_vcpus(const struct op *o, const char *vcpus);
/* Both, and the reference is given back. */
void bench_ends(struct bench *b, struct op *o, enum op_result result, const char *vcpus);
void bench_states(const struct bench *b, unsigned int first, unsigned int last, int state);
void bench_put_online(struct bench *b, unsigned int first, unsigned int last);
void bench_wait_word(struct bench *b, const char *start);
/* Where a word stands, counted from 0. */
unsigned int bench_place(const struct bench *b, const char *word);

extern const struct bench_plant bench_broken_verify, bench_busy_offline;

/* A walk without the engine. */
struct bench_walk {
	struct hostwalk_outcome outcome;
	unsigned int n_done; /* how often the owner was called */
	bool pending;
};

void bench_walk(struct bench *b, struct bench_walk *w, unsigned int slot, int target,
		bool rollback);

bool bench_is_over(struct bench *b, void *arg);    /* @arg: struct bench_walk */
bool bench_is_at_rest(struct bench *b, void *arg); /* @arg: struct vcpu */
/* It ends so, once, without a failure on the way back, and nothing more is said. */
void bench_walk_ends(struct bench *b, struct bench_walk *w, int rc, int failed_at);

/* Neither side answers by itself but to queries. */
struct bench *bench_by_hand(const struct bench_options *o);
/* A fresh add of vCPU 3 or 4, up to the moment when the agent has just been kicked. */
void bench_climb_to_kick(struct bench *b, struct bench_walk *w, unsigned int slot, int target);
/* vCPU 3 at standby with the agent's consent, and device_del just sent. */
struct bench *bench_start_removal(struct bench_walk *w);

/* Its drift is @text ("" none), and so many were told so far. */
void bench_check_drift(struct bench *b, unsigned int slot, const char *text, unsigned int told);

static inline int bench_state(const struct bench *b, unsigned int slot)
{
	return b->d->vcpus[slot].state;
}

#endif
