/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/api-internal.h"
#include "daemon/report.h"
#include <stdlib.h>

/*
 * A dry run: what an operation would wait for is waited for, what it would be refused for is told,
 * and there it ends.
 */
struct planner {
	struct varlink_call *call;
	struct domain *domain;
	struct op_request request;
	json_object *config;
	struct admission admission;
};

static void planner_free(struct planner *p)
{
	json_object_put(p->config);
	free(p);
}

static void on_gone(void *ctx)
{
	struct planner *p = ctx;

	admission_drop(&p->admission);
	planner_free(p);
}

static void reply_plan(const struct planner *p, const struct verdict *v)
{
	static const struct plan nothing;
	const struct plan *plan = v->plan ? v->plan : &nothing;
	json_object *params = json_object_new_object(), *refusals = report_refusals(plan);

	/* What is refused whatever is asked has no plan. */
	if (v->result == OP_REFUSED && !v->plan)
		json_object_array_add(refusals, json_object_new_string(v->text));
	json_object_object_add(params, "plan", report_plan(p->domain, plan));
	json_object_object_add(params, "refusals", refusals);
	if (v->result == OP_ACCEPTED)
		report_warning(params, plan->warning);
	if (p->config && v->result == OP_ACCEPTED)
		json_object_object_add(params, "config", json_object_get(p->config));
	varlink_reply(p->call, params);
}

static void on_admitted(void *ctx, const struct verdict *v)
{
	struct planner *p = ctx;

	varlink_call_on_gone(p->call, NULL, NULL);
	if (!v->denied && (v->result == OP_ACCEPTED || v->result == OP_REFUSED))
		reply_plan(p, v);
	else
		api_fail_verdict(p->call, v);
	planner_free(p);
}

void api_plan(struct api *a, struct varlink_call *call, struct domain *d,
	      const struct op_request *r, json_object *config)
{
	const struct deadlines *deadlines = &a->manager->config->deadlines;
	struct planner *p = calloc(1, sizeof(*p));

	if (p) {
		p->call = call;
		p->domain = d;
		p->request = *r;
		p->config = config;
	}
	if (!p || admission_start(&p->admission, d, ADMISSION_CHANGE, &p->request,
				  r->timeout_ms ? r->timeout_ms : deadlines->operation_ms,
				  on_admitted, p) < 0) {
		json_object_put(config);
		free(p);
		api_fail(call, ERR_INTERNAL, "out of memory");
		return;
	}
	varlink_call_on_gone(call, on_gone, p);
}
