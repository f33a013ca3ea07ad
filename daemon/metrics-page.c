/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/metrics-page.h"
#include <stdlib.h>

enum {
	FORMATS = sizeof(((struct page_maker *)0)->formats) / sizeof(struct page_format),
	TEXTS_RATE = 10,
	TEXTS_BURST = 10,
	OLDER_MAX = 2,
};

void metrics_pages_init(struct page_maker *m, metrics_make_fn make, void *ctx, uint64_t now_us)
{
	*m = (struct page_maker){ .make = make, .ctx = ctx };
	for (size_t i = 0; i < FORMATS; i++)
		bucket_init(&m->formats[i].budget, TEXTS_RATE, TEXTS_BURST, now_us);
}

void metrics_pages_done(struct page_maker *m)
{
	for (size_t i = 0; i < FORMATS; i++)
		metrics_page_unref(m->formats[i].last);
}

void metrics_page_unref(struct page *p)
{
	if (!p || --p->refs)
		return;
	(*p->alive)--;
	free(p->text);
	free(p);
}

const char *metrics_page_type(enum metrics_format format)
{
	return format == METRICS_OPENMETRICS
		       ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
		       : "text/plain; version=0.0.4; charset=utf-8";
}

static struct page *page_new(struct page_maker *m, enum metrics_format format)
{
	struct page *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->text = m->make(m->ctx, format, &p->len);
	if (!p->text) {
		free(p);
		return NULL;
	}
	p->refs = 1;
	p->alive = &m->formats[format].alive;
	(*p->alive)++;
	return p;
}

struct page *metrics_page_of_now(struct page_maker *m, enum metrics_format format, uint64_t now_us)
{
	struct page_format *f = &m->formats[format];
	struct page *p;

	bucket_refill(&f->budget, now_us);
	if (!f->last || (f->alive - 1 < OLDER_MAX && bucket_has(&f->budget))) {
		bucket_take(&f->budget, 1);
		p = page_new(m, format);
		if (!p)
			return NULL;
		metrics_page_unref(f->last);
		f->last = p;
	}
	f->last->refs++;
	return f->last;
}
