/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/frame.h"
#include "proto/ladder.h"
#include "proto/msg.h"

/* The golden vectors; PROTOCOL.md shows the same bytes, and a test below compares. */

static const struct msg_hello hello = { .version_min = 1,
					.version_max = 1,
					.features = MSG_FEATURE_HOTPLUG | MSG_FEATURE_KTRACE,
					.session = UINT64_C(0x1122334455667788),
					.peer = UINT64_C(0x99aabbccddeeff00),
					.kick = 41,
					.time_ns = UINT64_C(5000000000),
					.possible = 8,
					.boot_id = { 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
						     28, 29, 30, 31 },
					.version = "0.1.0",
					.kernel = "6.1.0-18-cloud-amd64" };

static const struct msg_ping ping = { .host_ns = UINT64_C(123456789012) };

static const struct msg_pong pong = { .host_ns = UINT64_C(123456789012), .guest_ns = 987654321 };

static const struct msg_kick kick = { .kick = 42,
				      .slot = 5,
				      .cpu = 3,
				      .target = CPUHP_ONLINE,
				      .flags = MSG_KICK_ROLLBACK,
				      .slow = 6,
				      .deadline_ms = 120000,
				      .op = "op-7f3a" };

static const struct msg_kicked kicked = {
	.kick = 42, .slot = 5, .rc = -EPROTO, .text = "cpu 3 is not present"
};

static const struct msg_cancel cancel = { .kick = 42 };

static const struct msg_ack ack = { .kick = 42 };

static const struct msg_arm arm = { .slot = 5, .state = 12, .rc = -EAGAIN };

static const struct msg_armed armed = { .slot = 5, .state = 12, .rc = -EPERM };

static const struct msg_prepare prepare = { .kicks = 7, .within_ms = 12000 };

static const struct msg_load load = { .interval_ms = 5000 };

static const struct {
	int type;
	size_t size;
	const void *value;
	const char *hex;
} messages[] = {
	{ MSG_HELLO, sizeof(hello), &hello,
	  "010103000000887766554433221100ff"
	  "eeddccbbaa992900000000f2052a0100"
	  "00000800101112131415161718191a1b"
	  "1c1d1e1f05302e312e3014362e312e30"
	  "2d31382d636c6f75642d616d643634" },
	{ MSG_PING, sizeof(ping), &ping, "141a99be1c000000" },
	{ MSG_PONG, sizeof(pong), &pong, "141a99be1c000000b168de3a00000000" },
	{ MSG_QUERY, 0, NULL, "" },
	{ MSG_KICK, sizeof(kick), &kick,
	  "2a000000050003002c0106c0d4010007"
	  "6f702d37663361" },
	{ MSG_KICKED, sizeof(kicked), &kicked,
	  "2a0000000500b9ffffff146370752033"
	  "206973206e6f742070726573656e74" },
	{ MSG_CANCEL, sizeof(cancel), &cancel, "2a000000" },
	{ MSG_ACK, sizeof(ack), &ack, "2a000000" },
	{ MSG_ARM, sizeof(arm), &arm, "05000cf5ffffff" },
	{ MSG_ARMED, sizeof(armed), &armed, "05000cffffffff" },
	{ MSG_PREPARE, sizeof(prepare), &prepare, "0700e02e0000" },
	{ MSG_LOAD, sizeof(load), &load, "88130000" },
};

