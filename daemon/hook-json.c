/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/hook-json.h"
#include "daemon/json-out.h"
#include "daemon/report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *to_text(json_object *o)
{
	const char *text = o ? json_object_to_json_string_ext(
				       o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
			     : NULL;
	char *copy = text ? strdup(text) : NULL;

	json_object_put(o);
	return copy;
}

void hook_uuid(const struct domain *d, char ret[HOOK_UUID_SIZE])
{
	const char *uuid = !d ? "" : *d->config->uuid ? d->config->uuid : d->facts.uuid;

	snprintf(ret, HOOK_UUID_SIZE, "%s", uuid);
}

static json_object *begin(enum hook_event event, const char *domain, const char *uuid)
{
	json_object *o = json_object_new_object();

	json_out_str(o, "event", hook_event_name(event));
	json_out_str(o, "domain", domain);
	json_out_text(o, "uuid", uuid);
	return o;
}

static json_object *begin_op(enum hook_event event, const struct op *o)
{
	char uuid[HOOK_UUID_SIZE];
	json_object *j;

	hook_uuid(o->domain, uuid);
	j = begin(event, o->domain_name, uuid);
	json_out_str(j, "op", o->id);
	return j;
}

static const char *policy_text(const struct op_request *r, char buf[32])
{
	switch (r->policy) {
	case OP_POLICY_ALL:
		return "all";
	case OP_POLICY_BEST_EFFORT:
		return "best-effort";
	case OP_POLICY_AT_LEAST:
		break;
	}
	snprintf(buf, 32, "at-least=%u", r->at_least);
	return buf;
}

static void add_target(json_object *goal, const struct op_request *r)
{
	char list[CPULIST_TEXT_MAX], name[MSG_NAME_MAX + 16];

	if (cpulist_format(&r->list, list, sizeof(list)) < 0)
		snprintf(list, sizeof(list), "%s", "");
	json_out_text(goal, "vcpus", list);
	if (*r->callback)
		snprintf(name, sizeof(name), "ap:dyn.%s", r->callback);
	else
		snprintf(name, sizeof(name), "%s", ladder_name(r->target));
	json_out_str(goal, "target", name);
}

/* What was asked, and by whom; the daemon itself has no uid. */
static json_object *goal_of(const struct op_request *r)
{
	json_object *goal = json_object_new_object();
	char policy[32];

	if (r->goal == OP_GOAL_COUNT) {
		json_out_int(goal, "count", r->count);
		json_out_known(goal, "standby", r->standby);
	} else {
		add_target(goal, r);
	}
	json_out_str(goal, "policy", policy_text(r, policy));
	json_out_bool(goal, "foreign", r->foreign);
	json_out_bool(goal, "config", r->persist);
	json_out_known(goal, "uid", r->own ? -1 : (int64_t)r->uid);
	return goal;
}

static json_object *counts_of(const struct domain *d)
{
	const struct vcpu_counts c = domain_counts(d);
	json_object *o = json_object_new_object();

	json_out_known(o, "maximum", c.maximum);
	json_out_known(o, "present", c.present);
	json_out_known(o, "online", c.online);
	json_out_known(o, "standby", c.standby);
	return o;
}

char *hook_json_prepare(const struct op *o, const struct plan *plan)
{
	json_object *j = begin_op(HOOK_PREPARE, o);

	json_object_object_add(j, "goal", goal_of(&o->request));
	json_object_object_add(j, "now", counts_of(o->domain));
	json_object_object_add(j, "plan", report_plan(o->domain, plan));
	return to_text(j);
}

enum hook_event hook_event_of_result(const struct op *o)
{
	return o->result == OP_DONE ? HOOK_DONE : HOOK_FAILED;
}

char *hook_json_result(const struct op *o)
{
	json_object *j = begin_op(hook_event_of_result(o), o);

	json_object_object_add(j, "goal", goal_of(&o->request));
	json_object_object_add(j, "result", report_result(o));
	return to_text(j);
}

char *hook_json_other(const struct domain *d, enum hook_event event, json_object *more)
{
	char uuid[HOOK_UUID_SIZE];
	json_object *j;

	hook_uuid(d, uuid);
	j = begin(event, d->config->name, uuid);
	json_object_object_add(j, hook_event_name(event), more);
	return to_text(j);
}

char *hook_json_drift(const struct event *e)
{
	return hook_json_other(e->domain, HOOK_DRIFT, report_event(e));
}

char *hook_json_step(const struct event *e)
{
	return to_text(report_progress(e));
}

char *hook_json_progress(const char *domain, const char *uuid, const char *op, unsigned int dropped,
			 const char *steps)
{
	json_object *j = begin(HOOK_PROGRESS, domain, uuid);
	char *head, *whole;

	json_out_text(j, "op", op);
	json_out_int(j, "dropped", dropped);
	head = to_text(j);
	/* The head is an object, and ends so. */
	if (!head ||
	    asprintf(&whole, "%.*s,\"progress\":[%s]}", (int)strlen(head) - 1, head, steps) < 0)
		whole = NULL;
	free(head);
	return whole;
}
