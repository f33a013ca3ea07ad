/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/api-internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_op_id(const char *id)
{
	size_t len = strlen(id);

	return len >= 1 && len <= MSG_OP_MAX &&
	       strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-") ==
		       len;
}

/* "1" to "65535", digits only. */
static int parse_at_least(const char *text, unsigned int *ret)
{
	unsigned int n = 0;

	if (!*text || strlen(text) > 5)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		n = n * 10 + (unsigned int)(*text - '0');
	}
	if (n < 1 || n > 65535)
		return -EINVAL;
	*ret = n;
	return 0;
}

static int parse_policy(const char *word, struct op_request *r)
{
	static const char at_least[] = "at-least=";

	if (strcmp(word, "all") == 0) {
		r->policy = OP_POLICY_ALL;
		return 0;
	}
	if (strcmp(word, "best-effort") == 0) {
		r->policy = OP_POLICY_BEST_EFFORT;
		return 0;
	}
	if (strncmp(word, at_least, sizeof(at_least) - 1) != 0)
		return -EINVAL;
	r->policy = OP_POLICY_AT_LEAST;
	return parse_at_least(word + sizeof(at_least) - 1, &r->at_least);
}

/* What SetVcpus and SetTarget have in common. Negative: the call was answered. */
static int read_options(struct varlink_call *call, struct op_request *r)
{
	const char *policy = varlink_call_str(call, "policy", "all");
	const char *id = varlink_call_str(call, "op", NULL);

	if (parse_policy(policy, r) < 0) {
		api_fail_parameter(
			call, "policy",
			"policy must be all, best-effort or at-least=K with K 1 to 65535");
		return -EINVAL;
	}
	if (id && !is_op_id(id)) {
		api_fail_parameter(call, "op", "an operation id is 1 to 64 of A-Z a-z 0-9 . _ : -");
		return -EINVAL;
	}
	snprintf(r->id, sizeof(r->id), "%s", id ? id : "");
	r->timeout_ms = (unsigned int)varlink_call_int(call, "timeout_ms", 0);
	r->foreign = varlink_call_bool(call, "foreign", false);
	r->uid = varlink_call_peer(call)->uid;
	return 0;
}

static void submit(struct api *a, struct varlink_call *call, struct domain *d,
		   const struct op_request *r)
{
	enum request_error error = ERR_INTERNAL;
	char *text = NULL;
	struct op *o;

	if (domain_submit(d, r, &o, &error, &text) < 0) {
		api_deny(call, text ? error : ERR_INTERNAL, text ? text : "out of memory");
		free(text);
		return;
	}
	if (varlink_call_bool(call, "wait", true))
		api_wait(a, call, o, 0, false);
	else
		api_reply_outcome(call, o, false);
	op_unref(o);
}

static void change(struct api *a, struct varlink_call *call, struct domain *d,
		   const struct op_request *r)
{
	if (varlink_call_bool(call, "dry_run", false))
		api_plan(a, call, d, r);
	else
		submit(a, call, d, r);
}

void api_set_vcpus(void *ctx, struct varlink_call *call)
{
	struct op_request r = { .goal = OP_GOAL_COUNT };
	struct domain *d = api_domain(ctx, call);

	if (!d || read_options(call, &r) < 0)
		return;
	r.count = (unsigned int)varlink_call_int(call, "count", 0);
	r.standby = (int)varlink_call_int(call, "standby", -1);
	change(ctx, call, d, &r);
}

/* Negative: the call was answered. */
static int read_list(struct varlink_call *call, struct op_request *r)
{
	const char *text = varlink_call_str(call, "vcpus", "");
	int e = strchr(text, '\n') ? -EINVAL : cpulist_parse(text, &r->list);

	if (e == -ERANGE)
		api_fail(call, ERR_NO_SUCH_VCPU, "there is no such vCPU in %s", text);
	else if (e < 0)
		api_fail_parameter(call, "vcpus",
				   "a list of vCPUs is made of N, N-M and ^N with commas "
				   "and is not empty");
	return e;
}

void api_set_target(void *ctx, struct varlink_call *call)
{
	struct op_request r = { .goal = OP_GOAL_TARGET, .standby = -1 };
	struct domain *d = api_domain(ctx, call);

	if (d && read_options(call, &r) >= 0 && read_list(call, &r) >= 0 &&
	    api_read_state(call, "target", &r.target, r.callback) >= 0)
		change(ctx, call, d, &r);
}

void api_get_operation(void *ctx, struct varlink_call *call)
{
	bool trace = varlink_call_bool(call, "trace", false);
	struct op *o = api_op(ctx, call);

	if (!o)
		return;
	if (varlink_call_bool(call, "wait", false))
		api_wait(ctx, call, o, varlink_call_int(call, "timeout_ms", 0), trace);
	else
		api_reply_op(call, o, trace);
}

void api_cancel_operation(void *ctx, struct varlink_call *call)
{
	struct op *o = api_op(ctx, call);
	int r;

	if (!o)
		return;
	op_ref(o);
	r = domain_cancel(o);
	if (r < 0 && r != -EALREADY)
		api_fail(call, ERR_INTERNAL, "cannot cancel operation %s: %s", o->id, strerror(-r));
	else
		api_reply_outcome(call, o, false);
	op_unref(o);
}