static const struct {
	struct record value;
	const char *hex;
} records[] = {
	{ { .type = RECORD_CPU,
	    .cpu = { .cpu = 3,
		     .slot = 5,
		     .flags = RECORD_CPU_PRESENT | RECORD_CPU_ONLINE,
		     .state = CPUHP_ONLINE,
		     .ran_on = 3 } },
	  "01090003000500032c030000" },
	{ { .type = RECORD_STATE, .state = { .state = 12, .name = "10-hugepages" } },
	  "020e000c0c31302d6875676570616765"
	  "73" },
	{ { .type = RECORD_STEP,
	    .step = { .kick = 42,
		      .slot = 5,
		      .cpu = 3,
		      .state = 12,
		      .flags = RECORD_STEP_EXIT | RECORD_STEP_STARTUP,
		      .rc = -EIO,
		      .ran_on = 3,
		      .time_ns = UINT64_C(6000000000),
		      .text = "no space left" } },
	  "0326002a000000050003000c03fbffff"
	  "ff030000bca065010000000d6e6f2073"
	  "70616365206c656674" },
	{ { .type = RECORD_KSTEP,
	    .kstep = { .kick = 42,
		       .slot = 5,
		       .cpu = 3,
		       .step = 156,
		       .flags = RECORD_STEP_STARTUP,
		       .time_ns = UINT64_C(6000000001),
		       .name = "smpboot/threads:online" } },
	  "042e002a000000050003009c00020000"
	  "000001bca0650100000016736d70626f"
	  "6f742f746872656164733a6f6e6c696e"
	  "65" },
	{ { .type = RECORD_DONE,
	    .done = { .kick = 42,
		      .slot = 5,
		      .cpu = 3,
		      .state = CPUHP_AP_VERIFY,
		      .rc = -EIO,
		      .failed_at = 12,
		      .rollback_rc = -EBUSY,
		      .rollback_failed_at = CPUHP_AP_VERIFY,
		      .ran_on = 3,
		      .text = "stuck at ap:verify" } },
	  "0528002a0000000500030009fbffffff"
	  "0cf0ffffff09030012737475636b2061"
	  "742061703a766572696679" },
	{ { .type = RECORD_LOG, .log = { .level = 4, .text = "tracefs is not mounted" } },
	  "06180004167472616365667320697320"
	  "6e6f74206d6f756e746564" },
	{ { .type = RECORD_END }, "070000" },
	{ { .type = RECORD_LOAD_CPU,
	    .load_cpu = { .cpu = 3, .busy = 875, .steal = LOAD_NO_SHARE } },
	  "08060003006b03ffff" },
	{ { .type = RECORD_LOAD,
	    .load = { .span_ms = 2000,
		      .avg10 = 4210,
		      .avg60 = 1805,
		      .total_us = 123456789,
		      .load1 = 512,
		      .load5 = 256,
		      .load15 = 128,
		      .runnable = 9 } },
	  "092000d007000072100d0715cd5b0700"
	  "00000000020000000100008000000009"
	  "000000" },
};

enum {
	N_MESSAGES = sizeof(messages) / sizeof(messages[0]),
	N_RECORDS = sizeof(records) / sizeof(records[0]),
};

