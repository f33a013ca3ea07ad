/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/frame.h"

static const uint8_t text[] = "twelve bytes";

static const struct frame sample = {
	.type = 5,
	.flags = 0x8001,
	.session = UINT64_C(0x0123456789abcdef),
	.seq = 77,
	.length = 12,
	.payload = text,
};

static const uint8_t golden_ping[] = {
	0x56, 0x48, 0x50, 0x31, 0x01, 0x02, 0x00, 0x00, 0xef, 0xcd, 0xab, 0x89,
	0x67, 0x45, 0x23, 0x01, 0x07, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00,
	0x28, 0xe5, 0xcb, 0x91, 0x14, 0x1a, 0x99, 0xbe, 0x1c, 0x00, 0x00, 0x00,
};

static void feed(struct frame_decoder *d, const uint8_t *bytes, size_t n)
{
	size_t fits;
	uint8_t *space = frame_space(d, &fits);

	assert_true(n <= fits);
	memcpy(space, bytes, n);
	frame_fed(d, n);
}

static size_t encode(const struct frame *f, uint8_t *out, size_t size)
{
	int r = frame_encode(f, out, size);

	assert_true(r > 0);
	return (size_t)r;
}

static void assert_same(const struct frame *got, const struct frame *want)
{
	assert_int_equal(got->version, FRAME_VERSION);
	assert_int_equal(got->type, want->type);
	assert_int_equal(got->flags, want->flags);
	assert_int_equal(got->session, want->session);
	assert_int_equal(got->seq, want->seq);
	assert_int_equal(got->length, want->length);
	if (want->length > 0)
		assert_memory_equal(got->payload, want->payload, want->length);
}

static void expect_one(struct frame_decoder *d, const struct frame *want)
{
	struct frame f;

	assert_int_equal(frame_next(d, &f), 1);
	assert_same(&f, want);
}

static void expect_none(struct frame_decoder *d)
{
	struct frame f;

	assert_int_equal(frame_next(d, &f), 0);
}

