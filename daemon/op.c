/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The life of an operation outside the engine: accepted, queued, taken, ended, remembered.
 *
 * domain_submit() looks an id up first: what exists with the same arguments is the answer, running
 * or ended. A new one goes to the end of the domain's queue, and the loop takes the first whenever
 * none runs; nothing of it happens inside the call that submits it. op_end() is the one way out,
 * for the engine and for those that never left the queue: it fixes every vCPU's result and wish,
 * counts what the domain has now, and keeps the operation among the last OP_KEPT_MAX.
 *
 * An operation is counted: the domain holds one reference while it is queued, running or kept,
 * each client and each walk another. One whose domain was detached has ended and has no domain.
 */
#include "daemon/deferred.h"
#include "daemon/domain-guest.h"
#include "daemon/drift.h"
#include "daemon/intent-domain.h"
#include "daemon/op-run.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void op_publish(struct op *o)
{
	struct event e = {
		.type = EVENT_OPERATION,
		.t_us = now_us(),
		.domain = o->domain,
		.op = o,
		.vcpu = -1,
		.cpu = -1,
		.state = -1,
		.ran_on = -1,
		.kstep = -1,
		.name = "",
		.text = text_of(&o->error),
	};

	event_publish(o->domain->manager->bus, &e);
}

static void leave_queue(struct op *o)
{
	struct domain *d = o->domain;
	unsigned int at = 0;

	while (at < d->n_queued && d->queue[at] != o)
		at++;
	if (at < d->n_queued)
		memmove(d->queue + at, d->queue + at + 1,
			(--d->n_queued - at) * sizeof(d->queue[0]));
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct op *o = userdata;

	if (o->running) {
		op_run_stop(o, -ETIMEDOUT);
		return 0;
	}
	leave_queue(o);
	text_set(&o->error, "its deadline passed while others were before it");
	op_end(o, OP_FAILED);
	return 0;
}

int op_arm_deadline(struct op *o, uint64_t at_us)
{
	return sd_event_add_time(o->domain->manager->event, &o->deadline, CLOCK_MONOTONIC, at_us,
				 1000, on_deadline, o);
}

/* Without a --timeout the configured one, as long as this domain's speed asks for where that is known. */
static int arm_deadline(struct op *o)
{
	const struct domain *d = o->domain;
	uint64_t ms = o->request.timeout_ms;

	o->stretched = ms || d->attached;
	if (!ms)
		ms = (uint64_t)d->manager->config->deadlines.operation_ms *
		     (d->attached ? domain_slow_factor(d) : 1);
	return op_arm_deadline(o, o->accepted_us + ms * 1000);
}

int op_on_next(sd_event_source *s, void *userdata)
{
	struct domain *d = userdata;
	int rc;

	if (d->running || !d->n_queued)
		return 0;
	domain_follow(d);
	d->running = d->queue[0];
	leave_queue(d->running);
	op_publish(d->running);
	rc = op_run_start(d->running);
	if (rc < 0)
		op_end_unbegun(d->running, rc);
	return 0;
}

static void take_next(struct domain *d)
{
	if (!d->running && d->n_queued)
		deferred_call(d->next);
}

void op_keep(struct domain *d, struct op *o)
{
	if (d->n_kept == OP_KEPT_MAX) {
		op_unref(d->kept[0]);
		memmove(d->kept, d->kept + 1, --d->n_kept * sizeof(d->kept[0]));
	}
	d->kept[d->n_kept++] = o;
}

/* A failure moves no wish, but where it is stuck nothing more is wished (R17). */
static int wish_after(const struct move *m)
{
	const struct op_vcpu *e = m->entry;

	if (e->result == VCPU_OK)
		return e->to;
	/* A removal that is out ends below; what else is out goes back. */
	if (e->result == VCPU_PENDING)
		return e->to < e->from && !m->undoing ? e->to : e->from;
	return m->stuck || m->v->wish < 0 ? e->state : m->v->wish;
}

