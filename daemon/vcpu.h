/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_VCPU_H
#define DAEMON_VCPU_H

#include "daemon/domain.h"
#include "daemon/journal-message.h"

/**
 * struct step_note - a step of the ladder being entered or left
 * @op: it belongs to; @op_tag: the tag of one that may have ended, where @op is NULL
 * @kstep, @kname: the kernel's own step beneath ap:online, -1 for one of ours
 * @told: by the guest, so that those who listen hear 500 a second and what a vCPU's way needs
 * @t_us, @error_us: CLOCK_MONOTONIC of this host and how far off it may be
 */
struct step_note {
	struct op *op;
	uint32_t op_tag;
	int state;
	bool enter, startup, rollback, late;
	int rc;
	int ran_on;
	int kstep;
	const char *kname;
	uint64_t t_us;
	uint64_t error_us;
	const char *text;
	bool told;
};

/* The one setter of a vCPU's state; logs the change and tells the listeners, in a walk at once. */
void vcpu_set_state(struct vcpu *v, int state);

/*
 * A guest can change its word about a vCPU at rest as fast as it likes; who listens is told a few
 * changes at once and then one a second. Whether another may be told now: it is taken for told.
 */
void vcpu_talk_init(struct vcpu *v);
bool vcpu_may_talk(struct vcpu *v);

/* Tell the state, where the last change was left untold and may be told now. */
void vcpu_tell_state(struct vcpu *v);

/* An outcome of this one's, with its state: "web1: vcpu 3: ...". */
void vcpu_log(enum journal_message what, const struct vcpu *v, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The one place where a step becomes an event, a trace record, a time and a count. */
void vcpu_note_step(struct vcpu *v, const struct step_note *note);

/* What QEMU's and the guest's words add up to; -1 unknown. */
int vcpu_observed_state(const struct vcpu *v);

/* A vCPU at rest takes over what is observed; one in a walk is left to the walk. */
void vcpu_settle(struct vcpu *v);

/* This vCPU's entry in @op, or NULL. */
struct op_vcpu *op_find_vcpu(struct op *op, unsigned int vcpu);

/* Our device id: "vhp-<slot>-<8 hex>". */
void vcpu_format_id(char buf[64], unsigned int vcpu, uint32_t tag);
bool vcpu_is_own_id(const char *id, unsigned int vcpu);

/*
 * Its slot, which was empty or had one of ours, is filled by a device that no operation of ours has
 * plugged, with an id or without: that one cannot be removed, like those from boot. On libvirt nobody
 * can tell.
 */
bool vcpu_is_anothers(const struct vcpu *v);
/* The agent is taking it somewhere by itself, and no walk of ours does: where it is now it does not rest. */
bool vcpu_is_on_its_way(const struct vcpu *v);

uint64_t now_us(void); /* CLOCK_MONOTONIC */

/* R14: the walk down succeeded and the slot is really empty. */
void domain_on_removed(struct vcpu *v, struct op *op);

/* A walk whose operation had ended as pending is over; @back: where it is to go then, -1 nowhere. */
void domain_on_settled(struct vcpu *v, int back);
/* An add of an operation that has ended goes back. Return: 0 or -ENOMEM. */
int domain_take_back(struct vcpu *v, int to);
/* What was pending has come to its end: where it is now it is to stay. */
void domain_on_at_rest(struct vcpu *v);

#endif
