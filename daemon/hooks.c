/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Hooks are asked (hooks-vet.c) and told (hooks-lane.c), on ways of their own: an operation never waits for
 * what was told, and never for another domain's hooks. The folder is looked at whenever an operation begins or
 * something rare is to be told, and before each call; for an operation's result not again within a second of its
 * beginning. For steps, of which there are hundreds a second, what was found last counts, and for the load of all
 * domains it is looked at once a second. Without a folder nothing is made.
 *
 * Everything that runs is a job. Its outcome and its end are two things: what is late has its outcome at
 * once, and counts until its processes are gone, so a program that cannot be killed keeps its domain's lane
 * and one place, and nobody else.
 */
#include "daemon/deferred.h"
#include "daemon/hook-unit.h"
#include "daemon/hooks-internal.h"
#include "daemon/log.h"
#include "daemon/report.h"
#include "daemon/vcpu.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Once, until the configuration is read again. */
static void say_once(void *ctx, const char *sentence)
{
	struct hooks *h = ctx;
	char *copy;

	for (unsigned int i = 0; i < h->n_said; i++)
		if (strcmp(h->said[i], sentence) == 0)
			return;
	copy = h->n_said < HOOKS_SAID_MAX ? strdup(sentence) : NULL;
	if (!copy)
		return;
	h->said[h->n_said++] = copy;
	log_line(LOG_WARNING, "%s", sentence);
}

int hooks_look(struct hooks *h, struct hook_list *ret)
{
	const char *dir = h->manager->config->hook_dir;
	int r = 0;
	char *sentence;

	ret->n = 0;
	h->looked_us = now_us();
	if (dir)
		r = hook_folder_scan(AT_FDCWD, dir, ret, say_once, h);
	h->any = r < 0 || ret->n > 0;
	if (r < 0 &&
	    asprintf(&sentence, "hooks in %s cannot be read: %s", dir, strerror(-r)) >= 0) {
		say_once(h, sentence);
		free(sentence);
	}
	return r;
}

static void on_ended(void *arg, const struct hook_outcome *o)
{
	struct hook_job *job = arg;
	struct vetting *v = job->vetting;

	job->vetting = NULL;
	if (job->lane)
		hooks_on_told(job->lane, o);
	else if (v)
		hooks_on_judged(v, o);
}

static void free_job(struct hook_job *job)
{
	struct hooks *h = job->hooks;

	TAILQ_REMOVE(&h->jobs, job, entry);
	*(job->vets ? &h->n_vetting : &h->n_telling) -= 1;
	free(job);
}

static void on_gone(void *arg)
{
	struct hook_job *job = arg;
	struct hooks *h = job->hooks;
	struct hook_lane *lane = job->lane;
	bool vets = job->vets;

	free_job(job);
	if (lane)
		hooks_on_told_gone(lane);
	if (vets)
		hooks_vet_next(h);
}

/* Their sandbox is the unit's: without it they have the daemon's rights, and its limits. */
static void say_how(struct hooks *h, const struct hook_run *run)
{
	const char *path = hook_unit_socket();
	char *sentence;

	if (!path || !hook_run_is_child(run) ||
	    asprintf(&sentence,
		     "hooks are children of the daemon: nobody serves %s (vcpuhp-hook.socket)",
		     path) < 0)
		return;
	say_once(h, sentence);
	free(sentence);
}

int hooks_start(struct hooks *h, const struct hook_call *call, struct hook_lane *lane,
		struct vetting *vetting, struct hook_job **ret)
{
	struct hook_job *job = calloc(1, sizeof(*job));
	int r;

	if (!job)
		return -ENOMEM;
	*job = (struct hook_job){
		.hooks = h, .lane = lane, .vetting = vetting, .vets = vetting != NULL
	};
	snprintf(job->domain, sizeof(job->domain), "%s", call->domain);
	TAILQ_INSERT_TAIL(&h->jobs, job, entry);
	*(job->vets ? &h->n_vetting : &h->n_telling) += 1;
	r = hook_run_start(&job->run, h->manager->event, call,
			   &(struct hook_ends){ on_ended, on_gone, job });
	if (r < 0) {
		free_job(job);
		return r;
	}
	*ret = job;
	say_how(h, job->run);
	return 0;
}

