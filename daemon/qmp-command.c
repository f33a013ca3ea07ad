/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/json-out.h"
#include "daemon/qmp-internal.h"
#include <assert.h>
#include <errno.h>

static const char *const names[QMP_COMMANDS] = {
	[QMP_CAPABILITIES] = "qmp_capabilities",
	[QMP_QUERY_KVM] = "query-kvm",
	[QMP_QUERY_UUID] = "query-uuid",
	[QMP_QUERY_STATUS] = "query-status",
	[QMP_QUERY_MIGRATE] = "query-migrate",
	[QMP_QUERY_HOTPLUGGABLE_CPUS] = "query-hotpluggable-cpus",
	[QMP_QUERY_CPUS_FAST] = "query-cpus-fast",
	[QMP_QUERY_ACPI_OSPM_STATUS] = "query-acpi-ospm-status",
	[QMP_QOM_GET] = "qom-get",
	[QMP_DEVICE_ADD] = "device_add",
	[QMP_DEVICE_DEL] = "device_del",
};

const char *qmp_command_name(enum qmp_command c)
{
	assert(c < QMP_COMMANDS);
	return names[c];
}

json_object *qmp_command_new(enum qmp_command command, int64_t id, json_object *args)
{
	json_object *obj = json_object_new_object();
	int r = json_out_add(obj, "execute", json_object_new_string(qmp_command_name(command)));

	/* Taken in any case. */
	if (args && json_out_add(r == 0 ? obj : NULL, "arguments", args) < 0)
		r = -ENOMEM;
	if (r == 0)
		r = json_out_add(obj, "id", json_object_new_int64(id));
	if (r == 0)
		return obj;
	json_object_put(obj);
	return NULL;
}
