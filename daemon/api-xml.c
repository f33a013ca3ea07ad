/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/api-internal.h"
#include "daemon/json-out.h"
#include "daemon/log.h"
#include "daemon/persist-gate.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Theory of operation
 *
 * GetDomainXml and DefineDomainXml: what the persistent configuration of one of libvirt's domains
 * lacks, managed here or not, told or put there. The domain is looked at first in both, since who
 * may change it depends on what it is called, and is then defined by its UUID.
 *
 * Client gone: the answer, when it comes, finds nobody, and a look is not followed by a change.
 */

/**
 * struct xml_call - one such request
 * @call: NULL: its client has left
 * @word: as the domain was named
 * @uuid: of the domain as it was found, "" until then
 */
struct xml_call {
	struct api *api;
	struct varlink_call *call;
	bool define;
	unsigned int maximum;
	char word[PERSIST_NAME_SIZE];
	char uuid[PERSIST_UUID_SIZE];
	uid_t uid;
	sd_event_source *deadline;
};

static void xml_call_free(struct xml_call *x)
{
	sd_event_source_disable_unref(x->deadline);
	free(x);
}

static void on_gone(void *ctx)
{
	struct xml_call *x = ctx;

	x->call = NULL;
	x->deadline = sd_event_source_disable_unref(x->deadline);
}

static struct varlink_call *take_call(struct xml_call *x)
{
	struct varlink_call *call = x->call;

	x->call = NULL;
	x->deadline = sd_event_source_disable_unref(x->deadline);
	varlink_call_on_gone(call, NULL, NULL);
	return call;
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct xml_call *x = userdata;

	api_fail(take_call(x), ERR_TIMED_OUT, "libvirt has not answered in time; %s",
		 *x->uuid ? "it may still change the persistent configuration"
			  : "the persistent configuration was not changed");
	return 0;
}

static json_object *sentences(const struct advice_line *from, size_t n)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		json_object_array_add(array, json_object_new_string(from[i].text));
	return array;
}

static void reply(struct xml_call *x, const struct persist_domain *p, const struct advice *a)
{
	json_object *params = json_object_new_object();

	json_out_str(params, "domain", config_is_name(p->name) ? p->name : p->uuid);
	json_object_object_add(params, "changes", sentences(a->changes, a->n_changes));
	json_object_object_add(params, "obstacles", sentences(a->obstacles, a->n_obstacles));
	if (!x->define)
		json_out_str(params, "xml", a->xml);
	varlink_reply(take_call(x), params);
}

static void fail(struct xml_call *x, const struct persist_answer *answer)
{
	struct varlink_call *call = take_call(x);
	struct persist_denial denial;
	char text[2 * PERSIST_TEXT_MAX];

	if (answer->rc == 0) {
		snprintf(text, sizeof(text),
			 "%s is a transient domain: it has no persistent configuration",
			 answer->domain.name);
		api_refuse(call, "policy", text);
		return;
	}
	persist_explain(answer, x->word, *x->uuid, &denial);
	if (denial.error == ERR_REFUSED)
		api_refuse(call, denial.by, denial.text);
	else
		api_fail(call, denial.error, "%s", denial.text);
}

static void tell_defined(const struct xml_call *x, const struct persist_answer *answer,
			 const struct advice *a)
{
	const char *name = answer->domain.name;
	char what[PERSIST_TEXT_MAX];
	struct persist_denial denial;

	if (answer->rc) {
		persist_explain(answer, x->word, true, &denial);
		log_outcome(JOURNAL_DOMAIN_NOT_DEFINED, x->uuid, NULL,
			    "defined anew, for uid %u: %s", x->uid, denial.text);
	}
	for (size_t i = 0; a && i < a->n_changes; i++) {
		snprintf(what, sizeof(what), "has %s", a->changes[i].text);
		persist_gate_tell(x->api->manager, x->uuid, config_is_name(name) ? name : x->uuid,
				  x->uid, NULL, what);
	}
}

