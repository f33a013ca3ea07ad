/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_PAGES_H
#define AGENT_PAGES_H

#include <stddef.h>

/*
 * After a fork both processes share each page until one of them writes to it or, of the program's
 * text, has used it once. These settle that ahead, where nobody waits. They are of no consequence where
 * the kernel (before 5.14) cannot do it.
 */

/* The program's own text. */
void pages_map_text(void);

/* What this process writes to at @p. */
void pages_own(void *p, size_t size);

/* So much of the stack below the caller. */
void pages_own_stack(size_t size);

#endif
