/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Reading QEMU's state. A reading ("refresh") is a run of commands queued in one go, so it is
 * answered in one go, and no plug's reply can fall between its parts. One runs at a time; what is
 * wanted meanwhile is read by the next. The first of a connection also asks for the facts that do
 * not change afterwards, and fixes the slots.
 *
 * Guests can make events as fast as they like (any _OST, any eject), so the readings that events
 * ask for come REFRESH_BURST at once and then 20 a second, fewer where QEMU answers at length (a
 * microsecond a byte); all that was wanted meanwhile is read by one. The domain's own query() has a rate of its own, QUERY_BURST and then 50 a second, since it
 * may be the answer to an event too; those made during a reading share the next.
 *
 * QEMU remembers the last _OST of each slot without a date: an old refusal in it must not look
 * like the answer to a new request. So from a reading only such an _OST is told that differs from
 * the last one told of its slot.
 */
#include "daemon/hv-qmp-internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	REFRESH_INTERVAL_US = 50 * 1000,
	REFRESH_BURST = 10,
	QUERY_INTERVAL_US = 20 * 1000,
	QUERY_BURST = 50,
	GUEST_INTERVAL_US = 2 * 1000, /* hv-event.c */
	GUEST_BURST = 500,
};

/* 0, or the time until the next one is allowed. */
uint64_t hv_rate_take(struct rate *r)
{
	uint64_t now = hv_now_us();
	uint64_t slack = (uint64_t)(r->burst - 1) * r->interval_us;

	if (r->tat_us < now)
		r->tat_us = now;
	if (r->tat_us - now > slack)
		return r->tat_us - now - slack;
	r->tat_us += r->interval_us;
	return 0;
}

/* The next ones come that much later. */
static void charge(struct rate *r, uint64_t us)
{
	uint64_t now = hv_now_us();

	r->tat_us = (r->tat_us > now ? r->tat_us : now) + us;
}

static void start(struct hv_qmp *hv, unsigned int parts, bool attach)
{
	if (hv->threads_due && (parts & REFRESH_TABLE))
		parts |= REFRESH_THREADS;
	hv->wanted &= ~parts;
	sd_event_source_set_enabled(hv->refresh_timer, SD_EVENT_OFF);
	hv_read_start(hv, parts, attach);
	if (hv->refresh.parts == 0)
		hv->wanted |= parts;
}

void hv_refresh_attach(struct hv_qmp *hv)
{
	start(hv, REFRESH_ALL, true);
	if (hv->refresh.parts == 0)
		qmp_fail(hv->qmp, "out of memory");
}

static void schedule(struct hv_qmp *hv, uint64_t delay_us)
{
	uint64_t at = hv_now_us() + delay_us, old;
	int on;

	if (sd_event_source_get_enabled(hv->refresh_timer, &on) >= 0 && on == SD_EVENT_ONESHOT &&
	    sd_event_source_get_time(hv->refresh_timer, &old) >= 0 && old <= at)
		return;
	sd_event_source_set_time(hv->refresh_timer, at);
	sd_event_source_set_enabled(hv->refresh_timer, SD_EVENT_ONESHOT);
}

void hv_refresh_want(struct hv_qmp *hv, unsigned int parts, unsigned int delay_ms)
{
	hv->wanted |= parts;
	if (hv->phase == HV_ATTACHED && hv->refresh.parts == 0)
		schedule(hv, delay_ms * 1000ULL);
}

static bool has_waiting(const struct hv_qmp *hv)
{
	const struct request *req;

	for (req = STAILQ_FIRST(&hv->requests); req; req = STAILQ_NEXT(req, link))
		if (req->reading == READING_WAITED)
			return true;
	return false;
}

/* Requests that wait become @to; all are marked before any is answered, since an answer may ask
 * again. */
static void mark(struct hv_qmp *hv, enum reading from, enum reading to)
{
	struct request *req;

	for (req = STAILQ_FIRST(&hv->requests); req; req = STAILQ_NEXT(req, link))
		if (req->reading == from)
			req->reading = to;
}

