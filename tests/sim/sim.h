/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "daemon/domain.h"
#include "proto/frame.h"
#include "proto/session.h"
#include "tests/sim/clock.h"
#include "tests/sim/rng.h"
#include "tests/sim/wire.h"
#include <sys/queue.h>

/*
 * The simulation's parts, and what they know of each other. A simulated domain is a machine
 * (QEMU), a guest (its kernel) and an agent; all three are moved by timers and by the bytes that
 * come. None of them calls the daemon, nor looks into it: that is the checker's.
 */

enum {
	SIM_SLOTS = 8,
	SIM_CALLBACKS = 2, /* at CPUHP_AP_DYN and above */
	SIM_NO_SLOT = 99,
};

struct sim_domain;
struct world;

/* Moments of an operation that faults and expectations refer to. */
enum phase {
	PHASE_SUBMIT, /* the client has asked */
	PHASE_ADMITTED,
	PHASE_ADD_SENT,
	PHASE_ADD_REPLIED,
	PHASE_PRESENT,
	PHASE_KERNEL_ONLINE,
	PHASE_CALLBACK_1,
	PHASE_CALLBACK_N,
	PHASE_ONLINE,
	PHASE_DOWN_SUBMIT,
	PHASE_DOWN_ADMITTED,
	PHASE_DOWN_ACTIVE,
	PHASE_DOWN_CALLBACK_N,
	PHASE_DOWN_CALLBACK_1,
	PHASE_KERNEL_OFFLINE,
	PHASE_STANDBY,
	PHASE_DEL_SENT,
	PHASE_EJECT_AWAITED,
	PHASES
};

const char *phase_name(enum phase p);

/* How the next lines or frames are spoilt. */
enum tamper {
	TAMPER_NONE,
	TAMPER_DROP,
	TAMPER_TWICE,
	TAMPER_LATE,
	TAMPER_SWAP, /* behind the next one */
	TAMPER_TEAR, /* half of it, then the end of the connection */
	TAMPER_NOISE,
};

struct tampering {
	enum tamper how;
	unsigned int left;
	uint64_t late_us;
	uint8_t *held;
	size_t held_len;
};

typedef void (*say_fn)(struct sim_domain *d, const void *bytes, size_t n);

/* One thing to be done later for a domain; forgotten with it. @say: says the bytes. */
struct later {
	struct clock_timer timer;
	LIST_ENTRY(later) link;
	struct sim_domain *d;
	void (*fn)(struct sim_domain *d, uint64_t arg);
	uint64_t arg;
	say_fn say;
	void *bytes;
	size_t n;
};

/* machine.c, qmp-script.c */

enum machine_state { MACHINE_RUNNING, MACHINE_PAUSED, MACHINE_SHUTDOWN, MACHINE_PANICKED };

/**
 * struct slot - one slot of QEMU's
 * @inserting, @removing: the bits of the hotplug registers that the guest reads
 * @added, @deleted: the daemon has sent that since it was last told the table
 */
struct slot {
	bool present, boot, inserting, removing, foreign;
	char id[64];
	int thread;
	int ost_source, ost_status;
	bool added, deleted;
};

enum { COMMANDS_MAX = 128, QMP_IN_MAX = 64 * 1024 };

struct qmp_command {
	char name[40];
	long long id;
	char device[64], driver[64], property[32];
	int core;
};

/**
 * struct machine - a QEMU process, and whoever follows it on the same socket
 * @stopped: SIGSTOP: it reads nothing, answers nothing, and its guest stands still
 * @slow_us: added to the next command's time; @slowed: to that of the one under way
 * @think_us: each command may take that much longer
 * @refuse_add, @refuse_del: so many are answered with an error
 * @table, @cpus: what the two queries answer, kept until something changes; NULL: make it
 */
struct machine {
	struct wire wire;
	struct clock_timer turn, greeting;
	pid_t pid;
	bool kvm, stopped, exited, greeted;
	bool lost; /* a reply, in this connection: it is missed when its deadline is past */
	enum machine_state state;
	struct slot slots[SIM_SLOTS];
	unsigned int boot_cpus;
	bool legacy; /* no guest has left the old interface yet */
	int next_thread;
	struct qmp_command queue[COMMANDS_MAX];
	unsigned int n_queue;
	char in[QMP_IN_MAX];
	size_t in_len;
	char *out;
	size_t out_len, out_room;
	char *table, *cpus;
	struct tampering replies, events;
	uint64_t slow_us;
	bool slowed;
	unsigned int think_us;
	unsigned int refuse_add, refuse_del;
	void (*on_line)(struct sim_domain *d, const char *line); /* a recording's eye, NULL none */
};

