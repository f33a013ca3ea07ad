/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_WAKE_H
#define DAEMON_WAKE_H

#include <stdint.h>

/**
 * wake_round() - the moment for what comes each period, and in no hurry
 * @at_us: CLOCK_MONOTONIC; at the latest then, and less than a period before
 *
 * It is a multiple of the period, so that one wakeup serves all that many domains have to do.
 */
static inline uint64_t wake_round(uint64_t at_us, uint64_t period_us)
{
	return at_us - at_us % period_us;
}

#endif
