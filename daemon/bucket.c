/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/bucket.h"

#define TOKEN INT64_C(1000000)

void bucket_init(struct bucket *b, uint32_t rate, uint32_t burst, uint64_t now_us)
{
	*b = (struct bucket){
		.rate = rate,
		.burst = burst,
		.level_us = burst * TOKEN,
		.at_us = now_us,
	};
}

void bucket_refill(struct bucket *b, uint64_t now_us)
{
	int64_t full = b->burst * TOKEN;
	uint64_t passed = now_us > b->at_us ? now_us - b->at_us : 0;
	uint64_t missing = (uint64_t)(full - b->level_us);

	/* Compared before it is multiplied: a suspended host wakes up days later. */
	if (passed > missing / b->rate)
		b->level_us = full;
	else
		b->level_us += (int64_t)(passed * b->rate);
	b->at_us = now_us;
}

bool bucket_has(const struct bucket *b)
{
	return b->level_us >= TOKEN;
}

void bucket_take(struct bucket *b, uint32_t tokens)
{
	b->level_us -= tokens * TOKEN;
}

uint64_t bucket_when(const struct bucket *b, uint32_t tokens)
{
	int64_t missing = tokens * TOKEN - b->level_us;

	if (missing <= 0)
		return b->at_us;
	return b->at_us + ((uint64_t)missing + b->rate - 1) / b->rate;
}