void hooks_leave(struct hook_job *job)
{
	job->lane = NULL;
	job->vetting = NULL;
	hook_run_drop(job->run);
}

/* Whether there is anybody to be told, as it was seen at @since_us or later. */
static bool is_heard(struct hooks *h, uint64_t since_us)
{
	struct hook_list list;

	if (h->looked_us < since_us)
		(void)hooks_look(h, &list);
	return h->any;
}

/* It looked itself when it began, if it ever did. */
static uint64_t seen_by(const struct op *o)
{
	uint64_t lately_us = now_us() - HOOKS_LOOK_US;

	return o->accepted_us > lately_us ? o->accepted_us : lately_us;
}

/* As often as the configuration says; a client that watches may have it told more often. */
static void on_load(struct hooks *h, const struct domain *d)
{
	if (load_is_due(d, load_configured_ms(d)) && is_heard(h, now_us() - HOOKS_LOOK_US))
		hooks_put(h, d, d->config->name, HOOK_LOAD, NULL, -1,
			  hook_json_other(d, HOOK_LOAD, report_load(d, true, now_us())));
}

static void on_event(void *ctx, const struct event *e)
{
	struct hooks *h = ctx;
	enum hook_event event;

	if (e->type == EVENT_STEP && e->domain && e->op && is_heard(h, 0))
		hooks_put(h, e->domain, e->domain->config->name, HOOK_PROGRESS, e->op->id, -1,
			  hook_json_step(e));
	if (e->type == EVENT_DRIFT && e->domain && is_heard(h, UINT64_MAX))
		hooks_put(h, e->domain, e->domain->config->name, HOOK_DRIFT, NULL, e->vcpu,
			  hook_json_drift(e));
	if (e->type == EVENT_LOAD)
		on_load(h, e->domain);
	if (e->type != EVENT_OPERATION || !e->op || !e->op->ended)
		return;
	event = hook_event_of_result(e->op);
	if (is_heard(h, seen_by(e->op)))
		hooks_put(h, e->op->domain, e->op->domain_name, event, e->op->id, -1,
			  hook_json_result(e->op));
}

static void forget_said(struct hooks *h)
{
	while (h->n_said > 0)
		free(h->said[--h->n_said]);
}

void hooks_reload(struct hooks *h)
{
	struct hook_list list;

	forget_said(h);
	(void)hooks_look(h, &list);
}

int hooks_new(struct hooks **ret, struct manager *m)
{
	struct hooks *h = calloc(1, sizeof(*h));
	int r = h ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	*h = (struct hooks){ .manager = m };
	TAILQ_INIT(&h->lanes);
	TAILQ_INIT(&h->vettings);
	TAILQ_INIT(&h->jobs);
	r = deferred_new(&h->go, m->event, hooks_on_go, h);
	if (r >= 0)
		r = sd_event_add_time(m->event, &h->later, CLOCK_MONOTONIC, 0, 1000, hooks_on_later,
				      h);
	if (r >= 0)
		r = sd_event_source_set_enabled(h->later, SD_EVENT_OFF);
	if (r >= 0) {
		h->listener = event_listen(m->bus, on_event, h);
		r = h->listener ? 0 : -ENOMEM;
	}
	if (r < 0) {
		hooks_free(h);
		return r;
	}
	m->vet = &hooks_vet_ops;
	m->vet_ctx = h;
	hooks_reload(h);
	*ret = h;
	return 0;
}

struct hooks *hooks_free(struct hooks *h)
{
	struct hook_job *next;

	if (!h)
		return NULL;
	h->manager->vet = NULL;
	for (struct hook_job *job = TAILQ_FIRST(&h->jobs); job; job = next) {
		next = TAILQ_NEXT(job, entry);
		hook_run_kill(job->run);
		free_job(job);
	}
	hooks_drop_lanes(h);
	event_unlisten(h->listener);
	sd_event_source_disable_unref(h->go);
	sd_event_source_disable_unref(h->later);
	forget_said(h);
	free(h);
	return NULL;
}
