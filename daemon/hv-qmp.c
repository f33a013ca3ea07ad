/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A domain's QEMU behind the hv.h seam. This file owns the object: it connects, connects again
 * after a loss (0.1 s doubling to each 2 s, beginning later where the last ones did not last 10 s),
 * and turns the domain's requests into commands. What QEMU says of itself is read by hv-refresh.c.
 *
 * LOST -> ATTACHING (negotiated; facts and table are being read) -> ATTACHED -> LOST. Requests are
 * taken in ATTACHED only, else they return -ENOTCONN; while QEMU owes overdue replies they return
 * -EBUSY, because what is sent then would only wait behind them.
 *
 * A plug is device_add, and when the request is answered, the table given to on_table just before has
 * the vCPU. Where it is to be placed query-cpus-fast goes in the same write, so that its host thread
 * is there too; else that is asked for with the next look, for QEMU tells all threads or none. An
 * unplug is device_del alone: its reply says only that the guest was asked.
 *
 * The slots (type and props by number) are fixed by the first reading of a connection. A later
 * reading that shows other slots ends the connection.
 *
 * hv_free() forgets the unanswered requests. It may be called in any callback: the object is
 * counted, its events are replaced by ones that do nothing, its connection is closed.
 */
#include "daemon/hv-qmp-internal.h"
#include "daemon/json-out.h"
#include "daemon/qmp-msg.h"
#include "daemon/wake.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* QEMU may be restarted behind its socket; after LOST_MS it is gone. */
enum { SLOW_FACTOR = 6, SETTLE_MS = 50, LOST_MS = 1000 };

static void no_status(void *ctx, enum hv_status status)
{
}

static void no_attached(void *ctx, const struct hv_facts *facts)
{
}

static void no_table(void *ctx, const struct hv_table *table)
{
}

static void no_ost(void *ctx, unsigned int slot, int source, int status)
{
}

static void no_slot(void *ctx, unsigned int slot)
{
}

static void no_reset(void *ctx)
{
}

static void no_gone(void *ctx, const char *why)
{
}

static const struct hv_events nobody = {
	.on_status = no_status,
	.on_attached = no_attached,
	.on_table = no_table,
	.on_ost = no_ost,
	.on_unplug_error = no_slot,
	.on_reset = no_reset,
	.on_gone = no_gone,
	.on_port_closed = no_reset,
};

uint64_t hv_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static struct hv_qmp *of(struct hv *hv)
{
	return (struct hv_qmp *)(void *)hv;
}

void hv_qmp_forget(struct hv_qmp *hv)
{
	for (unsigned int i = 0; hv->placed && i < hv->slots->table.n; i++)
		free(hv->placed[i]);
	free(hv->placed);
	hv->placed = NULL;
	free(hv->ost);
	hv->ost = NULL;
}

void hv_qmp_unref(struct hv_qmp *hv)
{
	struct request *req;

	if (--hv->refs > 0)
		return;
	while ((req = STAILQ_FIRST(&hv->requests))) {
		STAILQ_REMOVE_HEAD(&hv->requests, link);
		free(req);
	}
	hv_refresh_done(hv);
	hv_qmp_forget(hv);
	slots_free(hv->slots);
	sd_event_source_disable_unref(hv->retry);
	sd_event_unref(hv->event);
	free(hv->path);
	free(hv);
}

static struct hv *qmp_hv_free(struct hv *base)
{
	struct hv_qmp *hv = of(base);

	hv->freed = true;
	hv->events = &nobody;
	hv->phase = HV_LOST;
	hv->qmp = qmp_close(hv->qmp);
	sd_event_source_set_enabled(hv->retry, SD_EVENT_OFF);
	if (hv->refresh_timer)
		sd_event_source_set_enabled(hv->refresh_timer, SD_EVENT_OFF);
	hv_qmp_unref(hv);
	return NULL;
}

static int new_request(struct hv_qmp *hv, hv_done_fn cb, void *arg, struct request **ret)
{
	struct request *req;

	if (hv->phase != HV_ATTACHED)
		return -ENOTCONN;
	if (qmp_overdue(hv->qmp) > 0)
		return -EBUSY;
	req = calloc(1, sizeof(*req));
	if (!req)
		return -ENOMEM;
	req->hv = hv;
	req->cb = cb;
	req->arg = arg;
	STAILQ_INSERT_TAIL(&hv->requests, req, link);
	*ret = req;
	return 0;
}