void machine_init(struct sim_domain *d, unsigned int boot_cpus, bool kvm);
void machine_done(struct sim_domain *d);
/* A QEMU that has just been started, with its boot vCPUs alone. */
void machine_start(struct sim_domain *d);
void machine_exit(struct sim_domain *d);
void machine_stop(struct sim_domain *d, bool stop); /* SIGSTOP, SIGCONT */
void machine_set_state(struct sim_domain *d, enum machine_state state);
void machine_reset(struct sim_domain *d);
int machine_plug(struct sim_domain *d, unsigned int slot, const char *id, bool foreign);
void machine_unplug(struct sim_domain *d, unsigned int slot);
/* What a guest does at the hotplug registers. */
void machine_ost(struct sim_domain *d, unsigned int slot, int source, int status);
void machine_eject(struct sim_domain *d, unsigned int slot);
void machine_event(struct sim_domain *d, const char *name, const char *data);
bool machine_is_running(const struct sim_domain *d);
/* Something that the queries tell has changed. */
void machine_changed(struct sim_domain *d);

void qmp_script_init(struct sim_domain *d);
void qmp_script_done(struct sim_domain *d);
/* Bytes of a client. */
void qmp_script_take(struct sim_domain *d, const char *bytes, size_t n);
/* Say one line; @event: else a reply. Return: whether its client gets it as it is. */
bool qmp_say(struct sim_domain *d, bool event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void qmp_resume(struct sim_domain *d);
/* The client is hung up on. */
void qmp_hang_up(struct sim_domain *d);

/* guest.c */

/**
 * struct guest_cpu - the kernel's CPU in a slot
 * @busy: it is being brought online or offline until this time
 */
struct guest_cpu {
	bool present, online;
	int cpu; /* the kernel's number, -1 none */
};

enum removal { REMOVAL_ACCEPT, REMOVAL_REFUSE, REMOVAL_IGNORE, REMOVAL_LATE };

/**
 * struct guest - the guest's kernel
 * @up: booted; @hung: nothing in it moves
 * @lock_us: the kernel's hotplug lock is taken until then
 */
struct guest {
	bool up, hung, scan_due;
	unsigned int boots;
	struct guest_cpu cpus[SIM_SLOTS];
	uint64_t lock_us;
	enum removal removal;
	int refusal; /* its _OST status, 0 either of the two */
	unsigned int lose_gpes;
	int refuse_online, refuse_offline; /* so many writes fail */
	struct clock_timer scan, boot;
};

void guest_init(struct sim_domain *d);
void guest_done(struct sim_domain *d);
void guest_boot(struct sim_domain *d, uint64_t after_us);
/* No kernel is there any more. */
void guest_end(struct sim_domain *d);
void guest_hang(struct sim_domain *d, bool hang);
/* QEMU has raised the general purpose event. */
void guest_gpe(struct sim_domain *d);
/* It may go on: whatever stood still is looked at again. */
void guest_wake(struct sim_domain *d);
bool guest_moves(const struct sim_domain *d);
/* Ask the kernel for it; agent_on_kernel() hears when it is so. Return: us it takes. */
uint64_t guest_switch(struct sim_domain *d, unsigned int slot, bool online);
/* Another than the agent does that. */
void guest_switch_foreign(struct sim_domain *d, unsigned int slot, bool online);
void guest_eject(struct sim_domain *d, unsigned int slot);

/* agent.c (port, session, tables), agent-walk.c (kicks) */

enum job_kind { SIM_JOB_NONE, SIM_JOB_KICK, SIM_JOB_ADOPT, SIM_JOB_PARK };

/**
 * struct agent_cpu - what the agent knows of the CPU in a slot
 * @state, @last_kick, @standby_wish, @under_way, @dyn: in its record, which outlives it in this boot
 * @dyn: callbacks that are up, as bits
 * @entered: the step that was entered and not left, 0 none
 */
struct agent_cpu {
	struct sim_domain *owner;
	int state;
	uint32_t last_kick;
	int standby_wish;
	int under_way, entered;
	uint32_t dyn;
	bool taken, foreign;
	int ran_on;
	char text[64];
	enum job_kind job;
	struct walk w;
	struct walk_call call;
	bool rollback;
	int abort_rc;
	uint32_t kick;
	struct clock_timer step;
	bool next_due;
	struct msg_kick next;
	bool done_kept;
	struct record_done done;
};

/* What the agent says that is not so. */
enum lie {
	LIE_NONE,
	LIE_DONE,   /* success at once, and nothing was done */
	LIE_RAN_ON, /* proofs from other CPUs */
	LIE_OLD,    /* results of other kicks, before and after the true one */
	LIE_ROWS,   /* rows of CPUs that do not exist */
	LIE_STATE,  /* done at another state than asked */
};

/*
 * A step of the next walk that fails, so many times as @left. With @rollback_too the walk fails at
 * @second, and its way back at @state.
 */
struct plant {
	int state;
	bool startup;
	int rc;
	bool hang, rollback_too;
	int second;
	unsigned int left;
};

/**
 * struct agent - the agent's process, and its port
 * @arriving: the host's frames as they come, one by one; @in: what becomes of them on their way
 * @frames, @heard: how those to the host, and those from it, are spoilt
 * @flood: frames of one that are still to come; @flooded: and not all of it has been read
 * @paid_us: by then the daemon has let it pay for all that it has said
 */
struct agent {
	struct wire wire;
	bool runs, mute;
	unsigned int starts, version;
	struct session session;
	struct frame_decoder arriving, in;
	uint32_t seq, kick;
	struct agent_cpu cpus[SIM_SLOTS];
	uint8_t batch[FRAME_PAYLOAD_MAX];
	size_t batched;
	struct clock_timer gather, restart;
	struct tampering frames, heard;
	enum lie lie;
	uint64_t old_session;
	struct plant plant;
	unsigned int flood;
	bool flooded;
	uint64_t paid_us;
	struct clock_timer flooding;
};

void agent_init(struct sim_domain *d);
void agent_done(struct sim_domain *d);
void agent_start(struct sim_domain *d);
/* SIGKILL; the record stays. */
void agent_kill(struct sim_domain *d);
/* With the boot: nothing is left of it. */
void agent_forget(struct sim_domain *d);
void agent_message(struct sim_domain *d, int type, const void *msg);
void agent_record(struct sim_domain *d, const struct record *r, bool at_once);
void agent_row(struct sim_domain *d, unsigned int slot);
void agent_send_done(struct sim_domain *d, unsigned int slot);
void agent_flood(struct sim_domain *d, unsigned int frames);
void agent_mute(struct sim_domain *d, bool mute);
/* It has said more than it may at once, and the rest is still to be read. */
bool agent_is_paying(const struct sim_domain *d);
/* Whoever reads it from now on has read nothing yet. */
void agent_met_anew(struct sim_domain *d);

void walk_script_kick(struct sim_domain *d, const struct msg_kick *k);
void walk_script_cancel(struct sim_domain *d, uint32_t kick);
/* What the kernel tells by its events. */
void walk_script_present(struct sim_domain *d, unsigned int slot);
void walk_script_gone(struct sim_domain *d, unsigned int slot);
void walk_script_switched(struct sim_domain *d, unsigned int slot);
/* A new agent looks at what it finds. */
void walk_script_adopt(struct sim_domain *d);
void walk_script_init(struct sim_domain *d);
void walk_script_drop(struct sim_domain *d);
unsigned int callback_state(unsigned int i);

/* domain.c of the simulation */

/**
 * struct sim_domain - one domain of the simulation
 * @rng: of this domain alone, so that others do not change what happens here
 * @trusted: its guest has not lied since it booted, or has told all again since; else only QEMU's part
 *	can be checked
 * @kind: what it is like: from how many vCPUs it boots, whether with KVM, and how it is configured
 * @threads: this process's, by slot, which the vCPUs have and are pinned as; NULL: numbers that are
 *        no threads
 * @deaf: frames were spoilt in this session, which the host cannot know before the next one;
 *        @spoilt: in any
 */
struct sim_domain {
	struct world *world;
	sd_event *event;
	unsigned int number, kind;
	char name[16];
	struct rng rng;
	struct machine m;
	struct guest g;
	struct agent a;
	LIST_HEAD(, later) laters;
	bool trusted, deaf, spoilt;
	const int *threads;
	struct driver *driver;
	struct watch *watch;
};

void sim_later(struct sim_domain *d, uint64_t after_us,
	       void (*fn)(struct sim_domain *d, uint64_t arg), uint64_t arg);
void sim_forget_laters(struct sim_domain *d);

/**
 * tamper() - what becomes of the bytes that are about to be said
 * @say: says them
 * @tear: ends the connection
 *
 * Return: whether they arrive as they are, if not at once.
 */
bool tamper(struct sim_domain *d, struct tampering *t, const void *bytes, size_t n, say_fn say,
	    void (*tear)(struct sim_domain *d));
void tamper_done(struct tampering *t);

/* The sim's parts tell where things stand (world.c hands it to the faults). */
void sim_phase(struct sim_domain *d, enum phase p, unsigned int slot);

/* A breach of what must hold, told by whoever sees it; the run ends. */
void sim_breach(struct sim_domain *d, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A line of the run's log, where one is kept. */
void sim_log(struct sim_domain *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
