/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Progress objects are folded into one line per vCPU (lines.c). Where stderr is a terminal that can
 * move its cursor the lines are redrawn in place, at each message and ten times a second, so that
 * the time in a step is seen growing while nothing is heard. Elsewhere each step that was left is
 * written once.
 *
 * Time in a step is on the daemon's clock of the operation (t_ms). Ours is related to it by the
 * message that came with the least delay.
 */
#include "daemon/ctl/progress.h"
#include "daemon/ctl/block.h"
#include "daemon/ctl/lines.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/value.h"
#include "daemon/json-in.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_US = 100000, LINE_MAX_BYTES = 512 };

struct progress {
	enum progress_mode mode;
	struct lines lines;
	bool synced;
	double offset_ms; /* our clock less the daemon's, at least */
	struct block block;
};

enum progress_mode progress_choose(bool json, bool quiet)
{
	if (quiet)
		return PROGRESS_NONE;
	if (json)
		return PROGRESS_JSON;
	return block_can(stderr) ? PROGRESS_LIVE : PROGRESS_PLAIN;
}

struct progress *progress_new(enum progress_mode mode)
{
	struct progress *p = calloc(1, sizeof(*p));

	if (p) {
		p->mode = mode;
		p->block.to = stderr;
	}
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
	block_leave(&p->block);
}

uint64_t progress_due_us(const struct progress *p, uint64_t now_us)
{
	return p->mode == PROGRESS_LIVE && p->lines.n > 0 ? now_us + TICK_US : UINT64_MAX;
}

static size_t count_active(const struct lines *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += l->v[i].mark != MARK_ENDED;
	return n;
}

/* What a drawing needs to know. */
struct drawing {
	const struct lines *lines;
	double now_ms;
};

/* Where not all fit, those that have ended are left out first, then the highest. */
static void draw_lines(void *ctx, struct block *b)
{
	const struct drawing *d = ctx;
	const struct lines *lines = d->lines;
	size_t room = block_room(b), active = 0, shown = 0;
	size_t ended = count_active(lines); /* these come after all that are active */
	char text[LINE_MAX_BYTES];

	if (lines->n > room)
		room--;
	for (size_t i = 0; i < lines->n; i++) {
		const struct line *line = &lines->v[i];

		if ((line->mark == MARK_ENDED ? ended++ : active++) >= room)
			continue;
		block_line(b, lines_format(line, d->now_ms, text, sizeof(text)));
		shown++;
	}
	if (shown == lines->n)
		return;
	snprintf(text, sizeof(text), "and %zu more", lines->n - shown);
	block_line(b, text);
}

void progress_redraw(struct progress *p, uint64_t now_us)
{
	struct drawing d = { &p->lines, (double)now_us / 1000 - p->offset_ms };

	if (p->mode == PROGRESS_LIVE && p->lines.n > 0)
		block_redraw(&p->block, draw_lines, &d);
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