static void drop_request(struct request *req)
{
	STAILQ_REMOVE(&req->hv->requests, req, request, link);
	free(req);
}

void hv_request_done(struct request *req, int rc, const char *text)
{
	hv_done_fn cb = req->cb;
	void *arg = req->arg;
	char copy[sizeof(req->text)];

	snprintf(copy, sizeof(copy), "%s", text);
	drop_request(req);
	cb(arg, rc, copy);
}

static void plugged(struct request *req)
{
	struct hv_qmp *hv = req->hv;
	int rc = req->rc;
	HV_HOLD(hv);

	if (rc == 0) {
		/* Where its thread was asked for and seen the table could not tell more. */
		if (!req->thread)
			hv->threads_due = true;
		else if (hv->slots->table.slots[req->slot].thread_id <= 0)
			hv_refresh_want(hv, REFRESH_TABLE | REFRESH_THREADS, SETTLE_MS);
		hv->events->on_table(hv->ctx, &hv->slots->table);
	}
	/* on_table may have freed the object, and the requests are forgotten then. */
	if (!hv->freed)
		hv_request_done(req, rc, req->text);
}

static void on_added(void *arg, int rc, json_object *value, const char *text)
{
	struct request *req = arg;

	/* QEMU has it. What cannot be noted is read again, in a new connection. */
	if (rc == 0 && slots_set_plugged(req->hv->slots, req->slot, req->id) < 0) {
		qmp_fail(req->hv->qmp, "out of memory");
		rc = -ECONNRESET;
	}
	req->rc = rc;
	snprintf(req->text, sizeof(req->text), "%s", text);
	if (!req->threads)
		plugged(req);
}

static void on_plug_threads(void *arg, int rc, json_object *value, const char *text)
{
	struct request *req = arg;

	/* Without its thread id the vCPU is plugged all the same; only place() has to refuse. */
	if (rc == 0 && slots_set_threads(req->hv->slots, value) == -EPROTO)
		qmp_fail(req->hv->qmp, "a broken reply to query-cpus-fast");
	plugged(req);
}

static int qmp_hv_plug(struct hv *base, unsigned int slot, const char *id, bool thread,
		       hv_done_fn cb, void *arg)
{
	struct hv_qmp *hv = of(base);
	struct request *req;
	json_object *args;
	int r;

	if (hv->phase != HV_ATTACHED)
		return -ENOTCONN;
	if (!hv->slots->table.supported)
		return -EOPNOTSUPP;
	if (slot >= hv->slots->table.n || !slots_is_id(id))
		return -EINVAL;
	if (hv->slots->table.slots[slot].present)
		return -EEXIST;
	r = new_request(hv, cb, arg, &req);
	if (r < 0)
		return r;
	req->slot = slot;
	req->thread = thread;
	snprintf(req->id, sizeof(req->id), "%s", id);
	args = slots_device_add(hv->slots, slot, id);
	r = args ? qmp_send(hv->qmp, QMP_DEVICE_ADD, args, on_added, req) : -ENOMEM;
	if (r < 0)
		drop_request(req);
	else if (thread)
		req->threads =
			qmp_send(hv->qmp, QMP_QUERY_CPUS_FAST, NULL, on_plug_threads, req) == 0;
	return r;
}

static void on_deleted(void *arg, int rc, json_object *value, const char *text)
{
	struct request *req = arg;

	/* The device is gone already: the table is older than that. */
	if (rc == -ENODEV)
		hv_refresh_want(req->hv, REFRESH_TABLE, 0);
	hv_request_done(req, rc, text);
}

static json_object *make_id(const char *id)
{
	json_object *args = json_object_new_object();

	if (json_out_add(args, "id", json_object_new_string(id)) == 0)
		return args;
	json_object_put(args);
	return NULL;
}