/* By its definition. */
static uint32_t bit_by_bit(uint32_t crc, const uint8_t *p, size_t len)
{
	crc = ~crc;
	while (len--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void crc_of_any_bytes_is_that_of_its_definition(void **ctx)
{
	uint8_t bytes[256 + 8];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 131 + (i >> 3));
	for (size_t at = 0; at < 8; at++) {
		for (size_t len = 0; len <= 256; len++)
			assert_int_equal(crc32c((uint32_t)len, bytes + at, len),
					 bit_by_bit((uint32_t)len, bytes + at, len));
	}
}

static void crc_has_the_published_check_value(void **ctx)
{
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
	assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

static void the_golden_frame(void **ctx)
{
	uint8_t host_ns[8] = { 0x14, 0x1a, 0x99, 0xbe, 0x1c };
	struct frame ping = { .type = 2,
			      .session = UINT64_C(0x0123456789abcdef),
			      .seq = 7,
			      .length = 8,
			      .payload = host_ns };
	uint8_t out[64];
	struct frame_decoder d;

	assert_int_equal(frame_encode(&ping, out, sizeof(out)), sizeof(golden_ping));
	assert_memory_equal(out, golden_ping, sizeof(golden_ping));
	frame_decoder_init(&d);
	feed(&d, golden_ping, sizeof(golden_ping));
	expect_one(&d, &ping);
	expect_none(&d);
	assert_int_equal(d.dropped, 0);
}

static void payloads_from_none_to_the_largest(void **ctx)
{
	static uint8_t payload[FRAME_PAYLOAD_MAX + 1];
	static const uint16_t sizes[] = { 0, 1, 27, 28, 255, 256, 4067, FRAME_PAYLOAD_MAX };
	uint8_t out[FRAME_MAX];

	memset(payload, 'V', sizeof(payload));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct frame f = { .type = 11, .length = sizes[i], .payload = payload };
		struct frame_decoder d;

		frame_decoder_init(&d);
		feed(&d, out, encode(&f, out, sizeof(out)));
		expect_one(&d, &f);
		expect_none(&d);
		assert_int_equal(frame_encode(&f, out, FRAME_HEADER + sizes[i] - 1u), -EMSGSIZE);
	}
	assert_int_equal(
		frame_encode(&(struct frame){ .length = FRAME_PAYLOAD_MAX + 1, .payload = payload },
			     out, sizeof(out)),
		-EMSGSIZE);
}

static void a_payload_may_stand_where_it_is_to_go(void **ctx)
{
	uint8_t out[FRAME_MAX];
	struct frame f = sample;
	struct frame_decoder d;

	memcpy(out + FRAME_HEADER, text, sample.length);
	f.payload = out + FRAME_HEADER;
	frame_decoder_init(&d);
	feed(&d, out, encode(&f, out, sizeof(out)));
	expect_one(&d, &sample);
}

static void a_torn_frame_comes_out_once_it_is_whole(void **ctx)
{
	uint8_t out[FRAME_MAX];
	size_t n = encode(&sample, out, sizeof(out));

	for (size_t cut = 0; cut < n; cut++) {
		struct frame_decoder d;

		frame_decoder_init(&d);
		feed(&d, out, cut);
		expect_none(&d);
		feed(&d, out + cut, n - cut);
		expect_one(&d, &sample);
		expect_none(&d);
		assert_int_equal(d.dropped, 0);
	}
}

static void two_frames_in_one_read(void **ctx)
{
	uint8_t out[2 * FRAME_MAX];
	struct frame second = { .type = 4, .seq = 78 };
	size_t n = encode(&sample, out, sizeof(out));
	struct frame_decoder d;

	n += encode(&second, out + n, sizeof(out) - n);
	frame_decoder_init(&d);
	feed(&d, out, n);
	expect_one(&d, &sample);
	expect_one(&d, &second);
	expect_none(&d);
}

static void alien_bytes_are_skipped_and_counted(void **ctx)
{
	static const char *const junk[] = { "login: ", "V",         "VH",      "VHP",
					    "VHP2",    "VVHPVVHP1", "VHP1VHP1" };
	uint8_t out[FRAME_MAX];
	size_t n = encode(&sample, out, sizeof(out));

	for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
		struct frame_decoder d;

		frame_decoder_init(&d);
		feed(&d, (const uint8_t *)junk[i], strlen(junk[i]));
		expect_none(&d);
		feed(&d, out, n);
		expect_one(&d, &sample);
		expect_none(&d);
		assert_int_equal(d.dropped, strlen(junk[i]));
	}
}

/* A frame inside a payload is payload, however the bytes come in. */
static void a_magic_inside_a_payload_is_payload(void **ctx)
{
	uint8_t inner[FRAME_MAX], out[FRAME_MAX];
	struct frame f = sample;
	size_t n;

	f.length = (uint16_t)encode(&sample, inner, sizeof(inner));
	f.payload = inner;
	n = encode(&f, out, sizeof(out));
	for (size_t cut = 0; cut <= n; cut++) {
		struct frame_decoder d;

		frame_decoder_init(&d);
		feed(&d, out, cut);
		if (cut < n)
			expect_none(&d);
		feed(&d, out + cut, n - cut);
		expect_one(&d, &f);
		expect_none(&d);
	}
}

/* Whatever stands before it, FRAME_PAD zero bytes and a frame yield that frame and no other. */
static void expect_recovery(const uint8_t *before, size_t n)
{
	static const uint8_t pad[FRAME_PAD];
	struct frame next = { .type = 1, .seq = 1, .length = 3, .payload = text };
	uint8_t out[FRAME_MAX];
	struct frame_decoder d;

	frame_decoder_init(&d);
	feed(&d, before, n);
	expect_none(&d);
	feed(&d, pad, sizeof(pad));
	expect_none(&d);
	feed(&d, out, encode(&next, out, sizeof(out)));
	expect_one(&d, &next);
	expect_none(&d);
	assert_int_equal(d.dropped, n + sizeof(pad));
}

static void no_truncation_yields_a_frame(void **ctx)
{
	uint8_t out[FRAME_MAX];
	size_t n = encode(&sample, out, sizeof(out));

	for (size_t cut = 0; cut < n; cut++)
		expect_recovery(out, cut);
}

