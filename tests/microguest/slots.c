/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "proto/ladder.h"
#include "tests/microguest/guest.h"
#include "tests/microguest/hotplug.h"
#include "tests/microguest/machine.h"
#include <errno.h>

static void come(struct guest *g, struct cpu *c)
{
	/* Never the slot's, so that whoever takes one for the other is noticed. */
	c->number = c->slot ? (uint16_t)(2 * g->slots - c->slot) : 0;
	c->apic = hotplug_apic_id(c->slot);
	c->present = true;
	c->online = c->taken = c->parked = false;
	c->state = CPUHP_STANDBY;
	c->ran_on = MSG_NO_CPU;
	c->run = (struct run){ 0 };
	c->row_due = true;
}

void slots_init(struct guest *g)
{
	unsigned int n = hotplug_init();

	g->slots = n < CPUS_MAX ? n : CPUS_MAX;
	for_each_cpu (g, c)
		c->slot = (uint16_t)(c - g->cpus);
	/* What was there before us rests, as with a kernel that is told to start one CPU. */
	for_each_cpu (g, c)
		if (hotplug_flags(c->slot) & HOTPLUG_ENABLED)
			come(g, c);
	g->cpus[0].online = true;
	g->cpus[0].state = CPUHP_ONLINE;
	g->cpus[0].ran_on = 0;
}

static void inserted(struct guest *g, struct cpu *c)
{
	hotplug_set(c->slot, HOTPLUG_INSERTING);
	come(g, c);
	hotplug_ost(c->slot, OST_INSERT, OST_OK);
}

/* As a kernel does without asking its agent: what runs there is stopped. */
static void take_away(struct guest *g, struct cpu *c)
{
	bool was_in_service = c->walking || c->state > CPUHP_STANDBY;

	if (c->walking)
		job_lose(g, c);
	machine_init_vcpu(c->apic);
	c->worker.alive = false;
	c->present = c->online = c->parked = false;
	c->taken = was_in_service;
	c->state = CPUHP_OFFLINE;
	c->ran_on = MSG_NO_CPU;
	c->row_due = true;
}

void slots_drop(struct guest *g, struct cpu *c)
{
	if (c->present)
		take_away(g, c);
	hotplug_set(c->slot, HOTPLUG_EJECT);
	hotplug_ost(c->slot, OST_EJECT, OST_OK);
}

static void asked_to_remove(struct guest *g, struct cpu *c)
{
	const struct behaviour *b = &g->behaviour;

	hotplug_set(c->slot, HOTPLUG_REMOVING);
	hotplug_ost(c->slot, OST_EJECT, OST_IN_PROGRESS);
	if (b->eject == EJECT_REFUSE)
		hotplug_ost(c->slot, OST_EJECT, b->status);
	else if (b->eject == EJECT_FORGE)
		hotplug_ost(c->slot, OST_EJECT, OST_OK);
	else
		slots_drop(g, c);
}

void slots_turn(struct guest *g)
{
	const struct behaviour *b = &g->behaviour;
	unsigned int slot = hotplug_find(g->looked_at);
	uint8_t flags;

	if (slot >= g->slots)
		return;
	/* One that is let lie must not hide the others. */
	g->looked_at = (slot + 1) % g->slots;
	flags = hotplug_flags(slot);
	if (flags & (HOTPLUG_INSERTING | HOTPLUG_REMOVING))
		g->busy_until_ns = now_ns() + BUSY_NS;
	if ((flags & HOTPLUG_INSERTING) && !b->blind)
		inserted(g, &g->cpus[slot]);
	if ((flags & HOTPLUG_REMOVING) && b->eject != EJECT_IGNORE)
		asked_to_remove(g, &g->cpus[slot]);
}
