/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/log-budget.h"
#include "daemon/log.h"

#define WINDOW_US UINT64_C(60000000)

enum { LINES = 9 }; /* and one that says that more are left out */

/* The last minute's number is a line of this one. */
static void begin_minute(struct log_budget *b, uint64_t now_us, const char *domain,
			 const char *about)
{
	unsigned int wanted = b->lines;

	*b = (struct log_budget){ .since_us = now_us };
	if (wanted <= LINES)
		return;
	b->lines = 1;
	log_outcome(JOURNAL_LINES_LEFT_OUT, domain, NULL, "%u lines about %s were left out",
		    wanted - LINES, about);
}

bool log_may(struct log_budget *b, uint64_t now_us, const char *domain, const char *about)
{
	if (now_us - b->since_us >= WINDOW_US)
		begin_minute(b, now_us, domain, about);
	if (b->lines++ < LINES)
		return true;
	if (b->lines == LINES + 1)
		log_outcome(JOURNAL_LINES_LEFT_OUT, domain, NULL,
			    "further lines about %s are left out for a minute", about);
	return false;
}
