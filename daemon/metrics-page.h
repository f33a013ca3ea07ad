/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_METRICS_PAGE_H
#define DAEMON_METRICS_PAGE_H

#include "daemon/bucket.h"
#include "daemon/metrics-module.h"

/*
 * The texts that are served. Ten a second are made anew of each format, ten at once, and none while
 * clients still hold two that are not the last: who comes then gets the last one. So a client in a
 * loop, or many that take nothing, cost connections and not texts.
 */

/**
 * struct page - a text, and those who hold it; metrics_page_unref()
 * @alive: of its format, counted while it is there
 */
struct page {
	char *text;
	size_t len;
	unsigned int refs;
	unsigned int *alive;
};

/* @last: NULL none */
struct page_format {
	struct page *last;
	unsigned int alive;
	struct bucket budget;
};

/* Outlives its pages. */
struct page_maker {
	metrics_make_fn make;
	void *ctx;
	struct page_format formats[2];
};

void metrics_pages_init(struct page_maker *m, metrics_make_fn make, void *ctx, uint64_t now_us);
void metrics_pages_done(struct page_maker *m);

/* Return: a reference for the caller, NULL out of memory. */
struct page *metrics_page_of_now(struct page_maker *m, enum metrics_format format, uint64_t now_us);

/* For Content-Type. */
const char *metrics_page_type(enum metrics_format format);

/* Takes NULL. */
void metrics_page_unref(struct page *p);

#endif
