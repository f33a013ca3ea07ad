/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A domain of libvirt's behind the hv.h seam. Everything here runs on the daemon's loop; what
 * blocks is a job for a thread (hv-libvirt-work.c) that carries copies of all it needs and comes
 * back to change_done().
 *
 * One change of a domain is with a thread at a time. The next begins when libvirt's own call has
 * returned: libvirt would only make it wait for the same lock, in a thread of libvirtd's and one
 * of ours. A plug or pinning is answered by the call's end. An unplug is answered when it is known
 * that the guest was asked: by the guest's first _OST, or by the call's end. libvirt does not
 * listen to a refusal and waits its 5 s all the same; we do not: the refusal is told at once by
 * the event (hv-libvirt-event.c), and the call's late outcome finds its request answered. It is
 * folded in by the reading that every change ends with: the table says what is there.
 *
 * So libvirt's timeout is no error of an unplug: the guest was asked, and has the vCPU still. The
 * walk goes on waiting for the slot to become empty, as long as its own deadlines say.
 *
 * LOST -> ATTACHED (hv_lv_attach) -> LOST (hv_lv_lost). Requests are taken in ATTACHED only. When
 * the connection is lost those that wait are answered -ECONNRESET; the one with a thread returns
 * by itself, since its call fails then. An end of the VM is not told here: lv_left() does, and the
 * object is freed.
 *
 * The object is counted: by its owner and by each job that will come back to it. hv_free() may be
 * called in any callback; from then on nothing is told.
 */
#include "daemon/hv-libvirt-internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUEST_EVENTS_RATE = 500, GUEST_EVENTS_BURST = 500 };

static struct hv_lv *of(struct hv *hv)
{
	return (struct hv_lv *)(void *)hv;
}

static void change_free(struct change *c)
{
	snapshot_free(c->snapshot);
	free(c);
}

static void free_slots(struct hv_lv *hv)
{
	for (unsigned int i = 0; hv->before && i < hv->table.n; i++)
		free(hv->before[i]);
	free(hv->before);
	free(hv->deleted_us);
	free(hv->empty);
	free(hv->slots);
	hv->before = NULL;
	hv->deleted_us = NULL;
	hv->empty = NULL;
	hv->slots = NULL;
	hv->table = (struct hv_table){ 0 };
}

static void forget_requests(struct hv_lv *hv)
{
	struct change *c;
	struct query *q;

	while ((c = STAILQ_FIRST(&hv->changes))) {
		STAILQ_REMOVE_HEAD(&hv->changes, next);
		change_free(c);
	}
	while ((q = STAILQ_FIRST(&hv->queries))) {
		STAILQ_REMOVE_HEAD(&hv->queries, next);
		free(q);
	}
}

void hv_lv_unref(struct hv_lv *hv)
{
	if (--hv->refs > 0)
		return;
	forget_requests(hv);
	hv_lv_read_done(hv);
	free_slots(hv);
	free(hv);
}

static struct hv *lv_hv_free(struct hv *base)
{
	struct hv_lv *hv = of(base);

	hv->freed = true;
	hv->phase = LV_LOST;
	LIST_REMOVE(hv, link);
	forget_requests(hv);
	hv_lv_read_done(hv);
	hv_lv_unref(hv);
	return NULL;
}

/* The answer to a request, unless it has had it. Waiting ones are off their list by then. */
static void answer(struct change *c, int rc, const char *text)
{
	hv_done_fn cb = c->cb;

	c->cb = NULL;
	if (cb && !c->hv->freed)
		cb(c->arg, rc, text);
}

void hv_lv_unplug_heard(struct hv_lv *hv, unsigned int slot)
{
	struct change *c = hv->running;

	if (c && c->kind == CHANGE_UNPLUG && c->slot == slot)
		answer(c, 0, "");
}

static int call(struct change *c, virConnectPtr conn)
{
	char text[CALL_TEXT_MAX];
	int rc;

	if (c->kind == CHANGE_PIN)
		return call_pin(conn, c->uuid, c->slot, &c->cpus,
				c->wants_before ? &c->before : NULL, c->text);
	rc = call_set_vcpu(conn, c->uuid, c->slot, c->kind == CHANGE_PLUG, c->text);
	/* What it has come to, in the same go: a reading that began before would not show it. */
	if (rc != -ECONNRESET)
		call_vcpus(conn, c->uuid, c->maximum, &c->snapshot, text);
	return rc;
}

static void run_change(struct job *job)
{
	struct change *c = (struct change *)(void *)job;
	virConnectPtr conn;

	c->rc = job->ending ? -ECONNRESET : pool_take(c->pool, &conn, c->text);
	if (c->rc < 0)
		return;
	c->rc = call(c, conn);
	pool_give(c->pool, conn);
}

static void start_next(struct hv_lv *hv);