static const char *how_moved(const struct op_vcpu *e)
{
	if (e->from < CPUHP_QEMU_DEVICE)
		return "another filled its slot";
	if (e->state < CPUHP_QEMU_DEVICE)
		return "another took it away";
	return e->state < e->from ? "the guest took it down" : "the guest brought it up";
}

/* Its slot was filled before it could be, and its error says so. */
static bool is_refused_as_filled(const struct op_vcpu *e)
{
	return e->rc == -EEXIST && e->failed_at <= CPUHP_QEMU_DEVICE;
}

/* It was back where it had been, and is not there any more: that is not the operation's doing. */
static void say_moved(const struct move *m)
{
	struct op_vcpu *e = m->entry;
	bool was_back = e->result == VCPU_ROLLED_BACK || e->result == VCPU_FAILED ||
			e->result == VCPU_REFUSED;

	if (!was_back || m->stuck || m->at != e->from || e->state < 0 || e->state == e->from ||
	    is_refused_as_filled(e))
		return;
	/* Of what had failed as much as leaves room for it. */
	if (text_is_set(&e->error))
		text_set(&e->error, "%.200s; it was back, and %s meanwhile", text_of(&e->error),
			 how_moved(e));
	else
		text_set(&e->error, "vcpu %u: it was back, and %s meanwhile", e->vcpu,
			 how_moved(e));
}

/* What every vCPU ended as, and what is wished of it from now on. */
static void close_moves(struct op *o)
{
	struct op_run *run = o->run;

	for (unsigned int i = 0; run && i < run->n_moves; i++) {
		struct move *m = &run->moves[i];
		struct op_vcpu *e = m->entry;

		e->result = move_judge(m);
		e->cpu = m->v->cpu;
		/* The kick's result has it too, where no step's report came through. */
		if (e->ran_on < 0)
			e->ran_on = m->v->ran_on;
		if (!m->v->hw)
			vcpu_settle(m->v);
		e->state = m->v->state;
		m->v->wish = wish_after(m);
		m->v->drift[0] = '\0';
		m->v->claimed = false;
		if (text_is_set(&e->error) && !text_is_set(&o->error))
			text_set(&o->error, "%s", text_of(&e->error));
	}
	for (unsigned int i = 0; run && i < run->n_moves; i++)
		say_moved(&run->moves[i]);
}

/* What stood where it was asked to be needed no move, and is wished there from now on as well. */
static void wish_as_asked(const struct op *o)
{
	const struct op_request *r = &o->request;

	if (o->result != OP_DONE || r->goal != OP_GOAL_TARGET)
		return;
	for (int i = cpulist_next(&r->list, 0); i >= 0 && (unsigned int)i < o->domain->n_vcpus;
	     i = cpulist_next(&r->list, (unsigned int)i + 1))
		if (o->domain->vcpus[i].state == r->target)
			o->domain->vcpus[i].wish = r->target;
}

static bool is_refused_by_guest(const struct op *o)
{
	return o->result == OP_REFUSED && o->refused_by && strcmp(o->refused_by, "guest") == 0;
}

void op_end(struct op *o, enum op_result result)
{
	struct domain *d = o->domain;

	o->result = result;
	close_moves(o);
	wish_as_asked(o);
	/* Of a VM that is gone nothing is known any more, whatever was counted last. */
	o->counts = result == OP_VM_GONE ? VCPU_COUNTS_UNKNOWN : domain_counts(d);
	o->ended = true;
	o->running = false;
	o->ended_us = now_us();
	o->deadline = sd_event_source_disable_unref(o->deadline);
	op_run_drop(o);
	if (d->running == o)
		d->running = NULL;
	d->counters.operations[result]++;
	histogram_add(&d->counters.operation_time[result], o->ended_us - o->accepted_us);
	d->counters.guest_refusals += is_refused_by_guest(o);
	op_log_end(o);
	op_keep(d, o);
	/* Before anybody is told: there is one result, also for who asks the next daemon. */
	(void)domain_remember(d);
	op_publish(o);
	take_next(d);
	drift_look(d);
	manager_follow_later(d->manager);
}

void op_end_unbegun(struct op *o, int rc)
{
	text_set(&o->error, "it cannot be begun: %s", strerror(-rc));
	op_end(o, OP_FAILED);
}

