/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/api-internal.h"
#include "daemon/report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * @domain: a name, for a domain may go while its events are watched; "" all of them
 * @watch: what it wants to know of the load, interval 0 nothing
 */
struct stream {
	struct varlink_call *call;
	struct event_listener *listener;
	struct load_watch watch;
	char domain[CONFIG_NAME_MAX + 1];
};

static void on_event(void *ctx, const struct event *e)
{
	struct stream *s = ctx;
	const char *name = e->domain ? e->domain->config->name : e->domain_name;
	json_object *params;

	if (s->domain[0] && (!name || strcmp(name, s->domain) != 0))
		return;
	if (e->type == EVENT_LOAD && !load_is_due(e->domain, s->watch.interval_ms))
		return;
	params = json_object_new_object();
	json_object_object_add(params, "event", report_event(e));
	varlink_notify(s->call, params);
}

static void on_gone(void *ctx)
{
	struct stream *s = ctx;

	event_unlisten(s->listener);
	load_unwatch(&s->watch);
	free(s);
}

void api_events(void *ctx, struct varlink_call *call)
{
	struct api *a = ctx;
	int64_t load_ms = varlink_call_int(call, "load_ms", 0);
	const struct domain *d = NULL;
	struct stream *s;

	if (varlink_call_str(call, "domain", NULL)) {
		d = api_domain(a, call);
		if (!d)
			return;
	}
	s = calloc(1, sizeof(*s));
	if (s)
		s->listener = event_listen(a->manager->bus, on_event, s);
	if (!s || !s->listener) {
		free(s);
		api_fail(call, ERR_INTERNAL, "out of memory");
		return;
	}
	s->call = call;
	snprintf(s->domain, sizeof(s->domain), "%s", d ? d->config->name : "");
	varlink_call_on_gone(call, on_gone, s);
	if (load_ms)
		load_watch(a->manager, &s->watch, s->domain, (unsigned int)load_ms);
}
