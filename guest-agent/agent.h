/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_H
#define AGENT_H

#include "guest-agent/agent-config.h"
#include "guest-agent/announce.h"
#include "guest-agent/bootrec.h"
#include "guest-agent/callback.h"
#include "guest-agent/expedite.h"
#include "guest-agent/handover.h"
#include "guest-agent/ktrace.h"
#include "guest-agent/load.h"
#include "guest-agent/log.h"
#include "guest-agent/outbox.h"
#include "guest-agent/place.h"
#include "guest-agent/seam.h"
#include "proto/cpulist.h"
#include "proto/frame.h"
#include "proto/ladder.h"
#include "proto/msg.h"
#include "proto/session.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* AGENT_LOG_MS: how long a line waits at most. SPARES: what a batch of the usual size needs. */
enum {
	AGENT_CPUS_MAX = BOOTREC_CPUS,
	AGENT_TEXT = MSG_TEXT_MAX + 1,
	AGENT_LOG_MS = 100,
	SPARES = 8
};

/**
 * enum job_kind - why a CPU is in transition
 * @JOB_NONE: it rests
 * @JOB_KICK: the host asked
 * @JOB_ADOPT: found online (R19)
 * @JOB_PARK: found online although it was put to standby
 * @JOB_INVOKE: one callback alone (R13), for a registration (R12)
 * @JOB_LATE: taken away while it rested
 */
enum job_kind { JOB_NONE, JOB_KICK, JOB_ADOPT, JOB_PARK, JOB_INVOKE, JOB_LATE };

/**
 * struct job - a CPU in transition
 * @slot: the CPU's when it began, or the kick's: another may have its number by the end
 * @h: the walk; control's copy of the truth, whoever runs it
 * @call: the call under way, valid while @in_step
 * @at_worker: the walk is handed over; until the worker's completion only it moves the walk
 * @taken: the CPU went away meanwhile
 * @abort_rc: fail between two steps with this (cancel, deadline), 0 no
 * @deadline_ms: now_ms(), of the whole walk as the host gave it, 0 none
 * @step_deadline_ms: of the step or the silence between two, 0 none
 * @ticket: place in the queue for the kernel write
 * @period: the time online that the kernel's online makes, 0 not seen yet
 * @resume: adoption: where the record of this boot says it stood, taken up after ap:threads
 * @doubt: adoption: the call that was under way in an agent that was killed, 0 none
 * @ladder_later: nobody watches the kernel's steps
 * @overdue: what is under way passed its deadline and cannot be ended: a kernel write that still
 *           runs, or a worker that was killed and is still there; nothing can be done beside it
 * @respawns: workers lost in this walk
 * @rc, @failed_at: what began a rollback, where the walk alone does not say it
 * @text: the reason, for DONE
 */
struct job {
	enum job_kind kind;
	uint16_t slot;
	struct handover h;
	struct walk_call call;
	bool in_step;
	bool at_worker;
	bool taken;
	int abort_rc;
	uint64_t deadline_ms;
	uint64_t step_deadline_ms;
	uint64_t ticket;
	uint64_t period;
	int resume;
	int doubt;
	bool ladder_later;
	bool overdue;
	unsigned int respawns;
	int rc;
	int failed_at;
	char text[AGENT_TEXT];
};

/**
 * struct worker - the hotplug worker of a CPU, a child process; there is none while nothing moves
 * @pid: 0 none
 * @fd: our end of its socket, -1 once it was told to leave or killed
 * @ready: it proved that it runs there
 * @leaving: it was told to leave
 * @kill_rc: what its death counts as where we killed it
 */
struct worker {
	pid_t pid;
	int fd;
	bool ready;
	bool leaving;
	int kill_rc;
};

