/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/report.h"

#include "daemon/json-out.h"
#include "daemon/trace-ring.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

/*
 * Theory of operation
 *
 * A step exists in two forms, as an event while it happens and as a 40-byte record in the trace;
 * both are brought into struct step_view first, and one function writes the keys. So progress,
 * events and traces cannot come to differ.
 *
 * Unknown values are null. A duration is a number of milliseconds with at most three decimals,
 * written from whole microseconds, so that nothing is rounded.
 */

enum { STATE_NAME_SIZE = MSG_NAME_MAX + 16, NO_KSTEP = -1 };

/**
 * struct step_view - a step, wherever it was kept
 * @kstep: of the kernel's ladder, NO_KSTEP: a step of ours
 */
struct step_view {
	const char *op;
	int vcpu, cpu, state, ran_on, rc, kstep;
	const char *name;
	const char *kname;
	bool enter, startup, rollback, late;
};

static void add_kernel(json_object *o, const struct step_view *s)
{
	json_object *kernel = json_object_new_object();

	json_out_int(kernel, "step", s->kstep);
	json_out_str(kernel, "name", s->kname ? s->kname : "");
	json_out_str(kernel, "phase", s->enter ? "enter" : "exit");
	json_out_int(kernel, "rc", s->enter ? 0 : s->rc);
	json_out_value(o, "kernel", kernel);
}

static void add_step(json_object *o, const struct step_view *s)
{
	json_out_text(o, "op", s->op);
	json_out_known(o, "vcpu", s->vcpu);
	json_out_known(o, "cpu", s->cpu);
	json_out_known(o, "state", s->state);
	json_out_str(o, "name", s->name);
	if (s->kstep != NO_KSTEP)
		add_kernel(o, s);
	json_out_str(o, "phase", s->enter ? "enter" : "exit");
	json_out_int(o, "rc", s->enter ? 0 : s->rc);
	json_out_known(o, "ran_on", s->ran_on);
}

static void add_direction(json_object *o, const struct step_view *s)
{
	json_out_bool(o, "startup", s->startup);
	json_out_bool(o, "rollback", s->rollback);
	json_out_bool(o, "late", s->late);
}

static struct step_view view_event(const struct event *e)
{
	return (struct step_view){
		.op = e->op ? e->op->id : NULL,
		.vcpu = e->vcpu,
		.cpu = e->cpu,
		.state = e->state,
		.ran_on = e->ran_on,
		.rc = e->rc,
		.kstep = e->type == EVENT_KSTEP ? e->kstep : NO_KSTEP,
		.name = e->name ? e->name : ladder_name(e->state),
		.kname = e->kname,
		.enter = e->enter,
		.startup = e->startup,
		.rollback = e->rollback,
		.late = e->late,
	};
}

static void add_t_ms(json_object *o, const struct op *op, uint64_t t_us)
{
	if (op)
		json_out_ms(o, "t_ms", (int64_t)(t_us - op->accepted_us));
	else
		json_out_null(o, "t_ms");
}

static void add_progress(json_object *o, const struct event *e)
{
	const struct step_view s = view_event(e);

	add_step(o, &s);
	add_t_ms(o, e->op, e->t_us);
	add_direction(o, &s);
}

void report_step(json_object *o, const struct event *e)
{
	assert(e->type == EVENT_STEP);
	add_progress(o, e);
	json_out_text(o, "text", e->text);
}

json_object *report_progress(const struct event *e)
{
	json_object *o = json_object_new_object();

	add_progress(o, e);
	json_out_text(o, "text", e->text);
	return o;
}

static void add_resting(json_object *o, const struct event *e)
{
	json_out_known(o, "vcpu", e->vcpu);
	json_out_known(o, "cpu", e->cpu);
	json_out_known(o, "state", e->state);
	json_out_text(o, "name", e->state < 0 ? NULL : e->name ? e->name : ladder_name(e->state));
}

static void add_operation(json_object *o, const struct event *e)
{
	json_out_str(o, "result", e->op ? op_result_name(e->op->result) : NULL);
	json_out_bool(o, "running", e->op && e->op->running && !e->op->ended);
}

