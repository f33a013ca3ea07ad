/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/api-internal.h"
#include "daemon/json-out.h"
#include "daemon/persist-gate.h"
#include "daemon/report.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Theory of operation
 *
 * What SetVcpus and SetTarget do to a persistent configuration without an operation: the domain is
 * looked up in libvirt, which also knows those that do not run or have no channel; what was asked is
 * checked against what is found; then libvirt is asked to change it. A request for the running
 * domain, or one that only looks, comes here where the daemon has no such domain, to be told why.
 *
 * libvirt is waited for until the deadline. Client gone or deadline passed: the answer, when it
 * comes, finds nobody, a look is not followed by a change, and a change that still waits for an
 * earlier one (persist-gate.c) is not made.
 */

/*
 * So long libvirt may take to tell why the daemon does not have a domain. Anybody who may look can
 * ask that, so there is a limit, which leaves half of the module's threads to those who change
 * something: whoever comes beyond it is told less.
 */
enum { EXPLAIN_MS = 2000, EXPLAINING_MAX = 4 };

/**
 * struct config_call - one such request
 * @call: NULL: it has its answer, or its client has left
 * @word: as the domain was named
 * @before: as it was found; its @uuid is empty until then
 * @running_too: the running domain is to have it as well; that is an operation, and only its dry
 *               run is here
 * @looking: nothing is to be changed: it only asks why the daemon has no such domain
 * @waits: libvirt has been asked, or is when the change's turn has come; @gate: of that change
 */
struct config_call {
	struct api *api;
	struct varlink_call *call;
	struct op_request request;
	struct persist_change change;
	enum api_affect affect;
	bool dry_run, running_too, looking, waits;
	char word[PERSIST_NAME_SIZE];
	struct persist_domain before;
	uid_t uid;
	struct persist_gate *gate;
	sd_event_source *deadline;
};

static void config_call_free(struct config_call *c)
{
	c->api->explaining -= c->looking;
	sd_event_source_disable_unref(c->deadline);
	free(c);
}

/* The answer is about to be given; @c lives until libvirt has given its own. */
static struct varlink_call *take_call(struct config_call *c)
{
	struct varlink_call *call = c->call;

	c->call = NULL;
	c->deadline = sd_event_source_disable_unref(c->deadline);
	varlink_call_on_gone(call, NULL, NULL);
	return call;
}

static void on_gone(void *ctx)
{
	struct config_call *c = ctx;

	c->call = NULL;
	c->deadline = sd_event_source_disable_unref(c->deadline);
	if (c->gate && persist_gate_cancel(c->gate))
		config_call_free(c);
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct config_call *c = userdata;
	bool withdrawn = c->gate && persist_gate_cancel(c->gate);
	bool changing = c->gate && !withdrawn;

	if (c->affect == API_AFFECT_DEFAULT)
		api_fail(take_call(c), ERR_NO_SUCH_DOMAIN,
			 "there is no domain %s among those of vcpuhpd, and libvirt has not "
			 "answered in time",
			 c->word);
	else
		api_fail(take_call(c), ERR_TIMED_OUT, "libvirt has not answered%s in time; %s",
			 withdrawn ? " an earlier change" : "",
			 changing ? "it may still change the persistent configuration"
				  : "the persistent configuration was not changed");
	if (withdrawn)
		config_call_free(c);
	return 0;
}

static void reply_denied(struct varlink_call *call, const struct persist_denial *denial)
{
	if (denial->error == ERR_REFUSED)
		api_refuse(call, denial->by, denial->text);
	else
		api_fail(call, denial->error, "%s", denial->text);
}

/* How the domain is called here: one that the daemon manages may have its UUID for a name. */
static const char *name_of(struct api *a, const struct persist_domain *p, struct domain **ret)
{
	*ret = manager_find(a->manager, p->uuid);
	return *ret ? (*ret)->config->name : config_is_name(p->name) ? p->name : p->uuid;
}

static void reply_done(struct config_call *c, const struct persist_domain *p)
{
	const struct persist_outcome outcome = { .result = PERSIST_DONE,
						 .present = (int)p->present,
						 .maximum = (int)p->maximum };
	struct varlink_call *call = take_call(c);
	json_object *result = json_object_new_object();
	struct domain *d;
	const char *name = name_of(c->api, p, &d);
	struct vcpu_counts counts = d ? domain_counts(d) : VCPU_COUNTS_UNKNOWN;

	json_out_null(result, "op");
	json_out_str(result, "domain", name);
	json_out_str(result, "result", op_result_name(OP_DONE));
	json_out_int(result, "asked",
		     c->change.kind == PERSIST_COUNT ? c->change.count
						     : cpulist_count(&c->change.list));
	json_out_known(result, "present", counts.present);
	json_out_known(result, "online", counts.online);
	json_out_known(result, "standby", counts.standby);
	json_out_null(result, "refused_by");
	json_out_null(result, "error");
	json_object_object_add(result, "vcpus", json_object_new_array());
	json_object_object_add(result, "config", report_persist(&outcome));
	api_reply(call, "result", result);
}

