/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/journal-fields.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void journal_clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

static int is_there(const struct journal_fields *f, const char *field)
{
	for (unsigned int i = 0; i < f->n; i++)
		if (strcmp(journal_field_at(f, i), field) == 0)
			return 1;
	return 0;
}

void journal_field(struct journal_fields *f, const char *name, const char *format, ...)
{
	char *field = f->text + f->used;
	size_t room = sizeof(f->text) - f->used, len = strlen(name) + 1;
	va_list ap;
	int n;

	if (f->n == JOURNAL_FIELDS_MAX || len >= room)
		return;
	snprintf(field, room, "%s=", name);
	va_start(ap, format);
	n = vsnprintf(field + len, room - len, format, ap);
	va_end(ap);
	if (n < 0 || len + (size_t)n >= room)
		return;
	journal_clean(field);
	if (is_there(f, field))
		return;
	f->at[f->n++] = (uint16_t)f->used;
	f->used += len + (size_t)n + 1;
}
