/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_METRICS_TEXT_H
#define DAEMON_METRICS_TEXT_H

#include "daemon/counters.h"
#include <stdio.h>

/*
 * How samples are written: OpenMetrics 1.0, or the text that Prometheus had before it (0.0.4), which
 * is what "promtool check metrics" and node_exporter's text files take. Names and labels are the same
 * in both.
 */

enum metrics_format { METRICS_OPENMETRICS, METRICS_PROMETHEUS };
enum metrics_kind { METRICS_GAUGE, METRICS_COUNTER, METRICS_HISTOGRAM };

/**
 * struct metrics_family - one row of the table of metrics.c
 * @name: of a counter without "_total"
 * @unit: NULL none, else the end of @name
 * @help: a sentence without its end
 */
struct metrics_family {
	const char *name;
	enum metrics_kind kind;
	const char *unit;
	const char *help;
};

/* What is written, and of which family at the moment. @f: errors are looked for at the end, by who opened it */
struct metrics_text {
	FILE *f;
	enum metrics_format format;
	const struct metrics_family *family;
};

enum { METRICS_LABELS_SIZE = 384 };

/* KEY="VALUE",KEY="VALUE" of one series, values escaped, and a NUL; all zero is none. */
struct metrics_labels {
	char text[METRICS_LABELS_SIZE];
	size_t len;
};

/* Of @l with one more; one that does not fit is cut off, and its quotes are still right. */
struct metrics_labels metrics_labels_with(const struct metrics_labels *l, const char *key,
					  const char *value);

/* The lines that stand before the samples of a family. */
void metrics_begin(struct metrics_text *t, const struct metrics_family *family);
/* One sample of a gauge or a counter. */
void metrics_put(struct metrics_text *t, const struct metrics_labels *l, uint64_t n);
/* The same of @n / 10^@decimals, 1 to 18. */
void metrics_put_fixed(struct metrics_text *t, const struct metrics_labels *l, uint64_t n,
		       unsigned int decimals);
/* @l: there are some */
void metrics_put_histogram(struct metrics_text *t, const struct metrics_labels *l,
			   const struct histogram *h);
/* What stands behind all. */
void metrics_end(struct metrics_text *t);

#endif
