/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HV_QMP_INTERNAL_H
#define DAEMON_HV_QMP_INTERNAL_H

#include "daemon/hv.h"
#include "daemon/place.h"
#include "daemon/qmp.h"
#include "daemon/slots.h"
#include <sys/queue.h>

/*
 * What these share: hv-qmp.c (the object, its requests), hv-refresh.c (when QEMU's state is read and
 * what the domain is told), hv-read.c (the commands and replies of that) and hv-event.c.
 */

enum refresh_part {
	REFRESH_TABLE = 1,   /* query-hotpluggable-cpus */
	REFRESH_THREADS = 2, /* query-cpus-fast */
	REFRESH_STATUS = 4,  /* query-status, query-migrate */
	REFRESH_OST = 8,     /* query-acpi-ospm-status */
	REFRESH_ALL = 15,
};

enum { HV_BACKOFF_MIN_MS = 100, HV_BACKOFF_MAX_MS = 2000, HV_LASTING_MS = 10000, HV_BRIEF_MAX = 2 };

enum hv_phase { HV_LOST, HV_ATTACHING, HV_ATTACHED };

/* How a query() stands to the readings: READING_OVER is about to be answered. */
enum reading { READING_NONE, READING_WAITED, READING_ASKED, READING_OVER };

/* A request of the domain's that is not answered yet. */
struct request {
	STAILQ_ENTRY(request) link;
	struct hv_qmp *hv;
	hv_done_fn cb;
	void *arg;
	unsigned int slot;
	enum reading reading;
	bool thread;  /* its host thread is needed with the answer */
	bool threads; /* so query-cpus-fast follows the device_add */
	int rc;
	char id[64];
	char text[256];
};

STAILQ_HEAD(request_list, request);

/* At most one event each @interval_us, but @burst at once; all times CLOCK_MONOTONIC. */
struct rate {
	uint64_t interval_us;
	unsigned int burst;
	uint64_t tat_us;
};

/**
 * struct refresh - one reading of QEMU's state, a run of commands sent at once
 * @parts: enum refresh_part of the running one, 0 none
 * @attach: it is the first of a connection and reads the facts too
 * @unanswered: its commands
 * @replied: qmp_replied() at its start
 * @rc: the first failure that spoils it all
 * @slots: the new table, when @parts has it
 * @ost: the new answers, when @parts has it
 */
struct refresh {
	unsigned int parts;
	bool attach;
	unsigned int unanswered;
	uint64_t replied;
	int rc;
	char text[256];
	struct slots *slots;
	enum hv_status status;
	struct slot_ost *ost;
	size_t n_ost;
};

struct hv_qmp {
	struct hv hv;
	unsigned int refs;
	bool freed; /* by the domain; somebody on the stack still holds it */
	sd_event *event;
	char *path;
	unsigned int reply_ms;
	const struct hv_events *events;
	void *ctx;
	struct qmp *qmp;
	enum hv_phase phase;
	enum hv_status status;
	pid_t peer; /* QEMU of the last attach */
	struct hv_facts facts;
	struct slots *slots;    /* NULL before the first attach */
	struct slot_ost *ost;   /* the last of each slot that was told */
	struct placed **placed; /* by slot, each allocated when used */
	struct request_list requests;
	/* hv-refresh.c */
	struct refresh refresh;
	unsigned int wanted; /* parts of the next refresh */
	bool threads_due;    /* and threads, where the table is among them */
	sd_event_source *refresh_timer;
	struct rate refresh_rate;
	struct rate query_rate;
	struct rate guest_rate; /* events that the guest makes */
	/* hv-qmp.c */
	sd_event_source *retry;
	unsigned int backoff_ms;
	uint64_t attached_us;
	unsigned int brief; /* attachments in a row that did not last */
	bool speaks;        /* the QEMU that was attached, in the last connection, if not well */
	char gone_why[256];
};

uint64_t hv_now_us(void);
void hv_qmp_unref(struct hv_qmp *hv);
static inline void hv_qmp_unrefp(struct hv_qmp **hv)
{
	hv_qmp_unref(*hv);
}

/* Held by whoever calls the domain and goes on: the domain may free the object there. */
#define HV_HOLD(hv) \
	__attribute__((cleanup(hv_qmp_unrefp), unused)) struct hv_qmp *held = ((hv)->refs++, (hv))

/* Forget what was remembered by slot. */
void hv_qmp_forget(struct hv_qmp *hv);

/* Answer and forget a request. */
void hv_request_done(struct request *req, int rc, const char *text);

int hv_refresh_init(struct hv_qmp *hv);
void hv_refresh_done(struct hv_qmp *hv);
/* The first reading of a connection: facts and all parts. */
void hv_refresh_attach(struct hv_qmp *hv);
/* Have parts read again, @delay_ms from now at the earliest, as often as the rate allows. */
void hv_refresh_want(struct hv_qmp *hv, unsigned int parts, unsigned int delay_ms);
/* Read table and status now, as often as the rate allows. */
void hv_refresh_look(struct hv_qmp *hv);
/* Read everything now, or right after the reading under way; then answer @req. */
void hv_refresh_ask(struct hv_qmp *hv, struct request *req);
/* hv-read.c has the last reply. */
void hv_refresh_finish(struct hv_qmp *hv);
/* The connection is lost: answer those who wait. */
void hv_refresh_lost(struct hv_qmp *hv);
/* Take one; 0, or the time in us until the next one is allowed. */
uint64_t hv_rate_take(struct rate *r);

/* Send the commands; hv_refresh_finish() follows, unless hv->refresh.parts is 0 afterwards. */
void hv_read_start(struct hv_qmp *hv, unsigned int parts, bool attach);

void hv_event(struct hv_qmp *hv, const char *name, json_object *data);

#endif
