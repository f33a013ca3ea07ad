/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_WORDS_H
#define DAEMON_CTL_WORDS_H

#include "proto/cpulist.h"
#include <stdbool.h>
#include <stddef.h>

/* The words of the command line, each read exactly or not at all: no sign, no space, no hex. */

enum {
	WORDS_COUNT_MAX = 65535,
	WORDS_SECONDS_MAX = 86400,
	WORDS_DOMAIN_MAX = 64,
	WORDS_OP_MAX = 64,
	WORDS_EVENTS_MAX = 1000000000,
};

/**
 * words_number() - decimal digits and nothing else
 * @ret: untouched on error
 *
 * Return: 0, -EINVAL if @text is no such word, -ERANGE for a number outside of @min..@max.
 */
int words_number(const char *text, unsigned int min, unsigned int max, unsigned int *ret);

/**
 * words_seconds() - SEC: "1" to "86400", a fraction after a point is allowed
 * @ret_ms: milliseconds (what is finer is dropped), untouched on error
 *
 * Return: 0, -EINVAL if @text is no such word, -ERANGE outside of the limits.
 */
int words_seconds(const char *text, unsigned int *ret_ms);

/**
 * words_list() - LIST: slots N, N-M, ^N joined by commas, not empty
 * @ret: untouched on error
 *
 * Return: 0, -EINVAL for a malformed or empty list, -ERANGE for a slot that no domain can have.
 */
int words_list(const char *text, struct cpulist *ret);

/* A libvirt id, a UUID or a name: one alphabet holds all three. */
bool words_is_domain(const char *text);

bool words_is_op(const char *text);

/* A number or name of the ladder, or a callback's "ap:dyn.NN-name", which the daemon knows. */
bool words_is_state(const char *text);

/* "all", "best-effort" or "at-least=K". */
bool words_is_policy(const char *text);
/* What one begins with: row @i of "all", "best-effort", "at-least=", NULL past the last. */
const char *words_policy(unsigned int i);

/**
 * struct list_end - where the number stands that is being typed at the end of a LIST
 * @lead: so many bytes stand before it
 * @above: "N-": it is above N; else -1
 * @out: "^": it is one of @named, else none of them
 */
struct list_end {
	size_t lead;
	int above;
	bool out;
	struct cpulist named;
};

/* Return: 0; -EINVAL where what stands before it is no LIST. */
int words_list_end(const char *text, struct list_end *ret);
bool list_end_takes(const struct list_end *e, unsigned int n);

#endif
