/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/text.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_set(struct text *t, const char *format, ...)
{
	char buf[TEXT_SIZE], *own;
	va_list ap;

	va_start(ap, format);
	vsnprintf(buf, sizeof(buf), format, ap);
	va_end(ap);
	own = *buf ? strdup(buf) : NULL;
	free(t->own);
	*t = (struct text){ .own = own, .lost = *buf && !own };
}

const char *text_of(const struct text *t)
{
	if (t->own)
		return t->own;
	return t->lost ? "no memory was left to say more" : "";
}

bool text_is_set(const struct text *t)
{
	return t->own || t->lost;
}

void text_done(struct text *t)
{
	free(t->own);
	*t = (struct text){ 0 };
}
