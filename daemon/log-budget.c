/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/log-budget.h"
#include "daemon/log.h"

#define WINDOW_US UINT64_C(60000000)

enum { LINES = 9 }; /* and one for those that were left out */

bool log_may(struct log_budget *b, uint64_t now_us, const char *domain, const char *about)
{
	if (now_us - b->since_us >= WINDOW_US) {
		if (b->lines > LINES)
			log_outcome(JOURNAL_LINES_LEFT_OUT, domain, NULL,
				    "%u lines about %s were left out", b->lines - LINES, about);
		b->since_us = now_us;
		b->lines = 0;
	}
	return b->lines++ < LINES;
}
