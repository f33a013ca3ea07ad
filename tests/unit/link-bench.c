/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/link-bench.h"

#include <cmocka.h>

uint64_t bench_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static void hear(struct bench *b, const char *what, long long n, const char *text)
{
	assert_false(b->in_call);
	assert_true(b->n_heard < HEARD_MAX);
	snprintf(b->heard[b->n_heard++], sizeof(b->heard[0]), "%s %lld%s%s", what, n,
		 *text ? " " : "", text);
}

static void on_up(void *ctx, const struct msg_hello *hello)
{
	hear(ctx, "up", hello->kick, "");
}

static void on_down(void *ctx, const char *why)
{
	struct bench *b = ctx;

	assert_false(link_is_up(b->link));
	assert_null(link_hello(b->link));
	assert_true(*why != '\0');
	hear(b, "down", 0, "");
}

static void on_kicked(void *ctx, const struct msg_kicked *m)
{
	hear(ctx, "kicked", m->kick, "");
}

static void on_record(void *ctx, const struct record *r)
{
	struct bench *b = ctx;

	if (r->type == RECORD_LOG && strcmp(r->log.text, "rest") == 0)
		link_send_rest(b->link);
	if (r->type == RECORD_LOG)
		hear(ctx, "log", r->log.level, r->log.text);
	else if (r->type == RECORD_DONE)
		hear(ctx, "done", r->done.kick, "");
	else if (r->type == RECORD_CPU)
		hear(ctx, "row", r->cpu.slot, "");
}

static void on_armed(void *ctx, const struct msg_armed *m)
{
	hear(ctx, "armed", m->rc, "");
}

static void on_missed(void *ctx)
{
	hear(ctx, "missed", 0, "");
}

const struct link_ops bench_ops = {
	.on_up = on_up,
	.on_down = on_down,
	.on_kicked = on_kicked,
	.on_record = on_record,
	.on_armed = on_armed,
	.on_missed = on_missed,
};

void bench_on_ping(void *arg, int rc)
{
	hear(arg, "ping", rc, "");
}

void bench_turn(struct bench *b)
{
	assert_true(sd_event_run(b->event, 5000) >= 0);
}

/* Turns until nothing is ready: whatever the link could do by now, it has done. */
void bench_turn_until_idle(struct bench *b)
{
	while (sd_event_run(b->event, 0) > 0)
		;
}

void bench_send(struct bench *b, const void *bytes, size_t n)
{
	assert_int_equal(send(b->conn, bytes, n, MSG_NOSIGNAL), n);
}

size_t bench_build(struct bench *b, uint8_t *out, uint64_t session, int type,
		   const uint8_t *payload, int len)
{
	struct frame f = { .type = (uint8_t)type, .session = session, .seq = b->seq++ };
	int n;

	assert_true(len >= 0);
	f.payload = payload;
	f.length = (uint16_t)len;
	n = frame_encode(&f, out, FRAME_MAX);
	assert_true(n > 0);
	return (size_t)n;
}

void bench_send_message(struct bench *b, uint64_t session, int type, const void *msg)
{
	uint8_t payload[FRAME_PAYLOAD_MAX], out[FRAME_MAX];
	int len = msg_encode(type, msg, payload, sizeof(payload));

	bench_send(b, out, bench_build(b, out, session, type, payload, len));
}

size_t bench_build_report(struct bench *b, uint8_t *out, uint64_t session, const struct record *r)
{
	uint8_t payload[FRAME_PAYLOAD_MAX];
	size_t pos = 0;

	assert_int_equal(record_encode(r, payload, sizeof(payload), &pos), 0);
	return bench_build(b, out, session, MSG_REPORT, payload, (int)pos);
}

uint64_t bench_key(const struct bench *b)
{
	return b->link_session ^ b->agent_session;
}

static void answer_ping(struct bench *b, const struct frame *f)
{
	struct msg_ping ping;
	struct msg_pong pong;

	assert_int_equal(msg_decode(MSG_PING, f->payload, f->length, &ping), 0);
	b->last_ping_ns = ping.host_ns;
	pong = (struct msg_pong){ ping.host_ns, bench_now_ns() + GUEST_AHEAD_NS };
	if (!b->mute)
		bench_send_message(b, bench_key(b), MSG_PONG, &pong);
}

/* The next frame of the link that is not a PING; those are answered on the way. */
static bool next_frame(struct bench *b, struct frame *f)
{
	while (frame_next(&b->in, f)) {
		if (f->type != MSG_PING)
			return true;
		answer_ping(b, f);
	}
	return false;
}

static bool agent_reads(struct bench *b)
{
	size_t size;
	uint8_t *space = frame_space(&b->in, &size);
	ssize_t n = b->conn < 0 ? -1 : recv(b->conn, space, size, MSG_DONTWAIT);

	if (n > 0)
		frame_fed(&b->in, (size_t)n);
	return n > 0;
}

