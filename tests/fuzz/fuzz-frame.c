/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any byte stream, fed in pieces: the frames that come out are the same however it is cut, each
 * encodes to bytes that stand in the stream, and no byte is lost from the account.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct tally {
	size_t frames, bytes;
	uint64_t dropped;
	uint32_t crc;
};

static void take(struct tally *t, const struct frame *f, const uint8_t *data, size_t size)
{
	uint8_t out[FRAME_MAX];
	int len = frame_encode(f, out, sizeof(out));

	if (len < 0 || !memmem(data, size, out, (size_t)len))
		abort();
	t->frames++;
	t->bytes += (size_t)len;
	t->crc = crc32c(t->crc, out, (size_t)len);
}

static struct tally run(const uint8_t *data, size_t size, size_t piece)
{
	struct frame_decoder d;
	struct tally t = { 0 };
	struct frame f;

	frame_decoder_init(&d);
	for (size_t at = 0; at < size;) {
		size_t n, fits;
		uint8_t *space = frame_space(&d, &fits);

		if (fits == 0)
			abort(); /* the stream would stall for ever */
		n = size - at < piece ? size - at : piece;
		n = n < fits ? n : fits;
		memcpy(space, data + at, n);
		frame_fed(&d, n);
		at += n;
		while (frame_next(&d, &f))
			take(&t, &f, data, size);
	}
	t.dropped = d.dropped;
	if (t.bytes + t.dropped + d.used != size)
		abort();
	return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tally whole = run(data, size, size ? size : 1);
	struct tally bytes = run(data, size, 1);
	struct tally odd = run(data, size, 37);

	if (whole.frames != bytes.frames || whole.crc != bytes.crc || whole.frames != odd.frames ||
	    whole.crc != odd.crc)
		abort();
	return 0;
}
