/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/trace-ring.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *trace_ring_kname(const struct trace_ring *t, unsigned int step)
{
	return t->knames && step < KSTEP_NAMES ? t->knames[step] : "";
}

const struct trace_record *trace_ring_at(const struct trace_ring *t, unsigned int i)
{
	return i < t->n ? &t->records[(t->head + i) % TRACE_RECORDS_MAX] : NULL;
}

void trace_ring_done(struct trace_ring *t)
{
	free(t->records);
	free(t->knames);
	*t = (struct trace_ring){ 0 };
}

static struct trace_record *next_record(struct trace_ring *t)
{
	if (!t->records)
		t->records = calloc(TRACE_RECORDS_MAX, sizeof(*t->records));
	if (!t->records)
		return NULL;
	if (t->n < TRACE_RECORDS_MAX)
		return &t->records[(t->head + t->n++) % TRACE_RECORDS_MAX];
	t->head = (t->head + 1) % TRACE_RECORDS_MAX;
	return &t->records[(t->head + t->n - 1) % TRACE_RECORDS_MAX];
}

static void keep_kname(struct trace_ring *t, unsigned int step, const char *name)
{
	if (step >= KSTEP_NAMES || !*name)
		return;
	if (!t->knames)
		t->knames = calloc(KSTEP_NAMES, sizeof(*t->knames));
	/* The same for each CPU, as a rule. */
	if (t->knames && strcmp(t->knames[step], name) != 0)
		snprintf(t->knames[step], sizeof(t->knames[step]), "%s", name);
}

void trace_ring_add(struct trace_ring *t, const struct event *e)
{
	struct trace_record *r;

	if (e->type != EVENT_STEP && e->type != EVENT_KSTEP)
		return;
	r = next_record(t);
	if (!r)
		return;
	*r = (struct trace_record){
		.t_us = e->t_us,
		.error_us = e->error_us > UINT32_MAX ? UINT32_MAX : (uint32_t)e->error_us,
		.op_tag = e->op_tag,
		.rc = e->rc,
		.vcpu = (uint16_t)e->vcpu,
		.cpu = (uint16_t)e->cpu,
		.kstep = (uint16_t)e->kstep,
		.ran_on = (uint16_t)e->ran_on,
		.state = (uint8_t)e->state,
		.flags = (uint8_t)((e->enter ? TRACE_ENTER : 0) | (e->startup ? TRACE_STARTUP : 0) |
				   (e->rollback ? TRACE_ROLLBACK : 0) | (e->late ? TRACE_LATE : 0)),
	};
	if (e->type == EVENT_KSTEP)
		keep_kname(t, (unsigned int)e->kstep, e->kname);
}
