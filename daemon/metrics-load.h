/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_METRICS_LOAD_H
#define DAEMON_METRICS_LOAD_H

#include "daemon/domain.h"
#include "daemon/metrics-text.h"

/*
 * Samples of the guest's load, as it was told last; there are none while it is not known. A scrape does
 * not ask the guest.
 */
void metrics_put_pressure(struct metrics_text *t, const struct metrics_labels *l,
			  const struct domain *d);
void metrics_put_pressure_time(struct metrics_text *t, const struct metrics_labels *l,
			       const struct domain *d);
void metrics_put_average(struct metrics_text *t, const struct metrics_labels *l,
			 const struct domain *d);
void metrics_put_runnable(struct metrics_text *t, const struct metrics_labels *l,
			  const struct domain *d);
void metrics_put_busy(struct metrics_text *t, const struct metrics_labels *l,
		      const struct domain *d);
void metrics_put_steal(struct metrics_text *t, const struct metrics_labels *l,
		       const struct domain *d);

#endif
