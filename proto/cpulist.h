/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PROTO_CPULIST_H
#define PROTO_CPULIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CPULIST_TEXT_MAX: room for any list with each number standing by itself, and the NUL. */
enum { CPULIST_MAX = 4096, CPULIST_TEXT_MAX = 5 * CPULIST_MAX };

/* A fixed set of CPU or vCPU numbers, 0 to CPULIST_MAX - 1. */
struct cpulist {
	uint64_t bits[CPULIST_MAX / 64];
};

void cpulist_zero(struct cpulist *l);
void cpulist_set(struct cpulist *l, unsigned int n);
void cpulist_clear(struct cpulist *l, unsigned int n);
bool cpulist_has(const struct cpulist *l, unsigned int n);
unsigned int cpulist_count(const struct cpulist *l);
/* The first member at or after @n, or -1. */
int cpulist_next(const struct cpulist *l, unsigned int n);

/**
 * cpulist_parse() - read "N", "N-M" and "^N" joined by commas, as virsh and the kernel write them
 * @text: borrowed; a trailing newline is accepted, spaces are not
 * @ret: returned, untouched on error
 *
 * "^N" takes N out of what came before it, as in libvirt. An empty result is an error except for
 * the empty text, which only cpulist_parse_kernel() accepts (an empty mask).
 *
 * Return: 0, -EINVAL for a malformed or empty list, -ERANGE for a number above the limit.
 */
int cpulist_parse(const char *text, struct cpulist *ret);
int cpulist_parse_kernel(const char *text, struct cpulist *ret);

/**
 * cpulist_format() - write the kernel's list form
 *
 * Return: the length without the NUL, or -ENOBUFS when @size is too small (then @buf is "").
 */
int cpulist_format(const struct cpulist *l, char *buf, size_t size);

#endif
