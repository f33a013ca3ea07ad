/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_TEXT_H
#define DAEMON_TEXT_H

#include <stdbool.h>

/* With the NUL; what is longer is cut off. */
enum { TEXT_SIZE = 256 };

/**
 * struct text - a sentence that is kept, in as much memory as it has letters
 * @own: NULL where there is none, or no memory was left for it; @lost: the latter
 *
 * All zero is "". It is moved as a struct, but not copied: text_set(to, "%s", text_of(from)).
 */
struct text {
	char *own;
	bool lost;
};

/* The one setter; an argument may be the text itself. Where memory runs out it is another sentence, and never "". */
void text_set(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Borrowed until it is set anew; "" none. */
const char *text_of(const struct text *t);
bool text_is_set(const struct text *t);

void text_done(struct text *t);

#endif
