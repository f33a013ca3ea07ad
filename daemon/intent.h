/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_INTENT_H
#define DAEMON_INTENT_H

#include "daemon/op.h"

/*
 * What the next daemon must know of a domain and can ask neither QEMU nor the guest, as numbers and
 * as bytes. Keeping the bytes is intent-file.c's.
 */

enum {
	INTENT_VERSION = 2,
	INTENT_HEADER = 32,
	INTENT_ENDED_MAX = 8,
	/* and those that wait, the one that runs, or is being admitted */
	INTENT_OPS_MAX = INTENT_ENDED_MAX + OP_QUEUE_MAX + 1,
	INTENT_BYTES_MAX = 4 << 20, /* of one slot */
};

/**
 * struct intent_run - which run of a VM this is about
 * @host_boot: of the host; CLOCK_MONOTONIC and process numbers mean nothing in another
 * @known: QEMU had been seen; else nothing below counts
 * @pid, @pid_started: the process behind QEMU's socket and the kernel's tick of its start, 0 unknown
 */
struct intent_run {
	uint8_t host_boot[16];
	bool known;
	char uuid[40];
	unsigned int maximum;
	int libvirt_id;
	int pid;
	uint64_t pid_started;
};

/**
 * struct intent_vcpu - what stands of a slot, whatever runs
 * @wish: where it is wished to be, -1 nothing is wished
 * @owned: this daemon's kind plugged it, where its device id does not say so
 * @leaving: device_del was sent in an operation that has ended, and nobody has confirmed it
 * @returning: it was added in an operation that had ended by then, and goes back to @back
 */
struct intent_vcpu {
	int wish;
	bool owned, leaving, returning;
	int back;
};

enum intent_stage {
	INTENT_QUEUED,   /* accepted; nothing has been done for it */
	INTENT_CLIMBING, /* its vCPUs go to their goals; nothing was taken away from QEMU */
	INTENT_SETTLING, /* the decision has been made, and its goals are final: removals, or the way back */
	INTENT_ENDED, /* @result and what belongs to it are final */
};

enum { INTENT_DYNS = CPUHP_AP_DYN_END - CPUHP_AP_DYN + 1 };

/* A vCPU of an operation: of struct move and struct op_vcpu what does not show by looking. @owned,
 * @asked: as there; the latter also where device_del was about to be sent. */
struct intent_move {
	unsigned int vcpu;
	int from, to, goal, at;
	bool started, undoing, failed, refused, called_back, pending, stuck, gone, owned, asked;
	int cpu, state, ran_on;
	enum vcpu_result result;
	int failed_at, rc, rollback_failed_at, rollback_rc;
	char failed_name[MSG_NAME_MAX + 16];
	char error[OP_TEXT_MAX];
	uint64_t step_us[CPUHP_STATES];
};

/**
 * struct intent_op - an operation; times are CLOCK_MONOTONIC
 * @stop_rc: it was being stopped: -ECANCELED, -ETIMEDOUT; 0 not
 * @kick_base: the highest kick number before its first, so its own are above
 * @refused_by: as in struct plan, NULL none
 * @dyn_names: as in struct op, "" none
 * @moves: @n_moves, owned; none where it is queued
 */
struct intent_op {
	enum intent_stage stage;
	char id[MSG_OP_MAX + 1];
	struct op_request request;
	uint64_t accepted_us, accepted_realtime_us, deadline_us, ended_us;
	bool stretched, planned_anew, denied;
	enum request_error denial;
	int stop_rc;
	uint32_t kick_base;
	enum op_result result;
	const char *refused_by;
	char error[OP_TEXT_MAX], warning[OP_TEXT_MAX];
	struct persist_outcome persist;
	struct vcpu_counts counts;
	char dyn_names[INTENT_DYNS][MSG_NAME_MAX + 1];
	unsigned int n_moves;
	struct intent_move *moves;
};

/* An operation as it stands in a slot. */
struct intent_bytes {
	size_t n;
	uint8_t data[];
};

/**
 * struct intent - all of a domain
 * @guest_boot: the guest's boot id that the wishes and kick numbers belong to; all 0 unknown
 * @vcpus: @n_vcpus, owned; none before QEMU was seen
 * @ended: @n_ended, to be written before @ops and never read: the caller's; of what has ended nothing
 *         changes any more, and it is written with every change of what has not
 * @ops: @n_ops, owned: the last that have ended, the one that runs, and those that wait, in this order
 */
struct intent {
	uint64_t seq;
	struct intent_run run;
	uint8_t guest_boot[16];
	unsigned int n_vcpus;
	struct intent_vcpu *vcpus;
	unsigned int n_ended;
	const struct intent_bytes *ended[INTENT_ENDED_MAX];
	unsigned int n_ops;
	struct intent_op *ops;
};

/* Frees what @i owns; @i itself is the caller's. */
void intent_done(struct intent *i);

/* For struct intent's @ended. @ret: the caller's, free(). Return: 0; -ENOMEM; -ENOBUFS as intent_encode(). */
int intent_encode_op(struct intent_op *o, struct intent_bytes **ret);

/* An upper bound of what intent_encode() needs. */
size_t intent_size(const struct intent *i);

/**
 * intent_encode() - bytes of a slot: header, CRC32C and all
 * @i: left as it is, but where it does not fit or has a number out of range
 *
 * Return: how many, or -ENOBUFS.
 */
int intent_encode(struct intent *i, uint8_t *out, size_t size);

/**
 * intent_decode() - read a slot
 * @data: @size bytes of it; what follows its own length does not count
 * @ret: returned to the caller, intent_done(); untouched on error
 *
 * Every number is checked against its range, whoever wrote it.
 *
 * Return: 0; -ENODATA never written; -EBADMSG torn, damaged or out of range; -EPROTONOSUPPORT or, where nothing was under way, -ESTALE of
 * another version, where something was under way, and -ESTALE, where nothing was; -ENOMEM.
 */
int intent_decode(const uint8_t *data, size_t size, struct intent *ret);

/**
 * intent_newest() - of two slots the one that counts
 *
 * One that is torn or damaged leaves the other, which is the state before that write. Beside one of
 * another version neither counts, unless that one is the older and had nothing under way.
 *
 * Return: 0 or 1, the slot that was read; or what intent_decode() says of the better one.
 */
int intent_newest(const uint8_t *data, size_t slot_size, struct intent *ret);

/* intent-run.c: is @now the run that @then was about? A number that one of them does not know decides nothing. */
bool intent_is_same_run(const struct intent_run *then, const struct intent_run *now);

#endif
