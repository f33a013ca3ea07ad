/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Progress objects are folded into one line per vCPU (lines.c). Where stderr is a terminal that can
 * move its cursor the lines are redrawn in place, at each message and ten times a second, so that
 * the time in a step is seen growing while nothing is heard. Elsewhere each step that was left is
 * written once.
 *
 * The terminal is never put into another mode: no hidden cursor, no other screen, no echo turned
 * off. After each drawing the cursor stands at the start of the line below the block, so whatever
 * ends this process, or prints next, finds the terminal as it was. The block is at most as high as
 * the window less one line, and each line is cut to its width: a line that wraps or scrolls away
 * could not be reached again. When the window got narrower, the terminal has wrapped the lines that
 * stand there; their rows are counted again from their lengths.
 *
 * Time in a step is on the daemon's clock of the operation (t_ms). Ours is related to it by the
 * message that came with the least delay.
 */
#include "daemon/ctl/progress.h"
#include "daemon/ctl/lines.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/value.h"
#include "daemon/json-in.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { TICK_US = 100000, LINE_MAX_BYTES = 512, BLOCK_ROWS_MAX = 256 };

struct progress {
	enum progress_mode mode;
	struct lines lines;
	bool synced;
	double offset_ms; /* our clock less the daemon's, at least */
	unsigned int n_drawn;
	unsigned short drawn[BLOCK_ROWS_MAX]; /* length of each line of the block */
};

enum progress_mode progress_choose(bool json, bool quiet)
{
	const char *term = getenv("TERM");

	if (quiet)
		return PROGRESS_NONE;
	if (json)
		return PROGRESS_JSON;
	if (!isatty(STDERR_FILENO) || !term || !*term || strcmp(term, "dumb") == 0)
		return PROGRESS_PLAIN;
	return PROGRESS_LIVE;
}

struct progress *progress_new(enum progress_mode mode)
{
	struct progress *p = calloc(1, sizeof(*p));

	if (p)
		p->mode = mode;
	return p;
}

struct progress *progress_free(struct progress *p)
{
	if (!p)
		return NULL;
	lines_done(&p->lines);
	free(p);
	return NULL;
}

static void print_json(json_object *o)
{
	_cleanup_json_ json_object *line = json_object_new_object();

	json_object_object_add(line, "progress", json_object_get(o));
	output_json(stdout, line);
}

static void sync_clock(struct progress *p, double t_ms, uint64_t now_us)
{
	double offset_ms = (double)now_us / 1000 - t_ms;

	if (!p->synced || offset_ms < p->offset_ms)
		p->offset_ms = offset_ms;
	p->synced = true;
}

static void print_plain(const struct step *s, double ms)
{
	char text[LINE_MAX_BYTES];

	if (!s->kernel && !s->enter)
		fprintf(stderr, "%s\n", lines_format_plain(s, ms, text, sizeof(text)));
}

void progress_take(struct progress *p, json_object *o, uint64_t now_us)
{
	struct step s;
	double ms;

	if (p->mode == PROGRESS_JSON)
		print_json(o);
	if (p->mode == PROGRESS_JSON || p->mode == PROGRESS_NONE || step_parse(o, &s) < 0)
		return;
	sync_clock(p, s.t_ms, now_us);
	lines_on_step(&p->lines, &s, &ms);
	if (p->mode == PROGRESS_PLAIN)
		print_plain(&s, ms);
	else
		progress_redraw(p, now_us);
}

void progress_say(struct progress *p, const char *sentence)
{
	char text[LINE_MAX_BYTES];

	if (p->mode == PROGRESS_NONE)
		return;
	fflush(stdout);
	fprintf(stderr, "%s\n", output_clean(sentence, text, sizeof(text)));
	/* What was drawn stays above it. */
	p->n_drawn = 0;
}

uint64_t progress_due_us(const struct progress *p, uint64_t now_us)
{
	return p->mode == PROGRESS_LIVE && p->lines.n > 0 ? now_us + TICK_US : UINT64_MAX;
}

static struct winsize window(void)
{
	struct winsize w = { 0 };

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_col == 0)
		w.ws_col = 80;
	if (w.ws_row == 0)
		w.ws_row = 24;
	return w;
}

/* Rows that the block takes in a window of this width. */
static unsigned int drawn_rows(const struct progress *p, const struct winsize *w)
{
	unsigned int rows = 0;

	for (unsigned int i = 0; i < p->n_drawn; i++)
		rows += p->drawn[i] <= w->ws_col ? 1 : (p->drawn[i] + w->ws_col - 1u) / w->ws_col;
	return rows < w->ws_row ? rows : w->ws_row - 1u;
}

static void draw_line(struct progress *p, FILE *f, const char *text, const struct winsize *w)
{
	size_t len = strlen(text), width = w->ws_col > 1 ? w->ws_col - 1u : 1;

	if (len > width)
		len = width;
	fprintf(f, "%.*s\033[K\n", (int)len, text);
	p->drawn[p->n_drawn++] = (unsigned short)len;
}

static size_t count_active(const struct lines *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += l->v[i].mark != MARK_ENDED;
	return n;
}

/* Where not all fit, those that have ended are left out first, then the highest. */
static void draw_block(struct progress *p, FILE *f, double now_ms, const struct winsize *w)
{
	size_t room = w->ws_row > 2 ? w->ws_row - 1u : 1, active = 0, shown = 0;
	size_t ended = count_active(&p->lines); /* these come after all that are active */
	char text[LINE_MAX_BYTES];

	if (room > BLOCK_ROWS_MAX)
		room = BLOCK_ROWS_MAX;
	if (p->lines.n > room)
		room--;
	for (size_t i = 0; i < p->lines.n; i++) {
		const struct line *line = &p->lines.v[i];

		if ((line->mark == MARK_ENDED ? ended++ : active++) >= room)
			continue;
		draw_line(p, f, lines_format(line, now_ms, text, sizeof(text)), w);
		shown++;
	}
	if (shown == p->lines.n)
		return;
	snprintf(text, sizeof(text), "and %zu more", p->lines.n - shown);
	draw_line(p, f, text, w);
}

void progress_redraw(struct progress *p, uint64_t now_us)
{
	struct winsize w = window();
	unsigned int up = drawn_rows(p, &w);
	char *text = NULL;
	size_t size = 0;
	FILE *f;

	if (p->mode != PROGRESS_LIVE || p->lines.n == 0)
		return;
	f = open_memstream(&text, &size);
	if (!f)
		return;
	p->n_drawn = 0;
	fputc('\r', f);
	if (up > 0)
		fprintf(f, "\033[%uA", up);
	draw_block(p, f, (double)now_us / 1000 - p->offset_ms, &w);
	fputs("\033[J", f);
	/* One write, so that no half drawn block is seen. */
	if (fclose(f) == 0)
		fwrite(text, 1, size, stderr);
	fflush(stderr);
	free(text);
}

void progress_end(struct progress *p, json_object *result, uint64_t now_us)
{
	if (p->mode != PROGRESS_LIVE)
		return;
	/* Of vCPUs that no step was heard of there is no line to finish. */
	if (p->lines.n > 0)
		lines_on_result(&p->lines, value_array(result, "vcpus"));
	progress_redraw(p, now_us);
}
