/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The commands of a reading of QEMU's state and what is made of their replies, one callback each.
 * The callbacks only fill hv->refresh and hv->facts; the last of a run hands over to
 * hv_refresh_finish(), which tells the domain.
 *
 * A reply of the wrong shape ends the connection: better no domain than a misread one. An error
 * of QEMU's is a failure of the reading, except where it only says that the machine lacks the
 * thing asked for (a property, ACPI, or at the first reading hotpluggable slots at all).
 */
#include "daemon/hv-qmp-internal.h"
#include "daemon/json-in.h"
#include "daemon/json-out.h"
#include "daemon/qmp-msg.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void spoil(struct hv_qmp *hv, const char *why)
{
	hv->refresh.rc = -EPROTO;
	qmp_fail(hv->qmp, why);
}

/* What each command's callback begins and ends with. */
static bool is_sound(struct hv_qmp *hv, int rc, const char *text)
{
	if (rc < 0 && hv->refresh.rc == 0) {
		hv->refresh.rc = rc;
		snprintf(hv->refresh.text, sizeof(hv->refresh.text), "%s", text);
	}
	return rc == 0 && hv->refresh.rc == 0;
}

static void answered(struct hv_qmp *hv)
{
	if (--hv->refresh.unanswered == 0)
		hv_refresh_finish(hv);
}

static bool is_lost(int rc)
{
	return rc == -ECONNRESET || rc == -ETIMEDOUT;
}

static void on_kvm(void *arg, int rc, json_object *value, const char *text)
{
	struct hv_qmp *hv = arg;
	bool enabled = false;

	if (is_sound(hv, rc, text) && json_in_bool(value, "enabled", &enabled) < 0)
		spoil(hv, "a broken reply to query-kvm");
	hv->facts.kvm = enabled;
	snprintf(hv->facts.accel, sizeof(hv->facts.accel), "%s", enabled ? "kvm" : "tcg");
	if (enabled && hv->refresh.rc == 0)
		qmp_set_reply_ms(hv->qmp, hv->reply_ms);
	answered(hv);
}

static bool is_uuid(const char *s)
{
	if (strlen(s) != 36 || strspn(s, "0-") == 36)
		return false;
	for (int i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !strchr("0123456789abcdefABCDEF", s[i]))
			return false;
	}
	return true;
}

static void on_uuid(void *arg, int rc, json_object *value, const char *text)
{
	struct hv_qmp *hv = arg;
	const char *uuid;

	if (is_sound(hv, rc, text)) {
		if (json_in_str(value, "UUID", 64, &uuid) < 0)
			spoil(hv, "a broken reply to query-uuid");
		else if (is_uuid(uuid))
			snprintf(hv->facts.uuid, sizeof(hv->facts.uuid), "%s", uuid);
	}
	answered(hv);
}

/* Properties of the machine: one that it does not have is an error of QEMU's and no failure. */
static void on_machine_type(void *arg, int rc, json_object *value, const char *text)
{
	struct hv_qmp *hv = arg;
	char *machine = hv->facts.machine;
	const char *type;

	if (is_lost(rc))
		is_sound(hv, rc, text);
	else if (rc == 0 && json_in_as_str(value, QMP_TEXT_MAX, &type) == 0) {
		size_t len, suffix = strlen("-machine");

		qmp_clean_text(machine, sizeof(hv->facts.machine), type);
		len = strlen(machine);
		if (len > suffix && strcmp(machine + len - suffix, "-machine") == 0)
			machine[len - suffix] = '\0';
	}
	answered(hv);
}

static void on_smm(void *arg, int rc, json_object *value, const char *text)
{
	struct hv_qmp *hv = arg;
	const char *smm;

	if (is_lost(rc))
		is_sound(hv, rc, text);
	/* A machine without the property has no SMM. */
	hv->facts.smm = rc < 0 ? HV_SMM_OFF : HV_SMM_UNKNOWN;
	if (rc == 0 && json_in_as_str(value, QMP_TEXT_MAX, &smm) == 0) {
		if (strcmp(smm, "on") == 0)
			hv->facts.smm = HV_SMM_ON;
		else if (strcmp(smm, "off") == 0)
			hv->facts.smm = HV_SMM_OFF;
	}
	answered(hv);
}

static void on_pflash(void *arg, int rc, json_object *value, const char *text)
{
	struct hv_qmp *hv = arg;
	const char *drive;

	if (is_lost(rc))
		is_sound(hv, rc, text);
	hv->facts.pflash = rc == 0 && !(json_in_as_str(value, QMP_LINE_MAX, &drive) == 0 &&
					strcmp(drive, "") == 0);
	answered(hv);
}

static void on_hotpluggable(void *arg, int rc, json_object *value, const char *text)
{
	struct hv_qmp *hv = arg;
	struct refresh *f = &hv->refresh;
	const char *why;

	if (f->attach && rc < 0 && !is_lost(rc)) {
		f->slots = slots_new_unsupported(text);
		if (!f->slots)
			is_sound(hv, -ENOMEM, "");
	} else if (is_sound(hv, rc, text)) {
		rc = slots_parse(value, &f->slots, &why);
		if (rc < 0)
			spoil(hv, why);
		else if (!f->attach && !slots_is_same_map(f->slots, hv->slots))
			spoil(hv, "QEMU tells other slots than before");
	}
	answered(hv);
}

static void on_cpus_fast(void *arg, int rc, json_object *value, const char *text)
{
	struct hv_qmp *hv = arg;
	struct slots *slots = hv->refresh.slots ? hv->refresh.slots : hv->slots;

	if (is_sound(hv, rc, text) && slots_set_threads(slots, value) < 0)
		spoil(hv, "a broken reply to query-cpus-fast");
	answered(hv);
}

