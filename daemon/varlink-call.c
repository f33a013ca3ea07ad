/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/failpoint.h"
#include "daemon/varlink-conn.h"

#include "daemon/json-in.h"
#include "daemon/json-out.h"
#include <assert.h>
#include <stdlib.h>

/*
 * Theory of operation
 *
 * A call lives from the moment its request was found good until its last answer, or until its
 * client has left. It is freed by the function that answers; so whoever holds one must either
 * answer or, told by the gone function, forget it. The connection is freed elsewhere and later.
 */

static json_object *answer_new(const char *key, json_object *params)
{
	json_object *message = json_object_new_object();

	if (!message) {
		json_object_put(params);
		return NULL;
	}
	if (key)
		json_out_bool(message, key, true);
	json_out_value(message, "parameters", params ? params : json_object_new_object());
	return message;
}

static void call_free(struct varlink_call *call)
{
	varlink_request_done(&call->request);
	free(call);
}

static void finish_call(struct varlink_call *call, json_object *message)
{
	struct conn *c = call->conn;

	assert(c->call == call);
	c->call = NULL;
	call_free(call);
	conn_send(c, message);
	conn_settle(c);
}

json_object *varlink_notice_new(json_object *params)
{
	return answer_new("continues", params);
}

void varlink_notify_again(struct varlink_call *call, json_object *notice)
{
	conn_queue(call->conn, json_object_get(notice));
	conn_settle(call->conn);
}

void varlink_notify(struct varlink_call *call, json_object *params)
{
	conn_queue(call->conn, varlink_notice_new(params));
	conn_settle(call->conn);
}

void varlink_reply(struct varlink_call *call, json_object *params)
{
	finish_call(call, answer_new(NULL, params));
}

void varlink_fail(struct varlink_call *call, const char *error, json_object *params)
{
	json_object *message = varlink_error_new(error, NULL, NULL);

	if (message && params)
		json_object_object_add(message, "parameters", params);
	else
		json_object_put(params);
	finish_call(call, message);
}

void varlink_call_on_gone(struct varlink_call *call, void (*fn)(void *ctx), void *ctx)
{
	call->gone = fn;
	call->gone_ctx = ctx;
}

void varlink_call_on_room(struct varlink_call *call, void (*fn)(void *ctx), void *ctx)
{
	call->room = fn;
	call->room_ctx = ctx;
	conn_settle(call->conn);
}

const struct varlink_method *varlink_call_method(const struct varlink_call *call)
{
	return call->target.method;
}

const struct auth_peer *varlink_call_peer(const struct varlink_call *call)
{
	return &call->conn->peer;
}

json_object *varlink_call_params(const struct varlink_call *call)
{
	return call->request.params;
}

bool varlink_call_more(const struct varlink_call *call)
{
	return call->request.more;
}

size_t varlink_call_queued(const struct varlink_call *call)
{
	return call->conn->out_len - call->conn->out_at;
}

const char *varlink_call_str(const struct varlink_call *call, const char *name, const char *missing)
{
	const char *text = missing;

	json_in_str(call->request.params, name, VARLINK_REQUEST_MAX, &text);
	return text;
}

int64_t varlink_call_int(const struct varlink_call *call, const char *name, int64_t missing)
{
	int64_t number = missing;

	json_in_int(call->request.params, name, INT64_MIN, INT64_MAX, &number);
	return number;
}

bool varlink_call_bool(const struct varlink_call *call, const char *name, bool missing)
{
	bool flag = missing;

	json_in_bool(call->request.params, name, &flag);
	return flag;
}

static int start_call(struct conn *c, struct varlink_request *request,
		      const struct varlink_target *target)
{
	const struct varlink_interface *interface = target->interface;
	struct varlink_call *call = calloc(1, sizeof(*call));

	if (!call)
		return -ENOMEM;
	call->conn = c;
	call->request = *request;
	call->target = *target;
	*request = (struct varlink_request){ 0 };
	c->call = call;
	if (!interface->admit || interface->admit(interface->ctx, call))
		target->method->handler(interface->ctx, call);
	return 0;
}

int call_run(struct conn *c, const char *text, size_t len)
{
	struct varlink_request request __attribute__((cleanup(varlink_request_done))) = { 0 };
	struct varlink_target target;
	json_object *reply = NULL;
	int r;

	failpoint("control.request");
	r = varlink_request_parse(text, len, &request, &reply);
	if (r == -EBADMSG)
		c->closing = true;
	if (r == 0)
		r = varlink_request_resolve(&request, c->server->interfaces, &target, &reply);
	if (r == 0)
		return start_call(c, &request, &target);
	/* Whoever wants no answer would take this one for that to its next call. */
	if (request.oneway)
		c->closing = true;
	if (!reply)
		return r;
	conn_send(c, reply);
	return 0;
}

void call_abandon(struct conn *c)
{
	struct varlink_call *call = c->call;

	c->call = NULL;
	if (!call)
		return;
	if (call->gone)
		call->gone(call->gone_ctx);
	call_free(call);
}
