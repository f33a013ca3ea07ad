/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HV_LIBVIRT_INTERNAL_H
#define DAEMON_HV_LIBVIRT_INTERNAL_H

#include "daemon/bucket.h"
#include "daemon/hv-libvirt-pool.h"
#include "daemon/hv-libvirt-work.h"
#include "daemon/libvirt-module.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

/*
 * What these share: hv-libvirt-conn.c (the connection), -discover.c (which domains there are),
 * -watch.c (what libvirt tells, from its event thread to the loop), hv-libvirt.c (a domain's object
 * and its requests), -read.c (readings of its XML), -event.c (what an event means for a domain),
 * -persist.c (the configuration of any domain). Below them, knowing nothing of these structs:
 * -work.c (threads), -pool.c (connections for changes), -call.c (libvirt's blocking calls) and
 * -xml.c.
 */

enum lv_phase { LV_LOST, LV_ATTACHED };

enum change_kind { CHANGE_PLUG, CHANGE_UNPLUG, CHANGE_PIN };

/**
 * struct change - a request that changes the domain: waiting, or with a thread
 * @hv: counted
 * @cb: NULL once it is answered
 * @id: of a plug
 * @cpus: of a pinning; @before: what it replaced, where @wants_before
 * @pool, @uuid, @maximum: for the thread
 * @rc, @text, @snapshot: from the thread
 */
struct change {
	struct job job;
	STAILQ_ENTRY(change) next;
	struct hv_lv *hv;
	enum change_kind kind;
	unsigned int slot;
	char id[64];
	struct cpulist cpus, before;
	bool wants_before;
	hv_done_fn cb;
	void *arg;
	struct pool *pool;
	char uuid[CALL_UUID_SIZE];
	unsigned int maximum;
	int rc;
	char text[CALL_TEXT_MAX];
	struct snapshot *snapshot;
};

STAILQ_HEAD(change_list, change);

enum query_phase { QUERY_WAITS, QUERY_ASKED, QUERY_OVER };

struct query {
	STAILQ_ENTRY(query) next;
	enum query_phase phase;
	hv_done_fn cb;
	void *arg;
};

STAILQ_HEAD(query_list, query);

/**
 * struct hv_lv - a domain of libvirt's behind the hv.h seam; the loop's alone
 * @refs: its owner, and each job that will come back to it
 * @seq: of the reading that the table is from
 * @migrating: events, or the jobs of the first reading, say so
 * @slots: facts.maximum of them; an id is remembered from the plug
 * @empty: by slot, whether it was seen empty: what stands there since then was plugged
 * @deleted_us: by slot, when QEMU said that it is gone; 0 not, or libvirt says so too by now
 * @before: by slot, what the thread was allowed before it was pinned
 * @running: the change that a thread has; @changes: those behind it
 * @reading: a reading is under way; @wanted: another one is; @unsettled: libvirt does not say yet
 *           what @deleted_us does
 */
struct hv_lv {
	struct hv hv;
	unsigned int refs;
	bool freed;
	struct libvirt *lv;
	LIST_ENTRY(hv_lv) link;
	char uuid[CALL_UUID_SIZE];
	const struct hv_events *events;
	void *ctx;
	enum lv_phase phase;
	enum hv_status status;
	bool migrating;
	uint64_t seq;
	struct hv_facts facts;
	struct hv_table table;
	struct hv_slot *slots;
	bool *empty;
	uint64_t *deleted_us;
	struct cpulist **before;
	struct change *running;
	struct change_list changes;
	struct query_list queries;
	bool reading, wanted, unsettled;
	sd_event_source *timer;
	struct bucket reads;
	struct bucket guest;
};

LIST_HEAD(hv_list, hv_lv);

/**
 * struct watch - what libvirt's callbacks of one connection are given
 * @refs: the loop, and each callback that is registered
 * @work: where notices are posted
 */
struct watch {
	atomic_uint refs;
	struct libvirt *lv;
	struct work *work;
	int lifecycle, monitor;
	bool close;
};

/**
 * struct libvirt - the connection
 * @conn: for readings and events, the reading thread's alone; NULL while it is down
 * @watch: of @conn
 * @pool: for changes
 * @ending: nothing is begun any more
 * @round: counts the connections
 * @opening: of the connection that is being opened; @early: what it has told so far
 * @unread: domains that could not be read, for @again
 * @why: why it is down, as told
 */