void op_end_queued(struct domain *d, enum op_result result, const char *why)
{
	while (d->n_queued) {
		struct op *o = d->queue[0];

		leave_queue(o);
		text_set(&o->error, "%s", why);
		op_end(o, result);
	}
}

static struct op *find_op(struct domain *d, const char *id)
{
	if (d->running && strcmp(d->running->id, id) == 0)
		return d->running;
	for (unsigned int i = 0; i < d->n_queued; i++)
		if (strcmp(d->queue[i]->id, id) == 0)
			return d->queue[i];
	for (unsigned int i = d->n_kept; i-- > 0;)
		if (strcmp(d->kept[i]->id, id) == 0)
			return d->kept[i];
	return NULL;
}

struct op *manager_find_op(struct manager *m, const char *id)
{
	for (unsigned int i = 0; i < m->n_domains; i++) {
		struct op *o = find_op(m->domains[i], id);

		if (o)
			return o;
	}
	return NULL;
}

__attribute__((format(printf, 4, 5))) static int deny(enum request_error *ret_error,
						      char **ret_text, enum request_error error,
						      const char *format, ...)
{
	va_list ap;

	*ret_error = error;
	va_start(ap, format);
	if (vasprintf(ret_text, format, ap) < 0)
		*ret_text = NULL;
	va_end(ap);
	return -EINVAL;
}

static int submit(struct domain *d, const struct op_request *request, struct op **ret,
		  enum request_error *ret_error, char **ret_text)
{
	struct op *o = *request->id ? manager_find_op(d->manager, request->id) : NULL;
	int rc;
	char why[OP_TEXT_MAX];

	if (o && (o->domain != d || !op_is_same_request(&o->request, request)))
		return deny(ret_error, ret_text, ERR_CONFLICT,
			    "operation %s exists with other arguments", request->id);
	if (o) {
		*ret = op_ref(o);
		return 0;
	}
	if (d->leaving)
		return deny(ret_error, ret_text,
			    d->leaving == DOMAIN_LEAVES ? ERR_REFUSED : ERR_BUSY, "%s: %s",
			    d->config->name, domain_why_leaving(d));
	if (admission_check(d, request, ret_error, why) < 0)
		return deny(ret_error, ret_text, *ret_error, "%s", why);
	if (d->n_queued == OP_QUEUE_MAX)
		return deny(ret_error, ret_text, ERR_BUSY,
			    "%s is at operation %s and has %d operations waiting already; try "
			    "again later",
			    d->config->name, (d->running ? d->running : d->queue[0])->id,
			    OP_QUEUE_MAX);
	rc = op_new(&o, d, request);
	if (rc)
		return deny(ret_error, ret_text, ERR_INTERNAL, "cannot start an operation: %s",
			    strerror(-rc));
	d->queue[d->n_queued++] = o;
	rc = arm_deadline(o);
	if (rc < 0) {
		leave_queue(o);
		op_unref(o);
		return deny(ret_error, ret_text, ERR_INTERNAL, "cannot start an operation: %s",
			    strerror(-rc));
	}
	if (domain_may_accept(d, why) < 0) {
		leave_queue(o);
		op_unref(o);
		return deny(ret_error, ret_text, ERR_REFUSED, "%s: %s", d->config->name, why);
	}
	op_publish(o);
	take_next(d);
	*ret = op_ref(o);
	return 0;
}

int domain_cancel(struct op *o)
{
	struct domain *d = o->domain;

	if (o->ended || !d)
		return -EALREADY;
	if (o->running) {
		op_run_stop(o, -ECANCELED);
		return 0;
	}
	leave_queue(o);
	text_set(&o->error, "cancelled before it began");
	op_end(o, OP_CANCELLED);
	return 0;
}

int domain_submit(struct domain *d, const struct op_request *request, struct op **ret,
		  enum request_error *ret_error, char **ret_text)
{
	int r = submit(d, request, ret, ret_error, ret_text);

	/* One of our own accord is nobody's request. */
	if (r < 0 && !request->own)
		d->counters.denials[*ret_error]++;
	return r;
}
