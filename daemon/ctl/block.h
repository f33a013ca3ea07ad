/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_BLOCK_H
#define DAEMON_CTL_BLOCK_H

#include <stdbool.h>
#include <stdio.h>

enum { BLOCK_ROWS_MAX = 256 };

/**
 * struct block - lines on a terminal that are drawn again where they stand
 *
 * The terminal is never put into another mode: no hidden cursor, no other screen, no echo turned
 * off. After each drawing the cursor stands at the start of the line below the block, so whatever
 * ends this process, or prints next, finds the terminal as it was. The block is at most as high as
 * the window less one line, and each line is cut to its width: a line that wraps or scrolls away
 * could not be reached again. When the window got narrower, the terminal has wrapped the lines that
 * stand there; their rows are counted again from their lengths.
 *
 * @to: stdout or stderr
 * @pen, @width, @room: while it is drawn
 * @drawn: length of each line that stands there
 */
struct block {
	FILE *to;
	FILE *pen;
	unsigned int width;
	unsigned int room;
	unsigned int n_drawn;
	unsigned short drawn[BLOCK_ROWS_MAX];
};

/* Whether @to is a terminal that can move its cursor. */
bool block_can(FILE *to);

/* Draw it anew: @draw calls block_line() for each line of ASCII, at most block_room() of them. */
void block_redraw(struct block *b, void (*draw)(void *ctx, struct block *b), void *ctx);
void block_line(struct block *b, const char *text);
/* How many lines fit. */
unsigned int block_room(const struct block *b);

/* What stands there stays, and the next block is drawn below it. */
void block_leave(struct block *b);

#endif
