/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libvirt tells by itself. Its callbacks run on the event thread; each makes a notice of
 * copies and posts it to the loop, where it is looked up which domain it is about. Nothing is
 * decided here, and no lock is held.
 *
 * A watch belongs to one connection and is counted: each registered callback holds it until
 * libvirt says that it will not call again. Notices of a connection that is not the daemon's any
 * more are passed over; those of one that is being opened wait until it is.
 */
#include "daemon/hv-libvirt-internal.h"
#include <errno.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum notice_kind { NOTICE_LIFECYCLE, NOTICE_MONITOR, NOTICE_CLOSED };

enum { EVENT_NAME_MAX = 40 };

/**
 * struct notice - on its way to the loop
 * @watch: counted
 * @event, @detail: of a lifecycle event
 * @name, @details: of a monitor event
 */
struct notice {
	struct job job;
	struct watch *watch;
	enum notice_kind kind;
	char uuid[CALL_UUID_SIZE];
	int event, detail;
	char name[EVENT_NAME_MAX];
	char text[];
};

struct watch *watch_new(struct libvirt *lv)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	atomic_init(&w->refs, 1);
	w->lv = lv;
	w->work = lv->work;
	w->lifecycle = w->monitor = -1;
	return w;
}

void watch_unref(struct watch *w)
{
	if (w && atomic_fetch_sub(&w->refs, 1) == 1)
		free(w);
}

static void forget(void *opaque)
{
	watch_unref(opaque);
}

static struct watch *ref(struct watch *w)
{
	atomic_fetch_add(&w->refs, 1);
	return w;
}

/* Source: libvirt-domain.h, virDomainEventStoppedDetailType. */
static const char *why_stopped(int detail)
{
	switch (detail) {
	case VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN:
		return "the VM has shut down";
	case VIR_DOMAIN_EVENT_STOPPED_DESTROYED:
		return "the VM was destroyed";
	case VIR_DOMAIN_EVENT_STOPPED_CRASHED:
		return "the VM has crashed";
	case VIR_DOMAIN_EVENT_STOPPED_MIGRATED:
		return "the VM has migrated to another host";
	case VIR_DOMAIN_EVENT_STOPPED_SAVED:
		return "the VM was saved";
	}
	return "the VM has ended";
}

static void on_lifecycle(struct libvirt *lv, const struct notice *n)
{
	struct hv_lv *hv = lv_find(lv, n->uuid);

	switch (n->event) {
	case VIR_DOMAIN_EVENT_STARTED:
	/* The guest's kernel has, and may go on: in its crash kernel, or after libvirt's restart. */
	case VIR_DOMAIN_EVENT_CRASHED:
		lv_discover(lv, n->uuid);
		break;
	case VIR_DOMAIN_EVENT_STOPPED:
		lv_left(lv, n->uuid, why_stopped(n->detail));
		break;
	default:
		if (hv)
			hv_lv_want(hv);
		break;
	}
}

static void notice_done(struct job *job)
{
	struct notice *n = (struct notice *)(void *)job;
	struct libvirt *lv = n->watch->lv;
	struct hv_lv *hv;

	if (!lv->ending && lv->opening == n->watch) {
		STAILQ_INSERT_TAIL(&lv->early, job, link);
		return;
	}
	if (!lv->ending && lv->watch == n->watch) {
		switch (n->kind) {
		case NOTICE_LIFECYCLE:
			on_lifecycle(lv, n);
			break;
		case NOTICE_MONITOR:
			hv = lv_find(lv, n->uuid);
			if (hv)
				hv_lv_monitor_event(hv, n->name, *n->text ? n->text : NULL);
			break;
		case NOTICE_CLOSED:
			lv_lost(lv, n->text);
			break;
		}
	}
	watch_unref(n->watch);
	free(n);
}

static struct notice *new_notice(struct watch *w, enum notice_kind kind, virDomainPtr dom,
				 const char *text)
{
	size_t len = strlen(text);
	struct notice *n = calloc(1, sizeof(*n) + len + 1);

	if (!n || (dom && virDomainGetUUIDString(dom, n->uuid) < 0)) {
		free(n);
		return NULL;
	}
	n->job.done = notice_done;
	n->kind = kind;
	n->watch = ref(w);
	memcpy(n->text, text, len + 1);
	return n;
}

