/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Prepare hooks are asked one after another, in the order of their names, and the first that objects ends it.
 * Whoever crashes, does not end in time, or cannot be run is taken to object: a policy that is not known to
 * allow something does not. All steps are taken from the loop.
 */
#include "daemon/deferred.h"
#include "daemon/hooks-internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void free_vetting(struct vetting *v)
{
	TAILQ_REMOVE(&v->hooks->vettings, v, entry);
	sd_event_source_disable_unref(v->go);
	free(v->text);
	free(v);
}

static void finish(struct vetting *v, const char *objection)
{
	vet_done_fn done = v->done;
	void *arg = v->arg;

	free_vetting(v);
	done(arg, objection);
}

static void object(struct vetting *v, const struct hook_outcome *o)
{
	char sentence[HOOK_SENTENCE_MAX];

	hook_explain(v->list.names[v->at], true, o, sentence);
	finish(v, sentence);
}

void hooks_on_judged(struct vetting *v, const struct hook_outcome *o)
{
	v->job = NULL;
	if (!hook_is_fine(o)) {
		object(v, o);
		return;
	}
	v->at++;
	deferred_call(v->go);
}

static bool has_room(const struct vetting *v)
{
	const struct hooks *h = v->hooks;
	unsigned int n = 0;

	for (const struct hook_job *job = TAILQ_FIRST(&h->jobs); job; job = TAILQ_NEXT(job, entry))
		n += job->vets && strcmp(job->domain, v->domain) == 0;
	return n < HOOKS_VETTING_OF_ONE && h->n_vetting < HOOKS_VETTING_MAX;
}

static int on_go(sd_event_source *s, void *userdata)
{
	struct vetting *v = userdata;
	const struct config *config = v->hooks->manager->config;
	struct hook_call call;
	int r;

	if (v->at == v->list.n) {
		finish(v, NULL);
		return 0;
	}
	if (!has_room(v))
		return 0;
	call = (struct hook_call){ .dir = v->list.dir,
				   .name = v->list.names[v->at],
				   .domain = v->domain,
				   .op = v->op,
				   .text = v->text,
				   .event = HOOK_PREPARE,
				   .timeout_ms = config->hook_timeout_ms };
	r = hooks_start(v->hooks, &call, NULL, v, &v->job);
	if (r < 0)
		object(v, &(struct hook_outcome){ .how = HOOK_UNSTARTED, .code = r });
	return 0;
}

/* Each looks for himself whether it is his turn. */
void hooks_vet_next(struct hooks *h)
{
	for (struct vetting *v = TAILQ_FIRST(&h->vettings); v; v = TAILQ_NEXT(v, entry))
		if (!v->job)
			deferred_call(v->go);
}

static bool is_due(void *ctx)
{
	struct hook_list list;

	return hooks_look(ctx, &list) < 0 || list.n > 0;
}

static int start(void *ctx, const struct op *o, const struct plan *plan, vet_done_fn done,
		 void *arg, struct vetting **ret)
{
	struct hooks *h = ctx;
	struct vetting *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	*v = (struct vetting){ .hooks = h, .done = done, .arg = arg };
	TAILQ_INSERT_TAIL(&h->vettings, v, entry);
	snprintf(v->op, sizeof(v->op), "%s", o->id);
	snprintf(v->domain, sizeof(v->domain), "%s", o->domain_name);
	v->text = hook_json_prepare(o, plan);
	r = v->text ? hooks_look(h, &v->list) : -ENOMEM;
	if (r == 0)
		r = deferred_new(&v->go, h->manager->event, on_go, v);
	if (r < 0) {
		free_vetting(v);
		return r;
	}
	deferred_call(v->go);
	*ret = v;
	return 0;
}

static void drop(struct vetting *v)
{
	if (v->job)
		hooks_leave(v->job);
	free_vetting(v);
}

const struct vet_ops hooks_vet_ops = { .is_due = is_due, .start = start, .drop = drop };
