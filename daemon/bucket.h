/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_BUCKET_H
#define DAEMON_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct bucket - a token bucket: @rate tokens a second, at most @burst saved up
 * @level_us: tokens times 1000000, so that refilling loses nothing; below 0 is a debt
 * @at_us: when @level_us was true
 */
struct bucket {
	uint32_t rate;
	uint32_t burst;
	int64_t level_us;
	uint64_t at_us;
};

/* Full at @now_us. @rate is not 0. */
void bucket_init(struct bucket *b, uint32_t rate, uint32_t burst, uint64_t now_us);

void bucket_refill(struct bucket *b, uint64_t now_us);

/* Whether at least one whole token is there. */
bool bucket_has(const struct bucket *b);

/* Takes @tokens even where they are not there: what has been used up must be paid back. */
void bucket_take(struct bucket *b, uint32_t tokens);

/* When @tokens (at most the burst) will be there, in us of the clock given to bucket_refill(). */
uint64_t bucket_when(const struct bucket *b, uint32_t tokens);

#endif
