/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/metrics-text.h"
#include <assert.h>
#include <string.h>

/*
 * A histogram is fourteen lines, and a scrape may be twenty thousand of them each second: a line is put
 * together in one buffer, what a histogram's have in common once, and nothing is formatted, locked or
 * copied that need not be.
 */

enum {
	NAME_MAX_LEN = 63, /* of a family */
	LINE_SIZE = NAME_MAX_LEN + METRICS_LABELS_SIZE + 64,
};

static char *add_number(char *at, uint64_t n)
{
	char text[20], *first = text + sizeof(text);

	do
		*--first = (char)('0' + n % 10);
	while (n /= 10);
	return mempcpy(at, first, (size_t)(text + sizeof(text) - first));
}

/* @n, of which the last @decimals digits are behind the point. */
static char *add_fixed(char *at, uint64_t n, unsigned int decimals)
{
	uint64_t one = 1;
	char *rest;

	for (unsigned int i = 0; i < decimals; i++)
		one *= 10;
	rest = add_number(at, n / one);
	n %= one;
	rest[0] = '.';
	for (unsigned int i = decimals; i > 0; i--, n /= 10)
		rest[i] = (char)('0' + n % 10);
	return rest + decimals + 1;
}

static char *add_seconds(char *at, uint64_t us)
{
	return add_fixed(at, us, 6);
}

/* NAME_SUFFIX, and {LABELS where there are any, still open. */
static char *add_series(char *at, const struct metrics_family *m, const char *suffix,
			const struct metrics_labels *l)
{
	assert(strlen(m->name) <= NAME_MAX_LEN);
	at = stpcpy(stpcpy(at, m->name), suffix);
	if (!l->len)
		return at;
	*at++ = '{';
	return mempcpy(at, l->text, l->len);
}

static void put_line(struct metrics_text *t, const char *line, char *end)
{
	*end++ = '\n';
	(void)fwrite_unlocked(line, 1, (size_t)(end - line), t->f);
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
	struct metrics_labels more;
	size_t len = strlen(key);

	memcpy(more.text, l->text, l->len + 1);
	more.len = l->len;
	if (more.len + len + sizeof(",=\"\"") > sizeof(more.text))
		return more;
	if (more.len)
		more.text[more.len++] = ',';
	memcpy(more.text + more.len, key, len);
	more.len += len;
	more.text[more.len++] = '=';
	more.text[more.len++] = '"';
	escape(&more, value);
	more.text[more.len++] = '"';
	more.text[more.len] = '\0';
	return more;
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

static char *begin_sample(char *line, const struct metrics_text *t, const struct metrics_labels *l)
{
	char *at = add_series(line, t->family, suffix_of(t->family), l);

	if (l->len)
		*at++ = '}';
	*at++ = ' ';
	return at;
}

void metrics_put(struct metrics_text *t, const struct metrics_labels *l, uint64_t n)
{
	char line[LINE_SIZE];

	put_line(t, line, add_number(begin_sample(line, t, l), n));
}

void metrics_put_fixed(struct metrics_text *t, const struct metrics_labels *l, uint64_t n,
		       unsigned int decimals)
{
	char line[LINE_SIZE];

	put_line(t, line, add_fixed(begin_sample(line, t, l), n, decimals));
}

static void put_buckets(struct metrics_text *t, const struct metrics_labels *l,
			const struct histogram *h)
{
	char line[LINE_SIZE], *le = stpcpy(add_series(line, t->family, "_bucket", l), ",le=\"");
	uint64_t n = 0;

	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		char *at = stpcpy(stpcpy(le, histogram_bounds[i].le), "\"} ");

		n += h->n[i];
		put_line(t, line, add_number(at, n));
	}
}

void metrics_put_histogram(struct metrics_text *t, const struct metrics_labels *l,
			   const struct histogram *h)
{
	char line[LINE_SIZE], *at;

	put_buckets(t, l, h);
	at = stpcpy(add_series(line, t->family, "_sum", l), "} ");
	put_line(t, line, add_seconds(at, h->sum_us));
	at = stpcpy(add_series(line, t->family, "_count", l), "} ");
	put_line(t, line, add_number(at, histogram_count(h)));
}

void metrics_end(struct metrics_text *t)
{
	if (t->format == METRICS_OPENMETRICS)
		(void)fputs_unlocked("# EOF\n", t->f);
}
