/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Readings of which vCPUs a domain has. Its XML is read where it is found (hv-libvirt-discover.c),
 * and only where there is no other way after that: whoever waits for a guest keeps it. One is under way at a time, on the reading thread; what is
 * wanted meanwhile is read by the next, and a query() waits for a reading that began after it.
 * Events can ask for as many as a guest likes to cause, so READS_RATE bounds them.
 *
 * Readings come from two threads (every change ends with one), so they can overtake each other. A
 * reading has a number, taken when it began; one older than the table's is passed over.
 *
 * Until a call has moved a vCPU the XML does not say which vCPUs can be unplugged; and a libvirtd
 * that was killed in the first such call and started again does not either, though the vCPU may be
 * there. The list of vCPUs never does. One that has come to a slot that was seen empty is taken for
 * one that can, and of one that stays it stays true.
 *
 * libvirt learns of a finished unplug after QEMU has told us: its own thread must take the domain's
 * lock first, which a call of somebody's may hold for seconds, and under TCG it never learns (there
 * the event that it waits for does not come). A slot that QEMU has told empty is therefore empty
 * here until libvirt's table says so too, which is looked for each UNSETTLED_US; on KVM for at most
 * DELETED_US, after which libvirt must have seen it and the slot was filled again.
 */
#include "daemon/hv-libvirt-internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READS_RATE = 50, READS_BURST = 20, DELETED_US = 10000000, UNSETTLED_US = 100000 };

/* Counted: @hv. */
struct reading {
	struct job job;
	struct hv_lv *hv;
	virConnectPtr conn;
	char uuid[CALL_UUID_SIZE];
	unsigned int maximum;
	int rc;
	char text[CALL_TEXT_MAX];
	struct snapshot *snapshot;
};

static void take_slot(struct hv_lv *hv, unsigned int i, const struct xml_vcpu *v, bool listed,
		      uint64_t now)
{
	struct hv_slot *s = &hv->slots[i];
	uint64_t *deleted = &hv->deleted_us[i];

	if (!v->enabled || (hv->facts.kvm && now - *deleted > DELETED_US))
		*deleted = 0;
	s->present = v->enabled && !*deleted;
	hv->empty[i] |= !s->present;
	s->removable =
		s->present && i > 0 && (listed ? v->hotpluggable : hv->empty[i] || s->removable);
	hv->unsettled |= v->enabled && *deleted && hv->facts.kvm;
	if (!s->present)
		s->id[0] = '\0';
}

static void take_table(struct hv_lv *hv, const struct snapshot *s)
{
	uint64_t now = lv_now_us();

	hv->seq = s->seq;
	hv->unsettled = false;
	if (s->whole) {
		hv->table.supported = s->xml.supported;
		snprintf(hv->table.why, sizeof(hv->table.why), "%s", s->xml.why);
	}
	for (unsigned int i = 0; i < hv->table.n && i < s->xml.maximum; i++)
		take_slot(hv, i, &s->xml.vcpus[i], s->xml.listed, now);
}

/* libvirt calls a domain running until the last moment of its way out. */
enum hv_status hv_lv_status(const struct hv_lv *hv, const struct snapshot *s)
{
	return hv->migrating && s->status == HV_RUNNING ? HV_MIGRATING : s->status;
}

void hv_lv_tell_table(struct hv_lv *hv)
{
	if (hv->phase == LV_ATTACHED)
		hv->events->on_table(hv->ctx, &hv->table);
}

void hv_lv_mark_deleted(struct hv_lv *hv, unsigned int slot)
{
	struct hv_slot *s = &hv->slots[slot];

	hv->deleted_us[slot] = lv_now_us();
	s->present = s->removable = false;
	s->id[0] = '\0';
}

void hv_lv_adopt(struct hv_lv *hv, const struct snapshot *s)
{
	enum hv_status status = hv_lv_status(hv, s);
	LV_HOLD(hv);

	if (s->seq > hv->seq)
		take_table(hv, s);
	else
		status = hv->status;
	hv_lv_tell_table(hv);
	if (hv->phase == LV_ATTACHED && status != hv->status) {
		hv->status = status;
		hv->events->on_status(hv->ctx, status);
	}
}

/* All are marked before any is answered, since an answer may ask again. */
static void mark(struct hv_lv *hv, enum query_phase from, enum query_phase to)
{
	struct query *q;

	STAILQ_FOREACH(q, &hv->queries, next)
	if (q->phase == from)
		q->phase = to;
}

static struct query *find_query(const struct hv_lv *hv, enum query_phase phase)
{
	struct query *q;

	STAILQ_FOREACH(q, &hv->queries, next)
	if (q->phase == phase)
		return q;
	return NULL;
}

static void answer_over(struct hv_lv *hv, int rc, const char *text)
{
	struct query *q;

	while (!hv->freed && (q = find_query(hv, QUERY_OVER))) {
		hv_done_fn cb = q->cb;
		void *arg = q->arg;

		STAILQ_REMOVE(&hv->queries, q, query, next);
		free(q);
		cb(arg, rc, text);
	}
}