static void post(struct watch *w, struct notice *n)
{
	if (!n || work_post(w->work, &n->job))
		return;
	watch_unref(n->watch);
	free(n);
}

static int on_domain_event(virConnectPtr conn, virDomainPtr dom, int event, int detail,
			   void *opaque)
{
	struct notice *n = new_notice(opaque, NOTICE_LIFECYCLE, dom, "");

	if (n) {
		n->event = event;
		n->detail = detail;
	}
	post(opaque, n);
	return 0;
}

/* What a guest can cause without end; all else is never left out. */
static bool is_guest_made(const char *event)
{
	return strcmp(event, "ACPI_DEVICE_OST") == 0;
}

static void on_monitor_event(virConnectPtr conn, virDomainPtr dom, const char *event,
			     long long seconds, unsigned int micros, const char *details,
			     void *opaque)
{
	struct notice *n = new_notice(opaque, NOTICE_MONITOR, dom, details ? details : "");

	if (n) {
		snprintf(n->name, sizeof(n->name), "%s", event);
		n->job.event = is_guest_made(event);
	}
	post(opaque, n);
}

static void on_close(virConnectPtr conn, int reason, void *opaque)
{
	static const char *const reasons[] = {
		[VIR_CONNECT_CLOSE_REASON_ERROR] = "the connection broke",
		[VIR_CONNECT_CLOSE_REASON_EOF] = "libvirtd ended the connection",
		[VIR_CONNECT_CLOSE_REASON_KEEPALIVE] = "libvirtd does not answer",
		[VIR_CONNECT_CLOSE_REASON_CLIENT] = "the connection was closed",
	};
	bool known = reason >= 0 && reason < (int)(sizeof(reasons) / sizeof(*reasons));

	post(opaque, new_notice(opaque, NOTICE_CLOSED, NULL, known ? reasons[reason] : ""));
}

/* By the one type that may be cast to any other: libvirt's own cast is a warning since clang 19. */
#define DOMAIN_EVENT_CALLBACK(fn) VIR_DOMAIN_EVENT_CALLBACK((void (*)(void))(fn))

/* The rows of hv-libvirt-event.c. */
static const char monitor_events[] =
	"^(ACPI_DEVICE_OST|DEVICE_DELETED|DEVICE_UNPLUG_GUEST_ERROR|RESET|MIGRATION|STOP|RESUME|"
	"SUSPEND|SUSPEND_DISK|WAKEUP|SHUTDOWN|GUEST_PANICKED|VSERPORT_CHANGE)$";

/* A callback that could not be registered holds nothing. */
static int keep(struct watch *w, int id, char text[static CALL_TEXT_MAX])
{
	if (id >= 0)
		return id;
	/* The loop's own is left. */
	atomic_fetch_sub(&w->refs, 1);
	call_error(text);
	return -1;
}

int watch_start(struct watch *w, virConnectPtr conn, char text[static CALL_TEXT_MAX])
{
	int r;

	if (virConnectRegisterCloseCallback(conn, on_close, ref(w), forget) < 0) {
		keep(w, -1, text);
		return call_error(text);
	}
	w->close = true;
	w->lifecycle = keep(w,
			    virConnectDomainEventRegisterAny(
				    conn, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
				    DOMAIN_EVENT_CALLBACK(on_domain_event), ref(w), forget),
			    text);
	if (w->lifecycle < 0)
		return call_error(text);
	/* Only QEMU's driver has them; another's domains do without, and wait for libvirt. */
	w->monitor = keep(w,
			  virConnectDomainQemuMonitorEventRegister(
				  conn, NULL, monitor_events, on_monitor_event, ref(w), forget,
				  VIR_CONNECT_DOMAIN_QEMU_MONITOR_EVENT_REGISTER_REGEX),
			  text);
	r = w->monitor < 0 ? call_error(text) : 0;
	return r == -EOPNOTSUPP ? 0 : r;
}

void watch_stop(struct watch *w, virConnectPtr conn)
{
	if (w->monitor >= 0)
		virConnectDomainQemuMonitorEventDeregister(conn, w->monitor);
	if (w->lifecycle >= 0)
		virConnectDomainEventDeregisterAny(conn, w->lifecycle);
	if (w->close)
		virConnectUnregisterCloseCallback(conn, on_close);
}
