/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_OUTBOX_H
#define AGENT_OUTBOX_H

#include "proto/frame.h"
#include "proto/msg.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	OUTBOX_SIZE = 96 << 10,
	/* Progress may fill the queue up to here; the rest is for answers. */
	OUTBOX_PROGRESS = OUTBOX_SIZE / 3,
};

/**
 * struct outbox - frames on their way to the host; fixed size, no allocation
 *
 * Records are gathered into a batch that becomes one REPORT frame when it is full or closed.
 *
 * @queue: whole frames, but for the first, of which @sent bytes have gone
 * @batch: payload of the REPORT being filled
 * @session: what the frames carry
 * @dropped: records of steps and log lines that found no room
 */
struct outbox {
	uint8_t queue[OUTBOX_SIZE];
	size_t used;
	size_t sent;
	uint8_t batch[FRAME_PAYLOAD_MAX];
	size_t batched;
	uint64_t session;
	uint32_t seq;
	uint64_t dropped;
};

void outbox_init(struct outbox *o);

/* Drop all that is queued but the rest of a frame that has begun to go out. */
void outbox_void(struct outbox *o);

/* @n bytes of zero: what ends a torn frame of a predecessor. Return: 0 or -ENOBUFS. */
int outbox_pad(struct outbox *o, size_t n);

/**
 * outbox_message() - queue a message other than REPORT, behind the records so far
 *
 * Return: 0 or -ENOBUFS. A caller that asked outbox_has_room() first is never refused.
 */
int outbox_message(struct outbox *o, int type, const void *msg);

/* Room for one more request's answer. */
bool outbox_has_room(const struct outbox *o);

/**
 * outbox_record() - add a record to the batch
 * @progress: it may be dropped (and is counted) where the host does not read
 *
 * Return: 0, or -ENOBUFS: not taken.
 */
int outbox_record(struct outbox *o, const struct record *r, bool progress);

/* Make a frame of the batch. */
void outbox_close_batch(struct outbox *o);

/* The bytes to write next; call outbox_written() with what went. */
const uint8_t *outbox_bytes(const struct outbox *o, size_t *ret_len);
void outbox_written(struct outbox *o, size_t n);

#endif