static void expect_frame(struct bench *b, struct frame *f)
{
	uint64_t until = bench_now_ns() + PATIENCE_MS * UINT64_C(1000000);

	while (!next_frame(b, f)) {
		if (!agent_reads(b))
			bench_turn(b);
		assert_true(bench_now_ns() < until);
	}
}

/* Keep both sides going until the owner has heard something unread. */
void bench_expect(struct bench *b, const char *what)
{
	uint64_t until = bench_now_ns() + PATIENCE_MS * UINT64_C(1000000);
	struct frame f;

	while (b->n_read == b->n_heard) {
		if (next_frame(b, &f))
			fail_msg("a frame of type %d while waiting for '%s'", f.type, what);
		if (!agent_reads(b))
			bench_turn(b);
		if (bench_now_ns() > until)
			fail_msg("the owner never heard '%s'", what);
	}
	assert_string_equal(b->heard[b->n_read++], what);
}

void bench_expect_silence(struct bench *b)
{
	bench_turn_until_idle(b);
	assert_int_equal(b->n_heard, b->n_read);
}

static void agent_accepts(struct bench *b)
{
	uint64_t until = bench_now_ns() + PATIENCE_MS * UINT64_C(1000000);

	do {
		bench_turn(b);
		b->conn = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC);
		assert_true(bench_now_ns() < until);
	} while (b->conn < 0);
	frame_decoder_init(&b->in);
}

void bench_close(struct bench *b)
{
	close(b->conn);
	b->conn = -1;
}

static uint64_t named_session(char letter)
{
	return letter == '0' ? 0 : 0x1111111111111111u * (unsigned int)(letter - 'A' + 1);
}

static void send_hello(struct bench *b, char letter, const char *peer, unsigned int kick,
		       uint8_t version)
{
	struct msg_hello h = { .version_min = version,
			       .version_max = version,
			       .session = named_session(letter),
			       .kick = kick,
			       .version = "test" };

	if (strcmp(peer, "mine") == 0)
		h.peer = b->link_session;
	else if (strcmp(peer, "other") == 0)
		h.peer = ~b->link_session;
	if (h.session != b->agent_session)
		b->old_key = bench_key(b);
	b->agent_session = h.session;
	bench_send_message(b, 0, MSG_HELLO, &h);
}

static void expect_hello(struct bench *b, char letter)
{
	struct msg_hello h;
	struct frame f;

	expect_frame(b, &f);
	assert_int_equal(f.type, MSG_HELLO);
	assert_int_equal(f.session, 0);
	assert_int_equal(msg_decode(MSG_HELLO, f.payload, f.length, &h), 0);
	assert_int_equal(h.peer, named_session(letter));
	b->link_session = h.session;
}

/* "> kick N" and the like: a frame of @type in the session, its first field @n where it has one. */
static void expect_request(struct bench *b, int type, unsigned int n)
{
	struct frame f;

	expect_frame(b, &f);
	assert_int_equal(f.type, type);
	assert_int_equal(f.session, bench_key(b));
	if (f.length >= 4)
		assert_int_equal(f.payload[0], n);
}

static void agent_reports(struct bench *b, uint64_t session, const struct record *r)
{
	uint8_t out[FRAME_MAX];

	bench_send(b, out, bench_build_report(b, out, session, r));
}

static void agent_sends_done(struct bench *b, uint64_t session, unsigned int kick)
{
	struct record r = { .type = RECORD_DONE,
			    .done = {
				    .kick = kick, .failed_at = 0xff, .rollback_failed_at = 0xff } };

	agent_reports(b, session, &r);
}

static void agent_sends_row(struct bench *b, unsigned int slot)
{
	struct record r = { .type = RECORD_CPU, .cpu = { .slot = (uint16_t)slot } };

	agent_reports(b, bench_key(b), &r);
}

struct record bench_log_record(const char *text)
{
	struct record r = { .type = RECORD_LOG, .log = { .level = 6 } };

	snprintf(r.log.text, sizeof(r.log.text), "%s", text);
	return r;
}

static void agent_tears(struct bench *b)
{
	uint8_t out[FRAME_MAX];
	struct record r = bench_log_record("a line that is never finished");
	size_t n = bench_build_report(b, out, bench_key(b), &r);

	bench_send(b, out, n / 2);
}

static void link_sends(struct bench *b, const char *what, unsigned int n, char letter)
{
	if (strcmp(what, "hello") == 0)
		expect_hello(b, letter);
	else if (strcmp(what, "kick") == 0)
		expect_request(b, MSG_KICK, n);
	else if (strcmp(what, "ack") == 0)
		expect_request(b, MSG_ACK, n);
	else if (strcmp(what, "cancel") == 0)
		expect_request(b, MSG_CANCEL, n);
	else if (strcmp(what, "query") == 0)
		expect_request(b, MSG_QUERY, 0);
	else
		fail_msg("> %s", what);
}

