/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What QEMU's raw events mean for a domain of libvirt's. They arrive before libvirt has acted on
 * them, so what they say of slots is used as it is, and the XML is read again. Only the guest's _OST are the guest's to make as many of as it likes: beyond a rate they
 * are dropped, and the table is read instead.
 */
#include "daemon/hv-libvirt-internal.h"
#include "daemon/json-in.h"
#include "daemon/slots.h"
#include <stdlib.h>
#include <string.h>

enum { OST_IN_PROGRESS = 132 };

static const char peripheral[] = "/machine/peripheral/";

static bool guest_may(struct hv_lv *hv)
{
	bucket_refill(&hv->guest, lv_now_us());
	if (!bucket_has(&hv->guest))
		return false;
	bucket_take(&hv->guest, 1);
	return true;
}

static void on_ost(struct hv_lv *hv, json_object *data)
{
	json_object *info;
	struct slot_ost o;

	if (json_in_obj(data, "info", &info) < 0 || slots_ost(info, hv->table.n, &o) != 0)
		return;
	/*
	 * One that others plugged is heard of by the guest's word first. If that is a lie, libvirt's
	 * table is believed, and that is no harm.
	 */
	if (o.source == HV_OST_ADD && hv->facts.kvm)
		hv->deleted_us[o.slot] = 0;
	if (o.source == HV_OST_ADD ? !hv->slots[o.slot].present : o.status != OST_IN_PROGRESS)
		hv_lv_want(hv);
	if (!guest_may(hv))
		return;
	if (o.source == HV_OST_REMOVE)
		hv_lv_unplug_heard(hv, o.slot);
	if (!hv->freed)
		hv->events->on_ost(hv->ctx, o.slot, o.source, o.status);
}

/* libvirt names its vCPUs' devices "vcpuN". -1: it is none. */
static int parse_alias(const char *text, const char *end_marks, unsigned int n)
{
	char *end;
	unsigned long v;

	if (strncmp(text, "vcpu", 4) != 0 || text[4] < '0' || text[4] > '9')
		return -1;
	v = strtoul(text + 4, &end, 10);
	return v < n && (!*end || strchr(end_marks, *end)) ? (int)v : -1;
}

/*
 * @named: the event names the device, so libvirt knows it as well. Under TCG only a part of the
 * device is told gone, by its path.
 */
static int find_slot(const struct hv_lv *hv, json_object *data, bool *named)
{
	const char *text;
	int slot = -1;

	if (json_in_str(data, "device", SLOT_PATH_MAX, &text) == 0)
		slot = parse_alias(text, "", hv->table.n);
	*named = slot >= 0;
	if (slot < 0 && json_in_str(data, "path", SLOT_PATH_MAX, &text) == 0 &&
	    strncmp(text, peripheral, strlen(peripheral)) == 0)
		slot = parse_alias(text + strlen(peripheral), "/", hv->table.n);
	return slot;
}

static void on_deleted(struct hv_lv *hv, json_object *data)
{
	bool named;
	int slot = find_slot(hv, data, &named);
	const struct change *c = hv->running;
	LV_HOLD(hv);

	if (slot < 0)
		return;
	/* A call that waits for just this returns now: then both have it. */
	if (named && c && c->kind == CHANGE_UNPLUG && c->slot == (unsigned int)slot)
		return;
	/* Parts of a device that is still there are not the device. */
	if (!named && hv->facts.kvm)
		return;
	hv_lv_mark_deleted(hv, (unsigned int)slot);
	hv_lv_tell_table(hv);
}

static void on_unplug_error(struct hv_lv *hv, json_object *data)
{
	bool named;
	int slot = find_slot(hv, data, &named);

	if (slot < 0 || !guest_may(hv))
		return;
	hv_lv_unplug_heard(hv, (unsigned int)slot);
	if (!hv->freed)
		hv->events->on_unplug_error(hv->ctx, (unsigned int)slot);
}

static void on_reset(struct hv_lv *hv, json_object *data)
{
	hv->events->on_reset(hv->ctx);
}

static void on_port(struct hv_lv *hv, json_object *data)
{
	bool open;

	if (json_in_bool(data, "open", &open) == 0 && !open)
		hv->events->on_port_closed(hv->ctx);
}

/* Source: QEMU qapi/migration.json, MigrationStatus. */
static void on_migration(struct hv_lv *hv, json_object *data)
{
	static const char *const over[] = { "none", "completed", "failed", "cancelled" };
	const char *status;

	if (json_in_str(data, "status", 64, &status) < 0)
		return;
	hv->migrating = true;
	for (size_t i = 0; i < sizeof(over) / sizeof(*over); i++)
		if (strcmp(over[i], status) == 0)
			hv->migrating = false;
}

/* @wants: the XML and the status are read again. */
static const struct event_row {
	const char *name;
	bool wants;
	void (*fn)(struct hv_lv *hv, json_object *data);
} event_rows[] = {
	{ "ACPI_DEVICE_OST", false, on_ost },
	{ "DEVICE_DELETED", true, on_deleted },
	{ "DEVICE_UNPLUG_GUEST_ERROR", true, on_unplug_error },
	{ "RESET", true, on_reset },
	{ "MIGRATION", true, on_migration },
	{ "STOP", true, NULL },
	{ "RESUME", true, NULL },
	{ "SUSPEND", true, NULL },
	{ "SUSPEND_DISK", true, NULL },
	{ "WAKEUP", true, NULL },
	{ "SHUTDOWN", true, NULL },
	{ "GUEST_PANICKED", true, NULL },
	{ "VSERPORT_CHANGE", false, on_port },
};

static void call_row(struct hv_lv *hv, const struct event_row *row, const char *details)
{
	static const struct json_in_limits limits = { 4096, JSON_IN_DEPTH, 256 };
	_cleanup_json_ json_object *data = NULL;

	if (details && json_in_parse(details, strlen(details), &limits, &data, NULL) < 0)
		return;
	row->fn(hv, data);
}

void hv_lv_monitor_event(struct hv_lv *hv, const char *name, const char *details)
{
	LV_HOLD(hv);

	if (hv->phase != LV_ATTACHED)
		return;
	for (size_t i = 0; i < sizeof(event_rows) / sizeof(*event_rows); i++) {
		if (strcmp(event_rows[i].name, name) != 0)
			continue;
		if (event_rows[i].fn)
			call_row(hv, &event_rows[i], details);
		if (event_rows[i].wants && !hv->freed)
			hv_lv_want(hv);
		return;
	}
}
