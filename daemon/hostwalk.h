/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HOSTWALK_H
#define DAEMON_HOSTWALK_H

#include "daemon/vcpu.h"

/**
 * struct hostwalk_outcome - how a vCPU's walk ended
 * @rc: 0, or the error of the step that failed
 * @pending: a step that cannot be recalled is still out; the walk goes on by itself and
 *           domain_on_settled() hears of its end
 * @teardown: the step that failed was a teardown: the guest or QEMU refused to let go
 * @unasked: but it failed before anybody was asked: nobody has refused anything
 * @failed_at: -1 none
 * @rollback_rc, @rollback_failed_at: 0 and -1, or why the way back failed too (stuck)
 * @text: a reason, or ""
 */
struct hostwalk_outcome {
	int rc;
	bool pending;
	bool teardown;
	bool unasked;
	int failed_at;
	int rollback_rc;
	int rollback_failed_at;
	char text[OP_TEXT_MAX];
};

typedef void (*hostwalk_done_fn)(void *ctx, struct vcpu *v, const struct hostwalk_outcome *o);

/**
 * hostwalk_start() - begin to take a vCPU from where it is to @target
 * @v: at rest (no walk; asserted), its state known
 * @op: whose operation this is; a reference is taken; NULL none
 * @target: CPUHP_OFFLINE .. CPUHP_ONLINE
 * @rollback: the walk undoes an earlier one: states marked skip_rollback are passed
 * @done: called once: from the event loop, or, as pending, from inside hostwalk_cancel(); never
 *        from inside this call, though the first step is taken in it
 *
 * Return: 0, or -ENOMEM.
 */
int hostwalk_start(struct vcpu *v, struct op *op, int target, bool rollback, hostwalk_done_fn done,
		   void *ctx);

/**
 * hostwalk_await() - watch a removal that an earlier daemon has asked for
 * @v: at rest and in QEMU
 *
 * As of a walk whose operation has been told "pending": it ends when the slot is empty or the guest
 * refuses, and domain_on_settled() hears of it. device_del is sent again only after the soft
 * deadline and a fresh table.
 *
 * Return: 0 or -ENOMEM.
 */
int hostwalk_await(struct vcpu *v);

/**
 * hostwalk_go_on_removing() - a removal that an earlier daemon has asked for, in an operation that runs
 *
 * As hostwalk_start() to CPUHP_OFFLINE, but the agent is not asked any more. QEMU is asked once more
 * at once, for nobody knows whether it was; what it says to that changes nothing.
 *
 * Return: 0 or -ENOMEM.
 */
int hostwalk_go_on_removing(struct vcpu *v, struct op *op, hostwalk_done_fn done, void *ctx);

/* device_del is out, or about to be: there is no way back up but the guest's refusal (R9). */
bool hostwalk_is_leaving(const struct vcpu *v);

/* It has failed and goes back by itself, which its owner hears of at the end: how. */
bool hostwalk_is_going_back(const struct vcpu *v, struct hostwalk_outcome *ret);

/**
 * hostwalk_pending() - what of a walk outlives its operation
 * @ret_leaving: it is being removed, unconfirmed
 * @ret_returning: a plug goes back, to @ret_back
 *
 * All are left as they are where there is nothing of the kind.
 */
void hostwalk_pending(const struct vcpu *v, bool *ret_leaving, bool *ret_returning, int *ret_back);

/**
 * hostwalk_says() - whether a vCPU is where its walk says
 *
 * Else it is where QEMU and the guest say: nobody waits for the walk any more, it waits for the
 * guest to let go of the vCPU, or the agent that has the ladder is not heard.
 */
bool hostwalk_says(const struct vcpu *v);

/* The agent's own account of a kick that failed, as an outcome. */
void hostwalk_read_result(const struct record_done *r, bool teardown, struct hostwalk_outcome *ret);

/* Fail the walk with @rc at the next point where that is possible; the way back runs (R8). */
void hostwalk_cancel(struct vcpu *v, int rc);

/* Drop a walk without a word: the VM is gone, or the domain is being freed. */
void hostwalk_drop(struct vcpu *v);

/* What the domain hears, passed on to a vCPU in a walk; each is ignored when it does not matter. */
void hostwalk_on_table(struct vcpu *v);
void hostwalk_on_ost(struct vcpu *v, int source, int status);
void hostwalk_on_guest(struct vcpu *v);
void hostwalk_on_kicked(struct vcpu *v, const struct msg_kicked *m);
void hostwalk_on_done(struct vcpu *v, const struct record_done *r);
void hostwalk_on_step(struct vcpu *v, const struct record_step *r);
/* A new session has told its whole table; the kick's answers may be lost with the old one.
 * @same_boot: no reset in between. */
void hostwalk_on_session(struct vcpu *v, bool same_boot);

/* A frame of the session was lost: the kick's answers may have been in it. */
void hostwalk_on_missed(struct vcpu *v);
/* Each tick: what was put off. */
void hostwalk_on_tick(struct vcpu *v);
/* The guest's whole table has been told. */
void hostwalk_on_told(struct vcpu *v);

/* The operation on whose behalf kick @kick runs, or NULL when it is not this walk's. */
struct op *hostwalk_op_of(const struct vcpu *v, uint32_t kick);

/* A device_add was answered by the guest (OneByOne=) or will not be. */
bool hostwalk_is_settled_in_firmware(const struct vcpu *v);

#endif
