/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A configuration that was read again takes the place of the one before it at once: new requests are
 * judged by it. What it asks for of the domains is reload.c's to say. It is asked when a
 * configuration comes, and again whenever something that was in the way may be over: an operation
 * ended, a walk came to rest, a domain went. So nothing is remembered of what is still to be done
 * but that something is (unsettled), and a second reload in the middle simply asks for something
 * else.
 *
 * An operation that runs keeps the settings it began with: its domain holds the configuration they
 * are of (settings) until nothing runs. A domain that is to go stays until what was accepted has
 * ended and no vCPU of it is on its way, and takes nothing new meanwhile.
 *
 * Deciding changes nothing that is under way, and it happens from the loop alone: a domain may go
 * by it.
 */
#include "daemon/domain.h"
#include "daemon/drift.h"
#include "daemon/intent-domain.h"
#include "daemon/log.h"
#include "daemon/op-run.h"
#include "daemon/reload.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_idle(const struct domain *d)
{
	if (d->running || d->n_queued)
		return false;
	for (unsigned int i = 0; i < d->n_vcpus; i++)
		if (d->vcpus[i].hw || d->vcpus[i].leaving || d->vcpus[i].returning)
			return false;
	return true;
}

static struct reload_have have_of(const struct domain *d)
{
	return (struct reload_have){ .config = d->config, .configured = d->configured };
}

static int take_settings(struct domain *d, const struct reload_step *s)
{
	struct manager *m = d->manager;

	if (s->act == RELOAD_CHANGE) {
		struct domain_config next = reload_settings(d->config, s->want), *copy;

		copy = domain_config_copy(&next);
		if (!copy)
			return -ENOMEM;
		/* In its old place: the plan that is carried out looks at it still. */
		next = *d->config;
		*d->config = *copy;
		*copy = next;
		domain_config_free(copy);
		d->configured = true;
		log_domain(LOG_INFO, d->config->name, "has other settings from now on");
	}
	config_free(d->settings);
	d->settings = config_ref(m->config);
	if (d->hv->ops->set_reply_ms)
		d->hv->ops->set_reply_ms(d->hv, d->settings->deadlines.qmp_reply_ms);
	drift_look(d);
	load_ask(d);
	return 0;
}

static bool is_to_go(enum reload_act act)
{
	return act == RELOAD_LEAVE || act == RELOAD_REPLACE;
}

static void set_leaving(struct domain *d, enum domain_leaving leaving)
{
	if (d->leaving == leaving)
		return;
	d->leaving = leaving;
	log_domain(LOG_NOTICE, d->config->name, "%s",
		   leaving ? domain_why_leaving(d) : "it stays after all");
}

/* Return: whether it is as it should be. */
static bool stay(struct domain *d, const struct reload_step *s)
{
	set_leaving(d, DOMAIN_STAYS);
	if (d->settings == d->manager->config)
		return true;
	return !d->running && take_settings(d, s) == 0;
}

void domain_follow(struct domain *d)
{
	struct reload_have have = have_of(d);
	struct reload_step s;

	if (d->settings == d->manager->config)
		return;
	s = reload_judge(&have, d->manager->config);
	if (!is_to_go(s.act))
		(void)stay(d, &s);
}

static void let_go(struct domain *d, enum reload_act act)
{
	struct manager *m = d->manager;

	if (act == RELOAD_LEAVE)
		manager_remove(m, d, "the domain was taken out of the configuration");
	else
		manager_release(m, d, "the domain's sockets have changed in the configuration");
}

static struct domain *find_by_config(struct manager *m, const struct domain_config *c)
{
	for (unsigned int i = 0; i < m->n_domains; i++)
		if (m->domains[i]->config == c)
			return m->domains[i];
	return NULL;
}

/* Return: whether it has gone. */
static bool take_step(struct manager *m, const struct reload_step *s)
{
	struct domain *d = find_by_config(m, s->have);

	if (!is_to_go(s->act)) {
		m->unsettled |= !stay(d, s);
		return false;
	}
	set_leaving(d, s->act == RELOAD_LEAVE ? DOMAIN_LEAVES : DOMAIN_IS_REPLACED);
	if (!is_idle(d)) {
		m->unsettled = true;
		return false;
	}
	let_go(d, s->act);
	return true;
}

static void attach(struct manager *m, const struct reload_step *s, bool tell)
{
	const char *name = s->want->name;
	int r;

	if (s->act == RELOAD_WAIT) {
		m->unsettled = true;
		if (tell)
			log_domain(LOG_WARNING, name,
				   "not attached yet: domain %s has its name or one of its sockets",
				   s->other->name);
		return;
	}
	r = manager_add(m, s->want, true, NULL);
	if (r == 0)
		log_domain(LOG_INFO, name, "is in the configuration now");
	else if (tell)
		log_domain(LOG_ERR, name, "cannot be attached: %s; it is tried again",
			   strerror(-r));
	m->unsettled |= r < 0;
}

/* Return: whether a domain has gone: then it is to be asked again what is to be done. */
static bool take_steps(struct manager *m, const struct reload_step *steps, size_t n, bool tell)
{
	bool gone = false;

	for (size_t i = 0; i < n && steps[i].have; i++)
		gone |= take_step(m, &steps[i]);
	for (size_t i = 0; !gone && i < n; i++)
		if (!steps[i].have)
			attach(m, &steps[i], tell);
	return gone;
}

static bool follow_once(struct manager *m, bool tell)
{
	struct reload_have *have = calloc(m->n_domains + 1, sizeof(*have));
	struct reload_step *steps = calloc(m->n_domains + m->config->n_domains + 1, sizeof(*steps));
	bool again = false;

	m->unsettled = !have || !steps;
	for (unsigned int i = 0; have && i < m->n_domains; i++)
		have[i] = have_of(m->domains[i]);
	if (!m->unsettled) {
		size_t n = reload_plan(have, m->n_domains, m->config, steps);

		again = take_steps(m, steps, n, tell);
	}
	free(have);
	free(steps);
	return again;
}

static void follow(struct manager *m, bool tell)
{
	while (follow_once(m, tell))
		;
}

static int on_follow(sd_event_source *s, void *userdata)
{
	struct manager *m = userdata;

	m->follow = sd_event_source_disable_unref(m->follow);
	follow(m, false);
	return 0;
}

/* Where it cannot be had the next tick asks again. */
void manager_follow_later(struct manager *m)
{
	if (m->unsettled && !m->follow)
		(void)sd_event_add_defer(m->event, &m->follow, on_follow, m);
}

/* What only a start takes stays as it is, also in what is shown of the configuration. */
static int keep_fixed(const struct manager *m, struct config *c)
{
	char *uri = m->config->libvirt_uri ? strdup(m->config->libvirt_uri) : NULL;

	if (m->config->libvirt_uri && !uri)
		return -ENOMEM;
	if (!reload_same_libvirt(m->config, c))
		log_line(LOG_WARNING,
			 "[Libvirt] is another now: only a new start of vcpuhpd takes that; until "
			 "then libvirt is %s%s",
			 m->config->libvirt ? "used as before: " : "not used",
			 m->config->libvirt ? uri : "");
	free(c->libvirt_uri);
	c->libvirt_uri = uri;
	c->libvirt = m->config->libvirt;
	c->runtime_dir = m->config->runtime_dir;
	return 0;
}

int manager_reload(struct manager *m, struct config *config)
{
	int r = keep_fixed(m, config);

	if (r < 0)
		return r;
	config_free(m->config);
	m->config = config;
	follow(m, true);
	return 0;
}
