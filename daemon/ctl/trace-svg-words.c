/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/step.h"
#include "daemon/ctl/trace-svg-internal.h"
#include "daemon/ctl/trace.h"
#include "daemon/ctl/value.h"
#include <string.h>

void svg_put_text(FILE *f, const char *text, size_t n)
{
	for (; *text && n > 0; text++, n--) {
		switch (*text) {
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '&':
			fputs("&amp;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		default:
			fputc((unsigned char)*text < ' ' ? '?' : *text, f);
		}
	}
}

/* "exit status 3: no licence", behind @mark; nothing where it did not fail. */
static void format_failure(const struct span *s, const char *mark, char *buf, size_t size)
{
	json_object *args = value_object(s->event, "args");
	const char *text = value_string(args, "text", "");
	int rc = (int)value_int(args, "rc", 0);
	char code[64];

	snprintf(buf, size, "%s%s%s%s", rc ? mark : "",
		 rc ? step_format_rc(rc, code, sizeof(code)) : "", rc && *text ? ": " : "", text);
}

void svg_put_title(FILE *f, const struct span *s)
{
	int ran_on = (int)value_int(value_object(s->event, "args"), "ran_on", -1);
	char ms[64], why[STEP_TEXT_MAX + 80];

	fputs("<title>", f);
	svg_put_text(f, s->name, SIZE_MAX);
	fprintf(f, ": %s", step_format_ms((double)(s->to_us - s->from_us) / 1000, ms, sizeof(ms)));
	if (ran_on >= 0)
		fprintf(f, ", on cpu %d", ran_on);
	format_failure(s, "", why, sizeof(why));
	if (*why)
		fputs(", ", f);
	svg_put_text(f, why, SIZE_MAX);
	fputs("</title>", f);
}

static void begin_line(struct picture *p, const char *class)
{
	p->y += LINE;
	fprintf(p->out, "<text class=\"%s\" x=\"%d\" y=\"%d\">", class, LEFT, p->y);
}

static void end_line(struct picture *p)
{
	fputs("</text>\n", p->out);
}

static void write_failures(struct picture *p, const struct span *first, const struct span *end)
{
	for (const struct span *s = first; s < end; s++) {
		char why[STEP_TEXT_MAX + STEP_NAME_MAX + 80];
		int n = snprintf(why, sizeof(why), "%s", s->name);

		if (!value_int(value_object(s->event, "args"), "rc", 0))
			continue;
		format_failure(s, " failed: ", why + n, sizeof(why) - (size_t)n);
		begin_line(p, "why");
		svg_put_text(p->out, why, WORDS);
		end_line(p);
	}
}

/* " 3.1", " down 3.1"; "+" behind it: it was not left; " ?": when it began is not known. */
static void format_time(const struct span *s, char *buf, size_t size)
{
	json_object *args = value_object(s->event, "args");
	const char *down = value_bool(args, "startup", true) ? "" : " down";

	if (value_bool(args, "truncated", false))
		snprintf(buf, size, "%s ?", down);
	else
		snprintf(buf, size, "%s %.1f%s", down, (double)(s->to_us - s->from_us) / 1000,
			 value_bool(args, "unfinished", false) ? "+" : "");
}

void svg_write_times(struct picture *p, const struct span *first, const struct span *end)
{
	size_t used = 0;

	for (const struct span *s = first; s < end; s++) {
		char time[48];
		size_t len;

		if (s->lane == TRACE_KERNEL - TRACE_HOST)
			continue;
		format_time(s, time, sizeof(time));
		len = strlen(s->name) + strlen(time) + 3;
		if (used > 0 && used + len > WORDS) {
			end_line(p);
			used = 0;
		}
		if (used == 0)
			begin_line(p, "times");
		else
			fputs(" \xc2\xb7 ", p->out);
		svg_put_text(p->out, s->name, WORDS);
		fputs(time, p->out);
		used += len;
	}
	if (used > 0)
		end_line(p);
	write_failures(p, first, end);
}
