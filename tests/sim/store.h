/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_SIM_STORE_H
#define TESTS_SIM_STORE_H

#include <stdbool.h>

/*
 * The daemon's store. The linker gives the daemon the calls of store.c for those with which it keeps
 * the record of a domain (--wrap, see meson.build), and they fail as long as they are told to.
 */

struct sim_domain;

/* Every record can be written, and none was yet. */
void store_begin(void);

/* With what the domain's record cannot be written now: an errno, 0 it can. */
int store_error(const struct sim_domain *d);

/* How often it has been written as a whole. */
unsigned int store_written(const struct sim_domain *d);

/* The last time that it was to be written it could not be. */
bool store_is_behind(const struct sim_domain *d);

/* The daemon that has started last could not read it. */
bool store_was_unreadable(const struct sim_domain *d);

/* The daemon is gone, and what it could not do with it. */
void store_await_daemon(const struct sim_domain *d);

#endif
