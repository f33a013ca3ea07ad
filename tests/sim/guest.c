/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The guest's kernel, as far as vCPUs go: it scans the hotplug registers when the general purpose
 * event is raised, gives a new CPU the lowest number that is free, brings CPUs online and offline
 * one at a time under one lock, and lets go of those it is asked for, or does not.
 *
 * A CPU that is to leave is offlined by the kernel without asking anybody; the agent hears of it
 * when it has happened. A kernel that stands still (paused, stopped, hung) does what is due when
 * it goes on. One that boots brings all CPUs online that QEMU has.
 */
#include "tests/sim/sim.h"

enum {
	SCAN_MIN_US = 5000,
	SCAN_MAX_US = 20000,
	SWITCH_MIN_US = 8000,
	SWITCH_MAX_US = 40000,
	LATE_US = 8000000,
	STATUS_FAILED = 1,
	STATUS_BUSY = 130,
	STATUS_IN_PROGRESS = 132,
};

bool guest_moves(const struct sim_domain *d)
{
	return machine_is_running(d) && d->g.up && !d->g.hung;
}

static int free_number(const struct sim_domain *d)
{
	for (int cpu = 0;; cpu++) {
		bool taken = false;

		for (unsigned int i = 0; i < SIM_SLOTS; i++)
			taken |= d->g.cpus[i].present && d->g.cpus[i].cpu == cpu;
		if (!taken)
			return cpu;
	}
}

static void insert(struct sim_domain *d, unsigned int slot)
{
	struct guest_cpu *c = &d->g.cpus[slot];

	if (c->present)
		return;
	*c = (struct guest_cpu){ .present = true, .cpu = free_number(d) };
	sim_log(d, "slot %u is cpu%d", slot, c->cpu);
	machine_ost(d, slot, HV_OST_ADD, 0);
	walk_script_present(d, slot);
}

void guest_eject(struct sim_domain *d, unsigned int slot)
{
	struct guest_cpu *c = &d->g.cpus[slot];
	bool was = c->present;

	if (slot < d->m.boot_cpus)
		return;
	*c = (struct guest_cpu){ .cpu = -1 };
	if (was)
		walk_script_gone(d, slot);
	machine_eject(d, slot);
}

/* Which device it is about: its slot, in this boot, and its thread. */
static uint64_t pack_device(const struct sim_domain *d, unsigned int slot)
{
	return slot | (uint64_t)(d->g.boots & 0xffff) << 8 |
	       (uint64_t)d->m.slots[slot].thread << 24;
}

static void eject_later(struct sim_domain *d, uint64_t device)
{
	unsigned int slot = device & 0xff;

	if (device != pack_device(d, slot))
		return;
	if (guest_moves(d))
		guest_eject(d, slot);
	else
		sim_later(d, 100000, eject_later, device);
}

static void refuse_later(struct sim_domain *d, uint64_t slot)
{
	int status = rng_chance(&d->rng, 50) ? STATUS_BUSY : STATUS_FAILED;

	machine_ost(d, (unsigned int)slot, HV_OST_REMOVE, d->g.refusal ? d->g.refusal : status);
}

static void let_go(struct sim_domain *d, unsigned int slot)
{
	uint64_t us = d->g.cpus[slot].online ? guest_switch(d, slot, false) : 0;

	us += 5000 + rng_below(&d->rng, 15000);
	if (d->g.removal == REMOVAL_LATE)
		us += LATE_US + rng_below(&d->rng, LATE_US);
	sim_later(d, us, eject_later, pack_device(d, slot));
}

static void remove_cpu(struct sim_domain *d, unsigned int slot)
{
	if (d->g.removal == REMOVAL_IGNORE)
		return;
	d->m.slots[slot].removing = false;
	machine_ost(d, slot, HV_OST_REMOVE, STATUS_IN_PROGRESS);
	sim_phase(d, PHASE_EJECT_AWAITED, slot);
	if (d->g.removal == REMOVAL_REFUSE)
		sim_later(d, 3000 + rng_below(&d->rng, 50000), refuse_later, slot);
	else
		let_go(d, slot);
}

static void on_scan(void *arg)
{
	struct sim_domain *d = arg;

	d->g.scan_due = !guest_moves(d);
	if (d->g.scan_due)
		return;
	for (unsigned int i = 0; i < SIM_SLOTS && guest_moves(d); i++) {
		struct slot *s = &d->m.slots[i];

		if (s->inserting) {
			s->inserting = false;
			insert(d, i);
		}
		if (s->removing && s->present)
			remove_cpu(d, i);
	}
	/* What stood still in the middle goes on from there. */
	d->g.scan_due |= d->g.up && !guest_moves(d);
}

