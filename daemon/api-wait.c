/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/api-internal.h"
#include "daemon/json-out.h"
#include "daemon/report.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	/* A reader that lags loses details of its progress first, and never the result: the
	 * server would drop it at VARLINK_QUEUE_MAX. */
	LAG_KERNEL_STEPS = 64 * 1024,
	LAG_STEPS = 192 * 1024,
};

struct waiter {
	struct varlink_call *call;
	struct op *op;
	struct event_listener *listener;
	sd_event_source *timer;
	json_object *notice; /* of a step; NULL before the first */
	json_object *step;   /* in it, and its own */
	bool trace;
	bool kernel_steps; /* all of them, else those that failed */
	bool told_waiting;
};

static struct waiter *waiter_free(struct waiter *w)
{
	event_unlisten(w->listener);
	sd_event_source_disable_unref(w->timer);
	json_object_put(w->notice);
	op_unref(w->op);
	free(w);
	return NULL;
}

static void on_gone(void *ctx)
{
	waiter_free(ctx);
}

void api_reply_op(struct varlink_call *call, const struct op *o, bool trace)
{
	json_object *params = json_object_new_object();

	json_object_object_add(params, "result", report_result(o));
	if (trace)
		json_object_object_add(params, "trace", report_op_trace(o));
	varlink_reply(call, params);
}

void api_reply_outcome(struct varlink_call *call, const struct op *o, bool trace)
{
	if (o->ended && o->denied)
		api_deny(call, o->denial, text_of(&o->error));
	else
		api_reply_op(call, o, trace);
}

static bool is_wanted(const struct waiter *w, const struct event *e)
{
	size_t lag = varlink_call_queued(w->call);

	if (!varlink_call_more(w->call))
		return false;
	if (e->type != EVENT_KSTEP)
		return lag <= LAG_STEPS;
	return lag <= LAG_KERNEL_STEPS && (w->kernel_steps || (!e->enter && e->rc != 0));
}

static json_object *progress_params(json_object *progress)
{
	json_object *params = json_object_new_object();

	json_out_value(params, "progress", progress);
	return params;
}

/* Some twenty a vCPU: one is kept, and changed. The kernel's own steps have a key more. */
static void notify_step(struct waiter *w, const struct event *e)
{
	if (!w->notice) {
		w->step = json_object_new_object();
		w->notice = varlink_notice_new(progress_params(w->step));
	}
	if (w->notice)
		report_step(w->step, e);
	varlink_notify_again(w->call, w->notice);
}

static void notify_progress(struct waiter *w, const struct event *e)
{
	if (!is_wanted(w, e))
		return;
	if (e->type == EVENT_STEP)
		notify_step(w, e);
	else
		varlink_notify(w->call, progress_params(report_progress(e)));
}

/* Said once, for those who would see nothing happen for a long time. */
static void notify_waiting(struct waiter *w)
{
	const struct domain *d = w->op->domain;
	char text[2 * OP_TEXT_MAX];
	json_object *params;

	/* Before the first try has failed there is nothing to be said. */
	if (!d || d->attached || !*d->why || w->told_waiting || !varlink_call_more(w->call))
		return;
	w->told_waiting = true;
	snprintf(text, sizeof(text), "%s: waiting for QEMU: %s", d->config->name, d->why);
	params = json_object_new_object();
	json_out_str(params, "waiting", text);
	varlink_notify(w->call, params);
}

static void on_event(void *ctx, const struct event *e)
{
	struct waiter *w = ctx;

	if (e->type == EVENT_DOMAIN && e->domain == w->op->domain)
		notify_waiting(w);
	if (e->op != w->op)
		return;
	if (e->type == EVENT_STEP || e->type == EVENT_KSTEP) {
		notify_progress(w, e);
	} else if (e->type == EVENT_OPERATION && e->op->ended) {
		varlink_call_on_gone(w->call, NULL, NULL);
		api_reply_outcome(w->call, w->op, w->trace);
		waiter_free(w);
	}
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct waiter *w = ctx;

	varlink_call_on_gone(w->call, NULL, NULL);
	api_fail(w->call, ERR_TIMED_OUT, "operation %s has not ended yet", w->op->id);
	waiter_free(w);
	return 0;
}

static int waiter_start(struct waiter *w, struct api *a, int64_t timeout_ms)
{
	w->listener = event_listen(a->manager->bus, on_event, w);
	if (!w->listener)
		return -ENOMEM;
	if (timeout_ms == 0)
		return 0;
	return sd_event_add_time_relative(a->manager->event, &w->timer, CLOCK_MONOTONIC,
					  (uint64_t)timeout_ms * 1000, 1000, on_timer, w);
}

void api_wait(struct api *a, struct varlink_call *call, struct op *o, int64_t timeout_ms,
	      bool trace)
{
	struct waiter *w;

	if (o->ended) {
		api_reply_outcome(call, o, trace);
		return;
	}
	w = calloc(1, sizeof(*w));
	if (!w) {
		api_fail(call, ERR_INTERNAL, "out of memory; operation %s goes on", o->id);
		return;
	}
	w->call = call;
	w->op = op_ref(o);
	w->trace = trace;
	w->kernel_steps = varlink_call_bool(call, "kernel_steps", true);
	o->ladder_watched |= trace || (w->kernel_steps && varlink_call_more(call));
	if (waiter_start(w, a, timeout_ms) < 0) {
		waiter_free(w);
		api_fail(call, ERR_INTERNAL, "out of memory; operation %s goes on", o->id);
		return;
	}
	varlink_call_on_gone(call, on_gone, w);
	notify_waiting(w);
}
