/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
/*
 * QEMU writes "timestamp" first into its events and into nothing else, so they are told from replies
 * without being read. A line that is not of that kind is read on credit, for it may be the reply that
 * is waited for; whoever writes events of another kind has used that up soon, and then waits.
 */
#include "daemon/qmp-budget.h"
#include <string.h>

enum { EVENTS_PER_SECOND = 250, EVENTS_BURST = 1000, CREDIT = 100, BYTES_PER_TOKEN = 1024 };

static const char event_start[] = "{\"timestamp\"";

void qmp_budget_init(struct qmp_budget *b, uint64_t now_us)
{
	*b = (struct qmp_budget){ 0 };
	bucket_init(&b->tokens, EVENTS_PER_SECOND, EVENTS_BURST, now_us);
}

bool qmp_budget_is_spent(struct qmp_budget *b, uint64_t now_us)
{
	bucket_refill(&b->tokens, now_us);
	return !bucket_has(&b->tokens);
}

enum qmp_verdict qmp_budget_judge(struct qmp_budget *b, const char *line, size_t len)
{
	size_t start = sizeof(event_start) - 1;

	if (bucket_has(&b->tokens))
		return QMP_READ;
	if (len >= start && memcmp(line, event_start, start) == 0) {
		b->missed = true;
		return QMP_PASS_OVER;
	}
	return b->tokens.level_us > -CREDIT * INT64_C(1000000) ? QMP_READ : QMP_WAIT;
}

void qmp_budget_pay(struct qmp_budget *b, size_t len)
{
	bucket_take(&b->tokens, 1 + (uint32_t)(len / BYTES_PER_TOKEN));
}

uint64_t qmp_budget_when(const struct qmp_budget *b)
{
	return bucket_when(&b->tokens, 1);
}
