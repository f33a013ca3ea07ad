/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/api-internal.h"
#include "daemon/report.h"
#include <stdlib.h>

/* Of an operation and of each of its vCPUs: some 250 bytes. */
enum { ENTRIES_AT_ONCE_MAX = VARLINK_QUEUE_MAX / 256 };

/*
 * ListOperations. All that is remembered may be many megabytes of JSON: 73 operations a domain with
 * an entry for each vCPU. Who asks for "more" gets one operation at a time, the next when he has
 * read it; who does not gets all at once, where that is no more than a client may leave unread.
 *
 * @ops: references, oldest first; @at: the next to be told
 */
struct op_list {
	struct varlink_call *call;
	struct op **ops;
	size_t n, at;
};

static struct op_list *op_list_free(struct op_list *l)
{
	if (!l)
		return NULL;
	for (size_t i = 0; i < l->n; i++)
		op_unref(l->ops[i]);
	free(l->ops);
	free(l);
	return NULL;
}

static void add_ops_of(struct op_list *l, const struct domain *d)
{
	for (unsigned int i = 0; i < d->n_kept; i++)
		l->ops[l->n++] = op_ref(d->kept[i]);
	if (d->running)
		l->ops[l->n++] = op_ref(d->running);
	for (unsigned int i = 0; i < d->n_queued; i++)
		l->ops[l->n++] = op_ref(d->queue[i]);
}

static int compare_age(const void *x, const void *y)
{
	const struct op *a = *(const struct op *const *)x, *b = *(const struct op *const *)y;

	return (a->accepted_us > b->accepted_us) - (a->accepted_us < b->accepted_us);
}

/* @only: NULL all domains. Return: NULL out of memory. */
static struct op_list *op_list_new(const struct manager *m, const struct domain *only)
{
	struct op_list *l = calloc(1, sizeof(*l));

	if (l)
		l->ops = calloc((size_t)m->n_domains * (OP_KEPT_MAX + OP_QUEUE_MAX + 1) + 1,
				sizeof(struct op *));
	if (!l || !l->ops)
		return op_list_free(l);
	for (unsigned int i = 0; i < m->n_domains; i++)
		if (!only || only == m->domains[i])
			add_ops_of(l, m->domains[i]);
	qsort(l->ops, l->n, sizeof(struct op *), compare_age);
	return l;
}

/* The next @most of them, as the parameters of an answer. */
static json_object *take_part(struct op_list *l, size_t most)
{
	json_object *params = json_object_new_object();
	json_object *operations = json_object_new_array();

	for (; most && l->at < l->n; most--)
		json_object_array_add(operations, report_result(l->ops[l->at++]));
	json_object_object_add(params, "operations", operations);
	return params;
}

static void on_gone(void *ctx)
{
	op_list_free(ctx);
}

static void on_room(void *ctx)
{
	struct op_list *l = ctx;
	json_object *part = take_part(l, 1);

	if (l->at < l->n) {
		varlink_notify(l->call, part);
		varlink_call_on_room(l->call, on_room, l);
		return;
	}
	varlink_call_on_gone(l->call, NULL, NULL);
	varlink_reply(l->call, part);
	op_list_free(l);
}

static bool is_too_much(const struct op_list *l)
{
	size_t entries = 0;

	for (size_t i = 0; i < l->n; i++)
		entries += 1 + l->ops[i]->n_vcpus;
	return entries > ENTRIES_AT_ONCE_MAX;
}

void api_list_operations(void *ctx, struct varlink_call *call)
{
	struct api *a = ctx;
	const struct domain *only = NULL;
	struct op_list *l;

	if (varlink_call_str(call, "domain", NULL)) {
		only = api_domain(a, call);
		if (!only)
			return;
	}
	l = op_list_new(a->manager, only);
	if (!l) {
		api_fail(call, ERR_INTERNAL, "out of memory");
	} else if (varlink_call_more(call)) {
		l->call = call;
		varlink_call_on_gone(call, on_gone, l);
		varlink_call_on_room(call, on_room, l);
	} else {
		if (is_too_much(l))
			varlink_fail(call, VARLINK_EXPECTED_MORE, NULL);
		else
			varlink_reply(call, take_part(l, l->n));
		op_list_free(l);
	}
}