static int qmp_hv_unplug(struct hv *base, unsigned int slot, hv_done_fn cb, void *arg)
{
	struct hv_qmp *hv = of(base);
	struct request *req;
	json_object *args;
	int r;

	if (hv->phase != HV_ATTACHED)
		return -ENOTCONN;
	if (!hv->slots->table.supported)
		return -EOPNOTSUPP;
	if (slot >= hv->slots->table.n)
		return -EINVAL;
	if (!hv->slots->table.slots[slot].present)
		return -ENODEV;
	if (!hv->slots->table.slots[slot].removable)
		return -EPERM;
	r = new_request(hv, cb, arg, &req);
	if (r < 0)
		return r;
	args = make_id(hv->slots->table.slots[slot].id);
	r = args ? qmp_send(hv->qmp, QMP_DEVICE_DEL, args, on_deleted, req) : -ENOMEM;
	if (r < 0)
		drop_request(req);
	return r;
}

static int qmp_hv_query(struct hv *base, hv_done_fn cb, void *arg)
{
	struct request *req;
	int r = new_request(of(base), cb, arg, &req);

	if (r == 0)
		hv_refresh_ask(of(base), req);
	return r;
}

static void qmp_hv_look(struct hv *base, bool news)
{
	if (news)
		hv_refresh_want(of(base), REFRESH_TABLE, 0);
	else
		hv_refresh_look(of(base));
}

static int place(struct hv *base, unsigned int slot, const struct cpulist *cpus)
{
	struct hv_qmp *hv = of(base);
	unsigned int n = hv->slots ? hv->slots->table.n : 0;
	struct ucred peer;

	if (hv->phase != HV_ATTACHED)
		return -ENOTCONN;
	peer = qmp_peer(hv->qmp);
	if (slot >= n)
		return -EINVAL;
	if (!hv->placed)
		hv->placed = calloc(n, sizeof(struct placed *));
	if (!hv->placed)
		return -ENOMEM;
	if (!cpus)
		return hv->placed[slot] ? place_undo(&peer, hv->placed[slot]) : 0;
	if (hv->slots->table.slots[slot].thread_id <= 0)
		return -ENODATA;
	if (!hv->placed[slot])
		hv->placed[slot] = calloc(1, sizeof(struct placed));
	if (!hv->placed[slot])
		return -ENOMEM;
	return place_pin(&peer, hv->slots->table.slots[slot].thread_id, cpus, hv->placed[slot]);
}

static int qmp_hv_place(struct hv *base, unsigned int slot, const struct cpulist *cpus,
			hv_done_fn cb, void *arg)
{
	int r = place(base, slot, cpus);

	return r < 0 ? r : HV_DONE;
}

static bool qmp_hv_is_there(struct hv *base)
{
	return of(base)->speaks;
}

static void qmp_hv_set_reply_ms(struct hv *base, unsigned int reply_ms)
{
	struct hv_qmp *hv = of(base);

	hv->reply_ms = reply_ms;
	if (hv->phase == HV_ATTACHED)
		qmp_set_reply_ms(hv->qmp, reply_ms * (hv->facts.kvm ? 1 : SLOW_FACTOR));
}

static const struct hv_ops ops = {
	.hypervisor = "qemu",
	.lost_ms = LOST_MS,
	.plug = qmp_hv_plug,
	.unplug = qmp_hv_unplug,
	.query = qmp_hv_query,
	.look = qmp_hv_look,
	.place = qmp_hv_place,
	.is_there = qmp_hv_is_there,
	.set_reply_ms = qmp_hv_set_reply_ms,
	.free = qmp_hv_free,
};

static void retry_later(struct hv_qmp *hv)
{
	uint64_t at = hv_now_us() + hv->backoff_ms * 1000ULL;

	if (hv->backoff_ms == HV_BACKOFF_MAX_MS)
		at = wake_round(at, HV_BACKOFF_MAX_MS * 1000ULL);
	sd_event_source_set_time(hv->retry, at);
	sd_event_source_set_enabled(hv->retry, SD_EVENT_ONESHOT);
	hv->backoff_ms *= 2;
	if (hv->backoff_ms > HV_BACKOFF_MAX_MS)
		hv->backoff_ms = HV_BACKOFF_MAX_MS;
}

