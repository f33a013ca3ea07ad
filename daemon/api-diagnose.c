/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Diagnose: what is missing between here and a working setvcpus. Here the facts are collected:
 * from memory, by looks at sockets (which are not opened: each takes one client), and from libvirt
 * what its XML says. Neither QEMU nor the guest is asked. What the facts mean is said elsewhere
 * (diagnose.c).
 *
 * libvirt is asked of whatever domain may be its own, with a deadline of its own: when it does not
 * answer, that is a finding as well. A domain that only libvirt knows is one only when it has said
 * so. The domain is looked up again when the answer comes, for it may have left.
 *
 * Client gone: the answer, when it comes, finds nobody.
 */
#include "daemon/api-internal.h"
#include "daemon/diagnose.h"
#include "daemon/json-out.h"
#include "daemon/vcpu.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/**
 * struct diagnosis - one such request that waits for libvirt
 * @call: NULL: its client has left, or was answered
 * @word: as the domain was named
 */
struct diagnosis {
	struct api *api;
	struct varlink_call *call;
	char word[PERSIST_NAME_SIZE];
	sd_event_source *deadline;
};

/**
 * struct answer - of libvirt
 * @said: why there is none, else NULL; the rest as advise_done_fn has it
 */
struct answer {
	const char *said;
	const struct persist_domain *persist;
	const struct advice *advice;
	const struct sight *sight;
};

static void reply(struct varlink_call *call, struct findings *f)
{
	json_object *params = json_object_new_object(), *array = json_object_new_array();

	for (size_t i = 0; i < f->n; i++) {
		json_object *o = json_object_new_object();

		json_out_str(o, "check", f->v[i].check);
		json_out_str(o, "severity", severity_name(f->v[i].severity));
		json_out_str(o, "text", f->v[i].text);
		json_out_text(o, "advice", f->v[i].advice);
		json_object_array_add(array, o);
	}
	json_object_object_add(params, "findings", array);
	if (f->no_memory) {
		json_object_put(params);
		api_fail(call, ERR_INTERNAL, "out of memory");
	} else {
		varlink_reply(call, params);
	}
	findings_done(f);
}

static void collect_host(struct api *a, struct varlink_call *call, struct diagnose_host *h)
{
	const struct manager *m = a->manager;

	*h = (struct diagnose_host){
		.version = VCPUHP_VERSION,
		.uptime_ms = (now_us() - m->started_us) / 1000,
		.domains = m->n_domains,
		.uid = varlink_call_peer(call)->uid,
		.operators = m->config->operators && *m->config->operators,
		.daemon_uid = geteuid(),
		.daemon_gid = getegid(),
		.libvirt = m->config->libvirt,
		.libvirt_up = m->libvirt_up,
		.libvirt_why = m->libvirt_why,
		.kvm = m->kvm,
	};
	mac_look(&h->mac);
}

static void collect_vcpus(const struct domain *d, struct diagnose_vcpus *ret)
{
	const struct vcpu_counts c = domain_counts(d);

	*ret = (struct diagnose_vcpus){ .standby = c.standby, .ceiling = d->config->max_vcpus };
	if (c.maximum <= 0)
		return;
	ret->maximum = (unsigned int)c.maximum;
	ret->present = c.present > 0 ? (unsigned int)c.present : 0;
	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		const struct vcpu *v = &d->vcpus[i];

		ret->removable += v->present && v->removable;
		ret->fixed += i > 0 && v->present && !v->removable;
		if (*v->drift && ret->drifting++ == 0) {
			ret->drift = v->drift;
			ret->drift_vcpu = i;
		}
	}
}

/* @connected: there is nothing to look for. */
static void collect_socket(const char *path, bool connected, struct diagnose_socket *ret)
{
	*ret = (struct diagnose_socket){ .path = path, .connected = connected };
	if (path && !connected)
		path_look(path, &ret->look);
}

