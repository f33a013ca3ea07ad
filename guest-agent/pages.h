/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_PAGES_H
#define AGENT_PAGES_H

#include <stddef.h>

/*
 * What fork() leaves for later. A page is copied when parent or child writes to it first, and one of the
 * program's text is mapped in the child when it is used first: in the kernel, while a CPU waits. These
 * settle it ahead. Without them, or where a kernel cannot do one, all is the same but slower.
 */

/* Whole pages of zeros, for pages_free(). Return: NULL where there is no memory. */
void *pages_alloc(size_t size);
void pages_free(void *p, size_t size);

/*
 * Children have nothing of the pages that begin in there, and must not look: so nothing is to be
 * copied when this process writes to them, and no child keeps what they held before.
 */
void pages_withhold(void *p, size_t size);

/* So much of the stack below the caller is this process's own. */
void pages_own_stack(size_t size);

/* The program's text is mapped (since Linux 5.14). */
void pages_map_text(void);

#endif
