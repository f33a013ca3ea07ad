/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/loop.h"
#include "daemon/log.h"
#include <errno.h>
#include <time.h>

enum { PAUSE_NS = 100000000 };

int loop_turn(sd_event *event, uint64_t timeout_us)
{
	int r = sd_event_run(event, timeout_us);

	if (r != -ENOMEM)
		return r;
	log_line(LOG_WARNING, "out of memory; trying again");
	(void)nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
	return 1;
}
