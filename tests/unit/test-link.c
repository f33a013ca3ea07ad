/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The link against a scripted agent; link-bench.h tells how to read a script. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/link-bench.h"

#include <cmocka.h>

static const char *const handshake[] = {
	"! accept", "> hello 0", "< hello A mine 41", "> hello A", "= up 41", NULL,
};

static void a_handshake_begun_by_the_link(void **ctx)
{
	uint64_t begun_us = bench_now_ns() / 1000;
	struct bench *b = *ctx;

	assert_false(link_is_up(b->link));
	assert_false(link_is_connected(b->link));
	assert_int_equal(link_query(b->link), -ENOTCONN);
	assert_int_equal(link_heard_us(b->link), 0);
	bench_play(b, handshake);
	assert_true(link_is_up(b->link));
	assert_true(link_is_connected(b->link));
	assert_in_range(link_heard_us(b->link), begun_us, bench_now_ns() / 1000);
	assert_string_equal(link_why_down(b->link), "");
	assert_string_equal(link_hello(b->link)->version, "test");
	/* What a predecessor may have torn is completed before anything else is said. */
	assert_int_equal(b->in.dropped, FRAME_PAD);
}

static void a_handshake_whose_hellos_cross(void **ctx)
{
	static const char *const script[] = {
		"! accept", "< hello A 0",    "> hello 0", "> hello A",
		"= -",      "< hello A mine", "= up 0",    NULL,
	};

	bench_play(*ctx, script);
}

static void requests_and_answers(void **ctx)
{
	static const char *const script[] = {
		"@ query",     "> query",     "@ kick",        "> kick 42",
		"< kicked 42", "= kicked 42", "< log one two", "= log 6 one two",
		"< done 42",   "= done 42",   "@ ack 42",      "> ack 42",
		"@ cancel 7",  "> cancel 7",  "@ ping 2000",   "= ping 0",
		NULL,
	};

	bench_play(*ctx, handshake);
	bench_play(*ctx, script);
}