static void add_by_type(json_object *o, const struct event *e)
{
	switch (e->type) {
	case EVENT_STEP:
	case EVENT_KSTEP:
		add_progress(o, e);
		return;
	case EVENT_OPERATION:
		add_operation(o, e);
		break;
	case EVENT_STATE:
		add_resting(o, e);
		json_out_known(o, "ran_on", e->ran_on);
		break;
	case EVENT_DRIFT:
		add_resting(o, e);
		break;
	case EVENT_REMOVED:
		json_out_known(o, "vcpu", e->vcpu);
		break;
	case EVENT_AGENT:
		json_out_bool(o, "connected", e->domain && e->domain->agent_up);
		break;
	case EVENT_DOMAIN:
		json_out_str(o, "status", e->domain ? domain_status_name(e->domain) : NULL);
		break;
	case EVENT_LOAD:
		json_object_object_add(o, "load",
				       e->domain ? report_load(e->domain, true, e->t_us) : NULL);
		break;
	case EVENT_CONFIG:
	case EVENT_LOG:
	case EVENT_TYPES:
		break;
	}
	json_out_text(o, "op", e->op ? e->op->id : NULL);
}

json_object *report_event(const struct event *e)
{
	json_object *o = json_object_new_object();

	json_out_str(o, "type", event_type_name(e->type));
	json_out_str(o, "domain", e->domain ? e->domain->config->name : e->domain_name);
	add_by_type(o, e);
	json_out_int(o, "t_us", (int64_t)e->t_us);
	json_out_int(o, "error_us", (int64_t)e->error_us);
	json_out_text(o, "text", e->text);
	return o;
}

static const char *state_name(const struct op *op, int state, char buf[STATE_NAME_SIZE])
{
	const char *kept = ladder_is_dyn(state) ? op_find_callback(op, state) : NULL;

	if (!kept)
		return op->domain ? domain_state_name(op->domain, state, buf, STATE_NAME_SIZE)
				  : ladder_name(state);
	snprintf(buf, STATE_NAME_SIZE, "ap:dyn.%s", kept);
	return buf;
}

static json_object *report_times(const struct op_vcpu *v, const struct op *op)
{
	json_object *ms = json_object_new_object();
	char name[STATE_NAME_SIZE];

	for (int state = 0; state < CPUHP_STATES; state++)
		if (op_vcpu_step_us(v, state) >= 0)
			json_object_object_add(ms, state_name(op, state, name),
					       json_out_ms_new(op_vcpu_step_us(v, state)));
	return ms;
}

static json_object *report_rollback(const struct op_vcpu *v, const struct op *op)
{
	char name[STATE_NAME_SIZE];
	json_object *o;

	if (v->rollback_failed_at < 0)
		return NULL;
	o = json_object_new_object();
	json_out_str(o, "failed_at", state_name(op, v->rollback_failed_at, name));
	json_out_int(o, "rc", v->rollback_rc);
	return o;
}

static json_object *report_op_vcpu(const struct op_vcpu *v, const struct op *op)
{
	json_object *o = json_object_new_object();
	char name[STATE_NAME_SIZE];

	json_out_int(o, "vcpu", v->vcpu);
	json_out_known(o, "cpu", v->cpu);
	json_out_known(o, "state", v->state);
	json_out_str(o, "name", v->state < 0 ? NULL : state_name(op, v->state, name));
	json_out_str(o, "result", vcpu_result_name(op->ended ? v->result : VCPU_PENDING));
	json_out_known(o, "ran_on", v->ran_on);
	json_out_text(o, "error", text_of(&v->error));
	json_out_text(o, "failed_at", v->failed_at < 0 ? NULL : op_vcpu_failed_name(v));
	json_out_int(o, "rc", v->rc);
	json_object_object_add(o, "rollback", report_rollback(v, op));
	json_object_object_add(o, "ms", report_times(v, op));
	return o;
}

void report_warning(json_object *o, const char *warning)
{
	json_object *warnings;

	if (!*warning)
		return;
	warnings = json_object_new_array();
	json_object_array_add(warnings, json_object_new_string(warning));
	json_object_object_add(o, "warnings", warnings);
}

json_object *report_persist(const struct persist_outcome *p)
{
	json_object *o = json_object_new_object();

	json_out_str(o, "result", persist_result_name(p->result));
	json_out_known(o, "present", p->present);
	json_out_known(o, "maximum", p->maximum);
	json_out_text(o, "error", p->error);
	return o;
}