static json_object *report_move(const struct config_call *c)
{
	json_object *o = json_object_new_object();

	json_out_int(o, "from", c->before.present);
	json_out_int(o, "to", persist_after(&c->before, &c->change));
	json_out_int(o, "maximum", c->before.maximum);
	return o;
}

/* A dry run: nothing but the configuration, or the running domain's plan besides. */
static void reply_plan(struct config_call *c)
{
	struct domain *d = manager_find(c->api->manager, c->before.uuid);
	json_object *move = report_move(c), *params;

	if (c->running_too && d) {
		api_plan(c->api, take_call(c), d, &c->request, move);
		return;
	}
	params = json_object_new_object();
	json_object_object_add(params, "plan", json_object_new_array());
	json_object_object_add(params, "refusals", json_object_new_array());
	json_object_object_add(params, "config", move);
	varlink_reply(take_call(c), params);
}

static void reply_refusal(struct config_call *c, const struct persist_denial *denial)
{
	json_object *params, *refusals;

	if (!c->dry_run || denial->error != ERR_REFUSED) {
		reply_denied(take_call(c), denial);
		return;
	}
	params = json_object_new_object();
	refusals = json_object_new_array();
	json_object_array_add(refusals, json_object_new_string(denial->text));
	json_object_object_add(params, "plan", json_object_new_array());
	json_object_object_add(params, "refusals", refusals);
	varlink_reply(take_call(c), params);
}

static void refuse_text(struct config_call *c, enum request_error error, const char *text)
{
	struct persist_denial denial = { .error = error,
					 .by = error == ERR_REFUSED ? "policy" : NULL };

	snprintf(denial.text, sizeof(denial.text), "%s", text);
	reply_refusal(c, &denial);
}

/* What can be done with it instead. */
static void say_rest(const struct config_call *c, const struct persist_domain *p, char *text,
		     size_t size)
{
	if (!p->persistent)
		*text = '\0';
	else if (c->looking)
		snprintf(text, size, "; its persistent configuration has %u of %u vCPUs",
			 p->present, p->maximum);
	else
		snprintf(text, size,
			 ", so only its persistent configuration can be changed (--config)");
}

/* It runs and has the channel: why does the daemon not manage it? */
static enum request_error explain_unmanaged(const struct manager *m, const struct persist_domain *p,
					    char *text, size_t size)
{
	if (m->libvirt_rc == -EPERM) {
		snprintf(text, size,
			 "domain %s runs, but libvirt does not permit vcpuhpd to manage it: %s",
			 p->name, m->libvirt_why);
		return ERR_PERMISSION;
	}
	if (m->libvirt_rc)
		snprintf(text, size,
			 "domain %s runs, but vcpuhpd is not connected to libvirt: %s; try again",
			 p->name, m->libvirt_why);
	else
		snprintf(text, size, "domain %s has only just been found; try again", p->name);
	return ERR_BUSY;
}

/* The running domain is asked for, and the daemon has none: why? True: the call was answered. */
static bool lacks_running(struct config_call *c, const struct persist_domain *p)
{
	/* Without a word about it the daemon knows what it manages, and nothing else. */
	enum request_error error =
		c->affect == API_AFFECT_DEFAULT ? ERR_NO_SUCH_DOMAIN : ERR_REFUSED;
	bool known = manager_find(c->api->manager, p->uuid);
	char text[2 * PERSIST_TEXT_MAX], rest[PERSIST_TEXT_MAX];

	if (c->affect == API_AFFECT_CONFIG || (c->affect == API_AFFECT_CURRENT && !p->running) ||
	    (c->running_too && c->dry_run && known))
		return false;
	say_rest(c, p, rest, sizeof(rest));
	if (!p->running)
		snprintf(text, sizeof(text), "domain %s is not running%s", p->name, rest);
	else if (!p->channel && !known)
		snprintf(text, sizeof(text),
			 "domain %s runs without the channel org.vcpuhp.agent.0%s", p->name, rest);
	else
		error = explain_unmanaged(c->api->manager, p, text, sizeof(text));
	refuse_text(c, error, text);
	return true;
}

static void on_changed(void *arg, const struct persist_answer *a);

