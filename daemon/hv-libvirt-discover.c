/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each domain that runs when libvirtd is connected, and each that starts later, is looked at by a
 * job of its own on a change thread: that waits for whoever holds the domain, and a QEMU that hangs
 * must not keep the others waiting. A known one is attached with what was read, or has ended where
 * it runs under another id; a new one that has the channel is told to the daemon. One that could
 * not be read is not gone: its object stays as it is, LOST, and AGAIN_MS later it is read again.
 */
#include "daemon/hv-libvirt-internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { AGAIN_MS = 1000 };

/* Looking at a domain that runs, as the @round'th connection told. */
struct discovery_job {
	struct job job;
	struct libvirt *lv;
	struct pool *pool;
	unsigned int round;
	char uuid[CALL_UUID_SIZE];
	struct snapshot *snapshot;
	int rc;
};

/* A domain that runs: known, another run of a known one, or new. */
static void take_domain(struct libvirt *lv, const struct snapshot *s)
{
	struct hv_lv *hv = lv_find(lv, s->uuid);

	if (hv && (hv->facts.libvirt_id != s->id || !s->xml.agent)) {
		lv_left(lv, s->uuid, "the VM has ended");
		hv = NULL;
	}
	if (!hv && s->xml.agent) {
		lv->events->on_domain(lv->ctx, &(struct libvirt_domain){
						       .name = s->xml.name,
						       .uuid = s->uuid,
						       .id = s->id,
						       .agent = s->xml.agent,
					       });
		hv = lv_find(lv, s->uuid);
	}
	if (!hv)
		return;
	if (hv->phase == LV_LOST)
		hv_lv_attach(hv, s);
	else
		hv_lv_adopt(hv, s);
	/* What was told between the reading and now found nobody. */
	hv = lv_find(lv, s->uuid);
	if (hv)
		hv_lv_want(hv);
}

static void run_discovery(struct job *job)
{
	struct discovery_job *d = (struct discovery_job *)(void *)job;
	char text[CALL_TEXT_MAX];
	virConnectPtr conn;

	d->rc = job->ending ? -ECANCELED : pool_take(d->pool, &conn, text);
	if (d->rc < 0)
		return;
	d->rc = call_snapshot(conn, d->uuid, &d->snapshot, text);
	pool_give(d->pool, conn);
}

static void discovery_free(struct discovery_job *d)
{
	snapshot_free(d->snapshot);
	free(d);
}

static void look_again_later(struct libvirt *lv, struct discovery_job *d)
{
	if (STAILQ_EMPTY(&lv->unread)) {
		sd_event_source_set_time(lv->again, lv_now_us() + AGAIN_MS * 1000ULL);
		sd_event_source_set_enabled(lv->again, SD_EVENT_ONESHOT);
	}
	STAILQ_INSERT_TAIL(&lv->unread, &d->job, link);
}

static void discovery_done(struct job *job)
{
	struct discovery_job *d = (struct discovery_job *)(void *)job;
	struct libvirt *lv = d->lv;
	bool is_news = lv->conn && !lv->ending && d->round == lv->round;

	if (is_news && d->rc < 0 && d->rc != -ENOENT) {
		look_again_later(lv, d);
		return;
	}
	if (is_news && d->rc == 0)
		take_domain(lv, d->snapshot);
	else if (is_news)
		lv_left(lv, d->uuid, "the VM has ended");
	discovery_free(d);
}

static int on_again(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct libvirt *lv = userdata;
	struct job_list unread = STAILQ_HEAD_INITIALIZER(unread);
	struct job *job;

	STAILQ_CONCAT(&unread, &lv->unread);
	while ((job = STAILQ_FIRST(&unread))) {
		struct discovery_job *d = (struct discovery_job *)(void *)job;

		STAILQ_REMOVE_HEAD(&unread, link);
		if (!lv->conn || d->round != lv->round)
			discovery_free(d);
		else if (work_submit(lv->work, LANE_CHANGE, job) < 0)
			look_again_later(lv, d);
	}
	return 0;
}

void lv_discover(struct libvirt *lv, const char *uuid)
{
	struct discovery_job *d = calloc(1, sizeof(*d));

	if (!d)
		return;
	d->job = (struct job){ .run = run_discovery, .done = discovery_done };
	d->lv = lv;
	d->pool = lv->pool;
	d->round = lv->round;
	snprintf(d->uuid, sizeof(d->uuid), "%s", uuid);
	if (work_submit(lv->work, LANE_CHANGE, &d->job) < 0)
		look_again_later(lv, d);
}

int lv_discover_init(struct libvirt *lv)
{
	return sd_event_add_time(lv->event, &lv->again, CLOCK_MONOTONIC, UINT64_MAX, 1000, on_again,
				 lv);
}

void lv_discover_done(struct libvirt *lv)
{
	struct job *job;

	lv->again = sd_event_source_disable_unref(lv->again);
	while ((job = STAILQ_FIRST(&lv->unread))) {
		STAILQ_REMOVE_HEAD(&lv->unread, link);
		discovery_free((struct discovery_job *)(void *)job);
	}
}