/**
 * struct cpu - one row of the CPU table
 * @cpu: the guest's number
 * @slot: the host's, MSG_NO_SLOT unknown
 * @left_slot: that of the CPU that had this number before, whose going is still to be told; else MSG_NO_SLOT
 * @device: which device that is (cpulook.h), 0 none
 * @coming: an event said that it comes, and it was not looked at since
 * @leaving: an event said that it goes, and it was there still
 * @online: the kernel has it online, as last heard
 * @period: which time online that is (cpulook.h)
 * @state_period: the one in which @state was reached, where that is above standby
 * @active, @resting: announced as in service, or as at standby
 * @awaited: it came while kicks are to come, and none has come for it: it is not said to rest
 * @state: highest state whose startup is done; set by cpu_set_state() alone, and from the record
 * @restored: @state is what an agent before this one left, and was not looked after yet
 * @doubt: a state whose callback that one had begun, until the agent's own job has seen to it
 * @ran_on: where its worker last proved itself, -1 never
 * @dyn_done: callbacks whose startup is done on it
 * @stored: what the record holds of it, where @is_stored; a worker writes there too
 * @standby_wish: 0 none, 1 it was asked to rest, 2 and was parked again once since
 * @fail_state, @fail_rc: armed failure (R18)
 * @trace_ns: since when the kernel's steps on it are reported, CLOCK_MONOTONIC, 0 they are not
 * @trace_end_ns: and until when, 0 the write for them is under way
 * @trace_kick: for which kick
 * @text: why it rests below online although the kernel has it, or ""
 * @row_due, @done_due: to be sent
 * @done_kept: @done holds a result that was not acknowledged
 * @leftover: of a callback whose worker died, until the next worker has seen to it
 * @load: it at the last report of the load
 * @placed: its time online when control was placed last (place.h), 0 it was offline
 * @next_due: @next waits, for the agent's own job on this CPU or a registration to end
 * @next_deadline_ms: now_ms(), of @next, 0 none
 */
struct cpu {
	int cpu;
	uint16_t slot;
	uint16_t left_slot;
	uint64_t device;
	bool present;
	bool coming;
	bool leaving;
	bool online;
	uint64_t period;
	uint64_t state_period;
	bool taken;
	bool foreign;
	bool active;
	bool resting;
	bool awaited;
	bool restored;
	int state;
	int doubt;
	int ran_on;
	uint32_t dyn_done;
	struct bootrec_row stored;
	bool is_stored;
	uint32_t last_kick;
	uint8_t standby_wish;
	int fail_state;
	int fail_rc;
	uint64_t trace_ns;
	uint64_t trace_end_ns;
	uint32_t trace_kick;
	char text[AGENT_TEXT];
	bool row_due;
	bool done_due;
	bool done_kept;
	bool next_due;
	struct record_done done;
	struct msg_kick next;
	uint64_t next_deadline_ms;
	struct job job;
	struct worker worker;
	struct process_group leftover;
	struct load_mark load;
	uint64_t placed;
};

/**
 * struct registry - the registered callbacks, one to a dynamic state
 * @names: "" where none stands
 * @fds: the program as registered, kept open so that a teardown can run when its file is gone
 * @rows_due: bit i: what stands at state 12 + i is to be sent
 * @scan_due: look at the folder as soon as nothing walks
 * @list: what the last look found
 * @tried: those of them that have had their turn
 * @at_work: @list is being worked through
 * @at: the state a registration is at work on, 0 none
 * @invoked: its CPUs have been asked
 * @removing: it is unregistered
 * @undoing: the registration failed and is taken back
 * @pending: CPUs that have not answered
 * @rc: the first failure
 */
struct registry {
	char names[CALLBACKS_MAX][CALLBACK_NAME_MAX + 1];
	int fds[CALLBACKS_MAX];
	uint32_t rows_due;
	bool scan_due;
	struct callback_list list;
	struct cpulist tried;
	bool at_work;
	int at;
	bool invoked;
	bool removing;
	bool undoing;
	unsigned int pending;
	int rc;
};

/**
 * struct writer - the process that does the kernel's online and offline
 * @pid: 0 none
 * @cpu: whose write is under way, -1 none
 * @came_ms: when a CPU came last, 0 a write has begun since
 * @hold_ms: until when the queue waits because of that, 0 it does not
 * @hold_end_ms: what is no more put off
 * @tickets: the last given
 */
struct writer {
	pid_t pid;
	int fd;
	int cpu;
	uint64_t came_ms;
	uint64_t hold_ms;
	uint64_t hold_end_ms;
	uint64_t tickets;
};

/**
 * struct kladder - the kernel's own ladder
 * @setup_pid: the process that prepares it, 0 none
 * @wait_ms: until when kernel writes wait for that, 0 they do not
 * @ready: it can be read
 * @rc: why it is unavailable, 0 it is not
 * @told: a host has heard that
 * @unread: writes that have returned since it was read last
 * @unread_max: so many at most; less where a write has more steps than there is room for
 */
