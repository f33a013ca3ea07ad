/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/metrics-text.h"
#include <string.h>

/*
 * A histogram is fourteen lines, and a scrape may be twenty thousand of them each second: what they
 * have in common is made once, and nothing is formatted or locked that need not be.
 */

static void put(struct metrics_text *t, const char *text)
{
	(void)fputs_unlocked(text, t->f);
}

static void put_number(struct metrics_text *t, uint64_t n)
{
	char text[21], *at = text + sizeof(text) - 1;

	*at = '\0';
	do
		*--at = (char)('0' + n % 10);
	while (n /= 10);
	put(t, at);
}

static void put_seconds(struct metrics_text *t, uint64_t us)
{
	char rest[8] = ".000000";

	put_number(t, us / 1000000);
	us %= 1000000;
	for (size_t i = 6; i > 0; i--, us /= 10)
		rest[i] = (char)('0' + us % 10);
	put(t, rest);
}

/* Room is kept for the quote. */
static void escape(struct metrics_labels *l, const char *text)
{
	for (; *text && l->len + 3 < sizeof(l->text); text++) {
		bool plain = *text != '\n' && *text != '\\' && *text != '"';

		if (!plain)
			l->text[l->len++] = '\\';
		l->text[l->len++] = *text;
		if (*text == '\n')
			l->text[l->len - 1] = 'n';
	}
}

struct metrics_labels metrics_labels_with(const struct metrics_labels *l, const char *key,
					  const char *value)
{
	struct metrics_labels more = *l;
	size_t room = sizeof(more.text) - more.len;

	if (strlen(key) + sizeof(",=\"\"") > room)
		return more;
	more.len +=
		(size_t)snprintf(more.text + more.len, room, "%s%s=\"", more.len ? "," : "", key);
	escape(&more, value);
	more.text[more.len++] = '"';
	more.text[more.len] = '\0';
	return more;
}

/* NAME_SUFFIX{LABELS} and a blank. */
static void put_series(struct metrics_text *t, const char *suffix, const struct metrics_labels *l)
{
	put(t, t->family->name);
	put(t, suffix);
	if (l->len) {
		put(t, "{");
		put(t, l->text);
		put(t, "}");
	}
	put(t, " ");
}

static const char *type_name(enum metrics_kind kind)
{
	static const char *const names[] = { "gauge", "counter", "histogram" };

	return names[kind];
}

static const char *suffix_of(const struct metrics_family *m)
{
	return m->kind == METRICS_COUNTER ? "_total" : "";
}

void metrics_begin(struct metrics_text *t, const struct metrics_family *m)
{
	/* To the older format the family of a counter is called as its samples are. */
	const char *suffix = t->format == METRICS_PROMETHEUS ? suffix_of(m) : "";

	t->family = m;
	fprintf(t->f, "# TYPE %s%s %s\n", m->name, suffix, type_name(m->kind));
	if (m->unit && t->format == METRICS_OPENMETRICS)
		fprintf(t->f, "# UNIT %s %s\n", m->name, m->unit);
	fprintf(t->f, "# HELP %s%s %s.\n", m->name, suffix, m->help);
}

void metrics_put(struct metrics_text *t, const struct metrics_labels *l, uint64_t n)
{
	put_series(t, suffix_of(t->family), l);
	put_number(t, n);
	put(t, "\n");
}

void metrics_put_histogram(struct metrics_text *t, const struct metrics_labels *l,
			   const struct histogram *h)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		n += h->n[i];
		put(t, t->family->name);
		put(t, "_bucket{");
		put(t, l->text);
		put(t, ",le=\"");
		put(t, histogram_bounds[i].le);
		put(t, "\"} ");
		put_number(t, n);
		put(t, "\n");
	}
	put_series(t, "_sum", l);
	put_seconds(t, h->sum_us);
	put(t, "\n");
	put_series(t, "_count", l);
	put_number(t, n);
	put(t, "\n");
}

void metrics_end(struct metrics_text *t)
{
	if (t->format == METRICS_OPENMETRICS)
		put(t, "# EOF\n");
}
