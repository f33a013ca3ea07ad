/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/block.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool block_can(FILE *to)
{
	const char *term = getenv("TERM");

	return isatty(fileno(to)) && term && *term && strcmp(term, "dumb") != 0;
}

static struct winsize window(const struct block *b)
{
	struct winsize w = { 0 };

	if (ioctl(fileno(b->to), TIOCGWINSZ, &w) < 0 || w.ws_col == 0)
		w.ws_col = 80;
	if (w.ws_row == 0)
		w.ws_row = 24;
	return w;
}

/* Rows that the block takes in a window of this width. */
static unsigned int drawn_rows(const struct block *b, const struct winsize *w)
{
	unsigned int rows = 0;

	for (unsigned int i = 0; i < b->n_drawn; i++)
		rows += b->drawn[i] <= w->ws_col ? 1 : (b->drawn[i] + w->ws_col - 1u) / w->ws_col;
	return rows < w->ws_row ? rows : w->ws_row - 1u;
}

unsigned int block_room(const struct block *b)
{
	return b->room;
}

void block_line(struct block *b, const char *text)
{
	size_t len = strlen(text);

	if (b->n_drawn >= b->room)
		return;
	if (len > b->width)
		len = b->width;
	fprintf(b->pen, "%.*s\033[K\n", (int)len, text);
	b->drawn[b->n_drawn++] = (unsigned short)len;
}

void block_redraw(struct block *b, void (*draw)(void *ctx, struct block *b), void *ctx)
{
	struct winsize w = window(b);
	unsigned int up = drawn_rows(b, &w);
	char *text = NULL;
	size_t size = 0;

	b->pen = open_memstream(&text, &size);
	if (!b->pen)
		return;
	b->width = w.ws_col > 1 ? w.ws_col - 1u : 1;
	b->room = w.ws_row > 2 ? w.ws_row - 1u : 1;
	if (b->room > BLOCK_ROWS_MAX)
		b->room = BLOCK_ROWS_MAX;
	b->n_drawn = 0;
	fputc('\r', b->pen);
	if (up > 0)
		fprintf(b->pen, "\033[%uA", up);
	draw(ctx, b);
	fputs("\033[J", b->pen);
	/* One write, so that no half drawn block is seen. */
	if (fclose(b->pen) == 0)
		fwrite(text, 1, size, b->to);
	fflush(b->to);
	free(text);
}

void block_leave(struct block *b)
{
	b->n_drawn = 0;
}
