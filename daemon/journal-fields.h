/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_JOURNAL_FIELDS_H
#define DAEMON_JOURNAL_FIELDS_H

#include <stddef.h>
#include <stdint.h>

enum { JOURNAL_FIELDS_MAX = 320, JOURNAL_BYTES_MAX = 8192 };

/**
 * struct journal_fields - what an entry of the journal is about; all zero is nothing, too
 * @at: where in @text each one begins: "NAME=value" and a zero
 *
 * A name may stand in an entry more than once, with another value each time. What there is no room
 * for is left out: the operation over the most vCPUs names the first 250 of them.
 */
struct journal_fields {
	unsigned int n;
	size_t used;
	uint16_t at[JOURNAL_FIELDS_MAX];
	char text[JOURNAL_BYTES_MAX];
};

/* Nothing yet. The room itself, which is large, is not touched. */
static inline void journal_fields_init(struct journal_fields *f)
{
	f->n = 0;
	f->used = 0;
}

/* One more, unless it is there already. Control characters in it become '?'. */
void journal_field(struct journal_fields *f, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static inline const char *journal_field_at(const struct journal_fields *f, unsigned int i)
{
	return f->text + f->at[i];
}

/* In place, up to the zero. */
void journal_clean(char *text);

#endif
