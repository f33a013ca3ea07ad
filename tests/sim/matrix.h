/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_SIM_MATRIX_H
#define TESTS_SIM_MATRIX_H

#include <stdbool.h>
#include <stdint.h>

enum { MATRIX_SEEDS = 100 };

/**
 * matrix_run() - each fault in each phase of an add and of a remove
 * @seeds: runs of each cell; with MATRIX_SEEDS the table has to be the whole of @path, with fewer
 *	no cell may have an outcome that the table there has not
 * @jobs: processes
 * @write: make the table, instead of comparing with it
 *
 * Return: how many cells are wrong.
 */
unsigned int matrix_run(unsigned int seeds, unsigned int jobs, const char *path, bool write);

/* One run of one cell, with all that happens in it. Return: -1 no such cell, 1 a breach, else 0. */
int matrix_show(const char *fault, const char *phase, uint64_t seed);

#endif