/* Source: QEMU qapi/run-state.json, RunState. One that is not known is none to plug in. */
static enum hv_status status_of(const char *name)
{
	static const struct {
		const char *name;
		enum hv_status status;
	} rows[] = {
		{ "running", HV_RUNNING },     { "shutdown", HV_SHUT_DOWN },
		{ "inmigrate", HV_MIGRATING }, { "finish-migrate", HV_MIGRATING },
		{ "save-vm", HV_MIGRATING },   { "restore-vm", HV_MIGRATING },
		{ "colo", HV_MIGRATING },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].status;
	return HV_PAUSED;
}

static void on_query_status(void *arg, int rc, json_object *value, const char *text)
{
	struct hv_qmp *hv = arg;
	const char *status;

	if (is_sound(hv, rc, text)) {
		if (json_in_str(value, "status", QMP_NAME_MAX, &status) < 0)
			spoil(hv, "a broken reply to query-status");
		else
			hv->refresh.status = status_of(status);
	}
	answered(hv);
}

static void on_query_migrate(void *arg, int rc, json_object *value, const char *text)
{
	static const char *const over[] = { "none", "completed", "failed", "cancelled" };
	struct hv_qmp *hv = arg;
	const char *status = "none";

	if (is_sound(hv, rc, text)) {
		bool migrating = true;
		int r = json_in_str(value, "status", QMP_NAME_MAX, &status);

		if (r < 0 && r != -ENOENT)
			spoil(hv, "a broken reply to query-migrate");
		for (size_t i = 0; i < sizeof(over) / sizeof(*over); i++)
			if (strcmp(over[i], status) == 0)
				migrating = false;
		if (migrating && hv->refresh.status == HV_RUNNING)
			hv->refresh.status = HV_MIGRATING;
	}
	answered(hv);
}

/* The slots that this reply may speak of: those of the reading, else those of before. */
static unsigned int slots_known(const struct hv_qmp *hv)
{
	const struct slots *s = hv->refresh.slots ? hv->refresh.slots : hv->slots;

	return s ? s->table.n : 0;
}

static int read_ost(struct hv_qmp *hv, json_object *list)
{
	struct refresh *f = &hv->refresh;
	size_t n;

	if (!json_object_is_type(list, json_type_array))
		return -EPROTO;
	n = json_object_array_length(list);
	free(f->ost);
	f->n_ost = 0;
	f->ost = calloc(n + 1, sizeof(*f->ost));
	if (!f->ost)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int r = slots_ost(json_object_array_get_idx(list, i), slots_known(hv),
				  &f->ost[f->n_ost]);

		if (r < 0)
			return r;
		f->n_ost += r == 0;
	}
	return 0;
}

static void on_ospm(void *arg, int rc, json_object *value, const char *text)
{
	struct hv_qmp *hv = arg;

	/* A machine without ACPI refuses the question; that is no failure. */
	if (is_lost(rc))
		is_sound(hv, rc, text);
	else if (rc == 0 && read_ost(hv, value) < 0)
		spoil(hv, "a broken reply to query-acpi-ospm-status");
	answered(hv);
}

static json_object *machine_property(const char *name)
{
	json_object *args = json_object_new_object();

	if (json_out_add(args, "path", json_object_new_string("/machine")) == 0 &&
	    json_out_add(args, "property", json_object_new_string(name)) == 0)
		return args;
	json_object_put(args);
	return NULL;
}

/* The commands in their order; @property for qom-get. */
static const struct part {
	unsigned int part; /* 0: a fact */
	enum qmp_command command;
	const char *property;
	qmp_reply_fn cb;
} run[] = {
	{ 0, QMP_QUERY_KVM, NULL, on_kvm },
	{ 0, QMP_QUERY_UUID, NULL, on_uuid },
	{ 0, QMP_QOM_GET, "type", on_machine_type },
	{ 0, QMP_QOM_GET, "smm", on_smm },
	{ 0, QMP_QOM_GET, "pflash0", on_pflash },
	{ REFRESH_TABLE, QMP_QUERY_HOTPLUGGABLE_CPUS, NULL, on_hotpluggable },
	{ REFRESH_THREADS, QMP_QUERY_CPUS_FAST, NULL, on_cpus_fast },
	{ REFRESH_STATUS, QMP_QUERY_STATUS, NULL, on_query_status },
	{ REFRESH_STATUS, QMP_QUERY_MIGRATE, NULL, on_query_migrate },
	{ REFRESH_OST, QMP_QUERY_ACPI_OSPM_STATUS, NULL, on_ospm },
};

void hv_read_start(struct hv_qmp *hv, unsigned int parts, bool attach)
{
	struct refresh *f = &hv->refresh;

	f->parts = parts;
	f->attach = attach;
	f->rc = 0;
	f->text[0] = '\0';
	f->unanswered = 0;
	f->replied = qmp_replied(hv->qmp);
	for (size_t i = 0; i < sizeof(run) / sizeof(*run); i++) {
		json_object *args = run[i].property ? machine_property(run[i].property) : NULL;
		int r;

		if (run[i].part ? !(parts & run[i].part) : !attach) {
			json_object_put(args);
			continue;
		}
		r = run[i].property && !args
			    ? -ENOMEM
			    : qmp_send(hv->qmp, run[i].command, args, run[i].cb, hv);
		if (r == 0)
			f->unanswered++;
		else if (f->rc == 0)
			f->rc = r;
	}
	/* None could be sent: the connection's end or its overdue replies bring the next try. */
	if (f->unanswered == 0)
		f->parts = 0;
}
