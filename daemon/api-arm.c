/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/api-internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Arming a failure. QEMU is waited for, since it alone says which vCPUs there are; and for a state
 * of the guest's the agent as well.
 */

/**
 * struct arming - a failure to be armed
 * @call: NULL once the client has left
 * @state, @callback: as in struct op_request
 */
struct arming {
	struct varlink_call *call;
	struct domain *domain;
	unsigned int vcpu;
	int state;
	char callback[MSG_NAME_MAX + 1];
	struct admission admission;
};

/* Once it is with the domain nothing but its answer ends it. */
static void on_arm_gone(void *ctx)
{
	struct arming *arming = ctx;

	arming->call = NULL;
}

static void on_wait_gone(void *ctx)
{
	struct arming *arming = ctx;

	admission_drop(&arming->admission);
	free(arming);
}

/* Answered now: it goes its own way. */
static struct varlink_call *take_call(struct arming *arming)
{
	struct varlink_call *call = arming->call;

	arming->call = NULL;
	if (call)
		varlink_call_on_gone(call, NULL, NULL);
	return call;
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
	else if (rc == -ENODEV)
		api_refuse(call, "guest",
			   "the guest does not have this vCPU, so nothing of its own can be armed "
			   "there yet: take it to standby first");
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

	if (arming->call)
		reply_armed(take_call(arming), rc, text);
	free(arming);
}

static void arm(struct arming *arming)
{
	int r;

	varlink_call_on_gone(arming->call, on_arm_gone, arming);
	r = domain_arm_failure(arming->domain, arming->vcpu, arming->state, on_armed, arming);
	if (r < 0)
		on_armed(arming, r, NULL);
}

static void wait_for(struct arming *arming, enum admission_needs needs);

static bool is_guests(const struct arming *arming)
{
	return *arming->callback || arming->state > CPUHP_STANDBY;
}

/* Only the agent's table tells where a callback stands. */
static int resolve(struct arming *arming)
{
	if (*arming->callback)
		arming->state = domain_find_callback(arming->domain, arming->callback);
	return arming->state < 0 ? arming->state : 0;
}

static void on_ready(void *ctx, const struct verdict *v)
{
	struct arming *arming = ctx;
	const struct domain *d = arming->domain;

	if (v->result != OP_ACCEPTED) {
		api_fail_verdict(take_call(arming), v);
	} else if (arming->vcpu >= d->n_vcpus) {
		api_fail(take_call(arming), ERR_NO_SUCH_VCPU, "%s has no vcpu %u", d->config->name,
			 arming->vcpu);
	} else if (is_guests(arming) && !d->agent_up) {
		wait_for(arming, ADMISSION_AGENT);
		return;
	} else if (resolve(arming) < 0) {
		api_fail_parameter(take_call(arming), "state", "there is no state ap:dyn.%s",
				   arming->callback);
	} else {
		arm(arming);
		return;
	}
	free(arming);
}

static void wait_for(struct arming *arming, enum admission_needs needs)
{
	struct domain *d = arming->domain;

	if (admission_start(&arming->admission, d, needs, NULL,
			    d->manager->config->deadlines.operation_ms, on_ready, arming) == 0)
		return;
	api_fail(take_call(arming), ERR_INTERNAL, "out of memory");
	free(arming);
}

void api_arm_failure(void *ctx, struct varlink_call *call)
{
	const struct api *a = ctx;
	struct domain *d = api_domain(ctx, call);
	char callback[MSG_NAME_MAX + 1];
	struct arming *arming;
	int state;

	if (!d || api_read_state(call, "state", &state, callback) < 0)
		return;
	if (!a->manager->config->allow_fault_injection) {
		api_refuse(call, "policy", "AllowFaultInjection= is off");
		return;
	}
	arming = calloc(1, sizeof(*arming));
	if (!arming) {
		api_fail(call, ERR_INTERNAL, "out of memory");
		return;
	}
	arming->call = call;
	arming->domain = d;
	arming->vcpu = (unsigned int)varlink_call_int(call, "vcpu", 0);
	arming->state = state;
	memcpy(arming->callback, callback, sizeof(callback));
	varlink_call_on_gone(call, on_wait_gone, arming);
	wait_for(arming, ADMISSION_QEMU);
}
