/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_TEXT_H
#define AGENT_TEXT_H

#include <string.h>

/*
 * What snprintf("%s%u") does, for what is made at every step of a walk: on a CPU that is emulated, and
 * has not formatted anything for a while, that costs more than the step. All cut what has no room.
 */

static inline void text_copy(char *to, size_t size, const char *from)
{
	if (!memccpy(to, from, '\0', size))
		to[size - 1] = '\0';
}

/* Behind what stands in @to. */
static inline void text_add(char *to, size_t size, const char *more)
{
	size_t used = strlen(to);

	text_copy(to + used, size - used, more);
}

static inline void text_add_number(char *to, size_t size, unsigned int number)
{
	char digits[sizeof("4294967295")];
	char *first = digits + sizeof(digits) - 1;

	*first = '\0';
	do
		*--first = (char)('0' + number % 10);
	while (number /= 10);
	text_add(to, size, first);
}

#endif
