/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/domain.h"
#include "daemon/intent-domain.h"
#include "daemon/log.h"
#include "daemon/op-run.h"
#include "daemon/wake.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The one tick of all domains, "the 5 s tick": QEMU's tables are asked for, and drift looked for
 * when they come. What it finds has to be shown within 5 s, so the slack the kernel is given to
 * wake up for several timers at once, and QEMU's answer, are within those. It comes when others that
 * try again do (wake.h).
 */
enum { TICK_US = 4000000, TICK_SLACK_US = 500000 };

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	manager_follow_later(m);
	for (unsigned int i = 0; i < m->n_domains; i++) {
		struct domain *d = m->domains[i];

		if (!d->attached)
			continue;
		/* Only an operation has use for the guest's last words to QEMU. */
		if (d->running)
			d->hv->ops->query(d->hv, hv_ignore, NULL);
		else
			d->hv->ops->look(d->hv, false);
		for (unsigned int k = 0; k < d->n_vcpus; k++)
			hostwalk_on_tick(&d->vcpus[k]);
		op_run_doubt(d);
	}
	sd_event_source_set_time(s, wake_round(now_us() + TICK_US, TICK_US));
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

int manager_add(struct manager *m, const struct domain_config *config, bool configured,
		struct domain **ret)
{
	struct domain **more;
	struct domain *d;
	int rc;

	for (unsigned int i = 0; i < m->n_domains; i++)
		if (strcmp(m->domains[i]->config->name, config->name) == 0)
			return -EEXIST;
	more = reallocarray(m->domains, m->n_domains + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	m->domains = more;
	rc = domain_new(&d, m, config, configured);
	if (rc < 0)
		return rc;
	m->domains[m->n_domains++] = d;
	if (ret)
		*ret = d;
	return 0;
}

int manager_new(struct manager **ret, sd_event *event, struct config *config)
{
	struct manager *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return -ENOMEM;
	TAILQ_INIT(&m->changes);
	LIST_INIT(&m->load_watches);
	m->event = sd_event_ref(event);
	m->config = config;
	m->started_us = now_us();
	m->bus = event_bus_new();
	intent_host_boot(m->host_boot);
	if (config->runtime_dir && intent_store_open(&m->store, config->runtime_dir) < 0) {
		m->config = NULL;
		manager_free(m);
		return -ENOMEM;
	}
	kvm_limits_read(&m->kvm);
	rc = m->bus ? sd_event_add_time(event, &m->tick, CLOCK_MONOTONIC,
					wake_round(m->started_us + TICK_US, TICK_US), TICK_SLACK_US,
					on_tick, m)
		    : -ENOMEM;
	for (size_t i = 0; rc >= 0 && i < config->n_domains; i++)
		if (config->domains[i]->qmp)
			rc = manager_add(m, config->domains[i], true, NULL);
	if (rc < 0) {
		m->config = NULL;
		manager_free(m);
		return rc;
	}
	*ret = m;
	return 0;
}

void manager_drop_domains(struct manager *m)
{
	while (m->n_domains > 0)
		domain_free(m->domains[--m->n_domains]);
}

struct manager *manager_free(struct manager *m)
{
	if (!m)
		return NULL;
	manager_drop_domains(m);
	free(m->domains);
	sd_event_source_disable_unref(m->tick);
	sd_event_source_disable_unref(m->follow);
	sd_event_source_disable_unref(m->ask_loads);
	event_bus_free(m->bus);
	intent_store_free(m->store);
	config_free(m->config);
	sd_event_unref(m->event);
	free(m);
	return NULL;
}

static bool is_libvirt(const struct domain *d)
{
	return !d->config->qmp;
}

static bool is_named(const struct domain *d, const char *word)
{
	return strcmp(d->config->name, word) == 0;
}

static bool is_qmp_named(const struct domain *d, const char *word)
{
	return !is_libvirt(d) && is_named(d, word);
}

static bool is_id(const struct domain *d, const char *word)
{
	char id[16];

	snprintf(id, sizeof(id), "%d", d->facts.libvirt_id);
	return d->facts.libvirt_id > 0 && strcmp(id, word) == 0;
}

static bool is_uuid(const struct domain *d, const char *word)
{
	const char *uuid = is_libvirt(d) ? d->config->uuid : d->facts.uuid;

	return *uuid && strcasecmp(uuid, word) == 0;
}

/* An id is a number that changes with each start: a name in the configuration goes before it. */
struct domain *manager_find(struct manager *m, const char *word)
{
	static bool (*const ways[])(const struct domain *d, const char *word) = {
		is_qmp_named,
		is_id,
		is_uuid,
		is_named,
	};

	for (size_t way = 0; way < sizeof(ways) / sizeof(*ways); way++)
		for (unsigned int i = 0; i < m->n_domains; i++)
			if (ways[way](m->domains[i], word))
				return m->domains[i];
	return NULL;
}

struct domain *manager_find_socket(struct manager *m, const struct domain_config *config)
{
	for (unsigned int i = 0; i < m->n_domains; i++)
		if (domain_config_share_socket(m->domains[i]->config, config))
			return m->domains[i];
	return NULL;
}

int manager_attach(struct manager *m, const struct domain_config *config, struct domain **ret)
{
	if (manager_find(m, config->name))
		return -EEXIST;
	if (manager_find_socket(m, config))
		return -EADDRINUSE;
	return manager_add(m, config, false, ret);
}

static void take_out(struct manager *m, struct domain *d, const char *why)
{
	log_outcome(JOURNAL_DOMAIN_LEFT, d->config->name, NULL, "left: %s", why);
	op_run_vm_gone(d, why);
	for (unsigned int i = 0; i < m->n_domains; i++) {
		if (m->domains[i] != d)
			continue;
		m->domains[i] = m->domains[--m->n_domains];
		break;
	}
	manager_follow_later(m);
}

void manager_remove(struct manager *m, struct domain *d, const char *why)
{
	take_out(m, d, why);
	intent_domain_remove(d);
	domain_free(d);
}

void manager_release(struct manager *m, struct domain *d, const char *why)
{
	take_out(m, d, why);
	(void)domain_remember(d);
	domain_free(d);
}

int manager_detach(struct manager *m, struct domain *d)
{
	if (d->configured && !d->leaving)
		return -EPERM;
	if (d->running || d->n_queued)
		return -EBUSY;
	manager_remove(m, d, "the domain was detached");
	return 0;
}
