/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/api-internal.h"
#include "daemon/metrics.h"
#include "daemon/report.h"
#include "daemon/vcpu.h"
#include <stdlib.h>

/* Methods that only look: all from memory, nothing is asked of QEMU or the guest. */

void api_get_host(void *ctx, struct varlink_call *call)
{
	struct api *a = ctx;

	api_reply(call, "host", report_host(a->manager, now_us()));
}

void api_list_domains(void *ctx, struct varlink_call *call)
{
	struct api *a = ctx;
	json_object *domains = json_object_new_array();

	for (unsigned int i = 0; i < a->manager->n_domains; i++)
		json_object_array_add(domains, report_summary(a->manager->domains[i]));
	api_reply(call, "domains", domains);
}

void api_get_domain(void *ctx, struct varlink_call *call)
{
	const struct domain *d = api_domain(ctx, call);

	if (d)
		api_reply(call, "info", report_info(d, now_us()));
}

void api_list_states(void *ctx, struct varlink_call *call)
{
	const struct domain *d = NULL;

	if (varlink_call_str(call, "domain", NULL)) {
		d = api_domain(ctx, call);
		if (!d)
			return;
	}
	api_reply(call, "states", report_states(d));
}

struct op_list {
	const struct op **ops;
	size_t n;
};

static void add_ops_of(struct op_list *l, const struct domain *d)
{
	for (unsigned int i = 0; i < d->n_kept; i++)
		l->ops[l->n++] = d->kept[i];
	if (d->running)
		l->ops[l->n++] = d->running;
	for (unsigned int i = 0; i < d->n_queued; i++)
		l->ops[l->n++] = d->queue[i];
}

static int compare_age(const void *x, const void *y)
{
	const struct op *a = *(const struct op *const *)x, *b = *(const struct op *const *)y;

	return (a->accepted_us > b->accepted_us) - (a->accepted_us < b->accepted_us);
}

static void reply_ops(struct varlink_call *call, struct op_list *l)
{
	json_object *operations = json_object_new_array();

	qsort(l->ops, l->n, sizeof(*l->ops), compare_age);
	for (size_t i = 0; i < l->n; i++)
		json_object_array_add(operations, report_result(l->ops[i]));
	api_reply(call, "operations", operations);
}

void api_list_operations(void *ctx, struct varlink_call *call)
{
	struct api *a = ctx;
	const struct manager *m = a->manager;
	const struct domain *only = NULL;
	struct op_list l = { 0 };

	if (varlink_call_str(call, "domain", NULL)) {
		only = api_domain(a, call);
		if (!only)
			return;
	}
	l.ops = calloc((size_t)m->n_domains * (OP_KEPT_MAX + OP_QUEUE_MAX + 1) + 1, sizeof(*l.ops));
	if (!l.ops) {
		api_fail(call, ERR_INTERNAL, "out of memory");
		return;
	}
	for (unsigned int i = 0; i < m->n_domains; i++)
		if (!only || only == m->domains[i])
			add_ops_of(&l, m->domains[i]);
	reply_ops(call, &l);
	free(l.ops);
}

void api_get_trace(void *ctx, struct varlink_call *call)
{
	const struct domain *d = api_domain(ctx, call);
	const struct op *o = NULL;

	if (!d)
		return;
	if (varlink_call_str(call, "op", NULL)) {
		o = api_op(ctx, call);
		if (!o)
			return;
	}
	if (o && o->domain != d)
		api_fail(call, ERR_NO_SUCH_OPERATION, "operation %s is not of %s", o->id,
			 d->config->name);
	else
		api_reply(call, "steps", report_trace(d, o));
}

void api_metrics(void *ctx, struct varlink_call *call)
{
	struct api *a = ctx;
	char *text = metrics_format(a->manager);

	if (text)
		api_reply(call, "text", json_object_new_string(text));
	else
		api_fail(call, ERR_INTERNAL, "out of memory");
	free(text);
}