/* It is there: answer, or ask for the change. */
static void go_on(struct config_call *c)
{
	const struct persist_domain *p = &c->before;
	struct manager *m = c->api->manager;
	struct persist_denial denial;

	if (!api_permits(c->api, c->call, p->name, p->uuid)) {
		api_fail_permission(c->api, take_call(c));
	} else if (lacks_running(c, p)) {
		return;
	} else if (persist_is_denied(p, &c->change, api_ceiling(c->api, p->name, p->uuid),
				     &denial)) {
		reply_refusal(c, &denial);
	} else if (c->dry_run) {
		reply_plan(c);
	} else {
		c->waits = persist_gate_ask(&c->gate, m, p->uuid,
					    config_is_name(p->name) ? p->name : p->uuid, &c->change,
					    c->uid, NULL, on_changed, c) == 0;
		if (!c->waits)
			api_fail(take_call(c), ERR_INTERNAL, "out of memory");
	}
}

/* It could not be looked at. */
static void fail_look(struct config_call *c, const struct persist_answer *a)
{
	struct persist_denial denial;

	/* Who asks for what the daemon manages is told that this is not among it. */
	if (c->affect == API_AFFECT_DEFAULT) {
		bool is_unknown = a->rc == -ENOENT;

		api_fail(take_call(c), ERR_NO_SUCH_DOMAIN, "there is no domain %s%s%s", c->word,
			 is_unknown ? "" : " among those of vcpuhpd, and libvirt cannot be asked: ",
			 is_unknown ? "" : a->text);
		return;
	}
	persist_explain(a, c->word, false, &denial);
	reply_denied(take_call(c), &denial);
}

static void on_looked(void *arg, const struct persist_answer *a)
{
	struct config_call *c = arg;

	c->waits = false;
	if (c->call && a->rc) {
		fail_look(c, a);
	} else if (c->call) {
		c->before = a->domain;
		go_on(c);
	}
	if (!c->waits)
		config_call_free(c);
}

static void on_changed(void *arg, const struct persist_answer *a)
{
	struct config_call *c = arg;
	struct persist_denial denial;

	c->gate = NULL;
	if (a->rc)
		persist_explain(a, c->word, true, &denial);
	if (c->call && a->rc)
		reply_denied(take_call(c), &denial);
	else if (c->call)
		reply_done(c, &a->domain);
	config_call_free(c);
}

static int start(struct config_call *c, unsigned int timeout_ms)
{
	struct manager *m = c->api->manager;
	uint64_t ms = timeout_ms ? timeout_ms : m->config->deadlines.operation_ms;
	int r;

	if (c->affect == API_AFFECT_DEFAULT)
		ms = EXPLAIN_MS;
	r = sd_event_add_time_relative(m->event, &c->deadline, CLOCK_MONOTONIC, ms * 1000, 1000,
				       on_deadline, c);

	return r < 0 ? r : m->libvirt_persist(m->discovery, c->word, NULL, on_looked, c);
}

static struct config_call *config_call_new(struct api *a, struct varlink_call *call,
					   enum api_affect affect, const char *word)
{
	struct config_call *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->api = a;
	c->call = call;
	c->affect = affect;
	c->uid = varlink_call_peer(call)->uid;
	snprintf(c->word, sizeof(c->word), "%s", word);
	return c;
}

/* @c: taken; NULL out of memory */
static void start_or_fail(struct config_call *c, struct varlink_call *call, unsigned int timeout_ms)
{
	if (!c || start(c, timeout_ms) < 0) {
		if (c)
			config_call_free(c);
		api_fail(call, ERR_INTERNAL, "out of memory");
		return;
	}
	c->waits = true;
	varlink_call_on_gone(call, on_gone, c);
}

void api_config(struct api *a, struct varlink_call *call, const struct domain *d,
		const struct op_request *r, enum api_affect affect)
{
	const char *word = d ? d->config->uuid : varlink_call_str(call, "domain", "");
	struct config_call *c = config_call_new(a, call, affect, word);

	if (c) {
		c->request = *r;
		op_request_persist(r, &c->change);
		c->dry_run = varlink_call_bool(call, "dry_run", false);
		c->running_too = affect == API_AFFECT_BOTH;
	}
	start_or_fail(c, call, r->timeout_ms);
}

void api_explain(struct api *a, struct varlink_call *call)
{
	const char *word = varlink_call_str(call, "domain", "");
	struct config_call *c;

	if (!a->manager->libvirt_persist || a->explaining == EXPLAINING_MAX) {
		api_fail(call, ERR_NO_SUCH_DOMAIN, "there is no domain %s%s", word,
			 a->explaining ? " among those of vcpuhpd, and libvirt is asked for too "
					 "many others; try again"
				       : "");
		return;
	}
	c = config_call_new(a, call, API_AFFECT_DEFAULT, word);
	if (c) {
		c->looking = true;
		a->explaining++;
	}
	start_or_fail(c, call, 0);
}
