/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "guest-agent/outbox.h"

enum { KEY = 0x1234 };

/* What the host has received. */
struct host {
	struct frame_decoder in;
	unsigned int frames, pongs, records;
	uint64_t last_pong;
	uint32_t next_seq;
};

static void take_frame(struct host *h, const struct frame *f)
{
	struct msg_pong pong;
	struct record r;
	size_t at = 0;

	h->frames++;
	h->next_seq = f->seq + 1;
	if (f->type == MSG_PONG) {
		assert_int_equal(msg_decode(MSG_PONG, f->payload, f->length, &pong), 0);
		h->pongs++;
		h->last_pong = pong.host_ns;
	}
	while (f->type == MSG_REPORT && record_decode(f->payload, f->length, &at, &r) == 1)
		h->records++;
}

/* Carry at most @max bytes. */
static void carry(struct outbox *o, struct host *h, size_t max)
{
	struct frame f;

	while (max > 0) {
		size_t len, space;
		const uint8_t *bytes = outbox_bytes(o, &len);
		uint8_t *to = frame_space(&h->in, &space);

		if (len > max)
			len = max;
		if (len > space)
			len = space;
		if (len == 0)
			return;
		memcpy(to, bytes, len);
		frame_fed(&h->in, len);
		outbox_written(o, len);
		max -= len;
		while (frame_next(&h->in, &f))
			take_frame(h, &f);
	}
}

static struct record log_record(void)
{
	struct record r = { .type = RECORD_LOG, .log.level = 5 };

	memset(r.log.text, 'x', MSG_TEXT_MAX);
	return r;
}

static int pong(struct outbox *o, uint64_t n)
{
	const struct msg_pong p = { .host_ns = n };

	return outbox_message(o, MSG_PONG, &p);
}

static void fresh(struct outbox *o, struct host *h)
{
	outbox_init(o);
	o->session = KEY;
	memset(h, 0, sizeof(*h));
	frame_decoder_init(&h->in);
}

static void records_stand_before_the_answer_queued_behind_them(void **ctx)
{
	struct outbox o;
	struct host h;
	struct record r = log_record();

	fresh(&o, &h);
	assert_int_equal(outbox_record(&o, &r, true), 0);
	assert_int_equal(outbox_record(&o, &r, true), 0);
	assert_int_equal(pong(&o, 7), 0);
	carry(&o, &h, (size_t)2 * (FRAME_HEADER + 4 + 3 + MSG_TEXT_MAX));
	assert_int_equal(h.records, 2);
	carry(&o, &h, SIZE_MAX);
	assert_int_equal(h.last_pong, 7);
	assert_int_equal(h.frames, 2);
}

static void progress_is_dropped_and_counted_where_nobody_reads(void **ctx)
{
	struct outbox o;
	struct host h;
	struct record r = log_record();
	unsigned int taken = 0;

	fresh(&o, &h);
	for (int i = 0; i < 1000; i++)
		taken += outbox_record(&o, &r, true) == 0;
	assert_int_equal(o.dropped, 1000 - taken);
	assert_true(taken > 0 && taken < 1000);
	/* What must arrive still finds room, and so do answers. */
	assert_int_equal(outbox_record(&o, &r, false), 0);
	assert_true(outbox_has_room(&o));
	assert_int_equal(pong(&o, 1), 0);
	carry(&o, &h, SIZE_MAX);
	assert_int_equal(h.records, taken + 1);
	assert_int_equal(h.pongs, 1);
}

static void who_asks_for_room_is_never_refused(void **ctx)
{
	struct outbox o;
	struct host h;
	struct record r = log_record();
	uint64_t sent = 0;

	fresh(&o, &h);
	for (int i = 0; i < 20000; i++) {
		if (i % 3 == 0)
			(void)outbox_record(&o, &r, i % 2);
		if (outbox_has_room(&o))
			assert_int_equal(pong(&o, ++sent), 0);
		if (i % 5 == 0)
			carry(&o, &h, (size_t)(i * 7919) % 900);
	}
	outbox_close_batch(&o);
	carry(&o, &h, SIZE_MAX);
	assert_int_equal(h.pongs, sent);
	assert_int_equal(h.last_pong, sent);
	assert_int_equal(h.in.dropped, 0);
	assert_int_equal(h.next_seq, o.seq);
}

/* At every byte: what follows the void is understood, what had begun to go is completed. */
static void a_void_never_tears_a_frame(void **ctx)
{
	const size_t pong_size = FRAME_HEADER + 16;
	struct outbox o;
	struct host h;

	for (size_t sent = 0; sent < 3 * pong_size; sent++) {
		size_t begun = (sent + pong_size - 1) / pong_size;

		fresh(&o, &h);
		for (uint64_t i = 1; i <= 3; i++)
			assert_int_equal(pong(&o, i), 0);
		carry(&o, &h, sent);
		outbox_void(&o);
		assert_int_equal(pong(&o, 99), 0);
		carry(&o, &h, SIZE_MAX);
		assert_int_equal(h.pongs, begun + 1);
		assert_int_equal(h.last_pong, 99);
		assert_int_equal(h.in.dropped, 0);
	}
}

static void padding_can_be_voided_too(void **ctx)
{
	struct outbox o;
	struct host h;

	fresh(&o, &h);
	assert_int_equal(outbox_pad(&o, FRAME_PAD), 0);
	assert_int_equal(pong(&o, 1), 0);
	carry(&o, &h, 100);
	outbox_void(&o);
	assert_int_equal(pong(&o, 2), 0);
	carry(&o, &h, SIZE_MAX);
	assert_int_equal(h.pongs, 1);
	assert_int_equal(h.last_pong, 2);
}

static void hello_carries_no_session(void **ctx)
{
	const struct msg_hello hello = { .session = 5 };
	struct outbox o;
	size_t len;

	outbox_init(&o);
	o.session = UINT64_MAX;
	assert_int_equal(outbox_message(&o, MSG_HELLO, &hello), 0);
	for (size_t i = 8; i < 16; i++)
		assert_int_equal(outbox_bytes(&o, &len)[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_stand_before_the_answer_queued_behind_them),
		cmocka_unit_test(progress_is_dropped_and_counted_where_nobody_reads),
		cmocka_unit_test(who_asks_for_room_is_never_refused),
		cmocka_unit_test(a_void_never_tears_a_frame),
		cmocka_unit_test(padding_can_be_voided_too),
		cmocka_unit_test(hello_carries_no_session),
	};

	return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