static void note_plugged(struct hv_lv *hv, const struct change *c)
{
	struct hv_slot *s = &hv->slots[c->slot];

	hv->deleted_us[c->slot] = 0;
	s->present = s->removable = true;
	snprintf(s->id, sizeof(s->id), "%s", c->id);
}

static void note_pinned(struct hv_lv *hv, const struct change *c)
{
	struct cpulist **before = &hv->before[c->slot];

	if (!c->wants_before) {
		/* It was given back. */
		free(*before);
		*before = NULL;
		return;
	}
	if (!*before)
		*before = malloc(sizeof(**before));
	if (*before)
		**before = c->before;
}

static void note_success(struct hv_lv *hv, const struct change *c)
{
	if (c->slot >= hv->table.n)
		return;
	switch (c->kind) {
	case CHANGE_PLUG:
		note_plugged(hv, c);
		break;
	case CHANGE_UNPLUG:
		hv_lv_mark_deleted(hv, c->slot);
		break;
	case CHANGE_PIN:
		note_pinned(hv, c);
		break;
	}
}

static void change_done(struct job *job)
{
	struct change *c = (struct change *)(void *)job;
	struct hv_lv *hv = c->hv; /* the job's own until the end */

	hv->running = NULL;
	if (!hv->freed && c->rc == 0)
		note_success(hv, c);
	/* Should it be there all the same, it is ours. */
	if (!hv->freed && c->rc == -ECONNRESET && c->kind == CHANGE_PLUG && c->slot < hv->table.n)
		snprintf(hv->slots[c->slot].id, sizeof(c->id), "%s", c->id);
	if (!hv->freed && hv->phase == LV_ATTACHED && c->kind != CHANGE_PIN) {
		if (c->snapshot)
			hv_lv_adopt(hv, c->snapshot);
		else
			hv_lv_tell_table(hv);
	}
	/* The guest was asked; that it has not let go in libvirt's time is for the walk to judge. */
	if (c->kind == CHANGE_UNPLUG && c->rc == -ETIMEDOUT)
		answer(c, 0, "");
	else
		answer(c, c->rc, c->text);
	change_free(c);
	if (!hv->freed && !hv->running)
		start_next(hv);
	hv_lv_unref(hv);
}

static int start(struct hv_lv *hv, struct change *c)
{
	if (!hv->lv->conn)
		return -ECONNRESET;
	c->job = (struct job){ .run = run_change, .done = change_done };
	c->pool = hv->lv->pool;
	if (work_submit(hv->lv->work, LANE_CHANGE, &c->job) < 0)
		return -EAGAIN;
	hv->running = c;
	hv->refs++;
	return 0;
}

static void start_next(struct hv_lv *hv)
{
	struct change *c;

	while (!hv->running && !hv->freed && (c = STAILQ_FIRST(&hv->changes))) {
		int r;

		STAILQ_REMOVE_HEAD(&hv->changes, next);
		r = start(hv, c);
		if (r == 0)
			return;
		answer(c, r, "");
		change_free(c);
	}
}

static int submit(struct hv_lv *hv, struct change *c)
{
	int r = 0;

	if (hv->running)
		STAILQ_INSERT_TAIL(&hv->changes, c, next);
	else
		r = start(hv, c);
	if (r < 0)
		change_free(c);
	return r;
}

static struct change *new_change(struct hv_lv *hv, enum change_kind kind, unsigned int slot,
				 hv_done_fn cb, void *arg)
{
	struct change *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->hv = hv;
	c->kind = kind;
	c->slot = slot;
	c->maximum = hv->table.n;
	c->cb = cb;
	c->arg = arg;
	snprintf(c->uuid, sizeof(c->uuid), "%s", hv->uuid);
	return c;
}

static int check(const struct hv_lv *hv, unsigned int slot)
{
	if (hv->phase != LV_ATTACHED)
		return -ENOTCONN;
	if (!hv->table.supported)
		return -EOPNOTSUPP;
	return slot < hv->table.n ? 0 : -EINVAL;
}

static int lv_hv_plug(struct hv *base, unsigned int slot, const char *id, bool thread,
		      hv_done_fn cb, void *arg)
{
	struct hv_lv *hv = of(base);
	struct change *c;
	int r = check(hv, slot);

	if (r < 0)
		return r;
	if (hv->slots[slot].present)
		return -EEXIST;
	c = new_change(hv, CHANGE_PLUG, slot, cb, arg);
	if (!c)
		return -ENOMEM;
	snprintf(c->id, sizeof(c->id), "%s", id);
	return submit(hv, c);
}

static int lv_hv_unplug(struct hv *base, unsigned int slot, hv_done_fn cb, void *arg)
{
	struct hv_lv *hv = of(base);
	struct change *c;
	int r = check(hv, slot);

	if (r < 0)
		return r;
	if (!hv->slots[slot].present)
		return -ENODEV;
	if (!hv->slots[slot].removable)
		return -EPERM;
	c = new_change(hv, CHANGE_UNPLUG, slot, cb, arg);
	return c ? submit(hv, c) : -ENOMEM;
}

