/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_TEXT_H
#define AGENT_TEXT_H

#include <string.h>

/*
 * Copy @from, cut where it has no room in @to. What snprintf("%s") does, for the texts of every step
 * of a walk: on a CPU that is emulated that costs more than the step.
 */
static inline void text_copy(char *to, size_t size, const char *from)
{
	size_t len = strnlen(from, size - 1);

	memcpy(to, from, len);
	to[len] = '\0';
}

#endif
