/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_LINK_H
#define DAEMON_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "proto/msg.h"

struct link;

/**
 * struct link_ops - what a link tells its owner
 *
 * Called from the event loop only, never from within a link_*() call. A callback may send, ping
 * and forget pings; it must not free the link.
 *
 * @on_up: a session with an agent is there (again). Everything outstanding of an earlier session
 *	is void. @hello is borrowed.
 * @on_down: the session is over; only after an @on_up. Pings under way are answered -ENOTCONN
 *	just before it.
 * @on_kicked: the answer to a kick
 * @on_record: each record of a REPORT, in order; a REPORT with a bad record is dropped whole
 * @on_armed: the answer to link_arm()
 * @on_missed: a frame of this session has been lost: ask for what may have been in it. Told before
 *	the frame by which that showed; one that comes late is taken all the same
 */
struct link_ops {
	void (*on_up)(void *ctx, const struct msg_hello *hello);
	void (*on_down)(void *ctx, const char *why);
	void (*on_kicked)(void *ctx, const struct msg_kicked *m);
	void (*on_record)(void *ctx, const struct record *r);
	void (*on_armed)(void *ctx, const struct msg_armed *m);
	void (*on_missed)(void *ctx);
};

/**
 * link_new() - keep a connection to an agent's port
 * @ret: returned to the caller
 * @event: referenced
 * @path: of QEMU's or libvirt's socket of the port; copied. It need not exist yet.
 * @ops: borrowed, must outlive the link
 * @ctx: handed to @ops
 *
 * Connects from the event loop, and again with growing pauses (0.1 s to 2 s) whenever it is lost.
 *
 * Return: 0, -ENAMETOOLONG for a path no socket can have, -ENOMEM, or what sd-event says.
 */
int link_new(struct link **ret, sd_event *event, const char *path, const struct link_ops *ops,
	     void *ctx);

/* Neither on_down nor pings are called back. NULL is fine. Return: NULL. */
struct link *link_free(struct link *l);

bool link_is_up(const struct link *l);

/* Whether somebody listens on the socket and has taken the connection: QEMU, not yet an agent. */
bool link_is_connected(const struct link *l);

/* CLOCK_MONOTONIC of the last frame that counted in this session, 0 none or down. */
uint64_t link_heard_us(const struct link *l);

/* It was asked by a ping, did not answer in time, and has said nothing since: the session stands, of who
 * may have gone. */
bool link_is_silent(const struct link *l);

/*
 * The agent's HELLO, borrowed until the link is down; NULL when down. An agent may say it again
 * within a session when its features change: ask anew, on_up is not called for that.
 */
const struct msg_hello *link_hello(const struct link *l);

/* Why it is not up: a word for the owner's message, borrowed until the next change; "" when up. */
const char *link_why_down(const struct link *l);

/* A fresh number, never 0, above everything the agent has seen (R7). */
uint32_t link_next_kick(struct link *l);
/* The highest that either side has used. */
uint32_t link_last_kick(const struct link *l);

/*
 * Requests. Each is written at once or queued; a peer that leaves 64 KiB unread loses the
 * connection, from the event loop.
 *
 * Return: 0, or -ENOTCONN when down.
 */
int link_kick(struct link *l, const struct msg_kick *k);
int link_cancel(struct link *l, uint32_t kick);
/* Nobody waits for it: with the next, or with others a little later. */
int link_ack(struct link *l, uint32_t kick);
/* From a handler: what waits for another message goes behind the frames at hand. The guest is awake. */
void link_send_rest(struct link *l);
int link_arm(struct link *l, const struct msg_arm *a);
int link_query(struct link *l);
/* Only to an agent with MSG_FEATURE_LOAD. */
int link_load(struct link *l, unsigned int interval_ms);

/**
 * link_ping() - ask whether the agent is alive
 * @timeout_us: from now
 * @cb: called once with @arg and 0, -ETIMEDOUT, or -ENOTCONN (the session ended)
 *
 * Several may be under way. Nothing is called back where this fails.
 *
 * Return: 0, -ENOTCONN when down, -ENOMEM.
 */
int link_ping(struct link *l, uint64_t timeout_us, void (*cb)(void *arg, int rc), void *arg);

/**
 * link_ping_before() - the same, and in one with it the word that kicks are to come
 * @kicks: how many, above 0
 * @within_ms: to the first, and from each to the next
 */
int link_ping_before(struct link *l, unsigned int kicks, unsigned int within_ms,
		     uint64_t timeout_us, void (*cb)(void *arg, int rc), void *arg);

/* Cancel the pings whose arg is @arg, without calling back. */
void link_ping_forget(struct link *l, void *arg);

/**
 * link_guest_to_host() - put a guest time on the host's axis
 * @guest_ns: the guest's CLOCK_MONOTONIC
 * @ret_host_us: the host's CLOCK_MONOTONIC; 0 for a time before the host's own start
 * @ret_error_us: how far off that may be: half of the fastest ping, and 500 ppm of drift since
 *
 * The guest can lie about its clock; use the result for display only.
 *
 * Return: false while the offset is unknown.
 */
bool link_guest_to_host(const struct link *l, uint64_t guest_ns, uint64_t *ret_host_us,
			uint64_t *ret_error_us);

/* Forget the offset and measure again with a burst of pings: after pause and resume. */
void link_measure_clock(struct link *l);

/**
 * link_reset() - the guest was reset: whoever spoke here is not there any more
 *
 * QEMU keeps the connection through a reset, so nothing else ends the session. The connection is
 * made anew; an agent of the next kernel that was faster than the news is met again.
 */
void link_reset(struct link *l);

/* Nobody answers there any more: the same. */
void link_abandon(struct link *l);

/**
 * struct link_stats - counted since link_new()
 * @bytes_dropped: bytes in no frame: torn, damaged, alien
 * @frames_dropped: frames of other sessions, of unknown types, or with a bad payload
 * @throttled: how often the guest was made to wait
 */
struct link_stats {
	uint64_t frames_in, frames_out, bytes_dropped, frames_dropped, throttled;
};

void link_get_stats(const struct link *l, struct link_stats *ret);

#endif