static void collect_agent(const struct domain *d, struct diagnose_domain *ret)
{
	struct domain_port port;

	domain_port(d, &port);
	collect_socket(d->config->agent, port.connected, &ret->agent_socket);
	ret->agent = (struct diagnose_agent){
		.up = d->agent_up,
		.why = domain_why_no_agent(d),
		.hello = d->hello_known ? &d->hello : NULL,
		.silent = port.silent,
		.heard_ms = port.heard_us ? (int64_t)(now_us() - port.heard_us) / 1000 : -1,
	};
}

static void collect_domain(const struct domain *d, struct diagnose_domain *ret)
{
	*ret = (struct diagnose_domain){
		.name = d->config->name,
		.managed = true,
		.hypervisor = d->hv->ops->hypervisor,
		.attached = d->attached,
		.why_detached = domain_why_detached(d),
		.status = d->status,
		.unsupported = d->n_vcpus > 0 && !d->supported ? d->unsupported_why : NULL,
		.facts = d->facts,
		.one_by_one = domain_is_one_by_one(d),
	};
	collect_socket(d->config->qmp, d->attached, &ret->qmp);
	collect_agent(d, ret);
	collect_vcpus(d, &ret->vcpus);
}

static void collect_unmanaged(const struct answer *a, const char *word, struct diagnose_domain *ret)
{
	const struct persist_domain *p = a->persist;

	*ret = (struct diagnose_domain){
		.name = !p                        ? word
			: config_is_name(p->name) ? p->name
						  : p->uuid,
		.hypervisor = "libvirt",
	};
}

/* May who calls change this domain? */
static void judge_caller(struct api *api, struct varlink_call *call, const struct auth_names *allow,
			 struct diagnose_host *h)
{

	h->restricted = allow;
	h->may_change = auth_allows(AUTH_CHANGE, varlink_call_peer(call), api->daemon_uid,
				    &api->names.operators, allow);
}

/*
 * @word: as it was named; a domain that is not managed is libvirt's, if anybody's. What libvirt told
 * is of the domain with that UUID, whatever @word stands for by now.
 */
static void answer_domain(struct api *api, struct varlink_call *call, const char *word,
			  const struct answer *a)
{
	const struct domain *d = manager_find(api->manager, a->persist ? a->persist->uuid : word);
	struct diagnose_domain facts;
	struct diagnose_host host;
	struct findings f = { 0 };

	collect_host(api, call, &host);
	if (d)
		collect_domain(d, &facts);
	else
		collect_unmanaged(a, word, &facts);
	facts.persist = a->persist;
	facts.libvirt_said = a->said;
	facts.advice = a->advice;
	facts.sight = a->sight;
	judge_caller(api, call, api_allow(api, d, facts.name, a->persist ? a->persist->uuid : ""),
		     &host);
	diagnose_domain(&host, &facts, &f);
	reply(call, &f);
}

static void diagnosis_free(struct diagnosis *x)
{
	sd_event_source_disable_unref(x->deadline);
	free(x);
}

static void on_gone(void *ctx)
{
	struct diagnosis *x = ctx;

	x->call = NULL;
	x->deadline = sd_event_source_disable_unref(x->deadline);
}

static struct varlink_call *take_call(struct diagnosis *x)
{
	struct varlink_call *call = x->call;

	on_gone(x);
	varlink_call_on_gone(call, NULL, NULL);
	return call;
}

/* libvirt has said nothing of the domain, for that reason. */
static void answer_without(struct diagnosis *x, const char *said)
{
	const struct answer a = { .said = said };

	answer_domain(x->api, take_call(x), x->word, &a);
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct diagnosis *x = userdata;

	answer_without(x, "libvirt has not answered in time");
	return 0;
}

static void on_advised(void *arg, const struct persist_answer *answer, const struct advice *advice,
		       const struct sight *sight)
{
	struct diagnosis *x = arg;
	const struct answer a = { .persist = &answer->domain, .advice = advice, .sight = sight };
	struct persist_denial denial;

	if (x->call && answer->rc == 0) {
		answer_domain(x->api, take_call(x), x->word, &a);
	} else if (x->call) {
		persist_explain(answer, x->word, false, &denial);
		if (denial.error == ERR_NO_SUCH_DOMAIN && !manager_find(x->api->manager, x->word))
			api_fail(take_call(x), denial.error, "%s", denial.text);
		else
			answer_without(x, denial.text);
	}
	diagnosis_free(x);
}

