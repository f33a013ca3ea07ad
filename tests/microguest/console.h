/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MICROGUEST_CONSOLE_H
#define MICROGUEST_CONSOLE_H

#include <stddef.h>
#include <stdint.h>

/* The first serial port: the test's way in, a line for a command and lines for its answer. */

void console_init(void);

/* Without and with the end of the line. */
void console_put(const char *text);
void console_put_number(uint64_t n);
void console_say(const char *text);
void console_say_number(uint64_t n);

/* Return: whether a whole line has come; it is in @line, as much as fits. */
int console_read_line(char *line, size_t size);

#endif
