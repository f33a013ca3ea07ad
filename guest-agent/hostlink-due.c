/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/hostlink-internal.h"
#include "guest-agent/registry.h"
#include <stdio.h>
#include <syslog.h>

static bool put(struct agent *a, const struct record *r)
{
	if (!outbox_has_room(&a->link.out) || outbox_record(&a->link.out, r, false) < 0)
		return false;
	a->link.urgent = true;
	return true;
}

static bool put_row(struct agent *a, const struct cpu *c)
{
	struct record r = {
		.type = RECORD_CPU,
		.cpu = {
			.cpu = (uint16_t)c->cpu,
			.slot = c->slot,
			.flags = (uint8_t)((c->present ? RECORD_CPU_PRESENT : 0) |
					   (c->online ? RECORD_CPU_ONLINE : 0) |
					   (c->job.kind ? RECORD_CPU_WALKING : 0) |
					   (c->taken ? RECORD_CPU_TAKEN : 0) |
					   (c->foreign ? RECORD_CPU_FOREIGN : 0)),
			.state = (uint8_t)c->state,
			.ran_on = c->ran_on < 0 ? MSG_NO_CPU : (uint16_t)c->ran_on,
		},
	};

	snprintf(r.cpu.text, sizeof(r.cpu.text), "%s", c->text);
	return put(a, &r);
}

/* The next row of the answer to QUERY: CPUs, then callbacks, then its end. */
static bool put_next_row(struct agent *a)
{
	int at = a->link.query_at, i = at - a->possible;
	struct record r = { .type = RECORD_END };

	if (i < 0)
		return !a->cpus[at].present || put_row(a, &a->cpus[at]);
	if (i < CALLBACKS_MAX) {
		const char *name = registry_name(&a->registry, CPUHP_AP_DYN + i);

		r = (struct record){ .type = RECORD_STATE,
				     .state.state = (uint8_t)(CPUHP_AP_DYN + i) };
		snprintf(r.state.name, sizeof(r.state.name), "%s", name);
		return !name[0] || put(a, &r);
	}
	return put(a, &r);
}

void hostlink_put_due(struct agent *a)
{
	struct link *l = &a->link;

	while (l->query_at >= 0 && put_next_row(a)) {
		if (l->query_at++ == a->possible + CALLBACKS_MAX)
			l->query_at = -1;
	}
	for_each_cpu (a, c)
		if (c->row_due && put_row(a, c))
			c->row_due = false;
	for_each_cpu (a, c) {
		const struct record r = { .type = RECORD_DONE, .done = c->done };

		if (c->done_due && put(a, &r))
			c->done_due = false;
	}
	if (l->out.dropped && outbox_has_room(&l->out)) {
		uint64_t n = l->out.dropped;

		l->out.dropped = 0;
		agent_tell(a, LOG_WARNING, "%llu progress records dropped", (unsigned long long)n);
	}
}
