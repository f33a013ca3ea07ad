/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/varlink-request.h"

#include "daemon/json-in.h"
#include "daemon/json-out.h"
#include <stdio.h>
#include <string.h>

/*
 * Theory of operation
 *
 * From the bytes of a message to a method whose parameters are known to be good, or to the error
 * that answers it. Every key of the envelope and every parameter must be known, of its type and in
 * its range; nothing is converted and nothing is ignored, for a misspelt option that is silently
 * dropped makes the daemon do something else than it was asked.
 */

#define SERVICE_ERROR(name) "org.varlink.service." name

enum { METHOD_NAME_MAX = 255 };

json_object *varlink_error_new(const char *name, const char *key, const char *value)
{
	json_object *reply = json_object_new_object(), *params;
	int r = json_out_add(reply, "error", json_object_new_string(name));

	if (r == 0 && key) {
		params = json_object_new_object();
		r = json_out_add(params, key, json_object_new_string(value));
		if (json_out_add(reply, "parameters", params) < 0)
			r = -ENOMEM;
	}
	if (r == 0)
		return reply;
	json_object_put(reply);
	return NULL;
}

static int refuse(int r, json_object **ret_reply, const char *error, const char *key,
		  const char *value)
{
	json_object *reply = varlink_error_new(error, key, value);

	if (!reply)
		return -ENOMEM;
	*ret_reply = reply;
	return r;
}

static int refuse_parameter(json_object **ret_reply, const char *name)
{
	return refuse(-EINVAL, ret_reply, SERVICE_ERROR("InvalidParameter"), "parameter", name);
}

static bool is_missing(int r)
{
	return r == -ENOENT;
}

/* The first key of the envelope that is not what a call may have, or NULL. */
static const char *read_envelope(struct varlink_request *r)
{
	static const char *const known[] = { "method", "parameters", "more",
					     "oneway", "upgrade",    NULL };
	const struct {
		const char *key;
		bool *value;
	} flags[] = { { "more", &r->more }, { "oneway", &r->oneway }, { "upgrade", &r->upgrade } };
	const char *bad = json_in_unknown(r->root, known);
	int e;

	if (bad)
		return bad;
	if (json_in_str(r->root, "method", METHOD_NAME_MAX, &r->method) < 0)
		return "method";
	e = json_in_obj(r->root, "parameters", &r->params);
	if (e < 0 && !is_missing(e))
		return "parameters";
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		e = json_in_bool(r->root, flags[i].key, flags[i].value);
		if (e < 0 && !is_missing(e))
			return flags[i].key;
	}
	return NULL;
}

int varlink_request_parse(const char *text, size_t len, struct varlink_request *ret,
			  json_object **ret_reply)
{
	static const struct json_in_limits limits = {
		.max_bytes = VARLINK_REQUEST_MAX,
		.max_depth = VARLINK_REQUEST_DEPTH,
		.max_structural = VARLINK_REQUEST_STRUCTURAL,
	};
	struct varlink_request request = { 0 };
	const char *bad;
	int r;

	r = json_in_parse(text, len, &limits, &request.root, NULL);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		r = refuse_parameter(ret_reply, r == -E2BIG ? "(too large)" : "(not JSON)");
		return r == -EINVAL ? -EBADMSG : r;
	}
	bad = read_envelope(&request);
	if (bad) {
		r = refuse_parameter(ret_reply, bad);
		varlink_request_done(&request);
		return r;
	}
	*ret = request;
	return 0;
}

void varlink_request_done(struct varlink_request *r)
{
	json_object_put(r->root);
	*r = (struct varlink_request){ 0 };
}

static const struct varlink_interface *find_interface(
	const struct varlink_interface *const *interfaces, const char *name, size_t len)
{
	for (; *interfaces; interfaces++)
		if (strlen((*interfaces)->name) == len &&
		    memcmp((*interfaces)->name, name, len) == 0)
			return *interfaces;
	return NULL;
}