static size_t unhex(const char *hex, uint8_t *out)
{
	size_t n = 0;

	for (; hex[0] && hex[1]; hex += 2) {
		const char pair[3] = { hex[0], hex[1], '\0' };

		out[n++] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

static void every_message_encodes_to_its_golden_bytes(void **ctx)
{
	for (size_t i = 0; i < N_MESSAGES; i++) {
		uint8_t want[512], got[512];
		size_t n = unhex(messages[i].hex, want);

		/* All of them: records make a REPORT. */
		assert_int_equal(messages[i].type, i + 1 + (i + 1 >= MSG_REPORT));
		assert_int_equal(msg_encode(messages[i].type, messages[i].value, got, sizeof(got)),
				 n);
		assert_memory_equal(got, want, n);
		if (n > 0)
			assert_int_equal(
				msg_encode(messages[i].type, messages[i].value, got, n - 1),
				-EMSGSIZE);
	}
}

static void every_golden_message_decodes_to_its_value(void **ctx)
{
	for (size_t i = 0; i < N_MESSAGES; i++) {
		uint8_t bytes[512];
		size_t n = unhex(messages[i].hex, bytes);
		uint8_t got[512];

		memset(got, 0xa5, sizeof(got));
		assert_int_equal(msg_decode(messages[i].type, bytes, n, got), 0);
		if (messages[i].size > 0)
			assert_memory_equal(got, messages[i].value, messages[i].size);
		assert_int_equal(got[messages[i].size], 0xa5);
	}
}

static void a_message_of_another_length_is_refused_and_touches_nothing(void **ctx)
{
	for (size_t i = 0; i < N_MESSAGES; i++) {
		uint8_t bytes[512] = { 0 }, got[512], before[512];
		size_t n = unhex(messages[i].hex, bytes);

		memset(got, 0xa5, sizeof(got));
		memcpy(before, got, sizeof(got));
		for (size_t len = 0; len <= n + 2; len++)
			if (len != n)
				assert_int_equal(msg_decode(messages[i].type, bytes, len, got),
						 -EBADMSG);
		assert_memory_equal(got, before, sizeof(got));
	}
}

static void unknown_types_are_refused(void **ctx)
{
	static const int types[] = { -1, 0, MSG_REPORT, MSG_LOAD + 1, 255 };
	uint8_t buf[64] = { 0 };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		assert_int_equal(msg_encode(types[i], buf, buf, sizeof(buf)), -EINVAL);
		assert_int_equal(msg_decode(types[i], buf, sizeof(buf), buf), -EINVAL);
	}
}

static void a_hello_without_a_session_is_refused(void **ctx)
{
	struct msg_hello h = hello;
	uint8_t bytes[512];
	int n;

	h.session = 0;
	n = msg_encode(MSG_HELLO, &h, bytes, sizeof(bytes));
	assert_true(n > 0);
	assert_int_equal(msg_decode(MSG_HELLO, bytes, (size_t)n, &h), -EBADMSG);
}

static void every_record_has_its_golden_bytes(void **ctx)
{
	for (size_t i = 0; i < N_RECORDS; i++) {
		uint8_t want[512], got[512];
		size_t n = unhex(records[i].hex, want), end = 0, pos = 0;
		struct record r;

		assert_int_equal(records[i].value.type, i + 1);
		assert_int_equal(record_encode(&records[i].value, got, sizeof(got), &end), 0);
		assert_int_equal(end, n);
		assert_memory_equal(got, want, n);
		assert_int_equal(record_decode(want, n, &pos, &r), 1);
		assert_int_equal(pos, n);
		assert_memory_equal(&r, &records[i].value, sizeof(r));
		assert_int_equal(record_decode(want, n, &pos, &r), 0);
	}
}

static void many_records_stand_in_one_report(void **ctx)
{
	uint8_t buf[FRAME_PAYLOAD_MAX];
	size_t end = 0, pos = 0;
	struct record r;

	for (size_t i = 0; i < N_RECORDS; i++)
		assert_int_equal(record_encode(&records[i].value, buf, sizeof(buf), &end), 0);
	for (size_t i = 0; i < N_RECORDS; i++) {
		assert_int_equal(record_decode(buf, end, &pos, &r), 1);
		assert_memory_equal(&r, &records[i].value, sizeof(r));
	}
	assert_int_equal(record_decode(buf, end, &pos, &r), 0);
}

static void a_full_report_asks_to_be_sent_first(void **ctx)
{
	uint8_t buf[FRAME_PAYLOAD_MAX];
	size_t end = 0, before;
	int r;

	do {
		before = end;
		r = record_encode(&records[2].value, buf, sizeof(buf), &end);
	} while (r == 0);
	assert_int_equal(r, -EMSGSIZE);
	assert_int_equal(end, before);
	assert_true(sizeof(buf) - end < 64);
}

static void a_record_of_a_newer_peer_is_passed_over(void **ctx)
{
	uint8_t buf[512] = { 200, 3, 0, 'a', 'b', 'c' };
	size_t end = 6, pos = 0;
	struct record r;

	assert_int_equal(record_encode(&records[5].value, buf, sizeof(buf), &end), 0);
	assert_int_equal(record_decode(buf, end, &pos, &r), 1);
	assert_int_equal(r.type, RECORD_LOG);
	pos = 0;
	assert_int_equal(record_decode(buf, 6, &pos, &r), 0);
	assert_int_equal(pos, 6);
}

static void a_damaged_record_is_refused_and_touches_nothing(void **ctx)
{
	for (size_t i = 0; i < N_RECORDS; i++) {
		uint8_t bytes[512] = { 0 };
		size_t n = unhex(records[i].hex, bytes);
		struct record r, before;

		memset(&r, 0xa5, sizeof(r));
		before = r;
		for (size_t len = 1; len < n; len++) {
			size_t pos = 0;

			assert_int_equal(record_decode(bytes, len, &pos, &r), -EBADMSG);
			assert_int_equal(record_check(bytes, len), -EBADMSG);
			assert_int_equal(pos, 0);
		}
		/* A longer one than its fields: no bytes may hide behind them. */
		assert_int_equal(record_check(bytes, n), 0);
		bytes[1]++;
		assert_int_equal(record_decode(bytes, n + 1, &(size_t){ 0 }, &r), -EBADMSG);
		assert_int_equal(record_check(bytes, n + 1), -EBADMSG);
		assert_memory_equal(&r, &before, sizeof(r));
	}
}

static struct record with(struct record r, size_t offset, uint64_t value, size_t size)
{
	memcpy((uint8_t *)&r + offset, &value, size);
	return r;
}

static int decoded(struct record r)
{
	uint8_t buf[512];
	size_t end = 0;
	int rc;

	assert_int_equal(record_encode(&r, buf, sizeof(buf), &end), 0);
	rc = record_decode(buf, end, &(size_t){ 0 }, &r);
	assert_int_equal(record_check(buf, end), rc == 1 ? 0 : rc);
	return rc;
}

static const struct {
	const char *what;
	int record; /* index in records[] */
	size_t offset, size;
	uint64_t good, bad;
} ranges[] = {
	{ "cpu", 0, offsetof(struct record, cpu.cpu), 2, 4095, 4096 },
	{ "no slot", 0, offsetof(struct record, cpu.slot), 2, MSG_NO_SLOT, 0xfffe },
	{ "cpu's state", 0, offsetof(struct record, cpu.state), 1, 44, 45 },
	{ "ran on", 0, offsetof(struct record, cpu.ran_on), 2, MSG_NO_CPU, 4096 },
	{ "state", 1, offsetof(struct record, state.state), 1, 0, 255 },
	{ "step's slot", 2, offsetof(struct record, step.slot), 2, 0, 4096 },
	{ "step's state", 2, offsetof(struct record, step.state), 1, 44, 45 },
	{ "kstep's cpu", 3, offsetof(struct record, kstep.cpu), 2, 0, 5000 },
	{ "done's state", 4, offsetof(struct record, done.state), 1, 44, 255 },
	{ "failed at", 4, offsetof(struct record, done.failed_at), 1, 255, 45 },
	{ "rollback", 4, offsetof(struct record, done.rollback_failed_at), 1, 255, 254 },
	{ "priority", 5, offsetof(struct record, log.level), 1, 7, 8 },
	{ "load's cpu", 7, offsetof(struct record, load_cpu.cpu), 2, 4095, 4096 },
	{ "busy", 7, offsetof(struct record, load_cpu.busy), 2, 1000, 1001 },
	{ "no busy", 7, offsetof(struct record, load_cpu.busy), 2, LOAD_NO_SHARE, 0xfffe },
	{ "steal", 7, offsetof(struct record, load_cpu.steal), 2, 0, 0xff00 },
	{ "avg10", 8, offsetof(struct record, load.avg10), 2, 10000, 10001 },
	{ "no avg60", 8, offsetof(struct record, load.avg60), 2, LOAD_NO_SHARE, 0xfffe },
	{ "total", 8, offsetof(struct record, load.total_us), 8, INT64_MAX,
	  UINT64_C(0x8000000000000000) },
	{ "no total", 8, offsetof(struct record, load.total_us), 8, LOAD_NO_TIME,
	  LOAD_NO_TIME - 1 },
};

static void a_number_out_of_range_is_refused(void **ctx)
{
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		struct record r = records[ranges[i].record].value;

		assert_int_equal(decoded(with(r, ranges[i].offset, ranges[i].good, ranges[i].size)),
				 1);
		assert_int_equal(decoded(with(r, ranges[i].offset, ranges[i].bad, ranges[i].size)),
				 -EBADMSG);
	}
}

