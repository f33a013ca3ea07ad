/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PROTO_SESSION_H
#define PROTO_SESSION_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct session - one side's view of the handshake; the same code decides on both sides
 * @mine: this side's random number, never 0; a new one for each connection or start
 * @peer: the other side's as last heard, 0 while unknown
 * @established: the peer has shown that it knows @mine
 *
 * Whoever opens the port or the socket first writes FRAME_PAD zero bytes, then HELLO: a frame that
 * a predecessor left half written would otherwise swallow the first frames of its successor.
 */
struct session {
	uint64_t mine;
	uint64_t peer;
	bool established;
};

/**
 * struct session_verdict - what a HELLO means for its receiver
 * @changed: another session of the peer than the one known: everything outstanding is void
 * @reply: answer with a HELLO of one's own now
 * @up: the session is established by this HELLO and was not before it
 */
struct session_verdict {
	bool changed;
	bool reply;
	bool up;
};

/* @mine is random and not 0 (asserted). */
void session_init(struct session *s, uint64_t mine);

/**
 * session_on_hello() - take in a HELLO
 * @session: the sender's number; 0 is no session and ignored
 * @peer: this side's number as the sender knows it
 *
 * An established session can end here without @changed: a peer that names another number has
 * forgotten this side. Look at s->established before and after.
 */
struct session_verdict session_on_hello(struct session *s, uint64_t session, uint64_t peer);

/* What frames other than HELLO carry, both ways. Meaningful only while established. */
uint64_t session_key(const struct session *s);

#endif
