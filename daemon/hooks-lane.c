/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Telling: each domain has a queue (hook-queue.c) and at most one program under way, so its hooks hear of
 * things in their order; what is told keeps nobody waiting. HOOKS_TELLING_MAX programs of all domains
 * run at once; the domains take turns.
 *
 * Guests can bring about steps, drift and load without an end, and each call is a process, or a unit, of the
 * host's: HOOKS_CALLS_RATE bounds them, and what waits meanwhile is told together or gives way. Results are those of
 * operations, which somebody has asked for: they are told at once, with the steps before them. A lane without
 * anything to tell is freed as soon as it is no other than a new one would be.
 */
#include "daemon/deferred.h"
#include "daemon/hooks-internal.h"
#include "daemon/log.h"
#include "daemon/vcpu.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct hook_lane *find(struct hooks *h, const char *domain)
{
	struct hook_lane *l = TAILQ_FIRST(&h->lanes);

	while (l && strcmp(l->domain, domain) != 0)
		l = TAILQ_NEXT(l, entry);
	return l;
}

static struct hook_lane *find_or_make(struct hooks *h, const char *domain)
{
	struct hook_lane *l = find(h, domain);

	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->hooks = h;
	snprintf(l->domain, sizeof(l->domain), "%s", domain);
	hook_queue_init(&l->queue);
	bucket_init(&l->calls, HOOKS_CALLS_RATE, HOOKS_CALLS_BURST, now_us());
	TAILQ_INSERT_TAIL(&h->lanes, l, entry);
	return l;
}

static void end_news(struct hook_lane *l)
{
	free(l->text);
	free(l->news);
	l->text = NULL;
	l->news = NULL;
}

static void free_lane(struct hook_lane *l)
{
	TAILQ_REMOVE(&l->hooks->lanes, l, entry);
	end_news(l);
	hook_queue_done(&l->queue);
	free(l);
}

void hooks_drop_lanes(struct hooks *h)
{
	struct hook_lane *next;

	for (struct hook_lane *l = TAILQ_FIRST(&h->lanes); l; l = next) {
		next = TAILQ_NEXT(l, entry);
		free_lane(l);
	}
}

/* @text: taken; NULL: there was no memory for it */
void hooks_put(struct hooks *h, const struct domain *d, const char *domain, enum hook_event event,
	       const char *op, int vcpu, char *text)
{
	struct hook_lane *l = text ? find_or_make(h, domain) : NULL;
	int r = l ? hook_queue_put(&l->queue, event, op, vcpu, text) : -ENOMEM;

	free(text);
	if (l && d)
		hook_uuid(d, l->uuid);
	if (r < 0)
		log_line(LOG_WARNING, "%s: hooks are not told %s: out of memory", domain,
			 hook_event_name(event));
	else if (r > 0 && hook_is_result(event))
		log_line(LOG_WARNING,
			 "%s: a result is lost to its hooks: %d wait to be told already", domain,
			 HOOK_RESULTS_MAX);
	deferred_call(h->go);
}

static struct hook_news *take_next(struct hook_lane *l)
{
	struct hook_news *news;
	bool left;

	bucket_refill(&l->calls, now_us());
	left = bucket_has(&l->calls);
	news = hook_queue_take(&l->queue, !left);
	if (news && left && !hook_is_result(news->event))
		bucket_take(&l->calls, 1);
	return news;
}

/* The next of its news, and to whom. Return: false: there is none, or none yet. */
static bool take_news(struct hook_lane *l)
{
	while (!l->news) {
		l->news = take_next(l);
		if (!l->news)
			return false;
		l->at = 0;
		l->text = l->news->event == HOOK_PROGRESS
				  ? hook_json_progress(l->domain, l->uuid, l->news->op,
						       l->news->dropped, l->news->text)
				  : strdup(l->news->text);
		if (hooks_look(l->hooks, &l->list) < 0 || !l->list.n || !l->text)
			end_news(l);
	}
	return true;
}

static void warn(struct hook_lane *l, const struct hook_outcome *o)
{
	char sentence[HOOK_SENTENCE_MAX];

	if (hook_is_fine(o) || !log_may(&l->hooks->lines, now_us(), "vcpuhpd", "hooks"))
		return;
	hook_explain(l->list.names[l->at], false, o, sentence);
	log_line(LOG_WARNING, "%s: told %s: %s", l->domain, hook_event_name(l->news->event),
		 sentence);
}

static void next(struct hook_lane *l)
{
	if (++l->at == l->list.n)
		end_news(l);
}

void hooks_on_told(struct hook_lane *l, const struct hook_outcome *o)
{
	warn(l, o);
}

void hooks_on_told_gone(struct hook_lane *l)
{
	l->job = NULL;
	next(l);
	/* Those of other domains first. */
	TAILQ_REMOVE(&l->hooks->lanes, l, entry);
	TAILQ_INSERT_TAIL(&l->hooks->lanes, l, entry);
	deferred_call(l->hooks->go);
}

static void begin(struct hook_lane *l)
{
	const struct config *config = l->hooks->manager->config;
	const struct hook_call call = { .dir = l->list.dir,
					.name = l->list.names[l->at],
					.domain = l->domain,
					.op = l->news->op,
					.text = l->text,
					.event = l->news->event,
					.timeout_ms = config->hook_timeout_ms };
	int r = hooks_start(l->hooks, &call, l, NULL, &l->job);

	if (r == 0)
		return;
	warn(l, &(struct hook_outcome){ .how = HOOK_UNSTARTED, .code = r });
	next(l);
	deferred_call(l->hooks->go);
}

/* Return: when there is a call for what waits, UINT64_MAX: nothing does. */
static uint64_t rest(struct hook_lane *l)
{
	if (!TAILQ_EMPTY(&l->queue.list))
		return bucket_when(&l->calls, 1);
	if (bucket_when(&l->calls, HOOKS_CALLS_BURST) <= l->calls.at_us)
		free_lane(l);
	return UINT64_MAX;
}

static void call_later(struct hooks *h, uint64_t when_us)
{
	bool due = when_us != UINT64_MAX;

	if (due)
		(void)sd_event_source_set_time(h->later, when_us);
	(void)sd_event_source_set_enabled(h->later, due ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void go(struct hooks *h)
{
	struct hook_lane *l = TAILQ_FIRST(&h->lanes), *after;
	uint64_t first = UINT64_MAX, when;

	for (; l && h->n_telling < HOOKS_TELLING_MAX; l = after) {
		after = TAILQ_NEXT(l, entry);
		if (l->job)
			continue;
		if (take_news(l)) {
			begin(l);
			continue;
		}
		when = rest(l);
		first = when < first ? when : first;
	}
	/* Where there was no room for all of them, the next that ends lets them be looked at again. */
	call_later(h, first);
}

int hooks_on_go(sd_event_source *s, void *userdata)
{
	go(userdata);
	return 0;
}

int hooks_on_later(sd_event_source *s, uint64_t usec, void *userdata)
{
	go(userdata);
	return 0;
}
