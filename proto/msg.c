/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
/*
 * Theory of operation
 *
 * Each message and record is one table of fields in wire order (layout.c); encoding and decoding
 * walk the table and know nothing of any single message. Numbers are little-endian without
 * padding, a string is a length byte and that many bytes, 16-byte ids are copied as they are.
 *
 * Strings hold printable ASCII only, made so on both ways: what is decoded can be logged and
 * compared, and what is encoded can never look like the head of a frame.
 *
 * Decoding fills a zeroed value of its own and copies it out at the end, so a bad payload leaves
 * the caller's untouched and two equal messages are equal byte for byte. The records, which the
 * guest sends unasked, are also checked for their range here, so that nobody behind has to ask
 * whether a state or a CPU is a number at all. What the host asks for is not: the agent answers
 * a request out of range with an error, where a dropped frame would be silence.
 */
#include "proto/msg.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "proto/cpulist.h"
#include "proto/ladder.h"
#include "proto/layout.h"

/* Large enough and aligned for every message and record. */
union any {
	struct msg_hello hello;
	struct msg_kick kick;
	struct msg_kicked kicked;
	struct record record;
};

enum { RECORD_HEADER = 3 };

static size_t kind_size(enum field_kind kind)
{
	switch (kind) {
	case U8:
	case STRING:
		return 1;
	case U16:
		return 2;
	case U32:
		return 4;
	case U64:
		return 8;
	case ID16:
		return 16;
	}
	return 0;
}

static void copy_text(uint8_t *to, const uint8_t *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = from[i] >= 0x20 && from[i] < 0x7f ? from[i] : '?';
}

/* Members have the width and alignment of their kind. */
static uint64_t load(const void *member, size_t size)
{
	switch (size) {
	case 1:
		return *(const uint8_t *)member;
	case 2:
		return *(const uint16_t *)member;
	case 4:
		return *(const uint32_t *)member;
	default:
		return *(const uint64_t *)member;
	}
}

static void store(void *member, size_t size, uint64_t v)
{
	switch (size) {
	case 1:
		*(uint8_t *)member = (uint8_t)v;
		break;
	case 2:
		*(uint16_t *)member = (uint16_t)v;
		break;
	case 4:
		*(uint32_t *)member = (uint32_t)v;
		break;
	default:
		*(uint64_t *)member = v;
	}
}

static void put_number(uint8_t *out, size_t size, uint64_t v)
{
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(v >> (8 * i));
}

static uint16_t get_u16(const uint8_t *in)
{
	return (uint16_t)(in[0] | in[1] << 8);
}

static uint32_t get_u32(const uint8_t *in)
{
	return get_u16(in) | (uint32_t)get_u16(in + 2) << 16;
}

static uint64_t get_number(const uint8_t *in, size_t size)
{
	switch (size) {
	case 1:
		return in[0];
	case 2:
		return get_u16(in);
	case 4:
		return get_u32(in);
	default:
		return get_u32(in) | (uint64_t)get_u32(in + 4) << 32;
	}
}

static bool in_range(enum field_range range, uint64_t v)
{
	switch (range) {
	case ANY:
		return true;
	case NOT_ZERO:
		return v != 0;
	case STATE:
		return v < CPUHP_STATES;
	case STATE_OR_NONE:
		return v < CPUHP_STATES || v == 0xff;
	case CPU_OR_NONE:
		return v < CPULIST_MAX || v == MSG_NO_CPU;
	case PRIORITY:
		return v < 8;
	case SHARE:
		return v <= LOAD_SHARE_MAX || v == LOAD_NO_SHARE;
	case PRESSURE:
		return v <= LOAD_PRESSURE_MAX || v == LOAD_NO_SHARE;
	case TIME:
		return v <= INT64_MAX || v == LOAD_NO_TIME;
	}
	return false;
}

/* Return: bytes written, or -EMSGSIZE. */
static int encode_field(const struct layout_field *f, const uint8_t *msg, uint8_t *out, size_t left)
{
	const uint8_t *member = msg + f->offset;
	size_t size = kind_size(f->kind);
	size_t len = f->kind == STRING ? strnlen((const char *)member, f->max) : 0;

	if (left < size + len)
		return -EMSGSIZE;
	if (f->kind == STRING) {
		out[0] = (uint8_t)len;
		copy_text(out + 1, member, len);
	} else if (f->kind == ID16) {
		memcpy(out, member, size);
	} else {
		put_number(out, size, load(member, size));
	}
	return (int)(size + len);
}