static void answer_marked(struct hv_qmp *hv, int rc, const char *text)
{
	struct request *req;

	do {
		for (req = STAILQ_FIRST(&hv->requests); req; req = STAILQ_NEXT(req, link))
			if (req->reading == READING_OVER)
				break;
		if (req)
			hv_request_done(req, rc, text);
	} while (req && !hv->freed);
}

static void start_waited(struct hv_qmp *hv)
{
	uint64_t wait = hv_rate_take(&hv->query_rate);

	if (wait == 0)
		start(hv, REFRESH_ALL, false);
	if (hv->refresh.parts != 0)
		mark(hv, READING_WAITED, READING_ASKED);
	else
		schedule(hv, wait ? wait : REFRESH_INTERVAL_US);
}

void hv_refresh_ask(struct hv_qmp *hv, struct request *req)
{
	req->reading = READING_WAITED;
	if (hv->refresh.parts == 0)
		start_waited(hv);
	else
		qmp_hurry(hv->qmp);
}

static void start_next(struct hv_qmp *hv)
{
	uint64_t wait;

	if (hv->phase != HV_ATTACHED || hv->refresh.parts != 0 || qmp_overdue(hv->qmp) > 0)
		return;
	if (has_waiting(hv)) {
		start_waited(hv);
		return;
	}
	if (hv->wanted == 0)
		return;
	wait = hv_rate_take(&hv->refresh_rate);
	if (wait == 0)
		start(hv, hv->wanted, false);
	if (hv->refresh.parts == 0)
		schedule(hv, wait ? wait : REFRESH_INTERVAL_US);
}

static int on_refresh_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	start_next(userdata);
	return 0;
}

/*
 * At once, where one may be: a timer would wake us once more. Its answer may come when it likes, so
 * those of all domains that are looked at together are read together.
 */
void hv_refresh_look(struct hv_qmp *hv)
{
	bool at_work = hv->refresh.parts != 0 || !STAILQ_EMPTY(&hv->requests);

	hv->wanted |= REFRESH_TABLE | REFRESH_STATUS;
	start_next(hv);
	if (!at_work && hv->refresh.parts != 0)
		qmp_linger(hv->qmp);
}

/* Only new vCPUs need their threads read; the others kept theirs. */
static void carry_threads(struct hv_qmp *hv, struct slots *slots)
{
	for (unsigned int i = 0; i < slots->table.n; i++) {
		const char *path = slots->info[i].qom_path, *old = hv->slots->info[i].qom_path;

		if (!path)
			continue;
		if (old && strcmp(path, old) == 0)
			slots->table.slots[i].thread_id = hv->slots->table.slots[i].thread_id;
		else
			hv->wanted |= REFRESH_THREADS;
	}
}

static void tell_ost(struct hv_qmp *hv, const struct slot_ost *o)
{
	struct slot_ost *last;

	if (!hv->ost || o->slot >= hv->slots->table.n)
		return;
	last = &hv->ost[o->slot];
	if (o->source == 0 || (o->source == last->source && o->status == last->status))
		return;
	*last = *o;
	hv->events->on_ost(hv->ctx, o->slot, o->source, o->status);
}

/* The domain hears of a table that is in place; the old one lives until it has. */
static void adopt(struct hv_qmp *hv, struct refresh *f)
{
	struct slots *old = NULL;

	if (f->slots) {
		if (!(f->parts & REFRESH_THREADS))
			carry_threads(hv, f->slots);
		old = hv->slots;
		hv->slots = f->slots;
		f->slots = NULL;
	}
	if (f->parts & REFRESH_THREADS)
		hv->threads_due = false;
	if (f->attach)
		hv->events->on_attached(hv->ctx, &hv->facts);
	if (f->parts & (REFRESH_TABLE | REFRESH_THREADS))
		hv->events->on_table(hv->ctx, &hv->slots->table);
	slots_free(old);
	if ((f->parts & REFRESH_STATUS) && f->status != hv->status) {
		hv->status = f->status;
		hv->events->on_status(hv->ctx, f->status);
	}
	for (size_t i = 0; i < f->n_ost; i++)
		tell_ost(hv, &f->ost[i]);
}

