/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/api-internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Theory of operation
 *
 * SetVcpus and SetTarget: their words are read into a request, which then goes one of four ways. A
 * change of a running domain becomes an operation, also where its persistent configuration is to
 * follow; its dry run is a plan (api-plan.c). What concerns a configuration alone, and a domain that
 * the daemon does not manage, is asked of libvirt (api-config.c). And a QMP domain has no
 * configuration.
 *
 * "affect" says which. Without it the running domain is meant, so a configuration is changed only
 * where the caller says so. Besides, what can be done with an operation is here: wait, cancel.
 */

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

static const char *const affect_words[] = {
	[API_AFFECT_CURRENT] = "current",
	[API_AFFECT_LIVE] = "live",
	[API_AFFECT_CONFIG] = "config",
	[API_AFFECT_BOTH] = "live+config",
};

/* Negative: the call was answered. */
static int read_affect(struct varlink_call *call, enum api_affect *ret)
{
	const char *word = varlink_call_str(call, "affect", NULL);

	*ret = API_AFFECT_DEFAULT;
	for (size_t i = 0; word && i < sizeof(affect_words) / sizeof(*affect_words); i++)
		if (affect_words[i] && strcmp(word, affect_words[i]) == 0)
			*ret = (enum api_affect)i;
	if (!word || *ret != API_AFFECT_DEFAULT)
		return 0;
	api_fail_parameter(call, "affect", "affect must be current, live, config or live+config");
	return -EINVAL;
}

/* A configuration has vCPUs enabled or disabled, and no third. */
static bool is_persistable(const struct op_request *r)
{
	bool target = r->target == CPUHP_ONLINE || r->target == CPUHP_OFFLINE;

	return r->standby < 0 && (r->goal == OP_GOAL_COUNT || target);
}

/* Negative: the call was answered. */
static int check_persistable(struct varlink_call *call, const struct op_request *r)
{
	if (is_persistable(r))
		return 0;
	api_fail_parameter(call, "affect",
			   "a persistent configuration has vCPUs enabled or disabled, not in "
			   "other states");
	return -EINVAL;
}

/* The persistent configuration of a managed domain: is there such a thing? False: answered. */
static bool has_config(struct api *a, struct varlink_call *call, const struct domain *d)
{
	char text[256];

	if (!d->config->qmp && a->manager->libvirt_persist)
		return true;
	snprintf(text, sizeof(text),
		 "%s is a QMP domain and has no persistent configuration: only libvirt's have one",
		 d->config->name);
	api_refuse(call, "policy", text);
	return false;
}

/* A domain that the daemon does not manage. */
static void change_other(struct api *a, struct varlink_call *call, const struct op_request *r,
			 enum api_affect affect)
{
	/* What no configuration can have only a running domain can. */
	if (affect == API_AFFECT_CURRENT && !is_persistable(r))
		affect = API_AFFECT_LIVE;
	if (!a->manager->libvirt_persist)
		api_fail(call, ERR_NO_SUCH_DOMAIN, "there is no domain %s",
			 varlink_call_str(call, "domain", ""));
	else
		api_config(a, call, NULL, r, affect);
}

static void change(struct api *a, struct varlink_call *call, struct op_request *r)
{
	bool dry_run = varlink_call_bool(call, "dry_run", false);
	enum api_affect affect;
	struct domain *d;

	if (read_affect(call, &affect) < 0 || api_find_domain(a, call, &d) < 0)
		return;
	r->persist = affect == API_AFFECT_CONFIG || affect == API_AFFECT_BOTH;
	if (r->persist && check_persistable(call, r) < 0)
		return;
	if (!d)
		change_other(a, call, r, affect);
	else if (r->persist && !has_config(a, call, d))
		return;
	else if (affect == API_AFFECT_CONFIG || (r->persist && dry_run))
		api_config(a, call, d, r, affect);
	else if (dry_run)
		api_plan(a, call, d, r, NULL);
	else
		submit(a, call, d, r);
}

void api_set_vcpus(void *ctx, struct varlink_call *call)
{
	struct op_request r = { .goal = OP_GOAL_COUNT };

	if (read_options(call, &r) < 0)
		return;
	r.count = (unsigned int)varlink_call_int(call, "count", 0);
	r.standby = (int)varlink_call_int(call, "standby", -1);
	change(ctx, call, &r);
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

	if (read_options(call, &r) >= 0 && read_list(call, &r) >= 0 &&
	    api_read_state(call, "target", &r.target, r.callback) >= 0)
		change(ctx, call, &r);
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