/* Return: 0 or -errno. */
static int ask(struct diagnosis *x)
{
	struct manager *m = x->api->manager;
	uint64_t us = m->config->deadlines.qmp_reply_ms * UINT64_C(1000);
	int r = sd_event_add_time_relative(m->event, &x->deadline, CLOCK_MONOTONIC, us, 1000,
					   on_deadline, x);

	return r < 0 ? r : m->libvirt_advise(m->discovery, x->word, 0, false, on_advised, x);
}

/* @d: NULL it is not managed. */
static void ask_libvirt(struct api *a, struct varlink_call *call, const struct domain *d,
			const char *word)
{
	static const struct answer busy = {
		.said = "too many configurations are being looked at already",
	};
	struct diagnosis *x = calloc(1, sizeof(*x));
	int r = -ENOMEM;

	if (x) {
		x->api = a;
		x->call = call;
		snprintf(x->word, sizeof(x->word), "%s", word);
		r = ask(x);
	}
	if (r == 0) {
		varlink_call_on_gone(call, on_gone, x);
		return;
	}
	if (x)
		diagnosis_free(x);
	if (r == -EBUSY && d)
		answer_domain(a, call, word, &busy);
	else if (r == -EBUSY)
		api_fail(call, ERR_BUSY, "too many configurations are being looked at; try again");
	else
		api_fail(call, ERR_INTERNAL, "out of memory");
}

/* The worst of what memory tells of a domain. */
static void add_domain(struct api *a, struct varlink_call *call, const struct domain *d,
		       const struct diagnose_host *host, struct findings *f)
{
	struct diagnose_host own_host = *host;
	struct diagnose_domain facts;
	struct findings own = { 0 };
	const struct finding *worst;

	collect_domain(d, &facts);
	judge_caller(a, call, api_allow(a, d, d->config->name, ""), &own_host);
	diagnose_domain(&own_host, &facts, &own);
	worst = findings_worst(&own);
	f->no_memory |= own.no_memory;
	if (worst && worst->severity > SEVERITY_NOTE) {
		findings_add(f, "domain", worst->severity, "%s: %s: %s", d->config->name,
			     worst->check, worst->text);
		findings_advise(f, "vcpuhpctl doctor %s", d->config->name);
	} else if (worst) {
		findings_add(f, "domain", SEVERITY_OK,
			     "%s: %u of %u vCPUs are plugged, the agent is connected",
			     d->config->name, facts.vcpus.present, facts.vcpus.maximum);
	}
	findings_done(&own);
}

static void answer_host(struct api *a, struct varlink_call *call)
{
	const struct manager *m = a->manager;
	struct diagnose_host host;
	struct findings f = { 0 };

	collect_host(a, call, &host);
	judge_caller(a, call, NULL, &host);
	diagnose_host(&host, &f);
	for (unsigned int i = 0; i < m->n_domains; i++)
		add_domain(a, call, m->domains[i], &host, &f);
	reply(call, &f);
}

void api_diagnose(void *ctx, struct varlink_call *call)
{
	struct api *a = ctx;
	const struct answer nothing = { 0 };
	const char *word = varlink_call_str(call, "domain", NULL);
	struct domain *d;

	if (!word)
		answer_host(a, call);
	else if (api_find_domain(a, call, &d) < 0)
		return;
	else if (a->manager->libvirt_advise && !(d && d->config->qmp))
		ask_libvirt(a, call, d, d && *d->config->uuid ? d->config->uuid : word);
	else if (d)
		answer_domain(a, call, word, &nothing);
	else
		api_fail(
			call, ERR_NO_SUCH_DOMAIN,
			"there is no domain %s: vcpuhpd.conf has no [Libvirt] section, so there are "
			"only its own",
			word);
}
