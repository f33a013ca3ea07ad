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

/* @vcpu: -1 any */
static struct hook_news *find_oldest(const struct hook_queue *q, enum hook_event event, int vcpu)
{
	struct hook_news *news = TAILQ_FIRST(&q->list);

	while (news && (news->event != event || (vcpu >= 0 && news->vcpu != vcpu)))
		news = TAILQ_NEXT(news, entry);
	return news;
}

static struct hook_news *make(enum hook_event event, const char *op, size_t len)
{
	struct hook_news *news = malloc(sizeof(*news) + len + 1);

	if (!news)
		return NULL;
	*news = (struct hook_news){ .event = event, .vcpu = -1 };
	snprintf(news->op, sizeof(news->op), "%s", op ? op : "");
	return news;
}

int hook_queue_put(struct hook_queue *q, enum hook_event event, const char *op, int vcpu,
		   const char *text)
{
	size_t len = strlen(text);
	struct hook_news *news = make(event, op, len), *old = NULL;
	bool full;

	if (!news)
		return -ENOMEM;
	news->vcpu = vcpu;
	memcpy(news->text, text, len + 1);
	/* What the new one makes out of date. */
	if (event == HOOK_DRIFT && vcpu >= 0)
		old = find_oldest(q, event, vcpu);
	full = !old && q->n[event] >= limits[event];
	if (full) {
		old = find_oldest(q, event, -1);
		q->dropped[event]++;
	}
	if (old) {
		take_out(q, old);
		free(old);
	}
	TAILQ_INSERT_TAIL(&q->list, news, entry);
	q->n[event]++;
	return full;
}

/* The next progress that is told with @all: whatever is no operation's own does not stand between. */
static struct hook_news *next_of(const struct hook_news *all, const struct hook_news *after)
{
	struct hook_news *n = TAILQ_NEXT(after, entry);

	if (all->event != HOOK_PROGRESS)
		return NULL;
	while (n && (n->event == HOOK_DRIFT || n->event == HOOK_LOAD))
		n = TAILQ_NEXT(n, entry);
	return n && n->event == HOOK_PROGRESS && strcmp(all->op, n->op) == 0 ? n : NULL;
}

static size_t joined_len(const struct hook_news *first)
{
	size_t len = strlen(first->text);

	for (const struct hook_news *n = next_of(first, first); n; n = next_of(first, n))
		len += 1 + strlen(n->text);
	return len;
}

static void join(struct hook_queue *q, struct hook_news *news, struct hook_news *all)
{
	char *end = all->text;
	struct hook_news *next;

	for (; news; news = next) {
		next = next_of(all, news);
		if (end > all->text)
			*end++ = ',';
		end = stpcpy(end, news->text);
		take_out(q, news);
		free(news);
	}
}

static struct hook_news *find_next(const struct hook_queue *q, bool results)
{
	struct hook_news *n = TAILQ_FIRST(&q->list);

	if (results && !q->n[HOOK_DONE] && !q->n[HOOK_FAILED])
		return NULL;
	while (results && n && (n->event == HOOK_DRIFT || n->event == HOOK_LOAD))
		n = TAILQ_NEXT(n, entry);
	return n;
}

struct hook_news *hook_queue_take(struct hook_queue *q, bool results)
{
	struct hook_news *news = find_next(q, results), *all = NULL;

	if (!news)
		return NULL;
	if (next_of(news, news))
		all = make(news->event, news->op, joined_len(news));
	if (all) {
		join(q, news, all);
		news = all;
	} else {
		take_out(q, news);
	}
	news->dropped = q->dropped[news->event];
	q->dropped[news->event] = 0;
	return news;
}
