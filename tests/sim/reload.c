/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon is asked to read its configuration again: the same, another one for a domain in the
 * middle of its operation, or one without that domain. What runs must not notice.
 */
#include "tests/sim/world.h"

#include <assert.h>

enum { MANY = 10 };

enum reload_kind {
	SIM_RELOAD_SAME,
	SIM_RELOAD_TIGHT,    /* 1 ms for everything, and no room for any vCPU more */
	SIM_RELOAD_AWAY,     /* without the domain */
	SIM_RELOAD_AND_BACK, /* the same, and then with it */
	SIM_RELOAD_MANY,
	SIM_RELOADS,
};

/* What no operation could end well with that took it over. */
static void make_tight(struct config *c, const struct sim_domain *d)
{
	struct deadlines *t = &c->deadlines;

	t->guest_present_ms = t->eject_soft_ms = t->eject_hard_ms = 1;
	t->agent_ping_ms = t->agent_wait_ms = t->operation_ms = 1;
	c->domains[d->number]->max_vcpus = 1;
	c->domains[d->number]->one_by_one = ONE_BY_ONE_YES;
}

static void take_away(struct config *c, const struct sim_domain *d)
{
	domain_config_free(c->domains[d->number]);
	c->domains[d->number] = c->domains[--c->n_domains];
}

static void reload(struct sim_domain *d, enum reload_kind kind)
{
	struct world *w = d->world;
	struct config *c = world_config(w);
	int r;

	if (kind == SIM_RELOAD_TIGHT)
		make_tight(c, d);
	else if (kind == SIM_RELOAD_AWAY)
		take_away(c, d);
	w->other_config = kind != SIM_RELOAD_SAME;
	r = manager_reload(w->manager, c);
	assert(r == 0);
}

static void strike(struct sim_domain *d, enum reload_kind kind)
{
	const struct domain *at = world_domain(d);

	if (!d->world->manager)
		return;
	/* They are for what runs to be met by, and not for what begins by them. */
	if (!at || !at->running)
		kind = SIM_RELOAD_SAME;
	sim_log(d, "the configuration is read again: %d", kind);
	switch (kind) {
	case SIM_RELOAD_SAME:
	case SIM_RELOAD_TIGHT:
	case SIM_RELOAD_AWAY:
		reload(d, kind);
		break;
	case SIM_RELOAD_AND_BACK:
		reload(d, SIM_RELOAD_AWAY);
		reload(d, SIM_RELOAD_SAME);
		break;
	case SIM_RELOAD_MANY:
		for (int i = 0; i < MANY; i++)
			reload(d, i % 2 ? SIM_RELOAD_TIGHT : SIM_RELOAD_AWAY);
		break;
	case SIM_RELOADS:
		break;
	}
}

static void heal(struct sim_domain *d, uint64_t arg)
{
	reload_heal(d->world);
}

void reload_strikes(struct sim_domain *d, const struct item *i)
{
	strike(d, i->arg % SIM_RELOADS);
	sim_later(d, i->span_us, heal, 0);
}

void reload_heal(struct world *w)
{
	if (w->manager && w->other_config)
		reload(&w->domains[0], SIM_RELOAD_SAME);
}
