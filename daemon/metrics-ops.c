/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/metrics-ops.h"

void metrics_put_operations(struct metrics_text *t, const struct metrics_labels *domain,
			    const struct domain *d)
{
	for (int r = 0; r < OP_RESULTS; r++) {
		struct metrics_labels l;

		if (r == OP_ACCEPTED || r == OP_CONFLICT)
			continue; /* no end of an operation */
		l = metrics_labels_with(domain, "result", op_result_name((enum op_result)r));
		metrics_put(t, &l, d->counters.operations[r]);
	}
}

/* Those that domain_submit() can end with. */
void metrics_put_denials(struct metrics_text *t, const struct metrics_labels *domain,
			 const struct domain *d)
{
	static const enum request_error errors[] = {
		ERR_INVALID_ARGUMENT, ERR_REFUSED,      ERR_BUSY,
		ERR_CONFLICT,         ERR_NO_SUCH_VCPU, ERR_INTERNAL
	};

	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		struct metrics_labels l =
			metrics_labels_with(domain, "error", request_error_name(errors[i]));

		metrics_put(t, &l, d->counters.denials[errors[i]]);
	}
}

void metrics_put_operation_time(struct metrics_text *t, const struct metrics_labels *domain,
				const struct domain *d)
{
	for (int r = 0; r < OP_RESULTS; r++) {
		struct metrics_labels l;

		if (d->counters.operations[r] == 0)
			continue;
		l = metrics_labels_with(domain, "result", op_result_name((enum op_result)r));
		metrics_put_histogram(t, &l, &d->counters.operation_time[r]);
	}
}

typedef void (*step_fn)(struct metrics_text *t, const struct metrics_labels *l,
			const struct step_counters *s);

static void put_each_way(struct metrics_text *t, const struct metrics_labels *state,
			 const struct step_counters *s, const char *direction, step_fn fn)
{
	struct metrics_labels l;

	if (histogram_count(&s->time) == 0 && s->failures == 0)
		return;
	l = metrics_labels_with(state, "direction", direction);
	fn(t, &l, s);
}

static void put_each_step(struct metrics_text *t, const struct metrics_labels *domain,
			  const struct domain *d, step_fn fn)
{
	for (unsigned int i = 0; i < COUNTERS_ROWS; i++) {
		char name[COUNTERS_NAME_SIZE];
		const struct state_counters *s = counters_row(&d->counters, i, name);
		struct metrics_labels l;

		if (!s)
			continue;
		l = metrics_labels_with(domain, "state", name);
		put_each_way(t, &l, &s->up, "up", fn);
		put_each_way(t, &l, &s->down, "down", fn);
	}
}

static void put_step_time(struct metrics_text *t, const struct metrics_labels *l,
			  const struct step_counters *s)
{
	metrics_put_histogram(t, l, &s->time);
}

static void put_step_failures(struct metrics_text *t, const struct metrics_labels *l,
			      const struct step_counters *s)
{
	metrics_put(t, l, s->failures);
}

void metrics_put_steps(struct metrics_text *t, const struct metrics_labels *l,
		       const struct domain *d)
{
	put_each_step(t, l, d, put_step_time);
}

void metrics_put_failures(struct metrics_text *t, const struct metrics_labels *l,
			  const struct domain *d)
{
	put_each_step(t, l, d, put_step_failures);
}
