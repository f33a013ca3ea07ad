/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/discovery.h"
#include "daemon/intent-file.h"
#include "daemon/libvirt-module.h"
#include "daemon/log.h"
#include "daemon/reload.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct discovery {
	struct manager *manager;
	const struct libvirt_module *module;
	struct libvirt *lv;
};

static int new_hv(void *discovery, struct hv **ret, const char *uuid,
		  const struct hv_events *events, void *ctx)
{
	struct discovery *d = discovery;

	return d->module->hv_new(ret, d->lv, uuid, events, ctx);
}

static int persist(void *discovery, const char *word, const struct persist_change *change,
		   persist_done_fn done, void *arg)
{
	struct discovery *d = discovery;

	return d->module->persist(d->lv, word, change, done, arg);
}

static int advise(void *discovery, const char *word, unsigned int maximum, bool define,
		  advise_done_fn done, void *arg)
{
	struct discovery *d = discovery;

	return d->module->advise(d->lv, word, maximum, define, done, arg);
}

/* The [Domain NAME] that says more of a domain of libvirt's, or NULL. */
static const struct domain_config *find_section(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_domains; i++)
		if (!c->domains[i]->qmp && strcmp(c->domains[i]->name, name) == 0)
			return c->domains[i];
	return NULL;
}

static struct domain_config *make_config(const struct discovery *d,
					 const struct libvirt_domain *domain, const char *name)
{
	struct domain_config who = { .agent = (char *)(uintptr_t)domain->agent }, c;

	snprintf(who.name, sizeof(who.name), "%s", name);
	snprintf(who.uuid, sizeof(who.uuid), "%s", domain->uuid);
	c = reload_settings(&who, find_section(d->manager->config, name));
	return domain_config_copy(&c);
}

static int add(struct discovery *d, const struct libvirt_domain *domain, const char *name)
{
	struct domain_config *c = make_config(d, domain, name);
	int r = c ? manager_add(d->manager, c, true, NULL) : -ENOMEM;

	domain_config_free(c);
	return r;
}

/* libvirt allows names that are none here, and QMP domains may have been given the same. */
static void on_domain(void *ctx, const struct libvirt_domain *domain)
{
	struct discovery *d = ctx;
	int r = config_is_name(domain->name) ? add(d, domain, domain->name) : -EINVAL;

	if (r == -EINVAL || r == -EEXIST) {
		log_line(LOG_WARNING, "libvirt: domain %s is shown as %s: %s", domain->name,
			 domain->uuid,
			 r == -EEXIST ? "the name is taken" : "the name has other characters");
		r = add(d, domain, domain->uuid);
	}
	if (r < 0)
		log_line(LOG_ERR, "libvirt: domain %s: %s", domain->name, strerror(-r));
}

static void on_running(void *ctx, const char (*uuids)[PERSIST_UUID_SIZE], size_t n)
{
	struct discovery *d = ctx;

	if (d->manager->store)
		intent_store_sweep(d->manager->store, uuids, n);
}

static void on_left(void *ctx, const char *uuid, const char *why)
{
	struct discovery *d = ctx;
	struct manager *m = d->manager;

	for (unsigned int i = 0; i < m->n_domains; i++) {
		if (strcmp(m->domains[i]->config->uuid, uuid) != 0)
			continue;
		manager_remove(m, m->domains[i], why);
		return;
	}
}

static void on_connection(void *ctx, int rc, const char *text)
{
	struct discovery *d = ctx;
	struct manager *m = d->manager;

	m->libvirt_up = rc == 0;
	m->libvirt_rc = rc;
	snprintf(m->libvirt_why, sizeof(m->libvirt_why), "%s", rc ? text : "");
	if (rc == 0)
		log_outcome(JOURNAL_LIBVIRT_CONNECTED, NULL, NULL, "libvirt: connected to %s",
			    text);
	else
		log_outcome(JOURNAL_LIBVIRT_LOST, NULL, NULL, "libvirt: not connected: %s", text);
}

static const struct libvirt_events events = {
	.on_domain = on_domain,
	.on_running = on_running,
	.on_left = on_left,
	.on_connection = on_connection,
};

static int load(struct discovery *d)
{
	char *why = NULL;
	int r = libvirt_module_load(&d->module, &why);

	if (r < 0)
		log_last("[Libvirt] is configured, but its module cannot be loaded: %s",
			 why ? why : strerror(-r));
	free(why);
	return r;
}

int discovery_new(struct discovery **ret, struct manager *m)
{
	struct discovery *d;
	int r;

	*ret = NULL;
	if (!m->config->libvirt)
		return 0;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->manager = m;
	m->discovery = d;
	m->new_libvirt_hv = new_hv;
	m->libvirt_persist = persist;
	m->libvirt_advise = advise;
	r = load(d);
	if (r == 0)
		r = d->module->open(&d->lv, m->event, m->config->libvirt_uri, &events, d);
	if (r < 0) {
		discovery_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

struct discovery *discovery_free(struct discovery *d)
{
	if (d && d->lv)
		d->module->close(d->lv);
	free(d);
	return NULL;
}
