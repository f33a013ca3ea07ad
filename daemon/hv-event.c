/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QEMU's events. They are hints, never news: whatever concerns vCPUs or the VM's status makes the
 * matching part be read again (hv-refresh.c). Only the guest's own words, _OST and a refused
 * unplug, are passed on, and of these at most GUEST_BURST at once and 500 a second: a guest can
 * make them as fast as it likes. Beyond that QEMU's memory of the last _OST of each slot is read.
 */
#include "daemon/hv-qmp-internal.h"
#include "daemon/json-in.h"
#include <string.h>

enum { OST_IN_PROGRESS = 132 }; /* ACPI specification, _OST: ejection in progress */

/* May one more word of the guest's be passed on? If not, QEMU's memory will be read instead. */
static bool guest_may(struct hv_qmp *hv)
{
	if (hv_rate_take(&hv->guest_rate) == 0)
		return true;
	hv_refresh_want(hv, REFRESH_OST, 0);
	return false;
}

/*
 * A removal that goes on changes no slot, nor does an addition that is in the table already. One
 * that is not was made by another, for QEMU has no event of its own for a device_add.
 */
static bool may_have_changed(const struct hv_qmp *hv, const struct slot_ost *o)
{
	if (o->source == HV_OST_ADD)
		return !hv->slots->table.slots[o->slot].present;
	return o->status != OST_IN_PROGRESS;
}

static void on_ost_event(struct hv_qmp *hv, json_object *data)
{
	json_object *info;
	struct slot_ost o;

	if (json_in_obj(data, "info", &info) < 0 || slots_ost(info, hv->slots->table.n, &o) != 0)
		return;
	if (may_have_changed(hv, &o))
		hv_refresh_want(hv, REFRESH_TABLE, 0);
	if (!guest_may(hv))
		return;
	hv->ost[o.slot] = o;
	hv->events->on_ost(hv->ctx, o.slot, o.source, o.status);
}

static void on_unplug_error(struct hv_qmp *hv, json_object *data)
{
	const char *path, *id;
	int slot = -1;

	if (json_in_str(data, "device", SLOT_PATH_MAX, &id) == 0)
		slot = slots_find_id(hv->slots, id);
	if (slot < 0 && json_in_str(data, "path", SLOT_PATH_MAX, &path) == 0)
		slot = slots_find_path(hv->slots, path);
	if (slot < 0)
		return;
	hv_refresh_want(hv, REFRESH_TABLE, 0);
	if (guest_may(hv))
		hv->events->on_unplug_error(hv->ctx, (unsigned int)slot);
}

static void on_reset(struct hv_qmp *hv, json_object *data)
{
	hv->events->on_reset(hv->ctx);
}

/* Told of ports that have an id, and of each at most once a second. */
static void on_port(struct hv_qmp *hv, json_object *data)
{
	bool open;

	if (json_in_bool(data, "open", &open) == 0 && !open)
		hv->events->on_port_closed(hv->ctx);
}

/* What each event makes be read again, and what of it is passed on. */
static const struct event_row {
	const char *name;
	unsigned int parts;
	void (*fn)(struct hv_qmp *hv, json_object *data);
} event_rows[] = {
	{ "ACPI_DEVICE_OST", 0, on_ost_event },
	{ "DEVICE_DELETED", REFRESH_TABLE | REFRESH_THREADS, NULL },
	{ "DEVICE_UNPLUG_GUEST_ERROR", 0, on_unplug_error },
	{ "RESET", REFRESH_TABLE | REFRESH_STATUS, on_reset },
	{ "STOP", REFRESH_STATUS, NULL },
	{ "RESUME", REFRESH_STATUS, NULL },
	{ "SUSPEND", REFRESH_STATUS, NULL },
	{ "SUSPEND_DISK", REFRESH_STATUS, NULL },
	{ "WAKEUP", REFRESH_STATUS, NULL },
	{ "SHUTDOWN", REFRESH_STATUS, NULL },
	{ "POWERDOWN", REFRESH_STATUS, NULL },
	{ "GUEST_PANICKED", REFRESH_STATUS, NULL },
	{ "GUEST_CRASHLOADED", REFRESH_STATUS, NULL },
	{ "MIGRATION", REFRESH_STATUS, NULL },
	{ "VSERPORT_CHANGE", 0, on_port },
};

void hv_event(struct hv_qmp *hv, const char *name, json_object *data)
{
	for (size_t i = 0; i < sizeof(event_rows) / sizeof(*event_rows); i++) {
		const struct event_row *row = &event_rows[i];

		if (strcmp(row->name, name) != 0)
			continue;
		if (row->parts)
			hv_refresh_want(hv, row->parts, 0);
		/* Before the first reading is through there is nothing to tell it of. */
		if (row->fn && hv->phase == HV_ATTACHED)
			row->fn(hv, data);
		return;
	}
}
