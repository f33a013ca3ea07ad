/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon has sent, and for which of its operations. */
#include "proto/frame.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

void world_sent(struct sim_domain *d, unsigned int slot, const char *op)
{
	struct driver *v = d->driver;

	if (!v || !d->watch)
		return;
	if (slot < SIM_SLOTS)
		d->watch->sent_us[slot] = clock_us();
	for (unsigned int t = 0; t < v->n_tracks; t++)
		if (strcmp(v->tracks[t].id, op ? op : d->watch->running) == 0 &&
		    !(v->tracks[t].busy & UINT32_C(1) << slot))
			v->tracks[t].sent++;
}

const char *world_asker(const struct sim_domain *d, const char *device)
{
	const struct driver *v = d->driver;
	const char *tag = strrchr(device, '-');

	for (unsigned int t = v && tag ? v->n_tracks : 0; t-- > 0;) {
		const char *id = v->tracks[t].id;

		if (strtoul(tag + 1, NULL, 16) == crc32c(0, id, strlen(id)))
			return id;
	}
	return "";
}
