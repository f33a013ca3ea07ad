/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HOSTWALK_OPS_H
#define DAEMON_HOSTWALK_OPS_H

#include "daemon/hostwalk.h"
#include "proto/walk.h"

enum { HOST_STEP_ASYNC = 1 };

/* What an outstanding host step waits for. */
enum host_wait {
	WAIT_NOTHING,
	WAIT_PLUG_REPLY,   /* QEMU's answer to device_add: cannot be recalled */
	WAIT_PLACE,        /* libvirt's answer to the pinning: cannot be recalled */
	WAIT_PRESENT,      /* the guest's word that the CPU is there */
	WAIT_KICKED,       /* the agent's hand-over */
	WAIT_UNPLUG_REPLY, /* QEMU's answer to device_del: cannot be recalled */
	WAIT_EJECT,        /* the slot becoming empty: cannot be recalled */
};

/**
 * struct hostwalk - one vCPU's walk, host side
 * @w: the stretch 0..6 below standby
 * @target: where the vCPU goes in the end; above standby that is the agent's part
 * @back: where its operation found the vCPU, which an earlier daemon may have moved from there since
 * @call, @wait: the host step under way
 * @kick: the kick under way, 0 none; @kick_target its target
 * @handed_over: the agent has taken it; @ap_done: and @ap is its result
 * @doubted: that contradicts the guest's own table, which was asked for once more
 * @resent: the kick was sent again in a new session, under its old number; @kick_unsent: it waits
 *          for one, as there was none to send it in; @resent_us: when, where a frame was missed;
 *          @missed: one was since, and that was too soon to send it once more
 * @rekicks: how often a restart of the agent or of the guest has made it begin anew
 * @cancel_rc: asked to fail with this
 * @from_ap: the walk began at or above standby: the kick comes first (R4)
 * @unanswered: the reply to device_add was lost with this error, or says with -EEXIST that the slot
 *              is filled, which no table has shown yet: QEMU's next table decides
 * @unsent: device_del could not be sent: QEMU's socket is away; it is sent at the next table
 * @unasked: the failed teardown is the host's own: device_del could not be made, or a pin not undone
 * @refused: the guest said no by _OST; @reissued: the eject is past its first deadline
 * @asking: it is to be asked for once more when QEMU's table still has it
 * @strayed: a worker's step that succeeded has reported another CPU than the vCPU's, 0 none (R1);
 *           @strayed_to: that CPU
 * @text: the reason of what failed last; @why: of what failed first
 * @asked_before: an earlier daemon has sent device_del
 * @left: the device it was about has left QEMU: what is in the slot is another's
 * @told_pending: the operation has been told and has gone on; nobody waits for @done any more
 */
struct hostwalk {
	struct vcpu *v;
	struct op *op;
	struct walk w;
	int from;
	int target;
	int back;
	bool rollback;
	bool from_ap;
	struct walk_call call;
	enum host_wait wait;
	uint32_t kick;
	int kick_target;
	bool handed_over, ap_done, doubted;
	bool resent, kick_unsent, missed;
	uint64_t resent_us;
	unsigned int rekicks;
	int strayed, strayed_to;
	struct record_done ap;
	int cancel_rc;
	int unanswered;
	bool unsent, unasked, refused, reissued, asking;
	bool told_pending, firmware_answered, asked_before, left;
	char text[OP_TEXT_MAX], why[OP_TEXT_MAX];
	struct hostwalk_outcome outcome;
	sd_event_source *timer;
	sd_event_source *finish;
	hostwalk_done_fn done;
	void *ctx;
};

/* One callback of the host's side: 0 or -errno at once, or HOST_STEP_ASYNC. */
typedef int (*host_step_fn)(struct hostwalk *h);

struct host_step_ops {
	host_step_fn startup, teardown;
};

extern const struct host_step_ops host_steps[CPUHP_STANDBY + 1];

/* Send a fresh kick that takes the agent to h->kick_target. Return: 0, or -errno and the next session gets it. */
int host_kick(struct hostwalk *h);

/* Send device_del; h->wait says what is waited for then. Return: 0 or -errno. */
int host_unplug(struct hostwalk *h);

/* Send it once more; what QEMU says to that changes nothing. */
void host_unplug_again(struct hostwalk *h);

/* Say that the answer to the plug was lost, and so by whom. */
void host_say_unanswered(struct hostwalk *h);
void host_say_filled(struct hostwalk *h);

/* R4: at or above standby the kick comes first. One that cannot be sent ends the walk there. */
void hostwalk_kick_first(struct hostwalk *h);

/* The kick that waits for a session has waited long enough. */
void hostwalk_no_session(struct hostwalk *h);

/* Ask the agent to give the kick back, and wait for it for so long. */
void hostwalk_recall(struct hostwalk *h);

/* h->ap is the kick's result: go on with it, or end. */
void hostwalk_take_result(struct hostwalk *h);

/*
 * A removal that was refused is back at standby for the host, and its agent, which had found the CPU
 * further up, is still at the kick for that: the next one waits until it is not.
 */
bool hostwalk_awaits_standby(struct hostwalk *h);
/* The host's own stretch is over: with an error, at standby with a kick out, or down where asked. */
void hostwalk_finish_walk(struct hostwalk *h);

/* Run what the walker gives next, up to a step that has to be waited for, or the end. */
void hostwalk_run(struct hostwalk *h);

/* The walk is over; its owner hears of it from the event loop. */
void hostwalk_finish(struct hostwalk *h, int rc, int failed_at, bool teardown);

/* The walk has come to @state. Where the walk's word does not count, that changes nothing. */
void hostwalk_reach(struct hostwalk *h, int state);

/* The step h->call is entered or left. */
void hostwalk_note(struct hostwalk *h, bool enter, int rc);

/* The outstanding step is over. */
void hostwalk_complete(struct hostwalk *h, int rc);

/* The outstanding step is past its last deadline and cannot be recalled. */
void hostwalk_tell_pending(struct hostwalk *h);

/* A walk of a vCPU that has none, with its first step still to be taken. NULL: out of memory. */
struct hostwalk *hostwalk_make(struct vcpu *v, struct op *op, int from, int target);

/*
 * Where the vCPU goes when a walk that nobody waits for has come to its end: an add goes back to where
 * it came from; -1: all else stays where it is then.
 */
int hostwalk_back(const struct hostwalk *h);

/* The eject has not come in time: ask QEMU, and the guest once more. */
void hostwalk_eject_late(struct hostwalk *h);

/* The guest was reset, and may have lost the request: the same. */
void hostwalk_eject_anew(struct hostwalk *h);

/* Arm the walk's one timer; h->wait tells what has run out. */
int hostwalk_arm(struct hostwalk *h, unsigned int ms);

__attribute__((format(printf, 2, 3))) void hostwalk_say(struct hostwalk *h, const char *format,
							...);

#endif
