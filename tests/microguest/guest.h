/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MICROGUEST_GUEST_H
#define MICROGUEST_GUEST_H

#include "guest-agent/outbox.h"
#include "proto/frame.h"
#include "proto/msg.h"
#include "proto/session.h"
#include "proto/walk.h"
#include "tests/microguest/behaviour.h"
#include "tests/microguest/worker.h"

/*
 * Theory of operation
 *
 * A guest without an operating system that real KVM runs: firmware, kernel and agent in one. The boot
 * vCPU is the kernel's CPU hotplug (slots.c, at QEMU's registers) and the agent's main loop (link.c,
 * kick.c, job.c); each added vCPU is started by INIT and start-up IPI and is its own worker
 * (worker.c): it takes the walk, calls the startups and teardowns of its states in itself, and says
 * by its own APIC where it ran. What travels is made and read by proto/ alone, and the walks are
 * proto/'s walker's.
 *
 * The boot vCPU never waits: it looks at everything there is in turn and halts until its timer or
 * another vCPU wakes it. Nothing of a CPU is touched by both sides at once: the walk belongs to
 * the vCPU from an order until its answer, or until an INIT has stopped it.
 *
 * What it does wrong is chosen by words on its console (behaviour.h).
 */

enum {
	CPUS_MAX = 32,
	TEXT = 128,
	NOBODY = 0xffff,
	BUSY_NS = 50 * 1000000, /* after something came, look often */
};

/* What the boot vCPU waits for in a walk. */
enum awaited {
	AWAITS_NOTHING,
	AWAITS_START, /* the vCPU's first word */
	AWAITS_PROOF,
	AWAITS_LEAVE,
	AWAITS_WALK, /* the walk is the worker's */
};

/**
 * struct cpu - one slot of the machine, and the CPU in it
 * @number: the guest's own number, which is not the slot's
 * @walking: a kick is at work on it
 * @run: a kick's walk: which states have callbacks, what is armed
 * @awaits: of the call that is under way
 * @started: for this ap:online
 * @deadline_ns: of that call, 0 none
 * @abort_rc: what the walk is to fail with between two steps, 0 nothing
 * @starts: how often it was started, ever
 */
struct cpu {
	uint16_t slot;
	uint16_t number;
	uint32_t apic;
	bool present;
	bool online;
	bool taken;
	bool parked;
	uint8_t state;
	uint16_t ran_on;
	uint32_t last_kick;
	bool row_due, done_kept, done_due;
	struct record_done done;

	bool walking;
	struct msg_kick kick;
	struct run run;
	enum awaited awaits;
	struct walk_call call;
	bool started;
	uint64_t deadline_ns;
	int abort_rc;
	char text[TEXT];

	uint32_t starts;
	struct worker worker;
};

struct link {
	bool connected;
	bool urgent;
	struct session session;
	struct frame_decoder in;
	struct outbox out;
	int query_at;
	uint64_t gather_ns;
	uint64_t random;
};

struct guest {
	unsigned int slots;
	unsigned int looked_at;
	uint64_t busy_until_ns;
	uint32_t highest_kick;
	uint8_t boot_id[16];
	struct behaviour behaviour;
	struct link link;
	struct cpu cpus[CPUS_MAX]; /* by slot */
	struct record_done last_done;
};

#define for_each_cpu(g, c) for (struct cpu *c = (g)->cpus; c < (g)->cpus + (g)->slots; c++)

/* link.c: the port, the session, and what is due to be said. */
void link_init(struct guest *g);
void link_turn(struct guest *g);
void link_answer(struct guest *g, int type, const void *msg);
void link_report(struct guest *g, const struct record *r);
/* Everything queued goes now and not with what follows. */
void link_hurry(struct guest *g);

/* slots.c: what a kernel does at the hotplug registers. */
void slots_init(struct guest *g);
void slots_turn(struct guest *g);
/* Let a CPU go that nobody asked for. */
void slots_drop(struct guest *g, struct cpu *c);

/* kick.c: the host's requests. */
void kick_on_kick(struct guest *g, const struct msg_kick *k);
void kick_on_cancel(struct guest *g, const struct msg_cancel *m);
void kick_on_ack(struct guest *g, const struct msg_ack *m);
void kick_on_arm(struct guest *g, const struct msg_arm *m);

/* job.c: the walk of a kick. It begins with the next turn: the answer to the kick goes first. */
void job_begin(struct guest *g, struct cpu *c);
void job_turn(struct guest *g, struct cpu *c);
void job_cancel(struct cpu *c, int rc);
/* The CPU goes away in the middle of it. */
void job_lose(struct guest *g, struct cpu *c);
void job_report_step(struct guest *g, const struct cpu *c, const struct note *n);
void job_finish(struct guest *g, struct cpu *c);

/* lie.c */
void lie_instead_of_walking(struct guest *g, struct cpu *c);
void lie_beside_kicked(struct guest *g, struct cpu *c);
void lie_about_rows(struct guest *g);
uint16_t lie_about_place(const struct guest *g, uint16_t ran_on);

/* command.c */
void command_turn(struct guest *g);

void text_copy(char *to, size_t size, const char *from);

#endif