static void agent_sends(struct bench *b, const char *what, const char *rest)
{
	unsigned int n = (unsigned int)strtoul(rest, NULL, 10);
	char letter = '0', peer[16] = "";
	int at = 0;

	if (strcmp(what, "hello") == 0) {
		assert_int_equal(sscanf(rest, "%c %15s %n", &letter, peer, &at), 2);
		n = (unsigned int)strtoul(rest + at, NULL, 10);
		send_hello(b, letter, peer, n, FRAME_VERSION);
	} else if (strcmp(what, "version") == 0) {
		send_hello(b, 'A', "mine", 0, (uint8_t)n);
	} else if (strcmp(what, "kicked") == 0) {
		bench_send_message(b, bench_key(b), MSG_KICKED, &(struct msg_kicked){ .kick = n });
	} else if (strcmp(what, "done") == 0) {
		agent_sends_done(b, bench_key(b), n);
	} else if (strcmp(what, "stale") == 0) {
		agent_sends_done(b, b->old_key, n);
		b->seq--;
	} else if (strcmp(what, "log") == 0) {
		struct record r = bench_log_record(rest);

		agent_reports(b, bench_key(b), &r);
	} else if (strcmp(what, "row") == 0) {
		agent_sends_row(b, n);
	} else if (strcmp(what, "lost") == 0) {
		b->seq++;
	} else if (strcmp(what, "older") == 0) {
		b->seq -= n;
	} else if (strcmp(what, "newer") == 0) {
		b->seq += n;
	} else if (strcmp(what, "torn") == 0) {
		agent_tears(b);
	} else if (strcmp(what, "junk") == 0) {
		bench_send(b, rest, strlen(rest));
	} else if (strcmp(what, "pad") == 0) {
		bench_send(b, (uint8_t[FRAME_PAD]){ 0 }, FRAME_PAD);
	} else {
		fail_msg("< %s", what);
	}
}

static void fault(struct bench *b, const char *what)
{
	if (strcmp(what, "close") == 0)
		bench_close(b);
	else if (strcmp(what, "accept") == 0)
		agent_accepts(b);
	else if (strcmp(what, "mute") == 0)
		b->mute = true;
	else
		fail_msg("! %s", what);
}

static void owner_calls(struct bench *b, const char *what, unsigned int n)
{
	int r = 0;

	b->in_call = true;
	if (strcmp(what, "kick") == 0) {
		b->kick = link_next_kick(b->link);
		r = link_kick(b->link, &(struct msg_kick){ .kick = b->kick });
	} else if (strcmp(what, "ack") == 0) {
		r = link_ack(b->link, n);
	} else if (strcmp(what, "cancel") == 0) {
		r = link_cancel(b->link, n);
	} else if (strcmp(what, "query") == 0) {
		r = link_query(b->link);
	} else if (strcmp(what, "ping") == 0) {
		r = link_ping(b->link, n * UINT64_C(1000), bench_on_ping, b);
	} else {
		fail_msg("@ %s", what);
	}
	b->in_call = false;
	assert_int_equal(r, 0);
}

static void play_line(struct bench *b, const char *line)
{
	char what[16] = "";
	int at = 0;
	const char *rest;

	if (line[0] == '=') {
		if (strcmp(line, "= -") == 0)
			bench_expect_silence(b);
		else
			bench_expect(b, line + 2);
		return;
	}
	assert_int_equal(sscanf(line + 1, " %15s %n", what, &at), 1);
	rest = line + 1 + at;
	if (line[0] == '>')
		link_sends(b, what, (unsigned int)strtoul(rest, NULL, 10), *rest);
	else if (line[0] == '<')
		agent_sends(b, what, rest);
	else if (line[0] == '!')
		fault(b, what);
	else
		owner_calls(b, what, (unsigned int)strtoul(rest, NULL, 10));
}

void bench_play(struct bench *b, const char *const *lines)
{
	for (; *lines; lines++)
		play_line(b, *lines);
}

int bench_setup(void **ctx)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	snprintf(b->dir, sizeof(b->dir), "/tmp/test-link-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/port", b->dir);
	memcpy(addr.sun_path, b->path, sizeof(b->path));
	b->conn = -1;
	b->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(b->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(b->listener, 1), 0);
	assert_int_equal(sd_event_new(&b->event), 0);
	assert_int_equal(link_new(&b->link, b->event, b->path, &bench_ops, b), 0);
	*ctx = b;
	return 0;
}

int bench_teardown(void **ctx)
{
	struct bench *b = *ctx;

	link_free(b->link);
	sd_event_unref(b->event);
	if (b->conn >= 0)
		close(b->conn);
	close(b->listener);
	unlink(b->path);
	rmdir(b->dir);
	free(b);
	return 0;
}

/* In one write: a socket counts many small ones as much more than their bytes. */
void bench_flood(struct bench *b, size_t frames)
{
	struct record r = { .type = RECORD_END };
	uint8_t one[FRAME_MAX];
	size_t n = bench_build_report(b, one, bench_key(b), &r);
	uint8_t *all = malloc(frames * n);

	assert_non_null(all);
	for (size_t i = 0; i < frames; i++)
		memcpy(all + i * n, one, n);
	bench_send(b, all, frames * n);
	free(all);
}
