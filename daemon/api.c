/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/api.h"

#include "daemon/api-internal.h"
#include "daemon/json-out.h"
#include "daemon/log.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Theory of operation
 *
 * One table says of each method who may call it, what it takes and who handles it. The server
 * checks the parameters against it, api_admit() checks the caller, and only then a handler runs; it
 * can rely on both. A handler reads what the daemon knows, or hands a request over to the domain
 * and answers later; it never waits itself and holds no state of a domain.
 *
 * Values that are numbers are checked by the table; words (COUNT's policy, a LIST, a STATE, an id)
 * by the handlers, which can name what is wrong with them.
 */

#define INTERFACE "io.vcpuhp.Manager"

enum {
	WORD_MAX = 255,
	TIMEOUT_MIN_MS = 1000,
	TIMEOUT_MAX_MS = 86400000,
	COUNT_MAX = 65535,
	PATH_LIMIT = 107, /* what fits a socket's address */
};

#define STR(n, limit)                                               \
	{                                                           \
		.name = (n), .type = VARLINK_STRING, .max = (limit) \
	}
#define OPTIONAL_STR(n)                                                                \
	{                                                                              \
		.name = (n), .type = VARLINK_STRING, .optional = true, .max = WORD_MAX \
	}
#define INT(n, ...)                                           \
	{                                                     \
		.name = (n), .type = VARLINK_INT, __VA_ARGS__ \
	}
#define BOOL(n)                                                     \
	{                                                           \
		.name = (n), .type = VARLINK_BOOL, .optional = true \
	}
#define TIMEOUT INT("timeout_ms", .optional = true, .min = TIMEOUT_MIN_MS, .max = TIMEOUT_MAX_MS)
#define CHANGE_OPTIONS                                                                          \
	OPTIONAL_STR("affect"), OPTIONAL_STR("policy"), TIMEOUT, BOOL("wait"), BOOL("dry_run"), \
		BOOL("foreign"), OPTIONAL_STR("op"), BOOL("kernel_steps")

static const struct varlink_param domain_params[] = { STR("domain", WORD_MAX), { 0 } };
static const struct varlink_param maybe_domain_params[] = {
	OPTIONAL_STR("domain"),
	{ 0 },
};
static const struct varlink_param events_params[] = {
	OPTIONAL_STR("domain"),
	INT("load_ms", .optional = true, .min = TIMEOUT_MIN_MS, .max = TIMEOUT_MAX_MS),
	{ 0 },
};
static const struct varlink_param op_params[] = { STR("op", WORD_MAX), { 0 } };
static const struct varlink_param set_vcpus_params[] = {
	STR("domain", WORD_MAX),
	INT("count", .min = 1, .max = COUNT_MAX),
	INT("standby", .optional = true, .min = 0, .max = COUNT_MAX),
	CHANGE_OPTIONS,
	{ 0 },
};
static const struct varlink_param set_target_params[] = {
	STR("domain", WORD_MAX),
	STR("vcpus", CPULIST_TEXT_MAX - 1), /* vcpuhpctl may write it anew */
	STR("target", WORD_MAX),
	CHANGE_OPTIONS,
	{ 0 },
};
static const struct varlink_param get_operation_params[] = {
	STR("op", WORD_MAX), BOOL("wait"), TIMEOUT, BOOL("trace"), BOOL("kernel_steps"), { 0 },
};
static const struct varlink_param get_trace_params[] = {
	STR("domain", WORD_MAX),
	OPTIONAL_STR("op"),
	{ 0 },
};
static const struct varlink_param attach_params[] = {
	STR("name", WORD_MAX),
	STR("qmp", PATH_LIMIT),
	STR("agent", PATH_LIMIT),
	{ 0 },
};
static const struct varlink_param detach_params[] = { STR("name", WORD_MAX), { 0 } };
static const struct varlink_param arm_failure_params[] = {
	STR("domain", WORD_MAX),
	INT("vcpu", .min = 0, .max = COUNT_MAX),
	STR("state", WORD_MAX),
	{ 0 },
};

static const struct varlink_param domain_xml_params[] = {
	STR("domain", WORD_MAX),
	INT("maximum", .optional = true, .min = 1, .max = ADVICE_VCPUS_MAX),
	{ 0 },
};

static const struct varlink_param metrics_params[] = { OPTIONAL_STR("format"), { 0 } };

static const struct varlink_method methods[] = {
	{ "GetHost", AUTH_READ, false, NULL, api_get_host },
	{ "ListDomains", AUTH_READ, false, NULL, api_list_domains },
	{ "GetDomain", AUTH_READ, false, domain_params, api_get_domain },
	{ "SetVcpus", AUTH_CHANGE, false, set_vcpus_params, api_set_vcpus },
	{ "SetTarget", AUTH_CHANGE, false, set_target_params, api_set_target },
	{ "ListStates", AUTH_READ, false, maybe_domain_params, api_list_states },
	{ "ListOperations", AUTH_READ, false, maybe_domain_params, api_list_operations },
	{ "GetOperation", AUTH_READ, false, get_operation_params, api_get_operation },
	{ "CancelOperation", AUTH_CHANGE, false, op_params, api_cancel_operation },
	{ "GetTrace", AUTH_READ, false, get_trace_params, api_get_trace },
	{ "Events", AUTH_READ, true, events_params, api_events },
	{ "Attach", AUTH_ADMIN, false, attach_params, api_attach },
	{ "Detach", AUTH_ADMIN, false, detach_params, api_detach },
	{ "ArmFailure", AUTH_ADMIN, false, arm_failure_params, api_arm_failure },
	{ "GetDomainXml", AUTH_READ, false, domain_xml_params, api_get_domain_xml },
	{ "DefineDomainXml", AUTH_CHANGE, false, domain_xml_params, api_define_domain_xml },
	{ "Diagnose", AUTH_READ, false, maybe_domain_params, api_diagnose },
	{ "Metrics", AUTH_READ, false, metrics_params, api_metrics },
	{ 0 },
};

static void fail(struct varlink_call *call, enum request_error error, json_object *params)
{
	char name[128];

	snprintf(name, sizeof(name), INTERFACE ".%s", request_error_name(error));
	varlink_fail(call, name, params);
}

void api_fail(struct varlink_call *call, enum request_error error, const char *fmt, ...)
{
	json_object *params = json_object_new_object();
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_out_str(params, "text", text);
	fail(call, error, params);
}

void api_refuse(struct varlink_call *call, const char *refused_by, const char *text)
{
	json_object *params = json_object_new_object();

	json_out_str(params, "text", text);
	json_out_str(params, "refused_by", refused_by);
	fail(call, ERR_REFUSED, params);
}

void api_fail_parameter(struct varlink_call *call, const char *parameter, const char *fmt, ...)
{
	json_object *params = json_object_new_object();
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_out_str(params, "text", text);
	json_out_str(params, "parameter", parameter);
	fail(call, ERR_INVALID_ARGUMENT, params);
}

void api_deny(struct varlink_call *call, enum request_error error, const char *text)
{
	if (error == ERR_REFUSED)
		api_refuse(call, admission_denier(error), text);
	else if (error == ERR_INVALID_ARGUMENT)
		api_fail_parameter(call, "target", "%s", text);
	else
		api_fail(call, error, "%s", text);
}

void api_fail_verdict(struct varlink_call *call, const struct verdict *v)
{
	if (v->denied)
		api_deny(call, v->denial, v->text);
	else if (v->result == OP_VM_GONE)
		api_fail(call, ERR_VM_GONE, "%s", v->text);
	else if (v->result == OP_NO_AGENT)
		api_fail(call, ERR_NO_AGENT, "%s", v->text);
	else
		api_fail(call, ERR_INTERNAL, "%s", v->text);
}

void api_reply(struct varlink_call *call, const char *key, json_object *value)
{
	json_object *params = json_object_new_object();

	json_object_object_add(params, key, value);
	varlink_reply(call, params);
}

int api_find_domain(struct api *a, struct varlink_call *call, struct domain **ret)
{
	const char *word = varlink_call_str(call, "domain", "");

	/* A UUID and a libvirt id are made of the letters of a name. */
	if (!config_is_name(word)) {
		api_fail_parameter(call, "domain",
				   "a domain is a name of 1 to 64 of A-Z a-z 0-9 . _ + -, "
				   "a UUID or an id");
		return -EINVAL;
	}
	*ret = manager_find(a->manager, word);
	return 0;
}

struct domain *api_domain(struct api *a, struct varlink_call *call)
{
	struct domain *d;

	if (api_find_domain(a, call, &d) < 0)
		return NULL;
	if (!d)
		api_explain(a, call);
	return d;
}

struct op *api_op(struct api *a, struct varlink_call *call)
{
	const char *id = varlink_call_str(call, "op", "");
	struct op *o = manager_find_op(a->manager, id);

	if (!o)
		api_fail(call, ERR_NO_SUCH_OPERATION, "there is no operation %s", id);
	return o;
}

static bool is_callback(const char *name)
{
	size_t len = strlen(name);

	return len >= 1 && len <= MSG_NAME_MAX &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-") ==
		       len;
}

int api_read_state(struct varlink_call *call, const char *parameter, int *ret_state,
		   char ret_callback[MSG_NAME_MAX + 1])
{
	static const char dyn[] = "ap:dyn.";
	const char *word = varlink_call_str(call, parameter, "");
	bool named = strncmp(word, dyn, strlen(dyn)) == 0 && is_callback(word + strlen(dyn));
	int state = named ? -1 : ladder_find(word);

	if (state < 0 && !named) {
		api_fail_parameter(call, parameter, "there is no state %s", word);
		return -EINVAL;
	}
	*ret_state = state;
	snprintf(ret_callback, MSG_NAME_MAX + 1, "%s", named ? word + strlen(dyn) : "");
	return 0;
}

int api_new(struct api **ret, struct manager *m, uid_t daemon_uid)
{
	struct api *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->manager = m;
	a->daemon_uid = daemon_uid;
	a->interface = (struct varlink_interface){
		.name = INTERFACE,
		.description = api_description,
		.methods = methods,
		.range_error = INTERFACE ".InvalidArgument",
		.admit = api_admit,
		.ctx = a,
	};
	r = api_names_resolve(m->config, &a->names);
	if (r < 0) {
		api_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

struct api *api_free(struct api *a)
{
	if (!a)
		return NULL;
	api_names_done(&a->names);
	free(a);
	return NULL;
}

const struct varlink_interface *api_interface(const struct api *a)
{
	return &a->interface;
}

const struct varlink_vendor *api_vendor(void)
{
	static const struct varlink_vendor vendor = {
		.vendor = "vcpuhp",
		.product = "vcpuhpd",
		.version = VCPUHP_VERSION,
		.url = "",
		.busy_error = INTERFACE ".Busy",
	};

	return &vendor;
}
