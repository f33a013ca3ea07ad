/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_SIM_RNG_H
#define TESTS_SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

/* Numbers by seed (splitmix64): the same ones on every machine. */
struct rng {
	uint64_t at;
};

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->at += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* A source of its own for each of many users of one seed. */
static inline struct rng rng_of(uint64_t seed, uint64_t user)
{
	struct rng r = { seed * UINT64_C(0x2545f4914f6cdd1d) + user };

	return (struct rng){ rng_next(&r) };
}

/* 0 to n - 1; n is not 0. */
static inline unsigned int rng_below(struct rng *r, unsigned int n)
{
	return (unsigned int)((rng_next(r) >> 32) * n >> 32);
}

static inline unsigned int rng_range(struct rng *r, unsigned int low, unsigned int high)
{
	return low + rng_below(r, high - low + 1);
}

static inline bool rng_chance(struct rng *r, unsigned int percent)
{
	return rng_below(r, 100) < percent;
}

#endif
