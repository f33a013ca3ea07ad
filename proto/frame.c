/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "proto/frame.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "proto/wire.h"

enum {
	AT_MAGIC = 0,
	AT_VERSION = 4,
	AT_TYPE = 5,
	AT_FLAGS = 6,
	AT_SESSION = 8,
	AT_SEQ = 16,
	AT_LENGTH = 20,
	AT_RESERVED = 22,
	AT_CRC = 24,
};

static uint32_t frame_crc(const uint8_t *frame, size_t length)
{
	static const uint8_t no_crc[FRAME_HEADER - AT_CRC];
	uint32_t crc = crc32c(0, frame, AT_CRC);

	crc = crc32c(crc, no_crc, sizeof(no_crc));
	return crc32c(crc, frame + FRAME_HEADER, length);
}

void frame_decoder_init(struct frame_decoder *d)
{
	d->used = 0;
	d->consumed = 0;
	d->dropped = 0;
}

static void discard(struct frame_decoder *d, size_t n)
{
	if (n == 0)
		return;
	d->used -= n;
	memmove(d->buf, d->buf + n, d->used);
}

static void settle(struct frame_decoder *d)
{
	discard(d, d->consumed);
	d->consumed = 0;
}

uint8_t *frame_space(struct frame_decoder *d, size_t *ret_size)
{
	settle(d);
	*ret_size = sizeof(d->buf) - d->used;
	return d->buf + d->used;
}

void frame_fed(struct frame_decoder *d, size_t n)
{
	assert(n <= sizeof(d->buf) - d->used);
	d->used += n;
}

/* The first place at or after @at where a magic begins, as far as the bytes here can tell. */
static size_t find_magic(const struct frame_decoder *d, size_t at)
{
	uint8_t magic[4];

	put_le32(magic, FRAME_MAGIC);
	while (at < d->used) {
		const uint8_t *p = memchr(d->buf + at, magic[0], d->used - at);
		size_t left;

		if (!p)
			return d->used;
		at = (size_t)(p - d->buf);
		left = d->used - at;
		if (memcmp(p, magic, left < sizeof(magic) ? left : sizeof(magic)) == 0)
			return at;
		at++;
	}
	return at;
}

static bool header_fits(const uint8_t *p)
{
	return p[AT_VERSION] == FRAME_VERSION && get_le16(p + AT_RESERVED) == 0 &&
	       get_le16(p + AT_LENGTH) <= FRAME_PAYLOAD_MAX;
}

/* Return: the frame's size, 0 when more bytes are needed, -EBADMSG when there is none at @p. */
static int frame_check(const uint8_t *p, size_t left)
{
	size_t length;

	if (left < FRAME_HEADER)
		return 0;
	if (!header_fits(p))
		return -EBADMSG;
	length = get_le16(p + AT_LENGTH);
	if (left < FRAME_HEADER + length)
		return 0;
	if (get_le32(p + AT_CRC) != frame_crc(p, length))
		return -EBADMSG;
	return (int)(FRAME_HEADER + length);
}

static void frame_read(const uint8_t *p, struct frame *f)
{
	*f = (struct frame){
		.version = p[AT_VERSION],
		.type = p[AT_TYPE],
		.flags = get_le16(p + AT_FLAGS),
		.session = get_le64(p + AT_SESSION),
		.seq = get_le32(p + AT_SEQ),
		.length = get_le16(p + AT_LENGTH),
		.payload = p + FRAME_HEADER,
	};
}

int frame_next(struct frame_decoder *d, struct frame *f)
{
	size_t at = 0;
	int r = -EBADMSG;

	settle(d);
	while (r < 0) {
		at = find_magic(d, at);
		r = frame_check(d->buf + at, d->used - at);
		if (r < 0)
			at++; /* a torn frame's magic: the next may begin inside what it claimed */
	}
	discard(d, at);
	d->dropped += at;
	if (r == 0)
		return 0;
	d->consumed = (size_t)r;
	frame_read(d->buf, f);
	return 1;
}

int frame_encode(const struct frame *f, uint8_t *out, size_t size)
{
	if (f->length > FRAME_PAYLOAD_MAX || size < (size_t)FRAME_HEADER + f->length)
		return -EMSGSIZE;
	if (f->length > 0)
		memmove(out + FRAME_HEADER, f->payload, f->length);
	put_le32(out + AT_MAGIC, FRAME_MAGIC);
	out[AT_VERSION] = FRAME_VERSION;
	out[AT_TYPE] = f->type;
	put_le16(out + AT_FLAGS, f->flags);
	put_le64(out + AT_SESSION, f->session);
	put_le32(out + AT_SEQ, f->seq);
	put_le16(out + AT_LENGTH, f->length);
	put_le16(out + AT_RESERVED, 0);
	put_le32(out + AT_CRC, frame_crc(out, f->length));
	return FRAME_HEADER + f->length;
}