/* The agent must answer a bad request (R16): the decoder lets it through. */
static void R16_a_kick_out_of_range_reaches_the_agent(void **ctx)
{
	struct msg_kick k = kick, got;
	uint8_t buf[128];
	int n;

	k.target = 255;
	k.cpu = 65535;
	n = msg_encode(MSG_KICK, &k, buf, sizeof(buf));
	assert_true(n > 0);
	assert_int_equal(msg_decode(MSG_KICK, buf, (size_t)n, &got), 0);
	assert_int_equal(got.target, 255);
	assert_int_equal(got.cpu, 65535);
}

static void text_comes_out_printable(void **ctx)
{
	static const uint8_t nasty[] = { RECORD_LOG, 12,  0,   3,    10,   'a',  0,  '\n',
					 0x1b,       '[', 'J', 0x7f, 0xc3, 0xa9, '~' };
	struct record r;

	assert_int_equal(record_decode(nasty, sizeof(nasty), &(size_t){ 0 }, &r), 1);
	assert_string_equal(r.log.text, "a???[J???~");
}

static void text_goes_out_printable(void **ctx)
{
	struct msg_kicked k = { .text = "VHP1\1\n" };
	uint8_t buf[64];
	int n = msg_encode(MSG_KICKED, &k, buf, sizeof(buf));

	assert_int_equal(n, 4 + 2 + 4 + 1 + 6);
	assert_memory_equal(buf + 11, "VHP1??", 6);
}