static void on_defined(void *arg, const struct persist_answer *answer, const struct advice *a,
		       const struct sight *sight)
{
	struct xml_call *x = arg;

	tell_defined(x, answer, a);
	if (x->call && a)
		reply(x, &answer->domain, a);
	else if (x->call)
		fail(x, answer);
	xml_call_free(x);
}

/* It was looked at, and is to be changed. True: @x waits for libvirt. */
static bool define(struct xml_call *x, const struct persist_domain *p)
{
	struct manager *m = x->api->manager;

	if (!api_permits(x->api, x->call, p->name, p->uuid)) {
		api_fail_permission(x->api, take_call(x));
		return false;
	}
	snprintf(x->uuid, sizeof(x->uuid), "%s", p->uuid);
	if (m->libvirt_advise(m->discovery, x->uuid, x->maximum, true, on_defined, x) == 0)
		return true;
	api_fail(take_call(x), ERR_BUSY,
		 "too many configurations are being looked at; nothing was changed, try again");
	return false;
}

static void on_advised(void *arg, const struct persist_answer *answer, const struct advice *a,
		       const struct sight *sight)
{
	struct xml_call *x = arg;
	bool waits = false;

	if (x->call && !a)
		fail(x, answer);
	else if (x->call && x->define && a->denied)
		api_refuse(take_call(x), "policy", a->obstacles[a->n_obstacles - 1].text);
	else if (x->call && x->define && a->n_changes > 0)
		waits = define(x, &answer->domain);
	else if (x->call)
		reply(x, &answer->domain, a);
	if (!waits)
		xml_call_free(x);
}

/* Return: 0 or -errno; @x is asked for, and @call waits. */
static int ask(struct xml_call *x, const char *word)
{
	struct manager *m = x->api->manager;
	uint64_t us = m->config->deadlines.operation_ms * UINT64_C(1000);
	int r = sd_event_add_time_relative(m->event, &x->deadline, CLOCK_MONOTONIC, us, 1000,
					   on_deadline, x);

	return r < 0 ? r : m->libvirt_advise(m->discovery, word, x->maximum, false, on_advised, x);
}

static void start(struct api *a, struct varlink_call *call, const char *word, bool define)
{
	struct xml_call *x = calloc(1, sizeof(*x));
	int r = -ENOMEM;

	if (x) {
		x->api = a;
		x->call = call;
		x->define = define;
		x->maximum = (unsigned int)varlink_call_int(call, "maximum", 0);
		x->uid = varlink_call_peer(call)->uid;
		snprintf(x->word, sizeof(x->word), "%s", word);
		r = ask(x, word);
	}
	if (r == 0) {
		varlink_call_on_gone(call, on_gone, x);
		return;
	}
	if (x)
		xml_call_free(x);
	if (r == -EBUSY)
		api_fail(call, ERR_BUSY, "too many configurations are being looked at; try again");
	else
		api_fail(call, ERR_INTERNAL, "out of memory");
}

static void domain_xml(struct api *a, struct varlink_call *call, bool define)
{
	const char *word = varlink_call_str(call, "domain", "");
	struct domain *d;
	char text[256];

	if (api_find_domain(a, call, &d) < 0)
		return;
	if (d && d->config->qmp) {
		snprintf(text, sizeof(text),
			 "%s is a QMP domain: only libvirt's have a configuration to be looked at",
			 d->config->name);
		api_refuse(call, "policy", text);
	} else if (!a->manager->libvirt_advise) {
		api_fail(call, ERR_NO_SUCH_DOMAIN, "there is no domain %s", word);
	} else {
		start(a, call, d ? d->config->uuid : word, define);
	}
}

void api_get_domain_xml(void *ctx, struct varlink_call *call)
{
	domain_xml(ctx, call, false);
}

void api_define_domain_xml(void *ctx, struct varlink_call *call)
{
	domain_xml(ctx, call, true);
}
