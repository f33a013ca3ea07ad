/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/lines.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/value.h"
#include "daemon/outcome.h"
#include "proto/cpulist.h"
#include "proto/ladder.h"
#include <stdlib.h>
#include <string.h>

void lines_done(struct lines *l)
{
	free(l->v);
	*l = (struct lines){ 0 };
}

/* The line of @vcpu, made where there is none. */
static struct line *get_line(struct lines *l, int vcpu)
{
	struct line *p;
	size_t i = 0;

	while (i < l->n && l->v[i].vcpu < vcpu)
		i++;
	if (i < l->n && l->v[i].vcpu == vcpu)
		return &l->v[i];
	p = reallocarray(l->v, l->n + 1, sizeof(*p));
	if (!p)
		return NULL;
	l->v = p;
	memmove(p + i + 1, p + i, (l->n - i) * sizeof(*p));
	l->n++;
	p[i] = (struct line){ .vcpu = vcpu, .cpu = -1, .ran_on = -1, .first_ms = -1 };
	return &p[i];
}

static void on_kernel(struct line *line, const struct step *s)
{
	char rc[64];

	/* They may come late, when the CPU is further on. */
	if (s->kenter && line->state == s->state)
		snprintf(line->kernel, sizeof(line->kernel), "%d %s", s->kstep, s->kname);
	else if (s->krc)
		snprintf(line->error, sizeof(line->error), "kernel step %d %s: %s", s->kstep,
			 s->kname, step_format_rc(s->krc, rc, sizeof(rc)));
}

static enum mark mark_of(const struct step *s)
{
	if (!s->enter)
		return s->rc ? MARK_FAILED : MARK_BETWEEN;
	if (s->rollback)
		return MARK_UNDO;
	return s->startup ? MARK_UP : MARK_DOWN;
}

static void on_ladder(struct line *line, const struct step *s, double *ret_ms)
{
	char rc[64];

	if (!s->enter && line->entered && line->state == s->state)
		*ret_ms = s->t_ms - line->since_ms;
	line->state = s->state;
	memcpy(line->name, s->name, sizeof(line->name));
	line->mark = mark_of(s);
	line->entered = s->enter;
	line->since_ms = s->t_ms;
	line->kernel[0] = '\0';
	if (!s->enter && s->rc)
		snprintf(line->error, sizeof(line->error), "%s: %s", s->name,
			 *s->text ? s->text : step_format_rc(s->rc, rc, sizeof(rc)));
}

const struct line *lines_on_step(struct lines *l, const struct step *s, double *ret_ms)
{
	struct line *line = get_line(l, s->vcpu);

	*ret_ms = -1;
	if (!line)
		return NULL;
	if (line->first_ms < 0)
		line->first_ms = s->t_ms;
	if (s->t_ms > line->last_ms)
		line->last_ms = s->t_ms;
	if (s->cpu >= 0)
		line->cpu = s->cpu;
	if (s->ran_on >= 0)
		line->ran_on = s->ran_on;
	if (s->kernel)
		on_kernel(line, s);
	else
		on_ladder(line, s, ret_ms);
	return line;
}

static void on_result(struct line *line, json_object *entry)
{
	int64_t cpu = value_int(entry, "cpu", line->cpu);
	int64_t ran_on = value_int(entry, "ran_on", line->ran_on);
	const char *error = value_string(entry, "error", NULL);

	line->cpu = cpu >= 0 && cpu <= INT32_MAX ? (int)cpu : -1;
	line->ran_on = ran_on >= 0 && ran_on <= INT32_MAX ? (int)ran_on : -1;
	output_clean(value_string(entry, "name", "-"), line->name, sizeof(line->name));
	output_clean(value_string(entry, "result", "?"), line->result, sizeof(line->result));
	line->mark = MARK_ENDED;
	line->kernel[0] = '\0';
	if (error)
		output_clean(step_skip_vcpu(error), line->error, sizeof(line->error));
}

void lines_on_result(struct lines *l, json_object *vcpus)
{
	for (size_t i = 0; i < value_count(vcpus); i++) {
		json_object *entry = value_at(vcpus, i);
		int64_t vcpu = value_int(entry, "vcpu", -1);
		struct line *line = NULL;

		if (vcpu >= 0 && vcpu < CPULIST_MAX)
			line = get_line(l, (int)vcpu);
		if (line)
			on_result(line, entry);
	}
}

static const char *mark_word(const struct line *line)
{
	switch (line->mark) {
	case MARK_UP:
		return "up";
	case MARK_DOWN:
		return "down";
	case MARK_UNDO:
		return "undo";
	case MARK_BETWEEN:
		return "left";
	case MARK_FAILED:
		return "failed";
	case MARK_ENDED:
		return line->result;
	}
	return "";
}

/* Width is counted in bytes where lines are cut, so a line has none but ASCII. */
static void make_ascii(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			*text = '?';
}

const char *lines_format(const struct line *line, double now_ms, char *buf, size_t size)
{
	bool ended = line->mark == MARK_ENDED;
	double ms = ended ? line->last_ms - line->first_ms : now_ms - line->since_ms;
	char time[24], cpu[16] = "", ran_on[24] = "";

	if (line->cpu >= 0)
		snprintf(cpu, sizeof(cpu), "cpu%d", line->cpu);
	if (line->ran_on >= 0)
		snprintf(ran_on, sizeof(ran_on), "  ran on %d", line->ran_on);
	snprintf(buf, size, "vcpu %-3d %-6s %-15s %-11s %9s%s%s%s%s%s", line->vcpu, cpu, line->name,
		 mark_word(line), step_format_ms(ms, time, sizeof(time)), ran_on,
		 *line->kernel ? "  kernel " : "", line->kernel, *line->error ? "  " : "",
		 line->error);
	make_ascii(buf);
	return buf;
}

const char *lines_format_plain(const struct step *s, double ms, char *buf, size_t size)
{
	char cpu[24] = "", time[24] = "", rc[64] = "";
	const char *why = "";

	if (s->cpu >= 0)
		snprintf(cpu, sizeof(cpu), " (cpu%d)", s->cpu);
	if (s->rc && !outcome_repeats_code(s->text, step_format_rc(s->rc, rc, sizeof(rc))))
		why = s->text;
	if (ms >= 0)
		step_format_ms(ms, time, sizeof(time));
	else
		snprintf(time, sizeof(time), "%s", s->rc ? "failed" : "done");
	snprintf(buf, size, "vcpu %d%s: %s%s%s%s ... %s%s%s%s%s", s->vcpu, cpu, s->name,
		 s->startup ? "" : " down", s->rollback ? " (rollback)" : "",
		 s->late ? " (late)" : "", time, s->rc ? ", failed: " : "", rc, *why ? ": " : "",
		 why);
	return buf;
}
