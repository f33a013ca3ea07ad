/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PROTO_LAYOUT_H
#define PROTO_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

/* The wire layout of each message and record, for msg.c alone. */

/* How a field is written. Numbers are little-endian. */
enum field_kind {
	U8,
	U16,
	U32,
	U64,
	ID16,   /* 16 bytes as they are */
	STRING, /* a length byte and that many bytes */
};

/* What a decoder accepts in it. */
enum field_range {
	ANY,
	NOT_ZERO,
	STATE,         /* a state of the ladder */
	STATE_OR_NONE, /* or 0xff */
	CPU_OR_NONE,   /* below CPULIST_MAX, or 0xffff: CPU and slot numbers */
	PRIORITY,      /* of syslog(3) */
	SHARE,         /* up to LOAD_SHARE_MAX, or LOAD_NO_SHARE */
	PRESSURE,      /* up to LOAD_PRESSURE_MAX, or LOAD_NO_SHARE */
	TIME,          /* fits an int64_t, or LOAD_NO_TIME */
};

struct layout_field {
	uint16_t offset;
	uint16_t max; /* STRING: bytes without the NUL */
	uint8_t kind;
	uint8_t range;
};

struct layout {
	const struct layout_field *fields;
	size_t n;
	size_t size;
};

/* NULL for types that have none: unknown ones, and REPORT, which is a sequence of records. */
const struct layout *message_layout(int type);
const struct layout *record_layout(int type);

#endif
