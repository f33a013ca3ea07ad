/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/hostlink-internal.h"
#include "guest-agent/registry.h"
#include "guest-agent/text.h"
#include <inttypes.h>
#include <stdio.h>
#include <syslog.h>

static bool add(struct agent *a, const struct record *r)
{
	return outbox_has_room(&a->link.out) && outbox_record(&a->link.out, r, false) == 0;
}

static bool put(struct agent *a, const struct record *r)
{
	bool put = add(a, r);

	a->link.urgent |= put;
	return put;
}

static bool is_parked(const struct cpu *c)
{
	return c->present && c->state == CPUHP_STANDBY && c->standby_wish;
}

/* Online, and still to be taken into service: that begins when a registration has ended. */
static bool is_to_be_adopted(const struct cpu *c)
{
	return c->online && c->state <= CPUHP_STANDBY;
}

static bool put_row(struct agent *a, const struct cpu *c)
{
	bool walking = c->job.kind || is_to_be_adopted(c);
	struct record r = {
		.type = RECORD_CPU,
		.cpu = {
			.cpu = (uint16_t)c->cpu,
			.slot = c->slot,
			.flags = (uint8_t)((is_parked(c) ? RECORD_CPU_PARKED : 0) |
					   (c->present ? RECORD_CPU_PRESENT : 0) |
					   (c->online ? RECORD_CPU_ONLINE : 0) |
					   (walking ? RECORD_CPU_WALKING : 0) |
					   (c->taken ? RECORD_CPU_TAKEN : 0) |
					   (c->foreign ? RECORD_CPU_FOREIGN : 0)),
			.state = (uint8_t)c->state,
			.ran_on = c->ran_on < 0 ? MSG_NO_CPU : (uint16_t)c->ran_on,
		},
	};

	text_copy(r.cpu.text, sizeof(r.cpu.text), c->text);
	/* In transition it is progress like its steps; a slot that is not known yet follows at once. */
	return c->job.kind || c->slot == MSG_NO_SLOT ? add(a, &r) : put(a, &r);
}

static bool put_state(struct agent *a, int i)
{
	struct record r = {
		.type = RECORD_STATE,
		.state.state = (uint8_t)(CPUHP_AP_DYN + i),
	};

	text_copy(r.state.name, sizeof(r.state.name),
		  registry_name(&a->registry, CPUHP_AP_DYN + i));
	return put(a, &r);
}

/* The next row of the answer to QUERY: CPUs, then callbacks, then its end. */
static bool put_next_row(struct agent *a)
{
	int at = a->link.query_at, i = at - a->possible;
	const struct record end = { .type = RECORD_END };

	if (i < 0)
		return !a->cpus[at].present || put_row(a, &a->cpus[at]);
	if (i < CALLBACKS_MAX)
		return !registry_name(&a->registry, CPUHP_AP_DYN + i)[0] || put_state(a, i);
	return put(a, &end);
}

static bool put_answer(struct agent *a)
{
	struct link *l = &a->link;

	while (l->query_at >= 0) {
		if (!put_next_row(a))
			return false;
		if (l->query_at++ == a->possible + CALLBACKS_MAX)
			l->query_at = -1;
	}
	return true;
}

static bool put_states(struct agent *a)
{
	uint32_t *due = &a->registry.rows_due;

	for (int i = 0; *due && i < CALLBACKS_MAX; i++) {
		uint32_t bit = UINT32_C(1) << i;

		if ((*due & bit) && !put_state(a, i))
			return false;
		*due &= ~bit;
	}
	return true;
}

static bool put_gone(struct agent *a, const struct cpu *c)
{
	const struct record r = {
		.type = RECORD_CPU,
		.cpu = { .cpu = (uint16_t)c->cpu, .slot = c->left_slot, .ran_on = MSG_NO_CPU },
	};

	return put(a, &r);
}

static bool put_row_due(struct agent *a, struct cpu *c)
{
	if (c->row_due && !put_row(a, c))
		return false;
	c->row_due = false;
	return true;
}

/* Who has gone comes first: the slot may be another's by now. */
static bool put_rows(struct agent *a)
{
	for_each_cpu (a, c) {
		if (c->left_slot != MSG_NO_SLOT && !put_gone(a, c))
			return false;
		c->left_slot = MSG_NO_SLOT;
		if (!c->present && !put_row_due(a, c))
			return false;
	}
	for_each_cpu (a, c) {
		/* CPUs that gather are told together. */
		if (a->uevents_ms && c->awaited)
			continue;
		if (!put_row_due(a, c))
			return false;
	}
	return true;
}

static bool put_result(struct agent *a, const struct cpu *c)
{
	const struct record r = { .type = RECORD_DONE, .done = c->done };

	return put(a, &r);
}

static bool put_results(struct agent *a)
{
	for_each_cpu (a, c) {
		if (c->done_due && !put_result(a, c))
			return false;
		c->done_due = false;
	}
	return true;
}

static bool put_dropped(struct agent *a)
{
	struct record r = { .type = RECORD_LOG, .log.level = LOG_WARNING };
	struct link *l = &a->link;

	if (!l->out.dropped)
		return true;
	snprintf(r.log.text, sizeof(r.log.text),
		 "%" PRIu64 " records of steps and log lines dropped", l->out.dropped);
	if (!put(a, &r))
		return false;
	agent_log(a, "%s", r.log.text);
	l->out.dropped = 0;
	return true;
}

bool hostlink_put_due(struct agent *a)
{
	return put_answer(a) && put_states(a) && put_rows(a) && put_results(a) && put_dropped(a);
}
