/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/drift.h"
#include "daemon/log.h"
#include "daemon/vcpu.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *drift_reason(const struct vcpu *v)
{
	if (v->wish < 0 || v->state < 0 || v->state == v->wish)
		return "";
	if (v->pending == VCPU_PENDING_UNPLUG)
		return "";
	if (!v->present)
		return "it left QEMU without being asked";
	if (*v->guest_text)
		return v->guest_text;
	if (v->wish == CPUHP_OFFLINE)
		return v->owned ? "its removal did not happen" : "it was plugged by another";
	if (v->state < v->wish)
		return "the guest took it down without being asked";
	return "the guest brought it up without being asked";
}

static void publish_drift(struct vcpu *v)
{
	struct domain *d = v->domain;
	char name[MSG_NAME_MAX + 16];

	event_publish(d->manager->bus,
		      &(struct event){
			      .type = EVENT_DRIFT,
			      .t_us = now_us(),
			      .domain = d,
			      .vcpu = (int)v->vcpu,
			      .cpu = v->cpu,
			      .state = v->state,
			      .name = domain_state_name(d, v->state, name, sizeof(name)),
			      .ran_on = v->ran_on,
			      .kstep = -1,
			      .text = v->drift,
		      });
}

/* An operation of our own accord: on one vCPU, to a target. */
static void ask_for(struct vcpu *v, int target)
{
	struct op_request r = { .goal = OP_GOAL_TARGET, .standby = -1, .target = target };
	enum request_error error;
	char *text = NULL;
	struct op *op;

	cpulist_set(&r.list, v->vcpu);
	if (domain_submit(v->domain, &r, &op, &error, &text) < 0) {
		log_line(LOG_WARNING, "%s: vcpu %u: cannot be taken to %s: %s",
			 v->domain->config->name, v->vcpu, ladder_name(target),
			 text ? text : "out of memory");
		free(text);
		return;
	}
	v->wish = target;
	op_unref(op);
}

static bool is_asked_for(const struct op *op, const struct vcpu *v)
{
	return op && op->request.goal == OP_GOAL_TARGET && cpulist_has(&op->request.list, v->vcpu);
}

/* In one that runs, or is one of those that name it in the queue: it is being seen to. */
static bool in_operation(const struct vcpu *v)
{
	const struct domain *d = v->domain;

	for (unsigned int i = 0; i < d->n_queued; i++)
		if (is_asked_for(d->queue[i], v))
			return true;
	return v->hw || op_find_vcpu(d->running, v->vcpu) || is_asked_for(d->running, v);
}

static void check_one(struct vcpu *v)
{
	const struct domain_config *c = v->domain->config;
	const char *reason;

	/* An adoption or a registration is at work on it: where it comes to rest is what counts. */
	if (in_operation(v) || v->guest_walking)
		return;
	if (c->foreign == FOREIGN_ONLINE && v->wish == CPUHP_OFFLINE && !v->owned &&
	    v->guest_present && v->state == CPUHP_STANDBY) {
		ask_for(v, CPUHP_ONLINE);
		return;
	}
	reason = drift_reason(v);
	if (strncmp(reason, v->drift, sizeof(v->drift) - 1) == 0)
		return;
	snprintf(v->drift, sizeof(v->drift), "%s", reason);
	if (*v->drift) {
		v->domain->counters.drift++;
		log_line(LOG_NOTICE, "%s: vcpu %u: drift: %s", c->name, v->vcpu, v->drift);
	}
	publish_drift(v);
}

void drift_check(struct domain *d)
{
	if (!d->table_known)
		return;
	for (unsigned int i = 0; i < d->n_vcpus; i++)
		check_one(&d->vcpus[i]);
}

void drift_on_session(struct domain *d, bool same_boot)
{
	bool first = !d->table_known;

	d->table_known = true;
	memcpy(d->boot_id, d->hello.boot_id, sizeof(d->boot_id));
	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		struct vcpu *v = &d->vcpus[i];

		/* What the kernel has online is in service; its adoption may still be under way. */
		if (v->wish < 0 && !v->hw)
			v->wish = v->present && v->guest_online ? CPUHP_ONLINE : v->state;
		else if (!first && !same_boot && v->wish == CPUHP_STANDBY &&
			 v->state > CPUHP_STANDBY && !in_operation(v))
			ask_for(v, CPUHP_STANDBY);
	}
	drift_check(d);
}
