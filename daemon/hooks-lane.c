/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Telling: each domain has a queue (hook-queue.c) and at most one program under way, so its hooks hear of
 * things in their order; what is told keeps nobody waiting. HOOKS_TELLING_MAX programs of all domains
 * run at once; the domains take turns. A lane without anything to tell is freed.
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
	       const char *op, char *text)
{
	struct hook_lane *l = text ? find_or_make(h, domain) : NULL;
	int r = l ? hook_queue_put(&l->queue, event, op, text) : -ENOMEM;

	free(text);
	if (l && d)
		hook_uuid(d, l->uuid);
	if (r < 0)
		log_line(LOG_WARNING, "%s: hooks are not told %s: out of memory", domain,
			 hook_event_name(event));
	else if (r > 0 && (event == HOOK_DONE || event == HOOK_FAILED))
		log_line(LOG_WARNING,
			 "%s: a result is lost to its hooks: %d wait to be told already", domain,
			 HOOK_RESULTS_MAX);
	deferred_call(h->go);
}

/* The next of its news, and to whom. Return: false: there is none. */
static bool take_news(struct hook_lane *l)
{
	while (!l->news) {
		l->news = hook_queue_take(&l->queue);
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

int hooks_on_go(sd_event_source *s, void *userdata)
{
	struct hooks *h = userdata;
	struct hook_lane *l = TAILQ_FIRST(&h->lanes), *after;

	for (; l && h->n_telling < HOOKS_TELLING_MAX; l = after) {
		after = TAILQ_NEXT(l, entry);
		if (l->job)
			continue;
		if (take_news(l))
			begin(l);
		else
			free_lane(l);
	}
	return 0;
}