json_object *report_result(const struct op *op)
{
	json_object *o = json_object_new_object();
	json_object *vcpus = json_object_new_array();
	const struct vcpu_counts c =
		op->ended || !op->domain ? op->counts : domain_counts(op->domain);

	json_out_str(o, "op", op->id);
	json_out_str(o, "domain", op->domain_name);
	json_out_str(o, "result", op_result_name(op->ended ? op->result : OP_ACCEPTED));
	json_out_int(o, "asked", op->asked);
	json_out_known(o, "present", c.present);
	json_out_known(o, "online", c.online);
	json_out_known(o, "standby", c.standby);
	json_out_str(o, "refused_by", op->refused_by);
	json_out_text(o, "error", text_of(&op->error));
	for (unsigned int i = 0; i < op->n_vcpus; i++)
		json_object_array_add(vcpus, report_op_vcpu(&op->vcpus[i], op));
	json_object_object_add(o, "vcpus", vcpus);
	report_warning(o, text_of(&op->warning));
	if (op->persist)
		json_object_object_add(o, "config", report_persist(op->persist));
	return o;
}

static int wire_number(uint16_t n)
{
	return n == MSG_NO_CPU ? -1 : n;
}

static struct step_view view_record(const struct trace_record *r, const struct domain *d,
				    const struct op *op, char name[STATE_NAME_SIZE])
{
	return (struct step_view){
		.op = op ? op->id : NULL,
		.vcpu = r->vcpu,
		.cpu = wire_number(r->cpu),
		.state = r->state,
		.ran_on = wire_number(r->ran_on),
		.rc = r->rc,
		.kstep = r->kstep == UINT16_MAX ? NO_KSTEP : r->kstep,
		.name = domain_state_name(d, r->state, name, STATE_NAME_SIZE),
		.kname = r->kstep == UINT16_MAX ? "" : trace_ring_kname(&d->trace, r->kstep),
		.enter = r->flags & TRACE_ENTER,
		.startup = r->flags & TRACE_STARTUP,
		.rollback = r->flags & TRACE_ROLLBACK,
		.late = r->flags & TRACE_LATE,
	};
}

static const struct op *find_by_tag(const struct domain *d, uint32_t tag)
{
	if (d->running && d->running->tag == tag)
		return d->running;
	for (unsigned int i = 0; i < d->n_queued; i++)
		if (d->queue[i]->tag == tag)
			return d->queue[i];
	for (unsigned int i = d->n_kept; i-- > 0;)
		if (d->kept[i]->tag == tag)
			return d->kept[i];
	return NULL;
}

json_object *report_op_trace(const struct op *op)
{
	const struct domain *d = op->domain;
	json_object *steps;
	char name[STATE_NAME_SIZE];

	if (!d)
		return NULL;
	steps = json_object_new_array();
	for (unsigned int i = 0; i < d->trace.n; i++) {
		const struct trace_record *r = trace_ring_at(&d->trace, i);
		const struct step_view s = view_record(r, d, op, name);
		json_object *o;

		if (r->op_tag != op->tag)
			continue;
		o = json_object_new_object();
		add_step(o, &s);
		add_t_ms(o, op, r->t_us);
		add_direction(o, &s);
		json_out_null(o, "text");
		json_object_array_add(steps, o);
	}
	return steps;
}

json_object *report_trace(const struct domain *d, const struct op *op)
{
	json_object *steps = json_object_new_array();
	char name[STATE_NAME_SIZE];

	for (unsigned int i = 0; i < d->trace.n; i++) {
		const struct trace_record *r = trace_ring_at(&d->trace, i);
		struct step_view s;
		json_object *o;

		if (op && r->op_tag != op->tag)
			continue;
		s = view_record(r, d, op ? op : find_by_tag(d, r->op_tag), name);
		o = json_object_new_object();
		add_step(o, &s);
		json_out_int(o, "t_us", (int64_t)r->t_us);
		json_out_int(o, "error_us", r->error_us);
		add_direction(o, &s);
		json_object_array_add(steps, o);
	}
	return steps;
}

json_object *report_plan(const struct domain *d, const struct plan *p)
{
	json_object *moves = json_object_new_array();
	char name[STATE_NAME_SIZE];

	for (unsigned int i = 0; i < p->n_moves; i++) {
		const struct plan_move *m = &p->moves[i];
		json_object *o = json_object_new_object();

		json_out_int(o, "vcpu", m->vcpu);
		json_out_str(o, "from", domain_state_name(d, m->from, name, sizeof(name)));
		json_out_str(o, "to", domain_state_name(d, m->to, name, sizeof(name)));
		json_object_array_add(moves, o);
	}
	return moves;
}

json_object *report_refusals(const struct plan *p)
{
	json_object *refusals = json_object_new_array();

	for (unsigned int i = 0; i < p->n_refusals; i++)
		json_object_array_add(refusals, json_object_new_string(p->refusals[i]));
	return refusals;
}
