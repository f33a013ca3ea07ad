/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_UNIT_HOST_BENCH_SIDES_H
#define TESTS_UNIT_HOST_BENCH_SIDES_H

#include "tests/unit/host-bench.h"

/* Whom the faked functions belong to that are called without a pointer of the bench's. */
extern struct bench *the_bench;

/* Answer one thing that is due. False when nothing is. */
bool bench_play_sides(struct bench *b);

#endif