static int attached(struct hv_qmp *hv, const struct refresh *f)
{
	pid_t peer = qmp_peer(hv->qmp).pid;

	/* What is remembered by slot is of that QEMU and those slots only. */
	if (!hv->slots || peer == 0 || peer != hv->peer ||
	    !slots_is_same_map(hv->slots, f->slots)) {
		hv_qmp_forget(hv);
		hv->ost = calloc(f->slots->table.n + 1, sizeof(*hv->ost));
		if (!hv->ost)
			return -ENOMEM;
	}
	hv->peer = peer;
	hv->facts.peer = peer;
	hv->facts.maximum = f->slots->table.n;
	hv->phase = HV_ATTACHED;
	hv->attached_us = hv_now_us();
	hv->backoff_ms = HV_BACKOFF_MIN_MS << hv->brief;
	hv->gone_why[0] = '\0';
	return 0;
}

static void discard(struct refresh *f)
{
	slots_free(f->slots);
	free(f->ost);
}

static void not_attached(struct hv_qmp *hv, const struct refresh *f)
{
	if (f->rc == -ECONNRESET)
		return;
	qmp_fail(hv->qmp, f->rc == -ETIMEDOUT ? "QEMU does not answer" : "QEMU cannot be read");
}

/* All commands of a reading are answered. */
void hv_refresh_finish(struct hv_qmp *hv)
{
	struct refresh f = hv->refresh;
	HV_HOLD(hv);

	hv->refresh = (struct refresh){ 0 };
	charge(&hv->refresh_rate, qmp_replied(hv->qmp) - f.replied);
	if (f.rc == 0 && f.attach)
		f.rc = attached(hv, &f);
	mark(hv, READING_ASKED, READING_OVER);
	if (f.rc == 0)
		adopt(hv, &f);
	else if (f.attach)
		not_attached(hv, &f);
	if (f.rc == -ENOBUFS || f.rc == -ENOMEM)
		hv->wanted |= f.parts;
	/* Those behind a reading that failed would only fail later. */
	if (f.rc < 0)
		mark(hv, READING_WAITED, READING_OVER);
	answer_marked(hv, f.rc, f.text);
	discard(&f);
	if (hv->phase != HV_ATTACHED || hv->refresh.parts != 0)
		return;
	if (has_waiting(hv))
		start_waited(hv);
	else if (hv->wanted != 0)
		schedule(hv, 0);
}

void hv_refresh_lost(struct hv_qmp *hv)
{
	HV_HOLD(hv);

	hv->wanted = 0;
	sd_event_source_set_enabled(hv->refresh_timer, SD_EVENT_OFF);
	mark(hv, READING_WAITED, READING_OVER);
	answer_marked(hv, -ECONNRESET, "");
}

int hv_refresh_init(struct hv_qmp *hv)
{
	int r = sd_event_add_time(hv->event, &hv->refresh_timer, CLOCK_MONOTONIC, 0, 1000,
				  on_refresh_timer, hv);

	if (r < 0)
		return r;
	hv->refresh_rate = (struct rate){ REFRESH_INTERVAL_US, REFRESH_BURST, 0 };
	hv->query_rate = (struct rate){ QUERY_INTERVAL_US, QUERY_BURST, 0 };
	hv->guest_rate = (struct rate){ GUEST_INTERVAL_US, GUEST_BURST, 0 };
	return sd_event_source_set_enabled(hv->refresh_timer, SD_EVENT_OFF);
}

void hv_refresh_done(struct hv_qmp *hv)
{
	discard(&hv->refresh);
	hv->refresh = (struct refresh){ 0 };
	hv->refresh_timer = sd_event_source_disable_unref(hv->refresh_timer);
}
