/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "guest-agent/outbox.h"
#include "proto/wire.h"
#include <errno.h>
#include <string.h>

void outbox_init(struct outbox *o)
{
	o->used = o->sent = o->batched = 0;
	o->session = 0;
	o->seq = 0;
	o->dropped = 0;
}

/* Length of the frame or of the one byte of padding at @at. */
static size_t unit_length(const struct outbox *o, size_t at)
{
	const uint8_t *p = o->queue + at;

	if (o->used - at < FRAME_HEADER || get_le32(p) != FRAME_MAGIC)
		return 1;
	return FRAME_HEADER + (size_t)get_le16(p + 20);
}

/* The beginning of the frame of which byte @sent is the next to go. */
static size_t unit_begin(const struct outbox *o)
{
	size_t at = 0;

	while (at < o->used && at + unit_length(o, at) <= o->sent)
		at += unit_length(o, at);
	return at;
}

void outbox_void(struct outbox *o)
{
	size_t at = unit_begin(o);

	o->used = at < o->sent ? at + unit_length(o, at) : o->sent;
	o->batched = 0;
}

static void shift(struct outbox *o, size_t n)
{
	memmove(o->queue, o->queue + n, o->used - n);
	o->used -= n;
	o->sent -= n;
}

int outbox_pad(struct outbox *o, size_t n)
{
	if (OUTBOX_SIZE - o->used < n)
		return -ENOBUFS;
	memset(o->queue + o->used, 0, n);
	o->used += n;
	return 0;
}

static int queue_frame(struct outbox *o, int type, const uint8_t *payload, size_t len)
{
	struct frame f = {
		.version = FRAME_VERSION,
		.type = (uint8_t)type,
		.session = type == MSG_HELLO ? 0 : o->session,
		.seq = o->seq,
		.length = (uint16_t)len,
		.payload = payload,
	};
	int n = frame_encode(&f, o->queue + o->used, OUTBOX_SIZE - o->used);

	if (n < 0)
		return -ENOBUFS;
	o->used += (size_t)n;
	o->seq++;
	return 0;
}

void outbox_close_batch(struct outbox *o)
{
	if (o->batched && queue_frame(o, MSG_REPORT, o->batch, o->batched) == 0)
		o->batched = 0;
}

int outbox_message(struct outbox *o, int type, const void *msg)
{
	uint8_t payload[FRAME_PAYLOAD_MAX];
	int n = msg_encode(type, msg, payload, sizeof(payload));

	if (n < 0)
		return n;
	outbox_close_batch(o);
	return queue_frame(o, type, payload, (size_t)n);
}

bool outbox_has_room(const struct outbox *o)
{
	return OUTBOX_SIZE - o->used >= (size_t)3 * FRAME_MAX;
}

int outbox_record(struct outbox *o, const struct record *r, bool progress)
{
	int rc = -EMSGSIZE;

	if (!progress || o->used < OUTBOX_PROGRESS) {
		rc = record_encode(r, o->batch, sizeof(o->batch), &o->batched);
		if (rc == -EMSGSIZE && o->batched) {
			outbox_close_batch(o);
			rc = record_encode(r, o->batch, sizeof(o->batch), &o->batched);
		}
	}
	if (rc == 0)
		return 0;
	if (progress)
		o->dropped++;
	return -ENOBUFS;
}

const uint8_t *outbox_bytes(const struct outbox *o, size_t *ret_len)
{
	*ret_len = o->used - o->sent;
	return o->queue + o->sent;
}

void outbox_written(struct outbox *o, size_t n)
{
	o->sent += n;
	if (o->sent == o->used)
		o->used = o->sent = 0;
	else if (o->sent > OUTBOX_SIZE / 2)
		shift(o, unit_begin(o));
}