/* Told when it is news: an attempt that fails like the one before it is none. */
static void tell_gone(struct hv_qmp *hv, const char *why, bool was_attached)
{
	HV_HOLD(hv);

	if (!was_attached && strcmp(hv->gone_why, why) == 0)
		return;
	snprintf(hv->gone_why, sizeof(hv->gone_why), "%s", why);
	if (hv->status != HV_CONNECTING) {
		hv->status = HV_CONNECTING;
		hv->events->on_status(hv->ctx, HV_CONNECTING);
	}
	hv->events->on_gone(hv->ctx, hv->gone_why);
}

static void on_ready(void *ctx, const char *version)
{
	struct hv_qmp *hv = ctx;

	hv->phase = HV_ATTACHING;
	hv->facts = (struct hv_facts){ 0 };
	snprintf(hv->facts.version, sizeof(hv->facts.version), "%s", version);
	hv_refresh_attach(hv);
}

static void on_event(void *ctx, const char *name, json_object *data)
{
	struct hv_qmp *hv = ctx;

	hv_event(hv, name, data);
}

static void on_caught_up(void *ctx)
{
	struct hv_qmp *hv = ctx;

	if (hv->phase == HV_ATTACHED)
		hv_refresh_want(hv, REFRESH_ALL, 0);
}

/*
 * One that comes and goes again and again is met later: each time it is read as a whole. But well
 * within LOST_MS, after which its VM is taken for gone.
 */
static void note_brief(struct hv_qmp *hv)
{
	if (hv_now_us() - hv->attached_us > HV_LASTING_MS * 1000ULL)
		hv->brief = 0;
	else if (hv->brief < HV_BRIEF_MAX)
		hv->brief++;
}

/*
 * What it said may have been no QMP; but nobody speaks for a process that has ended. One that serves
 * another client does not greet (-EBUSY).
 */
static bool has_spoken(const struct hv_qmp *hv, int rc)
{
	return (qmp_has_heard(hv->qmp) || rc == -EBUSY) && qmp_peer(hv->qmp).pid == hv->peer;
}

static void on_closed(void *ctx, int rc, const char *why)
{
	struct hv_qmp *hv = ctx;
	bool was_attached = hv->phase == HV_ATTACHED;
	HV_HOLD(hv);

	if (was_attached)
		note_brief(hv);
	hv->speaks = has_spoken(hv, rc);
	hv->phase = HV_LOST;
	hv->qmp = qmp_close(hv->qmp);
	hv_refresh_lost(hv);
	if (hv->freed)
		return;
	retry_later(hv);
	tell_gone(hv, why, was_attached);
}

static const struct qmp_handlers handlers = {
	.on_ready = on_ready,
	.on_event = on_event,
	.on_caught_up = on_caught_up,
	.on_closed = on_closed,
};

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct hv_qmp *hv = userdata;
	char why[200];
	/* Whether KVM is there is not known yet. */
	int r = qmp_new(&hv->qmp, hv->event, hv->path, hv->reply_ms * SLOW_FACTOR, &handlers, hv);

	if (r == 0)
		return 0;
	/* Where others stand in line somebody serves them. */
	hv->speaks &= r == -EAGAIN;
	if (r == -EAGAIN)
		snprintf(why, sizeof(why), "another QMP client holds the socket");
	else
		snprintf(why, sizeof(why), "cannot connect to %.120s: %s", hv->path, strerror(-r));
	retry_later(hv);
	tell_gone(hv, why, false);
	return 0;
}

int hv_qmp_new(struct hv **ret, sd_event *event, const char *path, unsigned int reply_ms,
	       const struct hv_events *events, void *ctx)
{
	struct hv_qmp *hv = calloc(1, sizeof(*hv));
	int r;

	if (!hv)
		return -ENOMEM;
	hv->hv.ops = &ops;
	hv->refs = 1;
	hv->event = sd_event_ref(event);
	hv->reply_ms = reply_ms;
	hv->events = events;
	hv->ctx = ctx;
	hv->backoff_ms = HV_BACKOFF_MIN_MS;
	STAILQ_INIT(&hv->requests);
	hv->path = strdup(path);
	r = hv_refresh_init(hv);
	if (r == 0 && !hv->path)
		r = -ENOMEM;
	if (r == 0)
		r = sd_event_add_time(event, &hv->retry, CLOCK_MONOTONIC, 0, 1000, on_retry, hv);
	if (r < 0) {
		hv_qmp_unref(hv);
		return r;
	}
	*ret = &hv->hv;
	return 0;
}
