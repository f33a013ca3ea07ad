/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A ping asks whether the agent is alive, and measures the guest's clock by the way. Each has its own
 * number, the host's time when it was sent, and its own deadline; PONG repeats the number. An answer
 * to none that is under way is dropped: that one has timed out, or was forgotten.
 *
 * The offset of the two clocks is that of the ping that was answered fastest: half of its time is how
 * far it may be off, and that grows with its age (DRIFT), so that a slower answer counts again when it
 * has become the better one. A burst of pings at the beginning of a session finds a fast one.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/link-internal.h"

#define BURST_TIMEOUT_US UINT64_C(1000000)

enum {
	BURST = 8,
	DRIFT = 2000, /* 500 ppm: what NTP may slew two clocks apart */
};

/**
 * struct link_ping - one ping under way
 * @host_ns: what tells its PONG from others; ascending
 */
struct link_ping {
	struct link_ping *next;
	struct link *link;
	sd_event_source *timer;
	uint64_t host_ns;
	void (*cb)(void *arg, int rc);
	void *arg;
};

uint64_t link_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static void ping_unlink(struct link *l, struct link_ping *p)
{
	struct link_ping **at = &l->pings;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
}

static void ping_end(struct link *l, struct link_ping *p, int rc)
{
	void (*cb)(void *arg, int rc) = p->cb;
	void *arg = p->arg;

	/* Gone before its callback runs, which may forget or start others. */
	ping_unlink(l, p);
	sd_event_source_disable_unref(p->timer);
	free(p);
	cb(arg, rc);
}

static int on_ping_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct link_ping *p = userdata;

	p->link->silent |= p->link->heard_ns < p->host_ns;
	ping_end(p->link, p, -ETIMEDOUT);
	return 0;
}

static void ping_drop(struct link *l, struct link_ping *p)
{
	ping_unlink(l, p);
	sd_event_source_disable_unref(p->timer);
	free(p);
}

void link_pings_end(struct link *l, int rc)
{
	/* No new ones appear meanwhile: the link is down. */
	while (l->pings) {
		if (rc < 0)
			ping_end(l, l->pings, rc);
		else
			ping_drop(l, l->pings);
	}
}

void link_ping_forget(struct link *l, void *arg)
{
	struct link_ping *next;

	for (struct link_ping *p = l->pings; p; p = next) {
		next = p->next;
		if (p->arg == arg)
			ping_drop(l, p);
	}
}

static uint64_t stamp(struct link *l)
{
	uint64_t now = link_now_ns();

	l->last_ping_ns = now > l->last_ping_ns ? now : l->last_ping_ns + 1;
	return l->last_ping_ns;
}

/* @coming: PREPARE, which goes with it, or NULL. */
static int ping(struct link *l, const struct msg_prepare *coming, uint64_t timeout_us,
		void (*cb)(void *arg, int rc), void *arg)
{
	struct link_ping *p;
	struct msg_ping m;
	int r;

	if (!link_is_up(l))
		return -ENOTCONN;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->link = l;
	p->cb = cb;
	p->arg = arg;
	r = sd_event_add_time_relative(l->event, &p->timer, CLOCK_MONOTONIC, timeout_us, 1000,
				       on_ping_timeout, p);
	if (r < 0) {
		free(p);
		return r;
	}
	m.host_ns = p->host_ns = stamp(l);
	p->next = l->pings;
	l->pings = p;
	if (coming) {
		/* One write: a guest that is idle is woken up once, and has both. */
		r = link_send_later(l, MSG_PING, &m);
		if (r == 0)
			r = link_send(l, MSG_PREPARE, coming);
	} else {
		r = link_send(l, MSG_PING, &m);
	}
	if (r < 0)
		ping_drop(l, p);
	return r;
}

int link_ping(struct link *l, uint64_t timeout_us, void (*cb)(void *arg, int rc), void *arg)
{
	return ping(l, NULL, timeout_us, cb, arg);
}

int link_ping_before(struct link *l, unsigned int kicks, unsigned int within_ms,
		     uint64_t timeout_us, void (*cb)(void *arg, int rc), void *arg)
{
	const struct msg_prepare coming = { .kicks = (uint16_t)kicks, .within_ms = within_ms };

	return ping(l, &coming, timeout_us, cb, arg);
}

static uint64_t clock_error_ns(const struct link_clock *c, uint64_t now_ns)
{
	uint64_t age = now_ns > c->measured_ns ? now_ns - c->measured_ns : 0;

	return c->error_ns + age / DRIFT;
}

static void clock_take(struct link_clock *c, const struct msg_pong *m, uint64_t now_ns)
{
	uint64_t half = (now_ns - m->host_ns) / 2;

	if (c->known && half > clock_error_ns(c, now_ns))
		return;
	c->known = true;
	c->offset_ns = m->guest_ns - (m->host_ns + half);
	c->error_ns = half;
	c->measured_ns = now_ns;
}

void link_on_pong(struct link *l, const struct msg_pong *m)
{
	uint64_t now_ns = link_now_ns();

	for (struct link_ping *p = l->pings; p; p = p->next) {
		if (p->host_ns != m->host_ns)
			continue;
		clock_take(&l->clock, m, now_ns > m->host_ns ? now_ns : m->host_ns);
		ping_end(l, p, 0);
		return;
	}
	/* Its ping has timed out or was forgotten. */
}

static void burst_next(void *arg, int rc)
{
	struct link *l = arg;

	if (rc == -ENOTCONN || l->clock.burst == 0)
		return;
	l->clock.burst--;
	(void)link_ping(l, BURST_TIMEOUT_US, burst_next, l);
}

void link_measure_clock(struct link *l)
{
	link_ping_forget(l, l);
	l->clock.known = false;
	l->clock.burst = BURST;
	burst_next(l, 0);
}

bool link_guest_to_host(const struct link *l, uint64_t guest_ns, uint64_t *ret_host_us,
			uint64_t *ret_error_us)
{
	int64_t host_ns = (int64_t)(guest_ns - l->clock.offset_ns);

	if (!l->clock.known)
		return false;
	*ret_host_us = host_ns > 0 ? (uint64_t)host_ns / 1000 : 0;
	*ret_error_us = clock_error_ns(&l->clock, link_now_ns()) / 1000;
	return true;
}
