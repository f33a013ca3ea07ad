/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/hook-queue.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned int limits[HOOK_EVENTS] = {
	[HOOK_PREPARE] = 0, /* is asked, not told */
	[HOOK_PROGRESS] = HOOK_PROGRESS_MAX,
	[HOOK_DONE] = HOOK_RESULTS_MAX,
	[HOOK_FAILED] = HOOK_RESULTS_MAX,
	[HOOK_DRIFT] = HOOK_DRIFT_MAX,
	[HOOK_LOAD] = 1,
};

void hook_queue_init(struct hook_queue *q)
{
	*q = (struct hook_queue){ 0 };
	TAILQ_INIT(&q->list);
}

static void take_out(struct hook_queue *q, struct hook_news *news)
{
	TAILQ_REMOVE(&q->list, news, entry);
	q->n[news->event]--;
}

void hook_queue_done(struct hook_queue *q)
{
	struct hook_news *next;

	for (struct hook_news *news = TAILQ_FIRST(&q->list); news; news = next) {
		next = TAILQ_NEXT(news, entry);
		take_out(q, news);
		free(news);
	}
}

static void drop_oldest(struct hook_queue *q, enum hook_event event)
{
	struct hook_news *news = TAILQ_FIRST(&q->list);

	while (news && news->event != event)
		news = TAILQ_NEXT(news, entry);
	if (!news)
		return;
	take_out(q, news);
	free(news);
	q->dropped[event]++;
}

static struct hook_news *make(enum hook_event event, const char *op, size_t len)
{
	struct hook_news *news = malloc(sizeof(*news) + len + 1);

	if (!news)
		return NULL;
	*news = (struct hook_news){ .event = event };
	snprintf(news->op, sizeof(news->op), "%s", op ? op : "");
	return news;
}

int hook_queue_put(struct hook_queue *q, enum hook_event event, const char *op, const char *text)
{
	size_t len = strlen(text);
	struct hook_news *news = make(event, op, len);
	bool full = q->n[event] >= limits[event];

	if (!news)
		return -ENOMEM;
	memcpy(news->text, text, len + 1);
	if (full)
		drop_oldest(q, event);
	TAILQ_INSERT_TAIL(&q->list, news, entry);
	q->n[event]++;
	return full;
}

static bool goes_with(const struct hook_news *news, const struct hook_news *next)
{
	return next && news->event == HOOK_PROGRESS && next->event == HOOK_PROGRESS &&
	       strcmp(news->op, next->op) == 0;
}

static size_t joined_len(const struct hook_news *first)
{
	const struct hook_news *n = first;
	size_t len = strlen(n->text);

	for (; goes_with(first, TAILQ_NEXT(n, entry)); n = TAILQ_NEXT(n, entry))
		len += 1 + strlen(TAILQ_NEXT(n, entry)->text);
	return len;
}

static void join(struct hook_queue *q, struct hook_news *all)
{
	char *end = all->text;
	struct hook_news *news = TAILQ_FIRST(&q->list), *next;

	do {
		next = TAILQ_NEXT(news, entry);
		if (end > all->text)
			*end++ = ',';
		end = stpcpy(end, news->text);
		take_out(q, news);
		free(news);
		news = next;
	} while (goes_with(all, news));
}

struct hook_news *hook_queue_take(struct hook_queue *q)
{
	struct hook_news *news = TAILQ_FIRST(&q->list), *all = NULL;

	if (!news)
		return NULL;
	if (goes_with(news, TAILQ_NEXT(news, entry)))
		all = make(news->event, news->op, joined_len(news));
	if (all) {
		join(q, all);
		news = all;
	} else {
		take_out(q, news);
	}
	news->dropped = q->dropped[news->event];
	q->dropped[news->event] = 0;
	return news;
}
