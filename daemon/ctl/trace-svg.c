/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The spans of the trace are sorted by operation (in the order in which these began), vCPU and time,
 * and drawn from top to bottom: a run of spans with the same operation is a panel, one with the
 * same vCPU in it a group of lanes. Nothing is looked up again; @y is where the next thing goes.
 */
#include "daemon/ctl/trace-svg.h"
#include "daemon/ctl/step.h"
#include "daemon/ctl/trace-svg-internal.h"
#include "daemon/ctl/trace.h"
#include "daemon/ctl/value.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t first_of_operation(const struct picture *p, const char *op)
{
	size_t i = 0;

	while (i < p->n && strcmp(p->spans[i].op, op) != 0)
		i++;
	return i;
}

static int64_t nearest(double us)
{
	return (int64_t)(us + 0.5);
}

static void take_span(struct picture *p, json_object *e)
{
	json_object *args = value_object(e, "args");
	double from = value_number(e, "ts", 0);
	struct span s = {
		.event = e,
		.name = value_string(e, "name", "?"),
		.op = value_string(args, "op", ""),
		.from_us = nearest(from),
		.to_us = nearest(from + value_number(e, "dur", 0)),
		.vcpu = (int)value_int(args, "vcpu", 0),
		.lane = (int)value_int(e, "pid", TRACE_HOST) - TRACE_HOST,
	};

	s.panel = first_of_operation(p, s.op);
	p->spans[p->n++] = s;
}

static int by_time(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->from_us != y->from_us)
		return x->from_us < y->from_us ? -1 : 1;
	return x->lane - y->lane;
}

static int by_place(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->panel != y->panel)
		return x->panel < y->panel ? -1 : 1;
	return x->vcpu != y->vcpu ? x->vcpu - y->vcpu : by_time(a, b);
}

static int read_spans(struct picture *p, json_object *events)
{
	size_t n = value_count(events);

	p->spans = calloc(n ? n : 1, sizeof(*p->spans));
	if (!p->spans)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (strcmp(value_string(value_at(events, i), "ph", ""), "X") == 0)
			take_span(p, value_at(events, i));
	/* Twice: the first of an operation is the first in time. */
	qsort(p->spans, p->n, sizeof(*p->spans), by_time);
	for (size_t i = 0; i < p->n; i++)
		p->spans[i].panel = first_of_operation(p, p->spans[i].op);
	qsort(p->spans, p->n, sizeof(*p->spans), by_place);
	return 0;
}

static double x_of(const struct picture *p, int64_t us)
{
	return LEFT + (double)(us - p->from_us) * PLOT / (double)p->length_us;
}

/* 1, 2 or 5 times a power of ten, so that there are at most TICKS. */
static int64_t tick_of(int64_t length_us)
{
	static const int64_t factors[] = { 1, 2, 5 };

	for (int64_t power = 10;; power *= 10)
		for (size_t i = 0; i < 3; i++)
			if (length_us / (factors[i] * power) <= TICKS)
				return factors[i] * power;
}

static void draw_axis(struct picture *p)
{
	int64_t tick = tick_of(p->length_us);

	for (int64_t t = 0; t <= p->length_us; t += tick)
		fprintf(p->out, "<text class=\"tick\" x=\"%.1f\" y=\"%d\">%g</text>\n",
			x_of(p, p->from_us + t), p->y, (double)t / 1000);
}

static void draw_grid(struct picture *p)
{
	int64_t tick = tick_of(p->length_us);

	fputs("<path class=\"grid\" d=\"", p->out);
	for (int64_t t = 0; t <= p->length_us; t += tick)
		fprintf(p->out, "M%.1f %dv%d", x_of(p, p->from_us + t), p->y, 3 * LANE);
	fputs("\"/>\n", p->out);
}

