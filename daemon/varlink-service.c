/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/varlink-conn.h"

#include <string.h>

/* org.varlink.service, which every Varlink server offers. */

const char varlink_service_description[] =
	"# What every Varlink service offers.\n"
	"interface org.varlink.service\n"
	"\n"
	"# Who answers here, and which interfaces.\n"
	"method GetInfo() -> (\n"
	"\tvendor: string, product: string, version: string, url: string,\n"
	"\tinterfaces: []string\n"
	")\n"
	"\n"
	"# The definition of an interface.\n"
	"method GetInterfaceDescription(interface: string) -> (description: string)\n"
	"\n"
	"error InterfaceNotFound (interface: string)\n"
	"error MethodNotFound (method: string)\n"
	"error InvalidParameter (parameter: string)\n"
	"# The method streams; call it with \"more\".\n"
	"error ExpectedMore ()\n";

static void get_info(void *ctx, struct varlink_call *call)
{
	const struct varlink_server *s = ctx;
	json_object *info = json_object_new_object();
	json_object *names = json_object_new_array();

	json_object_object_add(info, "vendor", json_object_new_string(s->vendor->vendor));
	json_object_object_add(info, "product", json_object_new_string(s->vendor->product));
	json_object_object_add(info, "version", json_object_new_string(s->vendor->version));
	json_object_object_add(info, "url", json_object_new_string(s->vendor->url));
	for (size_t i = 0; s->interfaces[i]; i++)
		json_object_array_add(names, json_object_new_string(s->interfaces[i]->name));
	json_object_object_add(info, "interfaces", names);
	varlink_reply(call, info);
}

static void get_interface_description(void *ctx, struct varlink_call *call)
{
	const struct varlink_server *s = ctx;
	const char *name = varlink_call_str(call, "interface", "");
	json_object *params = json_object_new_object();

	for (size_t i = 0; s->interfaces[i]; i++) {
		if (strcmp(s->interfaces[i]->name, name) != 0)
			continue;
		json_object_object_add(params, "description",
				       json_object_new_string(s->interfaces[i]->description));
		varlink_reply(call, params);
		return;
	}
	json_object_object_add(params, "interface", json_object_new_string(name));
	varlink_fail(call, "org.varlink.service.InterfaceNotFound", params);
}

static const struct varlink_param description_params[] = {
	{ .name = "interface", .type = VARLINK_STRING, .max = 255 },
	{ 0 },
};

const struct varlink_method varlink_service_methods[] = {
	{ .name = "GetInfo", .handler = get_info },
	{
		.name = "GetInterfaceDescription",
		.params = description_params,
		.handler = get_interface_description,
	},
	{ 0 },
};
