/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_LINK_INTERNAL_H
#define DAEMON_LINK_INTERNAL_H

#include "daemon/bucket.h"
#include "daemon/link.h"
#include "proto/frame.h"
#include "proto/session.h"

/* Shared by link.c (session), link-io.c (connection) and link-ping.c (pings, clock) only. */

#define LINK_BACKOFF_MIN_US UINT64_C(100000)
#define LINK_BACKOFF_MAX_US UINT64_C(2000000)

/*
 * Or a quarter more, whatever comes of that. So the ACKs of a batch wake the guest up every 0.4 s at
 * most, and not once for each vCPU.
 */
#define LINK_REST_US UINT64_C(400000)

enum { LINK_OUT_MAX = 64 * 1024 };

struct link_ping;

/* The guest's clock as the fastest ping showed it. */
struct link_clock {
	bool known;
	uint64_t offset_ns; /* guest minus host, modulo 2^64 */
	uint64_t error_ns;
	uint64_t measured_ns; /* host time of the measurement */
	unsigned int burst;   /* pings of a measurement still to send */
};

struct link {
	sd_event *event;
	char *path;
	const struct link_ops *ops;
	void *ctx;

	int fd;
	sd_event_source *io;
	sd_event_source *connect; /* the next attempt */
	sd_event_source *thaw;    /* tokens have returned */
	sd_event_source *hangup;  /* armed where a call found the connection broken */
	sd_event_source *rest;    /* armed where what is to be sent can wait */
	uint64_t backoff_us;
	bool broken;
	bool throttled;
	bool rest_goes; /* what waits, behind the frames at hand */
	const char *why;

	struct frame_decoder in;
	struct bucket bucket;
	size_t out_start, out_end; /* in @out */

	struct session session;
	bool up;
	uint32_t seq;
	uint32_t next_seq; /* of the agent's next frame, in the session */
	struct msg_hello hello;
	uint32_t last_kick;
	uint64_t heard_ns; /* when the last frame came that was not dropped */
	bool silent; /* a ping was not answered in time, and nothing has come since it was sent */

	struct link_ping *pings;
	uint64_t last_ping_ns;
	struct link_clock clock;
	struct link_stats stats;

	/* The last, and not zeroed by link_new(): what no guest has let fill takes no memory. */
	uint8_t out[LINK_OUT_MAX];
};

/* link-io.c */
int link_io_init(struct link *l);
void link_io_done(struct link *l);

/*
 * Written now where it is @urgent, else with what is, or else LINK_REST_US later. A full queue or a
 * broken connection is left to the hangup source.
 */
void link_queue(struct link *l, const uint8_t *bytes, size_t n, bool urgent);

/* link.c */
void link_take_frame(struct link *l, const struct frame *f);
void link_send_hello(struct link *l);

/* The session is over: tell the owner, if it knew of one. The connection may stay. */
void link_lost(struct link *l, const char *why);

/* Sends within the session, and what nobody waits for later. Return: 0 or -ENOTCONN. */
int link_send(struct link *l, int type, const void *msg);
int link_send_later(struct link *l, int type, const void *msg);

/* link-ping.c */
void link_on_pong(struct link *l, const struct msg_pong *m);

/* End all pings: with @rc where it is negative, silently for 0. */
void link_pings_end(struct link *l, int rc);

uint64_t link_now_ns(void);

#endif
