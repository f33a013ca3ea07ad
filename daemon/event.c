/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/event.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

/*
 * A doubly linked list in the order of listening. While events are being published nothing is
 * freed: a listener that leaves only loses its function, and the outermost publish sweeps.
 */
struct event_listener {
	struct event_bus *bus;
	struct event_listener *prev, *next;
	event_fn fn; /* NULL: gone, to be swept */
	void *ctx;
};

struct event_bus {
	struct event_listener *first, *last;
	unsigned int publishing; /* nesting depth */
};

const char *event_type_name(enum event_type t)
{
	switch (t) {
	case EVENT_STEP:
		return "step";
	case EVENT_KSTEP:
		return "kstep";
	case EVENT_OPERATION:
		return "operation";
	case EVENT_STATE:
		return "state";
	case EVENT_REMOVED:
		return "removed";
	case EVENT_DRIFT:
		return "drift";
	case EVENT_AGENT:
		return "agent";
	case EVENT_DOMAIN:
		return "domain";
	case EVENT_CONFIG:
		return "config";
	case EVENT_LOG:
		return "log";
	case EVENT_LOAD:
		return "load";
	case EVENT_TYPES:
		break;
	}
	return "unknown";
}

struct event_bus *event_bus_new(void)
{
	return calloc(1, sizeof(struct event_bus));
}

static void unlink_and_free(struct event_listener *l)
{
	*(l->prev ? &l->prev->next : &l->bus->first) = l->next;
	*(l->next ? &l->next->prev : &l->bus->last) = l->prev;
	free(l);
}

struct event_bus *event_bus_free(struct event_bus *b)
{
	struct event_listener *next;

	if (!b)
		return NULL;
	assert(b->publishing == 0);
	for (struct event_listener *l = b->first; l; l = next) {
		next = l->next;
		free(l);
	}
	free(b);
	return NULL;
}

struct event_listener *event_listen(struct event_bus *b, event_fn fn, void *ctx)
{
	struct event_listener *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->bus = b;
	l->fn = fn;
	l->ctx = ctx;
	l->prev = b->last;
	*(b->last ? &b->last->next : &b->first) = l;
	b->last = l;
	return l;
}

struct event_listener *event_unlisten(struct event_listener *l)
{
	if (!l)
		return NULL;
	if (l->bus->publishing > 0)
		l->fn = NULL;
	else
		unlink_and_free(l);
	return NULL;
}

static void sweep(struct event_bus *b)
{
	struct event_listener *next;

	for (struct event_listener *l = b->first; l; l = next) {
		next = l->next;
		if (!l->fn)
			unlink_and_free(l);
	}
}

void event_publish(struct event_bus *b, const struct event *e)
{
	/* Who listens from now on did not see what this event is about begin. */
	struct event_listener *last = b->last;

	if (!last)
		return;
	b->publishing++;
	for (struct event_listener *l = b->first;; l = l->next) {
		if (l->fn)
			l->fn(l->ctx, e);
		if (l == last)
			break;
	}
	if (--b->publishing == 0)
		sweep(b);
}