static void text_of_every_length_up_to_its_limit(void **ctx)
{
	for (size_t len = 0; len <= MSG_TEXT_MAX; len++) {
		struct record r = { .type = RECORD_LOG }, got;
		uint8_t buf[512];
		size_t end = 0, pos = 0;

		memset(r.log.text, 'x', len);
		assert_int_equal(record_encode(&r, buf, sizeof(buf), &end), 0);
		assert_int_equal(end, 5 + len);
		assert_int_equal(record_decode(buf, end, &pos, &got), 1);
		assert_memory_equal(&r, &got, sizeof(r));
	}
}

static void a_string_above_its_own_limit_is_refused(void **ctx)
{
	uint8_t bytes[3 + 2 + 64] = { RECORD_STATE, 2 + 63, 0, 12, 63 };
	struct record r;

	memset(bytes + 5, 'x', 64);
	assert_int_equal(record_decode(bytes, 5 + 63, &(size_t){ 0 }, &r), 1);
	assert_int_equal(strlen(r.state.name), MSG_NAME_MAX);
	bytes[1] = 2 + 64;
	bytes[4] = 64;
	assert_int_equal(record_decode(bytes, 5 + 64, &(size_t){ 0 }, &r), -EBADMSG);
}

/* The manual's bytes without white space, to look the vectors up in. */
static char *read_manual(void)
{
	const char *root = getenv("SOURCE_ROOT");
	static char text[1 << 17];
	char path[4096];
	size_t n = 0;
	FILE *file;
	int c;

	if (!root)
		return NULL;
	snprintf(path, sizeof(path), "%s/proto/PROTOCOL.md", root);
	file = fopen(path, "re");
	assert_non_null(file);
	while ((c = getc(file)) != EOF && n < sizeof(text) - 1)
		if (c != ' ' && c != '\n' && c != '\t')
			text[n++] = (char)c;
	fclose(file);
	text[n] = '\0';
	return text;
}

static void the_manual_shows_the_same_vectors(void **ctx)
{
	const char *manual = read_manual();

	if (!manual) {
		skip(); /* run by hand, outside of meson */
		return;
	}
	for (size_t i = 0; i < N_MESSAGES; i++)
		assert_non_null(strstr(manual, messages[i].hex));
	for (size_t i = 0; i < N_RECORDS; i++)
		assert_non_null(strstr(manual, records[i].hex));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_encodes_to_its_golden_bytes),
		cmocka_unit_test(every_golden_message_decodes_to_its_value),
		cmocka_unit_test(a_message_of_another_length_is_refused_and_touches_nothing),
		cmocka_unit_test(unknown_types_are_refused),
		cmocka_unit_test(a_hello_without_a_session_is_refused),
		cmocka_unit_test(every_record_has_its_golden_bytes),
		cmocka_unit_test(many_records_stand_in_one_report),
		cmocka_unit_test(a_full_report_asks_to_be_sent_first),
		cmocka_unit_test(a_record_of_a_newer_peer_is_passed_over),
		cmocka_unit_test(a_damaged_record_is_refused_and_touches_nothing),
		cmocka_unit_test(a_number_out_of_range_is_refused),
		cmocka_unit_test(R16_a_kick_out_of_range_reaches_the_agent),
		cmocka_unit_test(text_comes_out_printable),
		cmocka_unit_test(text_goes_out_printable),
		cmocka_unit_test(text_of_every_length_up_to_its_limit),
		cmocka_unit_test(a_string_above_its_own_limit_is_refused),
		cmocka_unit_test(the_manual_shows_the_same_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