static void no_missing_byte_yields_a_frame(void **ctx)
{
	uint8_t out[FRAME_MAX];
	size_t n = encode(&sample, out, sizeof(out));

	for (size_t gone = 0; gone < n; gone++) {
		uint8_t bad[FRAME_MAX];

		memcpy(bad, out, gone);
		memcpy(bad + gone, out + gone + 1, n - gone - 1);
		expect_recovery(bad, n - 1);
	}
}

static void no_flipped_bit_yields_a_frame(void **ctx)
{
	uint8_t out[FRAME_MAX];
	size_t n = encode(&sample, out, sizeof(out));

	for (size_t bit = 0; bit < n * 8; bit++) {
		out[bit / 8] ^= (uint8_t)(1 << bit % 8);
		expect_recovery(out, n);
		out[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void resign(uint8_t *frame, size_t length)
{
	uint32_t crc;

	memset(frame + 24, 0, 4);
	crc = crc32c(0, frame, FRAME_HEADER + length);
	for (int i = 0; i < 4; i++)
		frame[24 + i] = (uint8_t)(crc >> (8 * i));
}

/* Damage that knows the checksum: a header of another kind is not a frame. */
static void a_header_that_does_not_fit_is_no_frame(void **ctx)
{
	static const struct {
		int at;
		uint8_t value;
	} bad[] = { { 4, 0 }, { 4, 2 }, { 22, 1 }, { 23, 0x80 }, { 21, 0x10 } };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t out[FRAME_MAX];
		size_t n = encode(&sample, out, sizeof(out));

		out[bad[i].at] = bad[i].value;
		resign(out, sample.length);
		expect_recovery(out, n);
	}
}

static void a_length_that_lies_costs_no_later_frame(void **ctx)
{
	uint8_t out[FRAME_MAX];
	struct frame_decoder d;
	size_t n = encode(&sample, out, sizeof(out));

	/* It claims to reach over the two good frames that follow. */
	out[20] = 100;
	n += encode(&sample, out + n, sizeof(out) - n);
	n += encode(&sample, out + n, sizeof(out) - n);
	n += encode(&sample, out + n, sizeof(out) - n);
	frame_decoder_init(&d);
	feed(&d, out, n);
	expect_one(&d, &sample);
	expect_one(&d, &sample);
	expect_one(&d, &sample);
	expect_none(&d);
	assert_int_equal(d.dropped, FRAME_HEADER + sample.length);
}

static void a_stream_of_junk_never_fills_the_buffer(void **ctx)
{
	struct frame_decoder d;
	uint32_t x = 1;

	frame_decoder_init(&d);
	for (int i = 0; i < 200000; i++) {
		size_t fits;
		uint8_t *space = frame_space(&d, &fits);

		assert_true(fits >= FRAME_MAX);
		x = x * 1103515245 + 12345;
		*space = "VHP1\1"[(x >> 16) % 5];
		frame_fed(&d, 1);
		expect_none(&d);
	}
	assert_int_equal(d.dropped + d.used, 200000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_has_the_published_check_value),
		cmocka_unit_test(crc_of_any_bytes_is_that_of_its_definition),
		cmocka_unit_test(the_golden_frame),
		cmocka_unit_test(payloads_from_none_to_the_largest),
		cmocka_unit_test(a_payload_may_stand_where_it_is_to_go),
		cmocka_unit_test(a_torn_frame_comes_out_once_it_is_whole),
		cmocka_unit_test(two_frames_in_one_read),
		cmocka_unit_test(alien_bytes_are_skipped_and_counted),
		cmocka_unit_test(a_magic_inside_a_payload_is_payload),
		cmocka_unit_test(no_truncation_yields_a_frame),
		cmocka_unit_test(no_missing_byte_yields_a_frame),
		cmocka_unit_test(no_flipped_bit_yields_a_frame),
		cmocka_unit_test(a_header_that_does_not_fit_is_no_frame),
		cmocka_unit_test(a_length_that_lies_costs_no_later_frame),
		cmocka_unit_test(a_stream_of_junk_never_fills_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