struct libvirt {
	sd_event *event;
	char *uri;
	const struct libvirt_events *events;
	void *ctx;
	struct work *work;
	virConnectPtr conn;
	struct watch *watch;
	struct pool *pool;
	bool ending;
	struct watch *opening;
	unsigned int round;
	struct job_list early;
	struct job_list unread;
	sd_event_source *again;
	char version[32];
	struct hv_list hvs;
	sd_event_source *retry;
	unsigned int backoff_ms;
	char why[CALL_TEXT_MAX];
	pthread_t thread;
	bool has_thread;
	int wake_timer;
	atomic_bool stop;
};

static inline uint64_t lv_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* hv-libvirt.c */
int hv_lv_new(struct hv **ret, struct libvirt *lv, const char *uuid, const struct hv_events *events,
	      void *ctx);
void hv_lv_unref(struct hv_lv *hv);
static inline void hv_lv_unrefp(struct hv_lv **hv)
{
	hv_lv_unref(*hv);
}
/* Held by whoever calls the domain and goes on. */
#define LV_HOLD(hv) \
	__attribute__((cleanup(hv_lv_unrefp), unused)) struct hv_lv *held = ((hv)->refs++, (hv))
/* The connection is there and this is the domain: tell it all. */
void hv_lv_attach(struct hv_lv *hv, const struct snapshot *s);
/* The connection is lost. */
void hv_lv_lost(struct hv_lv *hv, const char *why);
/* An unplug that a thread waits in has reached the guest: its request can be answered. */
void hv_lv_unplug_heard(struct hv_lv *hv, unsigned int slot);

/* hv-libvirt-read.c */
void hv_lv_look(struct hv *base, bool news);
int hv_lv_query(struct hv *base, hv_done_fn cb, void *arg);
/* Read it, as soon and as often as the rate allows. */
void hv_lv_want(struct hv_lv *hv);
/* A newer reading is taken over; then the domain is told the table and the status. */
void hv_lv_adopt(struct hv_lv *hv, const struct snapshot *s);
/* The domain is told the table as it is. */
void hv_lv_tell_table(struct hv_lv *hv);
/* QEMU says that the slot is empty, whatever libvirt still says. */
void hv_lv_mark_deleted(struct hv_lv *hv, unsigned int slot);
void hv_lv_answer_queries(struct hv_lv *hv, int rc, const char *text);
int hv_lv_read_init(struct hv_lv *hv);
void hv_lv_read_done(struct hv_lv *hv);
enum hv_status hv_lv_status(const struct hv_lv *hv, const struct snapshot *s);

/* hv-libvirt-event.c: an event of QEMU's monitor; @details: JSON or NULL. */
void hv_lv_monitor_event(struct hv_lv *hv, const char *name, const char *details);

/* hv-libvirt-conn.c */
struct libvirt *lv_close(struct libvirt *lv);
int lv_open(struct libvirt **ret, sd_event *event, const char *uri,
	    const struct libvirt_events *events, void *ctx);
struct hv_lv *lv_find(struct libvirt *lv, const char *uuid);
/* It does not run any more: whoever owns it frees it. */
void lv_left(struct libvirt *lv, const char *uuid, const char *why);
/* The connection broke; @why may be NULL. */
void lv_lost(struct libvirt *lv, const char *why);

/* hv-libvirt-discover.c */
int lv_discover_init(struct libvirt *lv);
void lv_discover_done(struct libvirt *lv);
/* Is there such a domain, and has it the channel? */
void lv_discover(struct libvirt *lv, const char *uuid);

/* hv-libvirt-persist.c: as libvirt_module.persist. */
int lv_persist(struct libvirt *lv, const char *word, const struct persist_change *change,
	       persist_done_fn done, void *arg);

/* As virsh does: a running domain's id, a UUID, a name. On a thread. */
virDomainPtr lv_find_domain(virConnectPtr conn, const char *word);
/* On a thread. Return: 0 or -errno with @text. */
int lv_read_persistent(virDomainPtr dom, struct persist_domain *d, char text[static CALL_TEXT_MAX]);

/* hv-libvirt-define.c: as libvirt_module.advise. */
int lv_advise(struct libvirt *lv, const char *word, unsigned int maximum, bool define,
	      advise_done_fn done, void *arg);

/* hv-libvirt-watch.c; all but lv_on_notice() on a thread, for a connection that is its own. */
struct watch *watch_new(struct libvirt *lv);
void watch_unref(struct watch *w);
int watch_start(struct watch *w, virConnectPtr conn, char text[static CALL_TEXT_MAX]);
void watch_stop(struct watch *w, virConnectPtr conn);

#endif
