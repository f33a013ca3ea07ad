/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/api-internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *invalid_path(struct varlink_call *call, const char *const *keys)
{
	for (; *keys; keys++)
		if (varlink_call_str(call, *keys, "")[0] != '/')
			return *keys;
	return NULL;
}

static int new_config(struct varlink_call *call, struct domain_config **ret)
{
	struct domain_config *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	snprintf(c->name, sizeof(c->name), "%s", varlink_call_str(call, "name", ""));
	c->qmp = strdup(varlink_call_str(call, "qmp", ""));
	c->agent = strdup(varlink_call_str(call, "agent", ""));
	if (!c->qmp || !c->agent) {
		domain_config_free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

void api_attach(void *ctx, struct varlink_call *call)
{
	static const char *const paths[] = { "qmp", "agent", NULL };
	struct api *a = ctx;
	const char *name = varlink_call_str(call, "name", "");
	const char *bad = invalid_path(call, paths);
	struct domain_config *config = NULL;
	struct domain *d;
	int r;

	if (!config_is_name(name)) {
		api_fail_parameter(call, "name", "a name is 1 to 64 of A-Z a-z 0-9 . _ + -");
		return;
	}
	if (bad) {
		api_fail_parameter(call, bad, "%s must be an absolute path", bad);
		return;
	}
	r = new_config(call, &config);
	if (r == 0)
		r = manager_attach(a->manager, config, &d);
	domain_config_free(config);
	if (r == -EEXIST)
		api_fail(call, ERR_CONFLICT, "there is a domain %s already", name);
	else if (r < 0)
		api_fail(call, ERR_INTERNAL, "cannot attach %s: %s", name, strerror(-r));
	else
		varlink_reply(call, NULL);
}

void api_detach(void *ctx, struct varlink_call *call)
{
	struct api *a = ctx;
	const char *name = varlink_call_str(call, "name", "");
	struct domain *d = config_is_name(name) ? manager_find(a->manager, name) : NULL;
	int r;

	if (!d) {
		api_fail(call, ERR_NO_SUCH_DOMAIN, "there is no domain %s", name);
		return;
	}
	r = manager_detach(a->manager, d);
	if (r == -EPERM)
		api_refuse(call, "policy", "the domain stands in the configuration");
	else if (r < 0)
		api_fail(call, ERR_INTERNAL, "cannot detach %s: %s", name, strerror(-r));
	else
		varlink_reply(call, NULL);
}

/* @call: NULL once the client has left */
struct arming {
	struct varlink_call *call;
};

static void on_arm_gone(void *ctx)
{
	struct arming *arming = ctx;

	arming->call = NULL;
}

static void reply_armed(struct varlink_call *call, int rc, const char *text)
{
	if (rc == 0)
		varlink_reply(call, NULL);
	else if (rc == -EINVAL)
		api_refuse(call, "policy",
			   "nothing is run at that state, so nothing can fail there");
	else if (rc == -EPERM)
		api_refuse(call, "policy",
			   "the agent was not started with --allow-fault-injection");
	else if (rc == -ENOTCONN || rc == -ECONNRESET)
		api_fail(call, ERR_NO_AGENT, "no agent is connected");
	else if (rc == -ETIMEDOUT)
		api_fail(call, ERR_NO_AGENT, "the agent did not answer");
	else if (rc == -EBUSY)
		api_fail(call, ERR_BUSY, "another failure is being armed");
	else
		api_fail(call, ERR_INTERNAL, "cannot arm: %s",
			 text && *text ? text : strerror(-rc));
}

static void on_armed(void *arg, int rc, const char *text)
{
	struct arming *arming = arg;
	struct varlink_call *call = arming->call;

	free(arming);
	if (!call)
		return;
	varlink_call_on_gone(call, NULL, NULL);
	reply_armed(call, rc, text);
}

static void arm(struct varlink_call *call, struct domain *d, unsigned int vcpu, int state)
{
	struct arming *arming = calloc(1, sizeof(*arming));
	int r;

	if (!arming) {
		api_fail(call, ERR_INTERNAL, "out of memory");
		return;
	}
	arming->call = call;
	varlink_call_on_gone(call, on_arm_gone, arming);
	r = domain_arm_failure(d, vcpu, state, on_armed, arming);
	if (r < 0) {
		free(arming);
		varlink_call_on_gone(call, NULL, NULL);
		reply_armed(call, r, NULL);
	}
}

void api_arm_failure(void *ctx, struct varlink_call *call)
{
	struct api *a = ctx;
	int64_t vcpu = varlink_call_int(call, "vcpu", 0);
	const char *word = varlink_call_str(call, "state", "");
	struct domain *d = api_domain(a, call);
	int state;

	if (!d)
		return;
	state = domain_find_state(d, word);
	if (state < 0)
		api_fail_parameter(call, "state", "there is no state %s", word);
	else if (!a->manager->config->allow_fault_injection)
		api_refuse(call, "policy", "AllowFaultInjection= is off");
	else if (vcpu >= d->n_vcpus)
		api_fail(call, ERR_NO_SUCH_VCPU, "%s has no vcpu %lld", d->config->name,
			 (long long)vcpu);
	else
		arm(call, d, (unsigned int)vcpu, state);
}