void guest_gpe(struct sim_domain *d)
{
	if (d->g.lose_gpes > 0) {
		d->g.lose_gpes--;
		sim_log(d, "a general purpose event is lost");
		return;
	}
	d->g.scan_due = true;
	if (guest_moves(d) && !d->g.scan.at)
		clock_arm(&d->g.scan, rng_range(&d->rng, SCAN_MIN_US, SCAN_MAX_US));
}

void guest_wake(struct sim_domain *d)
{
	if (d->g.scan_due && guest_moves(d) && !d->g.scan.at)
		clock_arm(&d->g.scan, rng_range(&d->rng, SCAN_MIN_US, SCAN_MAX_US));
}

void guest_hang(struct sim_domain *d, bool hang)
{
	if (d->g.hung == hang)
		return;
	sim_log(d, "the guest %s", hang ? "hangs" : "goes on");
	d->g.hung = hang;
	agent_mute(d, d->a.mute);
	guest_wake(d);
}

/* What a write to the kernel's file has asked for: slot and whether online, and the boot. */
static uint64_t pack(unsigned int slot, bool online, unsigned int boot)
{
	return slot | (uint64_t)online << 8 | (uint64_t)boot << 16;
}

static void switched(struct sim_domain *d, uint64_t arg)
{
	unsigned int slot = arg & 0xff;
	bool online = arg >> 8 & 1;
	struct guest_cpu *c = &d->g.cpus[slot];

	if (arg >> 16 != d->g.boots || !c->present || c->online == online)
		return;
	if (!guest_moves(d)) {
		sim_later(d, 100000, switched, arg);
		return;
	}
	c->online = online;
	sim_log(d, "cpu%d is %s", c->cpu, online ? "online" : "offline");
	walk_script_switched(d, slot);
}

uint64_t guest_switch(struct sim_domain *d, unsigned int slot, bool online)
{
	uint64_t now = clock_us(), us = rng_range(&d->rng, SWITCH_MIN_US, SWITCH_MAX_US);

	if (d->g.lock_us < now)
		d->g.lock_us = now;
	d->g.lock_us += us;
	us = d->g.lock_us - now;
	sim_later(d, us, switched, pack(slot, online, d->g.boots));
	return us;
}

void guest_switch_foreign(struct sim_domain *d, unsigned int slot, bool online)
{
	if (!guest_moves(d) || !d->g.cpus[slot].present || (!online && d->g.cpus[slot].cpu == 0))
		return;
	sim_log(d, "another switches cpu%d %s", d->g.cpus[slot].cpu, online ? "on" : "off");
	guest_switch(d, slot, online);
}

static void on_boot(void *arg)
{
	struct sim_domain *d = arg;
	struct guest *g = &d->g;

	if (!machine_is_running(d)) {
		clock_arm(&g->boot, 500000);
		return;
	}
	g->boots++;
	g->up = true;
	d->m.legacy = false;
	d->trusted = d->a.lie == LIE_NONE;
	sim_log(d, "the guest has booted (%u)", g->boots);
	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		struct slot *s = &d->m.slots[i];

		g->cpus[i] = (struct guest_cpu){ .cpu = -1 };
		if (!s->present)
			continue;
		s->inserting = false;
		g->cpus[i].cpu = free_number(d);
		g->cpus[i].present = g->cpus[i].online = true;
	}
	g->scan_due = true;
	guest_wake(d);
	clock_arm(&d->a.restart, 200000 + rng_below(&d->rng, 1000000));
}

void guest_boot(struct sim_domain *d, uint64_t after_us)
{
	clock_arm(&d->g.boot, after_us);
}

void guest_end(struct sim_domain *d)
{
	agent_kill(d);
	agent_forget(d);
	d->g.up = d->g.hung = d->g.scan_due = false;
	d->g.lock_us = 0;
	clock_disarm(&d->g.scan);
	clock_disarm(&d->g.boot);
	clock_disarm(&d->a.restart);
	for (unsigned int i = 0; i < SIM_SLOTS; i++)
		d->g.cpus[i] = (struct guest_cpu){ .cpu = -1 };
}

void guest_init(struct sim_domain *d)
{
	clock_init(&d->g.scan, on_scan, d);
	clock_init(&d->g.boot, on_boot, d);
	for (unsigned int i = 0; i < SIM_SLOTS; i++)
		d->g.cpus[i].cpu = -1;
}

void guest_done(struct sim_domain *d)
{
	clock_disarm(&d->g.scan);
	clock_disarm(&d->g.boot);
}
