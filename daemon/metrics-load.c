/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/metrics-load.h"

#include "daemon/load.h"

/* As many decimals as the guest tells. */
enum { PRESSURE_DECIMALS = 4, TIME_DECIMALS = 6, AVERAGE_DECIMALS = 2, SHARE_DECIMALS = 3 };

void metrics_put_pressure(struct metrics_text *t, const struct metrics_labels *l,
			  const struct domain *d)
{
	const struct load *load = domain_load(d);

	if (load && load->guest.avg10 != LOAD_NO_SHARE)
		metrics_put_fixed(t, l, load->guest.avg10, PRESSURE_DECIMALS);
}

void metrics_put_pressure_time(struct metrics_text *t, const struct metrics_labels *l,
			       const struct domain *d)
{
	const struct load *load = domain_load(d);

	if (load && load->guest.total_us != LOAD_NO_TIME)
		metrics_put_fixed(t, l, load->guest.total_us, TIME_DECIMALS);
}

void metrics_put_average(struct metrics_text *t, const struct metrics_labels *l,
			 const struct domain *d)
{
	const struct load *load = domain_load(d);

	if (load && load->guest.load1 != LOAD_NO_NUMBER)
		metrics_put_fixed(t, l, load->guest.load1, AVERAGE_DECIMALS);
}

void metrics_put_runnable(struct metrics_text *t, const struct metrics_labels *l,
			  const struct domain *d)
{
	const struct load *load = domain_load(d);

	if (load && load->guest.runnable != LOAD_NO_NUMBER)
		metrics_put(t, l, load->guest.runnable);
}

static void put_share(struct metrics_text *t, const struct metrics_labels *l, uint16_t share)
{
	if (share != LOAD_NO_SHARE)
		metrics_put_fixed(t, l, share, SHARE_DECIMALS);
}

void metrics_put_busy(struct metrics_text *t, const struct metrics_labels *l,
		      const struct domain *d)
{
	if (domain_load(d))
		put_share(t, l, domain_load_mean(d).busy);
}

void metrics_put_steal(struct metrics_text *t, const struct metrics_labels *l,
		       const struct domain *d)
{
	if (domain_load(d))
		put_share(t, l, domain_load_mean(d).steal);
}