void hv_lv_answer_queries(struct hv_lv *hv, int rc, const char *text)
{
	mark(hv, QUERY_WAITS, QUERY_OVER);
	mark(hv, QUERY_ASKED, QUERY_OVER);
	answer_over(hv, rc, text);
}

static void schedule(struct hv_lv *hv, uint64_t at_us)
{
	uint64_t old;
	int on;

	if (sd_event_source_get_enabled(hv->timer, &on) >= 0 && on == SD_EVENT_ONESHOT &&
	    sd_event_source_get_time(hv->timer, &old) >= 0 && old <= at_us)
		return;
	sd_event_source_set_time(hv->timer, at_us);
	sd_event_source_set_enabled(hv->timer, SD_EVENT_ONESHOT);
}

static void run_reading(struct job *job)
{
	struct reading *r = (struct reading *)(void *)job;

	r->rc = job->ending ? -ECONNRESET
			    : call_vcpus(r->conn, r->uuid, r->maximum, &r->snapshot, r->text);
	virConnectClose(r->conn);
}

static void go_on(struct hv_lv *hv)
{
	if (hv->phase == LV_ATTACHED && (hv->wanted || find_query(hv, QUERY_WAITS)))
		schedule(hv, lv_now_us());
	else if (hv->phase == LV_ATTACHED && hv->unsettled)
		schedule(hv, lv_now_us() + UNSETTLED_US);
}

static void take_reading(struct hv_lv *hv, const struct reading *r)
{
	mark(hv, QUERY_ASKED, QUERY_OVER);
	if (r->rc == 0)
		hv_lv_adopt(hv, r->snapshot);
	answer_over(hv, r->rc, r->text);
}

static void reading_done(struct job *job)
{
	struct reading *r = (struct reading *)(void *)job;
	struct hv_lv *hv = r->hv;

	hv->reading = false;
	/* Of a connection that is gone it says nothing; those who asked have been answered. */
	if (!hv->freed && hv->phase == LV_ATTACHED) {
		/* The event that says how it ended is on its way; another look makes sure of the end. */
		if (r->rc == -ENOENT)
			lv_discover(hv->lv, hv->uuid);
		else
			take_reading(hv, r);
	}
	if (!hv->freed)
		go_on(hv);
	snapshot_free(r->snapshot);
	free(r);
	hv_lv_unref(hv);
}

static int start_reading(struct hv_lv *hv)
{
	struct reading *r;

	if (!hv->lv->conn)
		return -ECONNRESET;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->job = (struct job){ .run = run_reading, .done = reading_done };
	r->hv = hv;
	r->maximum = hv->table.n;
	snprintf(r->uuid, sizeof(r->uuid), "%s", hv->uuid);
	virConnectRef(hv->lv->conn);
	r->conn = hv->lv->conn;
	if (work_submit(hv->lv->work, LANE_READ, &r->job) < 0) {
		virConnectClose(r->conn);
		free(r);
		return -EAGAIN;
	}
	hv->refs++;
	hv->reading = true;
	return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct hv_lv *hv = userdata;
	uint64_t now = lv_now_us();

	if (hv->phase != LV_ATTACHED || hv->reading)
		return 0;
	bucket_refill(&hv->reads, now);
	if (!bucket_has(&hv->reads)) {
		schedule(hv, bucket_when(&hv->reads, 1));
		return 0;
	}
	if (start_reading(hv) < 0) {
		schedule(hv, now + 1000000 / READS_RATE);
		return 0;
	}
	bucket_take(&hv->reads, 1);
	hv->wanted = false;
	mark(hv, QUERY_WAITS, QUERY_ASKED);
	return 0;
}

void hv_lv_want(struct hv_lv *hv)
{
	hv->wanted = true;
	if (!hv->reading)
		go_on(hv);
}

void hv_lv_look(struct hv *base, bool news)
{
	struct hv_lv *hv = (struct hv_lv *)(void *)base;

	if (hv->phase == LV_ATTACHED)
		hv_lv_want(hv);
}

int hv_lv_query(struct hv *base, hv_done_fn cb, void *arg)
{
	struct hv_lv *hv = (struct hv_lv *)(void *)base;
	struct query *q;

	if (hv->phase != LV_ATTACHED)
		return -ENOTCONN;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->cb = cb;
	q->arg = arg;
	STAILQ_INSERT_TAIL(&hv->queries, q, next);
	if (!hv->reading)
		schedule(hv, lv_now_us());
	return 0;
}

int hv_lv_read_init(struct hv_lv *hv)
{
	int r = sd_event_add_time(hv->lv->event, &hv->timer, CLOCK_MONOTONIC, 0, 1, on_timer, hv);

	if (r < 0)
		return r;
	bucket_init(&hv->reads, READS_RATE, READS_BURST, lv_now_us());
	return sd_event_source_set_enabled(hv->timer, SD_EVENT_OFF);
}

void hv_lv_read_done(struct hv_lv *hv)
{
	hv->timer = sd_event_source_disable_unref(hv->timer);
}
