/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The one way to a change of the vCPUs in a persistent configuration. (A definition, api-xml.c, does
 * not wait here: libvirt's module compares what is there right before it.) libvirt's call cannot be
 * taken back, and may return long after its client's deadline; two calls at once are done in whatever order libvirt
 * likes. So the next change of a domain is sent when the call before it has returned, and the last
 * one asked for is the last one done, however late. One that still waits can be cancelled.
 *
 * What was done is told here too, whether anybody still waits for it or not.
 */
#include "daemon/persist-gate.h"
#include "daemon/domain.h"
#include "daemon/log.h"
#include "daemon/vcpu.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/**
 * struct persist_gate - one change, in the manager's list in the order of asking
 * @sent: libvirt has been asked
 */
struct persist_gate {
	TAILQ_ENTRY(persist_gate) link;
	struct manager *manager;
	char uuid[PERSIST_UUID_SIZE], name[PERSIST_NAME_SIZE];
	struct persist_change change;
	uid_t uid;
	struct op *op;
	bool sent;
	persist_done_fn done;
	void *arg;
};

static void leave(struct persist_gate *g)
{
	TAILQ_REMOVE(&g->manager->changes, g, link);
	if (g->op)
		op_unref(g->op);
	free(g);
}

static struct persist_gate *first_of(struct manager *m, const char *uuid)
{
	struct persist_gate *g;

	TAILQ_FOREACH(g, &m->changes, link)
	if (strcmp(g->uuid, uuid) == 0)
		break;
	return g;
}

void persist_gate_tell(struct manager *m, const char *uuid, const char *name, uid_t uid,
		       struct op *op, const char *what)
{
	struct domain *d = manager_find(m, uuid);
	struct journal_fields fields;
	char text[2 * PERSIST_TEXT_MAX];

	/* A domain on QMP may have the name of one of libvirt's. */
	if (!d && manager_find(m, name))
		name = uuid;
	journal_fields_init(&fields);
	snprintf(text, sizeof(text), "the persistent configuration %s, for uid %u", what, uid);
	if (op)
		journal_field(&fields, "VCPUHP_OP", "%s", op->id);
	log_outcome(JOURNAL_DOMAIN_DEFINED, name, &fields, "%s%s%s%s", op ? "operation " : "",
		    op ? op->id : "", op ? ": " : "", text);
	event_publish(m->bus, &(struct event){
				      .type = EVENT_CONFIG,
				      .t_us = now_us(),
				      .domain = d,
				      .domain_name = name,
				      .op = op,
				      .vcpu = -1,
				      .cpu = -1,
				      .state = -1,
				      .ran_on = -1,
				      .text = text,
			      });
}

static void tell(const struct persist_gate *g, const struct persist_answer *a)
{
	struct persist_denial denial;
	char what[64];

	if (a->rc == 0 || a->rc == -ESTALE) {
		snprintf(what, sizeof(what), "has %u of %u vCPUs", a->domain.present,
			 a->domain.maximum);
		persist_gate_tell(g->manager, g->uuid, g->name, g->uid, g->op,
				  a->rc ? "was changed and cannot be read again" : what);
		return;
	}
	if (a->rc == -ECONNRESET)
		persist_gate_tell(g->manager, g->uuid, g->name, g->uid, g->op,
				  "may have been changed, or not: libvirtd was lost");
	persist_explain(a, g->name, true, &denial);
	log_outcome(JOURNAL_DOMAIN_NOT_DEFINED, g->name, NULL,
		    "persistent configuration, for uid %u: %s", g->uid, denial.text);
}

static void on_answer(void *arg, const struct persist_answer *a);

/* Whoever is next, as far as libvirt takes it. */
static void send_next(struct manager *m, const char *uuid)
{
	struct persist_gate *g = first_of(m, uuid);
	struct persist_answer failed = { 0 };

	if (!g || g->sent)
		return;
	g->sent = true;
	failed.rc = m->libvirt_persist(m->discovery, g->uuid, &g->change, on_answer, g);
	if (failed.rc < 0)
		on_answer(g, &failed);
}

static void on_answer(void *arg, const struct persist_answer *a)
{
	struct persist_gate *g = arg;
	struct manager *m = g->manager;
	persist_done_fn done = g->done;
	void *done_arg = g->arg;
	char uuid[PERSIST_UUID_SIZE];

	memcpy(uuid, g->uuid, sizeof(uuid));
	tell(g, a);
	leave(g);
	send_next(m, uuid);
	done(done_arg, a);
}

int persist_gate_ask(struct persist_gate **ret, struct manager *m, const char *uuid,
		     const char *name, const struct persist_change *change, uid_t uid,
		     struct op *op, persist_done_fn done, void *arg)
{
	struct persist_gate *g = calloc(1, sizeof(*g));
	bool is_first = !first_of(m, uuid);
	int r = 0;

	if (!g)
		return -ENOMEM;
	g->manager = m;
	snprintf(g->uuid, sizeof(g->uuid), "%s", uuid);
	snprintf(g->name, sizeof(g->name), "%s", name);
	g->change = *change;
	g->uid = uid;
	g->op = op ? op_ref(op) : NULL;
	g->done = done;
	g->arg = arg;
	TAILQ_INSERT_TAIL(&m->changes, g, link);
	if (is_first) {
		g->sent = true;
		r = m->libvirt_persist(m->discovery, g->uuid, change, on_answer, g);
	}
	if (r < 0)
		leave(g);
	else
		*ret = g;
	return r;
}

bool persist_gate_cancel(struct persist_gate *g)
{
	if (g->sent)
		return false;
	leave(g);
	return true;
}
