/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The connection to libvirtd. The struct is the loop's; three kinds
 * of threads work for it: one runs libvirt's event loop and calls the callbacks of
 * hv-libvirt-watch.c, one reads (and connects), a few change (hv-libvirt-work.c) on connections of
 * their own (hv-libvirt-pool.c). The loop itself calls nothing of libvirt's that talks to libvirtd.
 *
 * Down, a timer asks the reading thread to connect: open, keepalive, callbacks, then the list of
 * running domains, so that none can start or stop unseen between the list and the first event.
 * Objects whose domains are not in it have ended meanwhile. The close callback, or keepalive, ends
 * it; then it is tried again after 0.1 s, doubling to 2 s. A lost connection says nothing of the
 * VMs: their objects stay. What runs is looked at by hv-libvirt-discover.c.
 *
 * lv_close() gives calls that are under way CLOSE_MS; a call that hangs longer keeps its thread
 * and everything it may touch, which only the process's end takes away.
 */
#include "daemon/hv-libvirt-internal.h"
#include <assert.h>
#include <errno.h>
#include <libvirt/virterror.h>
#include <libxml/parser.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BACKOFF_MIN_MS = 100,
	BACKOFF_MAX_MS = 2000,
	CLOSE_MS = 1000,
};

/* Connecting; @watch counted, handed over on success. */
struct opening {
	struct job job;
	struct libvirt *lv;
	const char *uri; /* the connection's, which lives longer, as @pool does */
	struct pool *pool;
	struct watch *watch;
	virConnectPtr conn;
	struct running domains;
	char version[32];
	int rc;
	char text[CALL_TEXT_MAX];
};

/* A connection being given back; both its own. */
struct closing {
	struct job job;
	virConnectPtr conn;
	struct watch *watch;
};

struct hv_lv *lv_find(struct libvirt *lv, const char *uuid)
{
	struct hv_lv *hv;

	LIST_FOREACH(hv, &lv->hvs, link)
	if (strcmp(hv->uuid, uuid) == 0)
		return hv;
	return NULL;
}

void lv_left(struct libvirt *lv, const char *uuid, const char *why)
{
	char copy[CALL_UUID_SIZE];

	/* The object whose text this may be is freed in the call. */
	snprintf(copy, sizeof(copy), "%s", uuid);
	if (lv_find(lv, copy))
		lv->events->on_left(lv->ctx, copy, why);
}

static void retry_later(struct libvirt *lv)
{
	sd_event_source_set_time(lv->retry, lv_now_us() + lv->backoff_ms * 1000ULL);
	sd_event_source_set_enabled(lv->retry, SD_EVENT_ONESHOT);
	lv->backoff_ms *= 2;
	if (lv->backoff_ms > BACKOFF_MAX_MS)
		lv->backoff_ms = BACKOFF_MAX_MS;
}

/* An attempt that fails like the one before it is no news. */
static void tell_down(struct libvirt *lv, int rc, const char *why)
{
	if (strcmp(lv->why, why) == 0)
		return;
	snprintf(lv->why, sizeof(lv->why), "%s", why);
	lv->events->on_connection(lv->ctx, rc, lv->why);
}

static bool has_domain(const struct running *list, const char *uuid)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->list[i], uuid) == 0)
			return true;
	return false;
}

/* Objects whose domains are not running any more; each call may change the list. */
static void drop_missing(struct libvirt *lv, const struct running *list)
{
	struct hv_lv *hv;

	do {
		LIST_FOREACH(hv, &lv->hvs, link)
		if (!has_domain(list, hv->uuid))
			break;
		if (hv)
			lv_left(lv, hv->uuid, "the VM has ended while libvirtd was away");
	} while (hv);
}

static void run_closing(struct job *job)
{
	struct closing *c = (struct closing *)(void *)job;

	watch_stop(c->watch, c->conn);
	virConnectClose(c->conn);
}

static void closing_done(struct job *job)
{
	struct closing *c = (struct closing *)(void *)job;

	watch_unref(c->watch);
	free(c);
}

/* Give the connection back, on a thread: even that may talk to libvirtd. */
static void give_back(struct libvirt *lv, virConnectPtr conn, struct watch *watch)
{
	struct closing *c = calloc(1, sizeof(*c));

	if (!c)
		return; /* it is kept, unused */
	c->job = (struct job){ .run = run_closing, .done = closing_done };
	c->conn = conn;
	c->watch = watch;
	if (work_submit(lv->work, LANE_READ, &c->job) < 0)
		free(c);
}

static void drop_connection(struct libvirt *lv)
{
	virConnectPtr conn = lv->conn;
	struct watch *watch = lv->watch;

	lv->conn = NULL;
	lv->watch = NULL;
	if (conn)
		give_back(lv, conn, watch);
}

void lv_lost(struct libvirt *lv, const char *why)
{
	struct hv_lv *hv, *next;

	drop_connection(lv);
	tell_down(lv, -ECONNRESET, why && *why ? why : "the connection was lost");
	for (hv = LIST_FIRST(&lv->hvs); hv; hv = next) {
		next = LIST_NEXT(hv, link);
		hv_lv_lost(hv, lv->why);
	}
	retry_later(lv);
}

static int open_connection(struct opening *o)
{
	virConnectPtr first;
	unsigned long version;
	int r = pool_connect(o->uri, &o->conn, o->text);

	if (r < 0)
		return r;
	/* The first change need not wait for one. */
	if (pool_take(o->pool, &first, o->text) == 0)
		pool_give(o->pool, first);
	r = watch_start(o->watch, o->conn, o->text);
	if (r == 0 && virConnectGetVersion(o->conn, &version) == 0)
		call_format_version(version, o->version, sizeof(o->version));
	return r == 0 ? call_list(o->conn, &o->domains, o->text) : r;
}

