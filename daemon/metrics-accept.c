/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/metrics-accept.h"
#include <string.h>
#include <strings.h>

/* How much a media type is wanted, in thousandths, and how much of it the range named. */
struct wish {
	unsigned int rank, weight;
};

struct range {
	const char *text;
	size_t len;
};

/* "0.5" and the like; what is none counts as much as no weight at all. */
static unsigned int read_weight(const char *text, size_t len)
{
	unsigned int w, digit = 100;

	if (len < 1 || (*text != '0' && *text != '1') || (len > 1 && text[1] != '.'))
		return 1000;
	w = *text == '1' ? 1000 : 0;
	for (size_t i = 2; i < len && text[i] >= '0' && text[i] <= '9'; i++, digit /= 10)
		w += (unsigned int)(text[i] - '0') * digit;
	return w > 1000 ? 1000 : w;
}

/* The next part of @text up to @separator, without blanks around it. */
static struct range take(const char **text, const char *end, char separator)
{
	const char *from = *text, *to = memchr(from, separator, (size_t)(end - from));

	if (!to)
		to = end;
	*text = to < end ? to + 1 : end;
	while (from < to && (*from == ' ' || *from == '\t'))
		from++;
	while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
		to--;
	return (struct range){ from, (size_t)(to - from) };
}

static bool is(struct range r, const char *type, size_t len)
{
	return r.len == len && strncasecmp(r.text, type, len) == 0;
}

static void consider(struct wish *w, const char *type, struct range r, unsigned int weight)
{
	size_t len = strlen(type), family = (size_t)(strchr(type, '/') - type) + 1;
	unsigned int rank = 0;

	if (is(r, type, len))
		rank = 3;
	else if (r.len == family + 1 && r.text[family] == '*' &&
		 strncasecmp(r.text, type, family) == 0)
		rank = 2;
	else if (is(r, "*/*", 3))
		rank = 1;
	if (rank > w->rank || (rank && rank == w->rank && weight > w->weight))
		*w = (struct wish){ rank, weight };
}

enum metrics_format metrics_accept(const char *accept)
{
	struct wish open = { 0 }, text = { 0 };
	const char *end = accept ? accept + strlen(accept) : NULL;

	while (accept && accept < end) {
		struct range element = take(&accept, end, ','), type;
		const char *at = element.text, *stop = element.text + element.len;
		unsigned int weight = 1000;

		type = take(&at, stop, ';');
		while (at < stop) {
			struct range p = take(&at, stop, ';');

			if (p.len > 2 && strncasecmp(p.text, "q=", 2) == 0)
				weight = read_weight(p.text + 2, p.len - 2);
		}
		consider(&open, "application/openmetrics-text", type, weight);
		consider(&text, "text/plain", type, weight);
	}
	return text.weight > open.weight ? METRICS_PROMETHEUS : METRICS_OPENMETRICS;
}
