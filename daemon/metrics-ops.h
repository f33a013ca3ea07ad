/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_METRICS_OPS_H
#define DAEMON_METRICS_OPS_H

#include "daemon/domain.h"
#include "daemon/metrics-text.h"

/* Samples of a domain's operations, and of their steps: how many, how long, how many failed. */
void metrics_put_operations(struct metrics_text *t, const struct metrics_labels *domain,
			    const struct domain *d);
void metrics_put_denials(struct metrics_text *t, const struct metrics_labels *domain,
			 const struct domain *d);
void metrics_put_operation_time(struct metrics_text *t, const struct metrics_labels *domain,
				const struct domain *d);
void metrics_put_steps(struct metrics_text *t, const struct metrics_labels *domain,
		       const struct domain *d);
void metrics_put_failures(struct metrics_text *t, const struct metrics_labels *domain,
			  const struct domain *d);

#endif