static void run_opening(struct job *job)
{
	struct opening *o = (struct opening *)(void *)job;

	o->rc = job->ending ? -ECANCELED : open_connection(o);
	if (o->rc < 0 && o->conn) {
		watch_stop(o->watch, o->conn);
		virConnectClose(o->conn);
		o->conn = NULL;
	}
}

/* What was told while the list was on its way. */
static void replay(struct libvirt *lv)
{
	struct job *job;

	while ((job = STAILQ_FIRST(&lv->early))) {
		STAILQ_REMOVE_HEAD(&lv->early, link);
		job->done(job);
	}
}

static void opened(struct libvirt *lv, struct opening *o)
{
	lv->conn = o->conn;
	lv->watch = o->watch;
	o->watch = NULL;
	lv->round++;
	lv->backoff_ms = BACKOFF_MIN_MS;
	lv->why[0] = '\0';
	snprintf(lv->version, sizeof(lv->version), "%s", o->version);
	lv->events->on_connection(lv->ctx, 0, lv->uri);
	drop_missing(lv, &o->domains);
	static_assert(sizeof(*o->domains.list) == PERSIST_UUID_SIZE, "one size of a UUID");
	lv->events->on_running(lv->ctx, (const char(*)[PERSIST_UUID_SIZE])o->domains.list,
			       o->domains.n);
	for (size_t i = 0; i < o->domains.n; i++)
		lv_discover(lv, o->domains.list[i]);
}

static void opening_done(struct job *job)
{
	struct opening *o = (struct opening *)(void *)job;
	struct libvirt *lv = o->lv;

	lv->opening = NULL;
	if (o->rc == 0 && !lv->ending) {
		opened(lv, o);
	} else if (!lv->ending) {
		tell_down(lv, o->rc, o->text);
		retry_later(lv);
	} else if (o->conn) {
		/* Too late: the threads have ended, so nothing can be told to libvirtd any more. */
		virConnectClose(o->conn);
	}
	replay(lv);
	watch_unref(o->watch);
	free(o->domains.list);
	free(o);
}

static int start_opening(struct libvirt *lv)
{
	struct opening *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->job = (struct job){ .run = run_opening, .done = opening_done };
	o->lv = lv;
	o->uri = lv->uri;
	o->pool = lv->pool;
	o->watch = watch_new(lv);
	if (!o->watch || work_submit(lv->work, LANE_READ, &o->job) < 0) {
		watch_unref(o->watch);
		free(o);
		return -EAGAIN;
	}
	lv->opening = o->watch;
	return 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct libvirt *lv = userdata;

	if (!lv->conn && !lv->opening && start_opening(lv) < 0)
		retry_later(lv);
	return 0;
}

static void on_wake(int timer, void *opaque)
{
}

static void *event_main(void *arg)
{
	struct libvirt *lv = arg;
	const struct timespec pause = { .tv_nsec = 100000000 };

	while (!atomic_load(&lv->stop))
		if (virEventRunDefaultImpl() < 0)
			nanosleep(&pause, NULL);
	return NULL;
}

/* It writes to standard error otherwise; call_error() has what was said. */
static void no_error(void *ctx, virErrorPtr error)
{
}

static int start_events(struct libvirt *lv)
{
	sigset_t all, old;
	int r;

	if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
		return -ENOMEM;
	virSetErrorFunc(NULL, no_error);
	xmlInitParser();
	lv->wake_timer = virEventAddTimeout(-1, on_wake, lv, NULL);
	if (lv->wake_timer < 0)
		return -ENOMEM;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&lv->thread, NULL, event_main, lv);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	lv->has_thread = r == 0;
	return -r;
}

static bool stop_events(struct libvirt *lv)
{
	struct timespec until;

	if (!lv->has_thread)
		return true;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 1;
	atomic_store(&lv->stop, true);
	virEventUpdateTimeout(lv->wake_timer, 0);
	return pthread_timedjoin_np(lv->thread, NULL, &until) == 0;
}

struct libvirt *lv_close(struct libvirt *lv)
{
	if (!lv)
		return NULL;
	lv->ending = true;
	lv->retry = sd_event_source_disable_unref(lv->retry);
	lv_discover_done(lv);
	drop_connection(lv);
	if (lv->work && (!work_stop(lv->work, CLOSE_MS) || !stop_events(lv)))
		return NULL;
	work_free(lv->work);
	pool_free(lv->pool);
	sd_event_unref(lv->event);
	free(lv->uri);
	free(lv);
	return NULL;
}

int lv_open(struct libvirt **ret, sd_event *event, const char *uri,
	    const struct libvirt_events *events, void *ctx)
{
	struct libvirt *lv = calloc(1, sizeof(*lv));
	int r;

	if (!lv)
		return -ENOMEM;
	lv->event = sd_event_ref(event);
	lv->events = events;
	lv->ctx = ctx;
	lv->backoff_ms = BACKOFF_MIN_MS;
	LIST_INIT(&lv->hvs);
	STAILQ_INIT(&lv->early);
	STAILQ_INIT(&lv->unread);
	lv->uri = strdup(uri);
	lv->pool = lv->uri ? pool_new(lv->uri) : NULL;
	r = lv->pool ? work_new(&lv->work, event) : -ENOMEM;
	if (r == 0)
		r = start_events(lv);
	if (r == 0)
		r = sd_event_add_time(event, &lv->retry, CLOCK_MONOTONIC, 0, 1000, on_retry, lv);
	if (r >= 0)
		r = lv_discover_init(lv);
	if (r < 0) {
		lv_close(lv);
		return r;
	}
	*ret = lv;
	return 0;
}
