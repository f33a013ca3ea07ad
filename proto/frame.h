/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include <stddef.h>
#include <stdint.h>

/*
 * Frames: what travels over the virtio-serial port, both ways. PROTOCOL.md is the manual.
 *
 *   0  u32 magic      8  u64 session     20  u16 length (payload bytes)
 *   4  u8  version   16  u32 sequence    22  u16 reserved, 0
 *   5  u8  type                          24  u32 CRC32C of header (this field 0) and payload
 *   6  u16 flags                         28  payload
 */
enum {
	FRAME_MAGIC = 0x31504856, /* "VHP1" on the wire */
	FRAME_VERSION = 1,
	FRAME_HEADER = 28,
	FRAME_MAX = 4096,
	FRAME_PAYLOAD_MAX = FRAME_MAX - FRAME_HEADER,
	FRAME_PAD =
		FRAME_MAX, /* zero bytes written before the first HELLO: they end a torn frame */
};

/**
 * struct frame - one decoded frame
 * @payload: borrowed from the decoder's buffer, valid until the next frame_feed()/frame_next()
 */
struct frame {
	uint8_t version;
	uint8_t type;
	uint16_t flags;
	uint64_t session;
	uint32_t seq;
	uint16_t length;
	const uint8_t *payload;
};

/**
 * struct frame_decoder - a byte stream cut into frames; fixed size, no allocation
 *
 * Torn, damaged or alien bytes are skipped up to the next magic and counted in @dropped.
 */
struct frame_decoder {
	uint8_t buf[FRAME_MAX * 2];
	size_t used;     /* bytes in buf */
	size_t consumed; /* bytes of the frame handed out last, discarded on the next call */
	uint64_t dropped;
};

void frame_decoder_init(struct frame_decoder *d);

/* Where to read into and how many bytes fit; call frame_fed() with what read() returned. */
uint8_t *frame_space(struct frame_decoder *d, size_t *ret_size);
void frame_fed(struct frame_decoder *d, size_t n);

/* Return: 1 with @f filled, 0 when more bytes are needed. Never fails: bad bytes are skipped. */
int frame_next(struct frame_decoder *d, struct frame *f);

/**
 * frame_encode() - write one frame
 * @f: version is not looked at, FRAME_VERSION is written
 * @out: at least FRAME_HEADER + f->length bytes; f->payload may already be at out + FRAME_HEADER
 *
 * Return: the frame's length in bytes, or -EMSGSIZE.
 */
int frame_encode(const struct frame *f, uint8_t *out, size_t size);

uint32_t crc32c(uint32_t crc, const void *data, size_t len); /* start with 0 */

#endif
