/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "proto/frame.h"

/*
 * Castagnoli, reflected 0x82f63b78, four bytes at a time. What a byte adds is the sum of what its bits
 * add, so a table needs no more than those of its eight bits, lowest first.
 */
#define SUM(n, a, b, c, d, e, f, g, h)                                                       \
	(((n)&1 ? (a) : 0U) ^ ((n)&2 ? (b) : 0U) ^ ((n)&4 ? (c) : 0U) ^ ((n)&8 ? (d) : 0U) ^ \
	 ((n)&16 ? (e) : 0U) ^ ((n)&32 ? (f) : 0U) ^ ((n)&64 ? (g) : 0U) ^ ((n)&128 ? (h) : 0U))
#define BY_4(n, ...)                                                               \
	SUM(n, __VA_ARGS__), SUM((n) + 1, __VA_ARGS__), SUM((n) + 2, __VA_ARGS__), \
		SUM((n) + 3, __VA_ARGS__)
#define BY_16(n, ...)                                                                 \
	BY_4(n, __VA_ARGS__), BY_4((n) + 4, __VA_ARGS__), BY_4((n) + 8, __VA_ARGS__), \
		BY_4((n) + 12, __VA_ARGS__)
#define BY_64(n, ...)                                                                      \
	BY_16(n, __VA_ARGS__), BY_16((n) + 16, __VA_ARGS__), BY_16((n) + 32, __VA_ARGS__), \
		BY_16((n) + 48, __VA_ARGS__)
#define TABLE(...)                                                                      \
	{                                                                               \
		BY_64(0, __VA_ARGS__), BY_64(64, __VA_ARGS__), BY_64(128, __VA_ARGS__), \
			BY_64(192, __VA_ARGS__)                                         \
	}

/* Of a byte with none, one, two and three behind it. */
static const uint32_t tables[4][256] = {
	TABLE(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f, 0x20bd8ede, 0x417b1dbc,
	      0x82f63b78),
	TABLE(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181, 0x7f8be302, 0xff17c604,
	      0xfbc3faf9),
	TABLE(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a, 0xe144fb14, 0xc76580d9,
	      0x8b277743),
	TABLE(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d, 0xd725148b, 0xaba65fe7,
	      0x52a0c93f),
};

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;

	crc = ~crc;
	for (; len >= 4; len -= 4, p += 4)
		crc = tables[3][(crc ^ p[0]) & 0xff] ^ tables[2][(crc >> 8 ^ p[1]) & 0xff] ^
		      tables[1][(crc >> 16 ^ p[2]) & 0xff] ^ tables[0][crc >> 24 ^ p[3]];
	while (len--)
		crc = crc >> 8 ^ tables[0][(crc ^ *p++) & 0xff];
	return ~crc;
}