static int lv_hv_place(struct hv *base, unsigned int slot, const struct cpulist *cpus,
		       hv_done_fn cb, void *arg)
{
	struct hv_lv *hv = of(base);
	struct change *c;
	int r = check(hv, slot);

	if (r < 0)
		return r;
	if (!cpus && !hv->before[slot])
		return HV_DONE;
	c = new_change(hv, CHANGE_PIN, slot, cb, arg);
	if (!c)
		return -ENOMEM;
	c->cpus = cpus ? *cpus : *hv->before[slot];
	c->wants_before = cpus != NULL;
	return submit(hv, c);
}

static const struct hv_ops ops = {
	.hypervisor = "libvirt",
	.lost_ms = 0,
	.one_unplug = true,
	.names_devices = true,
	.plug = lv_hv_plug,
	.unplug = lv_hv_unplug,
	.query = hv_lv_query,
	.look = hv_lv_look,
	.place = lv_hv_place,
	.free = lv_hv_free,
};

static int make_slots(struct hv_lv *hv, unsigned int n)
{
	free_slots(hv);
	hv->slots = calloc(n, sizeof(*hv->slots));
	hv->empty = calloc(n, sizeof(*hv->empty));
	hv->deleted_us = calloc(n, sizeof(*hv->deleted_us));
	hv->before = calloc(n, sizeof(struct cpulist *));
	if (!hv->slots || !hv->empty || !hv->deleted_us || !hv->before)
		return -ENOMEM;
	hv->table = (struct hv_table){ .n = n, .slots = hv->slots };
	return 0;
}

static void set_facts(struct hv_lv *hv, const struct snapshot *s)
{
	struct hv_facts *f = &hv->facts;

	*f = (struct hv_facts){
		.kvm = s->xml.kvm,
		.pflash = s->xml.pflash,
		.smm = s->xml.smm,
		.maximum = s->xml.maximum,
		.libvirt_id = s->id,
	};
	snprintf(f->uuid, sizeof(f->uuid), "%s", s->uuid);
	snprintf(f->accel, sizeof(f->accel), "%s", s->xml.kvm ? "kvm" : "tcg");
	snprintf(f->version, sizeof(f->version), "%s", hv->lv->version);
	snprintf(f->machine, sizeof(f->machine), "%s", s->xml.machine);
}

void hv_lv_attach(struct hv_lv *hv, const struct snapshot *s)
{
	LV_HOLD(hv);

	if (s->xml.maximum != hv->table.n && make_slots(hv, s->xml.maximum) < 0)
		return;
	set_facts(hv, s);
	/* What QEMU told of its slots is in libvirt's table by now, or never will be. */
	memset(hv->deleted_us, 0, hv->table.n * sizeof(*hv->deleted_us));
	hv->migrating = s->jobs_known && s->migrating;
	hv->phase = LV_ATTACHED;
	hv->events->on_attached(hv->ctx, &hv->facts);
	if (!hv->freed)
		hv_lv_adopt(hv, s);
}

void hv_lv_lost(struct hv_lv *hv, const char *why)
{
	struct change *c;
	LV_HOLD(hv);

	if (hv->phase == LV_LOST)
		return;
	hv->phase = LV_LOST;
	hv->status = HV_CONNECTING;
	hv->events->on_status(hv->ctx, HV_CONNECTING);
	if (!hv->freed)
		hv->events->on_gone(hv->ctx, why);
	while (!hv->freed && (c = STAILQ_FIRST(&hv->changes))) {
		STAILQ_REMOVE_HEAD(&hv->changes, next);
		answer(c, -ECONNRESET, "");
		change_free(c);
	}
	hv_lv_answer_queries(hv, -ECONNRESET, "");
}

int hv_lv_new(struct hv **ret, struct libvirt *lv, const char *uuid, const struct hv_events *events,
	      void *ctx)
{
	struct hv_lv *hv = calloc(1, sizeof(*hv));
	int r;

	if (!hv)
		return -ENOMEM;
	hv->hv.ops = &ops;
	hv->refs = 1;
	hv->lv = lv;
	hv->events = events;
	hv->ctx = ctx;
	snprintf(hv->uuid, sizeof(hv->uuid), "%s", uuid);
	STAILQ_INIT(&hv->changes);
	STAILQ_INIT(&hv->queries);
	bucket_init(&hv->guest, GUEST_EVENTS_RATE, GUEST_EVENTS_BURST, lv_now_us());
	r = hv_lv_read_init(hv);
	if (r < 0) {
		hv_lv_unref(hv);
		return r;
	}
	LIST_INSERT_HEAD(&lv->hvs, hv, link);
	*ret = &hv->hv;
	return 0;
}