static bool has_been_sent(const struct bench *b)
{
	struct pollfd p = { .fd = b->conn, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static void what_nobody_waits_for_goes_together(void **ctx)
{
	static const char *const ping[] = { "@ ping 2000", "= ping 0", NULL };
	static const char *const first[] = { "> ack 41", NULL };
	static const char *const second[] = { "> ack 42", NULL };
	static const char *const in_order[] = { "> ack 43", "> query", NULL };
	static const char *const rest[] = { "< log rest", "= log 6 rest", "> ack 44", NULL };
	struct bench *b = *ctx;
	uint64_t begun, came;

	bench_play(b, handshake);
	/* Behind the burst that measures the clock: a ping takes along what waits. */
	for (int i = 0; i < 8; i++)
		bench_play(b, ping);
	begun = bench_now_ns();
	assert_int_equal(link_ack(b->link, 41), 0);
	bench_turn_until_idle(b);
	assert_false(has_been_sent(b));
	assert_int_equal(link_ack(b->link, 42), 0);
	bench_play(b, first);
	came = bench_now_ns();
	/* The loop's time is that of its last turn. */
	assert_true(came - begun >= 390000000);
	bench_play(b, second);
	assert_true(bench_now_ns() - came < 200000000);
	/* Or with what goes at once. */
	assert_int_equal(link_ack(b->link, 43), 0);
	assert_false(has_been_sent(b));
	assert_int_equal(link_query(b->link), 0);
	assert_true(has_been_sent(b));
	bench_play(b, in_order);
	/* Or behind what shows that there is time for it. */
	assert_int_equal(link_ack(b->link, 44), 0);
	assert_false(has_been_sent(b));
	begun = bench_now_ns();
	bench_play(b, rest);
	assert_true(bench_now_ns() - begun < 200000000);
}

static void more_of_that_than_the_queue_holds_is_sent_meanwhile(void **ctx)
{
	struct bench *b = *ctx;

	bench_play(b, handshake);
	for (int n = 0; n < 3000; n++)
		assert_int_equal(link_ack(b->link, 1), 0);
	bench_turn_until_idle(b);
	assert_true(link_is_up(b->link));
}

static void an_agent_restarts_on_the_same_connection(void **ctx)
{
	static const char *const script[] = {
		"! mute",      "@ ping 60000", "< pad",     "< hello B 0 50",
		"= ping -107", "= down 0",     "> hello B", "< hello B mine 50",
		"= up 50",     NULL,
	};

	bench_play(*ctx, handshake);
	bench_play(*ctx, script);
}

static void R7_a_result_of_an_old_session_is_never_delivered(void **ctx)
{
	static const char *const restart[] = {
		"@ kick",     "> kick 42", "< hello B mine 42", "= down 0",  "> hello B", "= up 42",
		"< stale 42", "= -",       "< done 42",         "= done 42", NULL,
	};
	static const char *const reconnect[] = {
		"! close",    "= down 0",          "! accept",  "> hello 0",
		"< stale 42", "< hello B other",   "> hello B", "< done 42",
		"= -",        "< hello B mine 42", "= up 42",   NULL,
	};
	struct link_stats stats;

	bench_play(*ctx, handshake);
	bench_play(*ctx, restart);
	bench_play(*ctx, reconnect);
	link_get_stats(((struct bench *)*ctx)->link, &stats);
	assert_int_equal(stats.frames_dropped, 3);
}

static void a_frame_that_was_lost_is_missed_once(void **ctx)
{
	static const char *const script[] = {
		"< done 41",  "= done 41", "< lost",    "< done 43", "= missed 0", "= done 43",
		"< done 44",  "= done 44", "= -",       "< lost",    "< lost",     "< hello A mine",
		"= missed 0", "< done 45", "= done 45", NULL,
	};

	bench_play(*ctx, handshake);
	bench_play(*ctx, script);
}

/* It may be older than what has been said since; a result is none the worse for that. */
static void of_a_frame_that_comes_late_only_results_are_taken(void **ctx)
{
	static const char *const script[] = {
		"< row 3",   "= row 3", "< lost", "< lost",    "< row 5",   "= missed 0", "= row 5",
		"< older 3", "< row 3", "= -",    "< done 41", "= done 41", NULL,
	};

	bench_play(*ctx, handshake);
	bench_play(*ctx, script);
}

static void R7_kick_numbers_are_above_the_highest_seen(void **ctx)
{
	static const char *const restart[] = { "< hello B mine 900", "= down 0", "> hello B",
					       "= up 900", NULL };
	static const char *const reboot[] = { "< hello C mine 0", "= down 0", "> hello C", "= up 0",
					      NULL };
	struct bench *b = *ctx;
	uint32_t before;

	bench_play(b, handshake);
	assert_int_equal(link_next_kick(b->link), 42);
	assert_int_equal(link_next_kick(b->link), 43);
	bench_play(b, restart);
	assert_int_equal(link_next_kick(b->link), 901);
	/* A rebooted guest has seen none: the numbers go on all the same. */
	bench_play(b, reboot);
	before = link_next_kick(b->link);
	assert_int_equal(before, 902);
}

static void an_agent_that_invents_kick_numbers_is_not_taken(void **ctx)
{
	static const char *const script[] = { "! accept", "> hello 0", "< hello A mine 4294967295",
					      "= -", NULL };
	struct bench *b = *ctx;

	bench_play(b, script);
	assert_false(link_is_up(b->link));
	assert_int_equal(link_next_kick(b->link), 1);
}

static void an_agent_of_another_version_is_named(void **ctx)
{
	static const char *const script[] = { "! accept", "> hello 0", "< version 9", "= -", NULL };
	struct bench *b = *ctx;

	bench_play(b, script);
	assert_false(link_is_up(b->link));
	assert_non_null(strstr(link_why_down(b->link), "version"));
	assert_true(link_is_connected(b->link));
	assert_int_equal(link_heard_us(b->link), 0);
}

static void an_agent_that_forgets_us_is_told_again(void **ctx)
{
	static const char *const script[] = { "< hello A other",  "= down 0", "> hello A",
					      "< hello A mine 3", "= up 3",   NULL };

	bench_play(*ctx, handshake);
	bench_play(*ctx, script);
}

static void a_hello_said_again_renews_what_the_agent_can(void **ctx)
{
	static const char *const script[] = { "< hello A mine 77", "= -", NULL };
	struct bench *b = *ctx;

	bench_play(b, handshake);
	bench_play(b, script);
	assert_int_equal(link_hello(b->link)->kick, 77);
	assert_int_equal(link_next_kick(b->link), 78);
}

static void a_lost_connection_is_made_again(void **ctx)
{
	static const char *const script[] = {
		"! mute",    "@ ping 60000",     "! close",   "= ping -107",
		"= down 0",  "! accept",         "> hello 0", "< hello A 0 1",
		"> hello A", "< hello A mine 1", "= up 1",    NULL,
	};
	struct bench *b = *ctx;
	uint64_t first;

	bench_play(b, handshake);
	first = b->link_session;
	bench_play(b, script);
	assert_int_not_equal(b->link_session, first);
}

static void a_guest_that_was_reset_is_met_anew(void **ctx)
{
	static const char *const script[] = {
		"= down 0",  "! accept",         "> hello 0", "< hello A 0 1",
		"> hello A", "< hello A mine 1", "= up 1",    NULL,
	};
	struct bench *b = *ctx;
	uint64_t first;

	/* Nobody to forget: the connection is left alone. */
	link_reset(b->link);
	bench_play(b, handshake);
	first = b->link_session;
	link_reset(b->link);
	bench_play(b, script);
	assert_int_not_equal(b->link_session, first);
	first = b->link_session;
	link_abandon(b->link);
	bench_play(b, script);
	assert_int_not_equal(b->link_session, first);
}

static void a_torn_frame_costs_nothing_but_itself(void **ctx)
{
	static const char *const script[] = {
		"< torn", "< pad",          "< hello B mine 5", "= down 0",           "> hello B",
		"= up 5", "< junk login: ", "< log still here", "= log 6 still here", NULL,
	};
	struct link_stats stats;

	bench_play(*ctx, handshake);
	bench_play(*ctx, script);
	link_get_stats(((struct bench *)*ctx)->link, &stats);
	assert_true(stats.bytes_dropped > FRAME_PAD + 7);
}

static void pings_time_out_each_by_itself(void **ctx)
{
	static const char *const script[] = { "! mute",      "@ ping 20", "@ ping 60000",
					      "= ping -110", "= -",       NULL };
	struct bench *b = *ctx;

	bench_play(b, handshake);
	assert_false(link_is_silent(b->link));
	bench_play(b, script);
	assert_true(link_is_silent(b->link));
	/* A late answer is no answer, and none to the other. */
	bench_send_message(b, bench_key(b), MSG_PONG, &(struct msg_pong){ .host_ns = 1 });
	bench_expect_silence(b);
	assert_false(link_is_silent(b->link));
	link_ping_forget(b->link, b);
	bench_close(b);
	bench_expect(b, "down 0");
}

/* A guest that is idle is woken up once for both, and is asked first. */
static void a_ping_and_what_it_announces_are_one_write(void **ctx)
{
	static const int want[] = { MSG_PING, MSG_PREPARE };
	struct bench *b = *ctx;
	struct frame_decoder in;
	struct msg_prepare said;
	struct frame f;
	size_t size;
	uint8_t *space;

	bench_play(b, handshake);
	bench_turn_until_idle(b);
	assert_int_equal(link_ping_before(b->link, 3, 2000, 1000000, bench_on_ping, b), 0);
	frame_decoder_init(&in);
	space = frame_space(&in, &size);
	frame_fed(&in, (size_t)recv(b->conn, space, size, MSG_DONTWAIT));
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_true(frame_next(&in, &f));
		assert_int_equal(f.type, want[i]);
	}
	assert_int_equal(msg_decode(MSG_PREPARE, f.payload, f.length, &said), 0);
	assert_int_equal(said.kicks, 3);
	assert_int_equal(said.within_ms, 2000);
	assert_false(frame_next(&in, &f));
	link_ping_forget(b->link, b);
}

static void a_freed_link_calls_nobody(void **ctx)
{
	static const char *const script[] = { "! mute", "@ ping 1", NULL };
	struct bench *b = *ctx;

	bench_play(b, handshake);
	bench_play(b, script);
	b->link = link_free(b->link);
	assert_null(b->link);
	bench_turn(b); /* longer than the ping's timeout */
	bench_expect_silence(b);
}

static void a_report_with_a_bad_record_is_dropped_whole(void **ctx)
{
	struct bench *b = *ctx;
	struct record r = bench_log_record("fine");
	uint8_t payload[256], out[FRAME_MAX];
	struct link_stats stats;
	size_t pos = 0;

	bench_play(b, handshake);
	assert_int_equal(record_encode(&r, payload, sizeof(payload), &pos), 0);
	r.log.level = 99;
	assert_int_equal(record_encode(&r, payload, sizeof(payload), &pos), 0);
	bench_send(b, out, bench_build(b, out, bench_key(b), MSG_REPORT, payload, (int)pos));
	bench_expect_silence(b);
	link_get_stats(b->link, &stats);
	assert_int_equal(stats.frames_dropped, 1);
}

static void requests_from_the_agent_are_dropped(void **ctx)
{
	static const int types[] = { MSG_PING, MSG_QUERY,   MSG_KICK, MSG_ACK,
				     0,        MSG_PREPARE, MSG_LOAD, 255 };
	struct bench *b = *ctx;
	struct link_stats stats;
	uint8_t out[FRAME_MAX];

	bench_play(b, handshake);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		bench_send(b, out,
			   bench_build(b, out, bench_key(b), types[i], (const uint8_t *)"12345678",
				       8));
	bench_expect_silence(b);
	link_get_stats(b->link, &stats);
	assert_int_equal(stats.frames_dropped, sizeof(types) / sizeof(types[0]));
}

static void the_clocks_are_related(void **ctx)
{
	static const char *const ping[] = { "@ ping 2000", "= ping 0", NULL };
	struct bench *b = *ctx;
	uint64_t host_us, error_us, now_us;

	assert_false(link_guest_to_host(b->link, 0, &host_us, &error_us));
	bench_play(b, handshake);
	/* Behind the burst of the handshake, so it has been answered by now. */
	for (int i = 0; i < 8; i++)
		bench_play(b, ping);
	now_us = bench_now_ns() / 1000;
	assert_true(
		link_guest_to_host(b->link, now_us * 1000 + GUEST_AHEAD_NS, &host_us, &error_us));
	assert_in_range(host_us, now_us - error_us - 1, now_us + error_us + 1);
	assert_true(error_us < 100000);
	/* A time before the host's start cannot be shown. */
	assert_true(link_guest_to_host(b->link, 0, &host_us, &error_us));
	assert_int_equal(host_us, 0);
	link_measure_clock(b->link);
	assert_false(link_guest_to_host(b->link, 0, &host_us, &error_us));
	bench_play(b, ping);
	assert_true(link_guest_to_host(b->link, 0, &host_us, &error_us));
}

static void a_flood_waits_in_the_guest(void **ctx)
{
	static const char *const tail[] = { "< log at last", "= log 6 at last", NULL };
	struct bench *b = *ctx;
	struct link_stats stats;
	uint64_t begun = bench_now_ns(), allowed;

	bench_play(b, handshake);
	bench_flood(b, 520);
	bench_turn_until_idle(b);
	link_get_stats(b->link, &stats);
	/* What the clock has given back since is all that may come on top of the burst. */
	allowed = 500 + (bench_now_ns() - begun) / 20000000 + 1;
	assert_in_range(stats.frames_in, 400, allowed);
	assert_true(stats.throttled >= 1);
	assert_true(link_is_up(b->link));
	/* The rest comes when tokens return, in order and complete. */
	bench_play(b, tail);
	link_get_stats(b->link, &stats);
	assert_true(stats.frames_in >= 522);
	assert_true(stats.frames_in <= 500 + (bench_now_ns() - begun) / 20000000 + 1);
}

/* Far more than the link's own buffer: what it may not work on stays in the socket. */
static void a_throttled_link_leaves_the_socket_alone(void **ctx)
{
	struct bench *b = *ctx;
	struct link_stats stats;

	bench_play(b, handshake);
	bench_flood(b, 2000);
	bench_turn_until_idle(b);
	link_get_stats(b->link, &stats);
	assert_in_range(stats.frames_in, 400, 600);
	assert_true(link_is_up(b->link));
	assert_int_equal(stats.bytes_dropped, 0);
}

static void a_flood_of_junk_waits_as_well(void **ctx)
{
	static const uint8_t junk[100000];
	struct bench *b = *ctx;
	struct link_stats stats;

	bench_play(b, handshake);
	bench_send(b, junk, sizeof(junk));
	bench_turn_until_idle(b);
	link_get_stats(b->link, &stats);
	assert_in_range(stats.bytes_dropped, 16384, 500 * 64 + 2 * FRAME_MAX);
	assert_true(stats.throttled >= 1);
}

static void a_throttled_link_hears_the_hangup(void **ctx)
{
	struct bench *b = *ctx;

	bench_play(b, handshake);
	b->mute = true;
	bench_flood(b, 520);
	bench_turn_until_idle(b);
	bench_close(b);
	bench_expect(b, "down 0");
}

static void an_agent_that_does_not_read_is_dropped(void **ctx)
{
	struct bench *b = *ctx;
	int sent = 0;

	bench_play(b, handshake);
	b->in_call = true;
	while (link_query(b->link) == 0)
		assert_in_range(++sent, 1, 100000);
	assert_int_equal(link_query(b->link), -ENOTCONN);
	assert_false(link_is_up(b->link));
	assert_int_equal(b->n_heard, b->n_read);
	b->in_call = false;
	bench_turn(b);
	assert_string_equal(b->heard[b->n_read++], "down 0");
	/* 64 KiB of ours beside what the socket takes. */
	assert_true(sent > 64 * 1024 / FRAME_HEADER);
}

static void a_path_no_socket_can_have_is_refused(void **ctx)
{
	struct bench *b = *ctx;
	struct link *l = NULL;
	char path[200];

	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(link_new(&l, b->event, path, &bench_ops, b), -ENAMETOOLONG);
	assert_null(l);
}

static void a_socket_that_is_not_there_yet_is_waited_for(void **ctx)
{
	struct bench *b = *ctx;
	char moved[80];

	snprintf(moved, sizeof(moved), "%s/later", b->dir);
	assert_int_equal(rename(b->path, moved), 0);
	bench_turn(b);
	assert_string_equal(link_why_down(b->link), "the agent's socket is not there");
	assert_int_equal(rename(moved, b->path), 0);
	bench_play(b, handshake);
}

#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LINK_TEST(a_handshake_begun_by_the_link),
		LINK_TEST(a_handshake_whose_hellos_cross),
		LINK_TEST(requests_and_answers),
		LINK_TEST(what_nobody_waits_for_goes_together),
		LINK_TEST(more_of_that_than_the_queue_holds_is_sent_meanwhile),
		LINK_TEST(an_agent_restarts_on_the_same_connection),
		LINK_TEST(R7_a_result_of_an_old_session_is_never_delivered),
		LINK_TEST(a_frame_that_was_lost_is_missed_once),
		LINK_TEST(of_a_frame_that_comes_late_only_results_are_taken),
		LINK_TEST(R7_kick_numbers_are_above_the_highest_seen),
		LINK_TEST(an_agent_that_invents_kick_numbers_is_not_taken),
		LINK_TEST(an_agent_of_another_version_is_named),
		LINK_TEST(an_agent_that_forgets_us_is_told_again),
		LINK_TEST(a_hello_said_again_renews_what_the_agent_can),
		LINK_TEST(a_lost_connection_is_made_again),
		LINK_TEST(a_guest_that_was_reset_is_met_anew),
		LINK_TEST(a_torn_frame_costs_nothing_but_itself),
		LINK_TEST(pings_time_out_each_by_itself),
		LINK_TEST(a_ping_and_what_it_announces_are_one_write),
		LINK_TEST(a_freed_link_calls_nobody),
		LINK_TEST(a_report_with_a_bad_record_is_dropped_whole),
		LINK_TEST(requests_from_the_agent_are_dropped),
		LINK_TEST(the_clocks_are_related),
		LINK_TEST(a_flood_waits_in_the_guest),
		LINK_TEST(a_throttled_link_leaves_the_socket_alone),
		LINK_TEST(a_flood_of_junk_waits_as_well),
		LINK_TEST(a_throttled_link_hears_the_hangup),
		LINK_TEST(an_agent_that_does_not_read_is_dropped),
		LINK_TEST(a_path_no_socket_can_have_is_refused),
		LINK_TEST(a_socket_that_is_not_there_yet_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
