/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/reload.h"
#include <stdio.h>
#include <string.h>

static bool is_same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool are_same_names(char *const *a, char *const *b)
{
	if (!a || !b)
		return a == b;
	for (; *a && *b; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return *a == *b;
}

static bool are_same_settings(const struct domain_config *a, const struct domain_config *b)
{
	return a->max_vcpus == b->max_vcpus && a->has_place == b->has_place &&
	       (!a->has_place || memcmp(&a->place, &b->place, sizeof(a->place)) == 0) &&
	       a->foreign == b->foreign && a->one_by_one == b->one_by_one &&
	       a->load_interval.set == b->load_interval.set &&
	       a->load_interval.ms == b->load_interval.ms && are_same_names(a->allow, b->allow);
}

static bool are_same_sockets(const struct domain_config *a, const struct domain_config *b)
{
	return is_same_text(a->qmp, b->qmp) && is_same_text(a->agent, b->agent);
}

/* A section with QMP= is a domain, one without says more of a domain of libvirt's. */
static const struct domain_config *find_section(const struct config *c,
						const struct domain_config *d)
{
	for (size_t i = 0; i < c->n_domains; i++)
		if (!c->domains[i]->qmp == !d->qmp && strcmp(c->domains[i]->name, d->name) == 0)
			return c->domains[i];
	return NULL;
}

struct domain_config reload_settings(const struct domain_config *have,
				     const struct domain_config *section)
{
	struct domain_config c = section ? *section : (struct domain_config){ 0 };

	snprintf(c.name, sizeof(c.name), "%s", have->name);
	snprintf(c.uuid, sizeof(c.uuid), "%s", have->uuid);
	c.qmp = have->qmp;
	c.agent = have->agent;
	if (!c.qmp && c.foreign == FOREIGN_DEFAULT)
		c.foreign = FOREIGN_ONLINE;
	return c;
}

struct reload_step reload_judge(const struct reload_have *have, const struct config *want)
{
	const struct domain_config *d = have->config, *section = find_section(want, d);
	struct reload_step s = { .have = d, .want = section };
	struct domain_config next = reload_settings(d, section);

	/* Who was attached by a client is nobody's section but the one that says just the same. */
	if (!have->configured && (!section || !are_same_sockets(d, section)))
		return (struct reload_step){ .have = d };
	if (d->qmp && !section)
		s.act = RELOAD_LEAVE;
	else if (d->qmp && !are_same_sockets(d, section))
		s.act = RELOAD_REPLACE;
	else if (!have->configured || !are_same_settings(d, &next))
		s.act = RELOAD_CHANGE;
	return s;
}

static bool is_theirs(const struct reload_step *steps, size_t n,
		      const struct domain_config *section)
{
	for (size_t i = 0; i < n; i++)
		if (steps[i].want == section)
			return true;
	return false;
}

static const struct domain_config *find_obstacle(const struct reload_have *have, size_t n,
						 const struct domain_config *section)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(have[i].config->name, section->name) == 0 ||
		    domain_config_share_socket(have[i].config, section))
			return have[i].config;
	return NULL;
}

size_t reload_plan(const struct reload_have *have, size_t n, const struct config *want,
		   struct reload_step *ret)
{
	size_t at = 0;

	for (; at < n; at++)
		ret[at] = reload_judge(&have[at], want);
	for (size_t i = 0; i < want->n_domains; i++) {
		const struct domain_config *section = want->domains[i], *other;

		if (!section->qmp || is_theirs(ret, n, section))
			continue;
		other = find_obstacle(have, n, section);
		ret[at++] = (struct reload_step){ .act = other ? RELOAD_WAIT : RELOAD_ATTACH,
						  .want = section,
						  .other = other };
	}
	return at;
}

bool reload_same_libvirt(const struct config *have, const struct config *want)
{
	return have->libvirt == want->libvirt &&
	       (!have->libvirt || is_same_text(have->libvirt_uri, want->libvirt_uri));
}
