/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_UNIT_LINK_BENCH_H
#define TESTS_UNIT_LINK_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/link.h"
#include "proto/frame.h"

/*
 * A bench for the link: a scripted agent on a socket of its own. The agent is played in the same
 * thread, between turns of a private event loop.
 *
 * A script is a list of lines, seen from the link:
 *   > hello X       the link sends HELLO, naming the agent's session X (0: none known)
 *   > kick N, ack N, cancel N, query
 *   < hello X Y [N] the agent sends HELLO: session X, naming ours (mine, 0, other), kick number N
 *   < kicked N, done N, log TEXT, row SLOT
 *                   the agent sends this in the session
 *   < stale done N  the same under the key of the session before
 *   < torn, junk TEXT, version N, lost
 *   < older N, newer N  the numbers of the next frames are that much lower, or higher
 *                   half a frame; bytes that are no frame; HELLO of another protocol version; a
 *                   frame that never arrives
 *   ! close, accept, mute
 *                   the agent's side hangs up; takes the next connection; stops answering pings
 *   @ kick, ack N, query, ping MS
 *                   the owner calls
 *   = TEXT          the owner hears this next
 *   = -             the owner has heard nothing more
 * Pings are answered unasked.
 */

enum { HEARD_MAX = 64, PATIENCE_MS = 3000 };

#define GUEST_AHEAD_NS UINT64_C(1000000000000)

struct bench {
	sd_event *event;
	struct link *link;
	char dir[32], path[64];
	int listener, conn;
	struct frame_decoder in;
	uint64_t link_session, agent_session, old_key;
	uint32_t seq;
	uint32_t kick; /* as the owner last drew it */
	uint64_t last_ping_ns;
	bool mute;
	char heard[HEARD_MAX][64];
	int n_heard, n_read;
	bool in_call; /* the owner is inside a link_*() call */
};

extern const struct link_ops bench_ops;

/* cmocka fixtures: *ctx is a struct bench. */
int bench_setup(void **ctx);
int bench_teardown(void **ctx);

/* Play a script, NULL at its end. */
void bench_play(struct bench *b, const char *const *lines);

/* One turn of the event loop, of 5 ms at most; turns until nothing is ready. */
void bench_turn(struct bench *b);
void bench_turn_until_idle(struct bench *b);

/* The owner hears this next, or nothing more. */
void bench_expect(struct bench *b, const char *what);
void bench_expect_silence(struct bench *b);

/* For link_ping(), with the bench as its argument: heard as "ping RC". */
void bench_on_ping(void *arg, int rc);

/* What the agent does beside scripts. */
void bench_send(struct bench *b, const void *bytes, size_t n);
void bench_send_message(struct bench *b, uint64_t session, int type, const void *msg);
void bench_flood(struct bench *b, size_t frames);
void bench_close(struct bench *b);

/* Frames of the agent's, written to @out (FRAME_MAX bytes). Return: their length. */
size_t bench_build(struct bench *b, uint8_t *out, uint64_t session, int type,
		   const uint8_t *payload, int len);
size_t bench_build_report(struct bench *b, uint8_t *out, uint64_t session, const struct record *r);
struct record bench_log_record(const char *text);

/* The key of the session under way. */
uint64_t bench_key(const struct bench *b);

uint64_t bench_now_ns(void);

#endif
