/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/api-internal.h"
#include "daemon/report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A dry run. A domain that is still attaching is waited for, as by the operation itself: the first
 * event of it that finds its vCPUs there arms a look from the event loop, when the whole table has
 * been taken in.
 *
 * @domain: a name, for it may be detached meanwhile
 */
struct planner {
	struct api *api;
	struct varlink_call *call;
	struct op_request request;
	char domain[CONFIG_NAME_MAX + 1];
	struct event_listener *listener;
	sd_event_source *timer;
	sd_event_source *look;
};

static struct planner *planner_free(struct planner *p)
{
	event_unlisten(p->listener);
	sd_event_source_disable_unref(p->timer);
	sd_event_source_disable_unref(p->look);
	free(p);
	return NULL;
}

static void on_gone(void *ctx)
{
	planner_free(ctx);
}

static void reply_plan(struct varlink_call *call, const struct domain *d,
		       const struct op_request *r)
{
	struct plan plan = { 0 };
	json_object *params;
	int vcpu = r->goal == OP_GOAL_TARGET && d->n_vcpus > 0 ? cpulist_next(&r->list, d->n_vcpus)
							       : -1;

	if (vcpu >= 0) {
		api_fail(call, ERR_NO_SUCH_VCPU, "%s has no vcpu %d", d->config->name, vcpu);
		return;
	}
	if (domain_plan(d, r, &plan) < 0) {
		api_fail(call, ERR_INTERNAL, "out of memory");
		return;
	}
	params = json_object_new_object();
	json_object_object_add(params, "plan", report_plan(d, &plan));
	json_object_object_add(params, "refusals", report_refusals(&plan));
	plan_done(&plan);
	varlink_reply(call, params);
}

static int on_look(sd_event_source *source, void *ctx)
{
	struct planner *p = ctx;
	const struct domain *d = manager_find(p->api->manager, p->domain);

	varlink_call_on_gone(p->call, NULL, NULL);
	if (d)
		reply_plan(p->call, d, &p->request);
	else
		api_fail(p->call, ERR_VM_GONE, "domain %s was detached", p->domain);
	planner_free(p);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct planner *p = ctx;

	varlink_call_on_gone(p->call, NULL, NULL);
	api_fail(p->call, ERR_VM_GONE, "%s: QEMU could not be reached in time", p->domain);
	planner_free(p);
	return 0;
}

static void on_event(void *ctx, const struct event *e)
{
	struct planner *p = ctx;

	if (e->domain && strcmp(e->domain->config->name, p->domain) == 0 && e->domain->n_vcpus > 0)
		sd_event_source_set_enabled(p->look, SD_EVENT_ONESHOT);
}

static int planner_start(struct planner *p)
{
	struct manager *m = p->api->manager;
	uint64_t ms =
		p->request.timeout_ms ? p->request.timeout_ms : m->config->deadlines.operation_ms;
	int r;

	r = sd_event_add_time_relative(m->event, &p->timer, CLOCK_MONOTONIC, ms * 1000, 1000,
				       on_timer, p);
	if (r < 0)
		return r;
	r = sd_event_add_defer(m->event, &p->look, on_look, p);
	if (r < 0)
		return r;
	r = sd_event_source_set_enabled(p->look, SD_EVENT_OFF);
	if (r < 0)
		return r;
	p->listener = event_listen(m->bus, on_event, p);
	return p->listener ? 0 : -1;
}

void api_plan(struct api *a, struct varlink_call *call, struct domain *d,
	      const struct op_request *r)
{
	struct planner *p;

	if (d->n_vcpus > 0) {
		reply_plan(call, d, r);
		return;
	}
	p = calloc(1, sizeof(*p));
	if (p) {
		p->api = a;
		p->call = call;
		p->request = *r;
		snprintf(p->domain, sizeof(p->domain), "%s", d->config->name);
	}
	if (!p || planner_start(p) < 0) {
		if (p)
			planner_free(p);
		api_fail(call, ERR_INTERNAL, "out of memory");
		return;
	}
	varlink_call_on_gone(call, on_gone, p);
}
