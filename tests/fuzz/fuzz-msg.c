/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The first byte is the message type, the rest its payload. What decodes encodes again, and that
 * decodes to the same value; the encoding differs from the input only in bytes of text.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

union any {
	struct msg_hello hello;
	struct msg_kick kick;
	struct msg_kicked kicked;
	struct record record;
	uint8_t bytes[1024];
};
static_assert(sizeof(union any) == 1024, "bytes covers all the others");

static void check_message(int type, const uint8_t *data, size_t size)
{
	union any first, second;
	uint8_t out[FRAME_PAYLOAD_MAX];
	int len;

	memset(&first, 0xa5, sizeof(first));
	memset(&second, 0xa5, sizeof(second));
	if (msg_decode(type, data, size, &first) < 0) {
		if (memcmp(first.bytes, second.bytes, sizeof(first.bytes)) != 0)
			abort(); /* touched on error */
		return;
	}
	len = msg_encode(type, &first, out, sizeof(out));
	if (len < 0 || (size_t)len != size)
		abort();
	if (msg_decode(type, out, size, &second) < 0 ||
	    memcmp(first.bytes, second.bytes, sizeof(first.bytes)) != 0)
		abort();
	if (len > 0 && msg_encode(type, &first, out, (size_t)len - 1) != -EMSGSIZE)
		abort();
}

static void check_record(const union any *first)
{
	uint8_t out[FRAME_PAYLOAD_MAX];
	union any again;
	size_t end = 0, pos = 0;

	if (record_encode(&first->record, out, sizeof(out), &end) != 0)
		abort();
	if (record_decode(out, end, &pos, &again.record) != 1 || pos != end)
		abort();
	if (memcmp(first->bytes, again.bytes, sizeof(again.record)) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union any r;
	int rc;
	size_t pos = 0;

	if (size == 0)
		return 0;
	if (data[0] != MSG_REPORT) {
		check_message(data[0], data + 1, size - 1);
		return 0;
	}
	while ((rc = record_decode(data + 1, size - 1, &pos, &r.record)) == 1)
		check_record(&r);
	if (pos > size - 1 || record_check(data + 1, size - 1) != rc)
		abort();
	return 0;
}