/* Return: bytes read, or -EBADMSG. @msg: NULL to look only. */
static int decode_field(const struct layout_field *f, const uint8_t *in, size_t left, uint8_t *msg)
{
	size_t size = kind_size(f->kind);
	uint64_t v;

	if (left < size)
		return -EBADMSG;
	if (f->kind == ID16) {
		if (msg)
			memcpy(msg + f->offset, in, size);
		return (int)size;
	}
	v = get_number(in, size);
	if (f->kind != STRING) {
		if (!in_range(f->range, v))
			return -EBADMSG;
		if (msg)
			store(msg + f->offset, size, v);
		return (int)size;
	}
	if (v > f->max || v > left - size)
		return -EBADMSG;
	if (msg)
		copy_text(msg + f->offset, in + size, v);
	return (int)(size + v);
}

static int encode(const struct layout *l, const void *msg, uint8_t *out, size_t size)
{
	size_t at = 0;

	for (size_t i = 0; i < l->n; i++) {
		int r = encode_field(&l->fields[i], msg, out + at, size - at);

		if (r < 0)
			return r;
		at += (size_t)r;
	}
	return (int)at;
}

/* @msg is zeroed by the caller; NULL to look only. */
static int decode(const struct layout *l, const uint8_t *in, size_t len, void *msg)
{
	size_t at = 0;

	for (size_t i = 0; i < l->n; i++) {
		int r = decode_field(&l->fields[i], in + at, len - at, msg);

		if (r < 0)
			return r;
		at += (size_t)r;
	}
	return at == len ? 0 : -EBADMSG;
}

int msg_encode(int type, const void *msg, uint8_t *out, size_t size)
{
	const struct layout *l = message_layout(type);

	return l ? encode(l, msg, out, size) : -EINVAL;
}

int msg_decode(int type, const uint8_t *payload, size_t len, void *msg)
{
	const struct layout *l = message_layout(type);
	union any value;
	int r;

	if (!l)
		return -EINVAL;
	memset(&value, 0, sizeof(value));
	r = decode(l, payload, len, &value);
	if (r == 0 && l->size > 0)
		memcpy(msg, &value, l->size);
	return r;
}

int record_encode(const struct record *r, uint8_t *out, size_t size, size_t *pos)
{
	const struct layout *l = record_layout(r->type);
	uint8_t *head = out + *pos;
	int len;

	if (!l)
		return -EINVAL;
	if (size - *pos < RECORD_HEADER)
		return -EMSGSIZE;
	len = encode(l, &r->cpu, head + RECORD_HEADER, size - *pos - RECORD_HEADER);
	if (len < 0)
		return len;
	head[0] = r->type;
	put_number(head + 1, 2, (uint64_t)len);
	*pos += RECORD_HEADER + (size_t)len;
	return 0;
}

/**
 * struct body - the fields of a record, as they came
 * @layout: NULL a newer peer's
 */
struct body {
	uint8_t type;
	const struct layout *layout;
	const uint8_t *fields;
	size_t size;
};

/* The one at *pos, and move on. Return: 1, 0 at the end, -EBADMSG. */
static int next_body(const uint8_t *payload, size_t len, size_t *pos, struct body *ret)
{
	const uint8_t *head;

	if (*pos >= len)
		return 0;
	if (len - *pos < RECORD_HEADER)
		return -EBADMSG;
	head = payload + *pos;
	ret->type = head[0];
	ret->layout = record_layout(ret->type);
	ret->fields = head + RECORD_HEADER;
	ret->size = get_u16(head + 1);
	if (ret->size > len - *pos - RECORD_HEADER)
		return -EBADMSG;
	*pos += RECORD_HEADER + ret->size;
	return 1;
}

int record_check(const uint8_t *payload, size_t len)
{
	struct body b;
	size_t pos = 0;
	int r;

	while ((r = next_body(payload, len, &pos, &b)) > 0)
		if (b.layout && decode(b.layout, b.fields, b.size, NULL) < 0)
			return -EBADMSG;
	return r;
}

int record_decode(const uint8_t *payload, size_t len, size_t *pos, struct record *r)
{
	struct record value;
	size_t at = *pos;
	struct body b;
	int rc;

	do {
		rc = next_body(payload, len, &at, &b);
	} while (rc > 0 && !b.layout);
	if (rc <= 0) {
		*pos = rc == 0 ? at : *pos;
		return rc;
	}
	memset(&value, 0, sizeof(value));
	value.type = b.type;
	if (decode(b.layout, b.fields, b.size, &value.cpu) < 0)
		return -EBADMSG;
	*pos = at;
	*r = value;
	return 1;
}