struct kladder {
	pid_t setup_pid;
	uint64_t wait_ms;
	bool ready;
	int rc;
	bool told;
	struct ktrace trace;
	struct kstep_names names;
	uint64_t tick_ms;
	unsigned int unread, unread_max;
};

/**
 * struct link - the port and what is spoken over it
 * @fd: -1 while the port is missing or in another agent's hands
 * @host_gone: no host is connected (the port said so)
 * @readable: bytes may wait in it; edge-triggered, so this is remembered
 * @wants_out: EPOLLOUT is asked for
 * @retry_ms: when to try to open it again, 0 upon the next uevent
 * @said: the last reason for having no port, said once
 * @tries: to open it since it is known but has no device node
 * @objected: it was said that the host speaks no version of ours
 * @urgent: somebody waits for some of what is queued
 * @gather_ms: until when the rest is gathered, 0 nothing waits
 * @query_at: next row of the answer to QUERY, -1 none due
 */
struct link {
	int fd;
	bool host_gone;
	bool readable;
	bool wants_out;
	uint64_t retry_ms;
	int said;
	unsigned int tries;
	bool objected;
	bool urgent;
	uint64_t gather_ms;
	int query_at;
	struct session session;
	struct frame_decoder in;
	struct outbox out;
};

/**
 * struct agent - all there is
 * @scanned: the first look at all CPUs is over
 * @cpu_folder: what cpulook.h looks into
 * @look_ms: when to look again at the CPUs that are coming or leaving; else void
 * @look_wait_ms: how long that was put off for those that are leaving
 * @has_come: the uevents that were heard last told of a CPU that comes
 * @uevents_ms: when they are heard again while CPUs gather (loop.c), 0 at once
 * @together_ms: and when at last
 * @log_ms: when to write the log although a batch is on (finish.h), 0 nothing new is in it
 * @rest_ms: when to do what can wait while nothing moves, 0 at once
 * @spares: workers forked ahead, of no CPU yet; pid 0 where there is none
 * @spares_due: some may be missing; not for those that died by themselves
 * @sysfs: the kernel's own list says which CPUs are online (cpulook.h)
 * @cpus: @possible rows
 */
struct agent {
	int root;
	int cpu_folder;
	int lock;
	int epoll;
	int signals;
	int uevents;
	bool allow_faults;
	bool stop;
	bool hotplug;
	bool udev_onlines;
	bool scanned;
	uint64_t look_ms;
	unsigned int look_wait_ms;
	bool has_come;
	uint64_t uevents_ms;
	uint64_t together_ms;
	uint64_t log_ms;
	int possible;
	bool sysfs;
	uint8_t boot_id[16];
	struct agent_config config;
	const struct seam *seam;
	struct bootrec record;
	struct expedite expedite;
	struct load load;
	struct writer writer;
	struct registry registry;
	struct worker spares[SPARES];
	bool spares_due;
	uint32_t handovers;
	unsigned int jobs;
	uint64_t rest_ms;
	bool announce_due;
	bool said_any;
	/* Children have nothing of what follows (pages.h); pages may be larger, which makes less of it. */
	_Alignas(4096) struct log log;
	struct kladder kladder;
	struct place place;
	struct link link;
	struct announcer announcer;
	struct announcement said;
	struct cpu *cpus;
};

/* What woke the loop: kind and, for a worker, its CPU. */
enum source { SOURCE_SIGNAL, SOURCE_PORT, SOURCE_UEVENT, SOURCE_WRITER, SOURCE_WORKER };

int agent_watch(struct agent *a, int fd, uint32_t events, enum source source, int cpu);

uint64_t now_ns(void);
uint64_t now_ms(void);

/* One line on standard error, when nothing moves or a little later. */
void agent_log(struct agent *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line as it is. */
void agent_log_text(struct agent *a, const char *text);

/* The same, and a log record for the host; @level is a syslog(3) priority. */
void agent_tell(struct agent *a, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define for_each_cpu(a, c) for (struct cpu *c = (a)->cpus; c < (a)->cpus + (a)->possible; c++)

#endif