static int find_target(const char *word, const struct varlink_interface *const *interfaces,
		       struct varlink_target *ret, json_object **ret_reply)
{
	const char *dot = strrchr(word, '.');
	struct varlink_target t = { 0 };
	char name[METHOD_NAME_MAX + 1];

	if (!dot)
		return refuse_parameter(ret_reply, "method");
	t.interface = find_interface(interfaces, word, (size_t)(dot - word));
	if (!t.interface) {
		snprintf(name, sizeof(name), "%.*s", (int)(dot - word), word);
		return refuse(-ENOENT, ret_reply, SERVICE_ERROR("InterfaceNotFound"), "interface",
			      name);
	}
	for (t.method = t.interface->methods; t.method->name; t.method++)
		if (strcmp(t.method->name, dot + 1) == 0)
			break;
	if (!t.method->name)
		return refuse(-ENOENT, ret_reply, SERVICE_ERROR("MethodNotFound"), "method", word);
	*ret = t;
	return 0;
}

static int check_type(json_object *params, const struct varlink_param *p)
{
	const char *text;
	int64_t number;
	bool flag;

	switch (p->type) {
	case VARLINK_BOOL:
		return json_in_bool(params, p->name, &flag);
	case VARLINK_INT:
		return json_in_int(params, p->name, p->min, p->max, &number);
	case VARLINK_STRING:
		return json_in_str(params, p->name, (size_t)p->max, &text);
	}
	return -EINVAL;
}

static int refuse_range(json_object **ret_reply, const struct varlink_interface *interface,
			const struct varlink_param *p)
{
	char text[160];
	json_object *reply, *params;

	if (!interface->range_error)
		return refuse_parameter(ret_reply, p->name);
	if (p->type == VARLINK_INT)
		snprintf(text, sizeof(text), "%s must be %lld to %lld", p->name, (long long)p->min,
			 (long long)p->max);
	else
		snprintf(text, sizeof(text), "%s is longer than %lld bytes", p->name,
			 (long long)p->max);
	reply = varlink_error_new(interface->range_error, "text", text);
	params = json_object_object_get(reply, "parameters");
	if (json_out_add(params, "parameter", json_object_new_string(p->name)) < 0) {
		json_object_put(reply);
		return -ENOMEM;
	}
	*ret_reply = reply;
	return -ERANGE;
}

static int check_params(json_object *params, const struct varlink_target *t,
			json_object **ret_reply)
{
	const char *known[VARLINK_PARAMS_MAX + 1] = { NULL };
	const char *unknown;
	size_t n = 0;

	for (const struct varlink_param *p = t->method->params; p && p->name; p++)
		if (n < VARLINK_PARAMS_MAX)
			known[n++] = p->name;
	unknown = json_in_unknown(params, known);
	if (unknown)
		return refuse_parameter(ret_reply, unknown);
	for (const struct varlink_param *p = t->method->params; p && p->name; p++) {
		int r = params ? check_type(params, p) : -ENOENT;

		if (r == -ERANGE)
			return refuse_range(ret_reply, t->interface, p);
		if (r < 0 && !(p->optional && is_missing(r)))
			return refuse_parameter(ret_reply, p->name);
	}
	return 0;
}

int varlink_request_resolve(const struct varlink_request *r,
			    const struct varlink_interface *const *interfaces,
			    struct varlink_target *ret, json_object **ret_reply)
{
	struct varlink_target t;
	int e;

	if (r->oneway)
		return refuse_parameter(ret_reply, "oneway");
	if (r->upgrade)
		return refuse_parameter(ret_reply, "upgrade");
	e = find_target(r->method, interfaces, &t, ret_reply);
	if (e < 0)
		return e;
	e = check_params(r->params, &t, ret_reply);
	if (e < 0)
		return e;
	if (t.method->needs_more && !r->more)
		return refuse(-EINVAL, ret_reply, VARLINK_EXPECTED_MORE, NULL, NULL);
	*ret = t;
	return 0;
}