static const char *class_of(const struct span *s)
{
	json_object *args = value_object(s->event, "args");

	if (value_int(args, "rc", 0))
		return "bad";
	if (value_bool(args, "unfinished", false) || value_bool(args, "truncated", false))
		return "open";
	return value_bool(args, "rollback", false) ? "back" : "ok";
}

/* How many letters of @name stand in so many pixels: all, or some and what stands for the rest. */
static size_t room_for(const char *name, double width)
{
	size_t letters = width > 0 ? (size_t)(width / LETTER) : 0, len = strlen(name);

	if (letters >= len)
		return len;
	return letters > 7 ? letters - 1 : 0;
}

static void draw_span(struct picture *p, const struct span *s)
{
	static const char *const lanes[] = { "host", "agent", "kernel" };
	double x = x_of(p, s->from_us), width = x_of(p, s->to_us) - x;
	size_t room = room_for(s->name, width - 6);
	int y = p->y + s->lane * LANE;

	fprintf(p->out, "<rect class=\"%s %s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\">",
		lanes[s->lane], class_of(s), x, y, width < 1 ? 1.0 : width, LANE - 3);
	svg_put_title(p->out, s);
	fputs("</rect>", p->out);
	if (room > 0) {
		fprintf(p->out, "<text class=\"in\" x=\"%.1f\" y=\"%d\">", x + 3, y + LANE - 8);
		svg_put_text(p->out, s->name, room);
		fputs(room < strlen(s->name) ? "\xe2\x80\xa6</text>" : "</text>", p->out);
	}
	fputc('\n', p->out);
}

/* The guest's number of it, which the steps of the guest have, and the host's only later. */
static void draw_cpu(struct picture *p, const struct span *first, const struct span *end)
{
	int cpu = -1;

	for (const struct span *s = first; s < end && cpu < 0; s++)
		cpu = (int)value_int(value_object(s->event, "args"), "cpu", -1);
	if (cpu >= 0)
		fprintf(p->out, "<text class=\"cpu\" x=\"8\" y=\"%d\">cpu %d</text>\n",
			p->y + 2 * LANE - 8, cpu);
}

static void draw_vcpu(struct picture *p, const struct span *first, const struct span *end)
{
	static const char *const lanes[] = { "host", "guest agent", "guest kernel" };

	fprintf(p->out, "<text class=\"vcpu\" x=\"8\" y=\"%d\">vcpu %d</text>\n", p->y + LANE - 8,
		first->vcpu);
	draw_cpu(p, first, end);
	draw_grid(p);
	for (int i = 0; i < 3; i++)
		fprintf(p->out, "<text class=\"lane\" x=\"%d\" y=\"%d\">%s</text>\n", LEFT - 6,
			p->y + i * LANE + LANE - 8, lanes[i]);
	for (const struct span *s = first; s < end; s++)
		draw_span(p, s);
	p->y += 3 * LANE;
	svg_write_times(p, first, end);
	p->y += LINE;
}

/* Where the run of spans of the same vCPU, or of the same operation, ends. */
static const struct span *end_of(const struct span *first, const struct span *end, bool vcpu)
{
	const struct span *s = first;

	while (s < end && s->panel == first->panel && (!vcpu || s->vcpu == first->vcpu))
		s++;
	return s;
}

static void find_scale(struct picture *p, const struct span *first, const struct span *end)
{
	int64_t to_us = first->to_us;

	p->from_us = first->from_us;
	for (const struct span *s = first; s < end; s++) {
		p->from_us = s->from_us < p->from_us ? s->from_us : p->from_us;
		to_us = s->to_us > to_us ? s->to_us : to_us;
	}
	p->length_us = to_us > p->from_us ? to_us - p->from_us : 1;
}

static void draw_panel(struct picture *p, const struct span *first, const struct span *end)
{
	const struct span *next;
	char ms[32];

	find_scale(p, first, end);
	p->y += 2 * LINE;
	fprintf(p->out, "<text class=\"op\" x=\"8\" y=\"%d\">%s", p->y,
		*first->op ? "operation " : "no operation");
	svg_put_text(p->out, first->op, SIZE_MAX);
	fprintf(p->out, ": %s</text>\n",
		step_format_ms((double)p->length_us / 1000, ms, sizeof(ms)));
	p->y += LINE + 5;
	draw_axis(p);
	p->y += 6;
	for (const struct span *s = first; s < end; s = next) {
		next = end_of(s, end, true);
		draw_vcpu(p, s, next);
	}
}

static const char head[] =
	"<style>text{font:11px sans-serif;fill:#222}.op,.what{font-weight:bold;font-size:13px}"
	".vcpu{font-weight:bold}.lane{text-anchor:end;fill:#666}.tick{text-anchor:middle;fill:#666}"
	".cpu{fill:#666}.times,.why{font-size:10px;fill:#555}.why{fill:#b3261e}"
	".in{font-size:10px}.grid{stroke:#ddd;fill:none}"
	"rect{stroke:#fff;stroke-width:.5}.host{fill:#9ec5f4}.agent{fill:#a5d8a7}"
	".kernel{fill:#d5c8ea}.back{fill:#f5c98b}.bad{fill:#ef8a80}"
	".open{stroke:#c00;stroke-width:1;stroke-dasharray:3 2}</style>\n";

static void draw_legend(struct picture *p)
{
	static const char *const marks[][2] = {
		{ "host ok", "host" },
		{ "agent ok", "guest agent" },
		{ "kernel ok", "guest kernel" },
		{ "back", "rollback" },
		{ "bad", "failed" },
		{ "host open", "not seen whole" },
	};
	int x = LEFT;

	p->y += LINE;
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++, x += 120)
		fprintf(p->out,
			"<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"12\" height=\"12\"/>"
			"<text x=\"%d\" y=\"%d\">%s</text>\n",
			marks[i][0], x, p->y - 10, x + 17, p->y, marks[i][1]);
	fprintf(p->out, "<text x=\"%d\" y=\"%d\">times in ms</text>\n", x, p->y);
}

static void draw(struct picture *p, const char *domain)
{
	const struct span *end = p->spans + p->n, *next;

	p->y = 20;
	fprintf(p->out, "<text class=\"what\" x=\"8\" y=\"%d\">vCPUs of ", p->y);
	svg_put_text(p->out, domain, SIZE_MAX);
	fputs("</text>\n", p->out);
	draw_legend(p);
	for (const struct span *s = p->spans; s < end; s = next) {
		next = end_of(s, end, false);
		draw_panel(p, s, next);
	}
	if (p->n == 0)
		fprintf(p->out, "<text x=\"8\" y=\"%d\">no steps are remembered</text>\n",
			p->y += 2 * LINE);
}

/* The height is known when all is drawn: the head is written behind it and put before. */
static int compose(const char *body, int height, char **ret, size_t *ret_len)
{
	int n = asprintf(
		ret,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\">\n%s<path fill=\"#fff\" d=\"M0 0H%dV%dH0z\"/>\n%s</svg>\n",
		WIDTH, height, WIDTH, height, head, WIDTH, height, body);

	if (n < 0)
		return -ENOMEM;
	*ret_len = (size_t)n;
	return 0;
}

int trace_svg(json_object *trace, const char *domain, char **ret, size_t *ret_len)
{
	struct picture p = { 0 };
	char *body = NULL;
	size_t len;
	int r;

	r = read_spans(&p, value_array(trace, "traceEvents"));
	if (r < 0)
		return r;
	p.out = open_memstream(&body, &len);
	if (!p.out) {
		free(p.spans);
		return -ENOMEM;
	}
	draw(&p, domain);
	r = ferror(p.out) ? -ENOMEM : 0;
	if (fclose(p.out) != 0)
		r = -ENOMEM;
	if (r == 0)
		r = compose(body, p.y + LINE, ret, ret_len);
	free(body);
	free(p.spans);
	return r;
}
