/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * QEMU's vCPUs and the hotplug registers as the guest sees them. What its clients are told of it
 * is qmp-script.c's. The texts, the order of events and what survives a reset are those of
 * tests/sim/recordings, where the real QEMU was asked.
 */
#include "tests/sim/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool machine_is_running(const struct sim_domain *d)
{
	return !d->m.exited && !d->m.stopped && d->m.state == MACHINE_RUNNING;
}

void machine_changed(struct sim_domain *d)
{
	free(d->m.table);
	free(d->m.cpus);
	d->m.table = d->m.cpus = NULL;
}

static int new_thread(struct sim_domain *d, unsigned int slot)
{
	return d->threads ? d->threads[slot] : d->m.next_thread++;
}

static void fill(struct sim_domain *d)
{
	struct machine *m = &d->m;

	m->pid = 1000 + (pid_t)d->number * 1000 + m->pid % 1000 + 1;
	m->wire.pid = d->threads ? getpid() : m->pid;
	m->next_thread = m->pid * 100;
	for (unsigned int i = 0; i < SIM_SLOTS; i++)
		m->slots[i] = (struct slot){
			.present = i < m->boot_cpus,
			.boot = i < m->boot_cpus,
			.thread = i < m->boot_cpus ? new_thread(d, i) : 0,
		};
	m->legacy = true;
	m->state = MACHINE_RUNNING;
	machine_changed(d);
}

void machine_init(struct sim_domain *d, unsigned int boot_cpus, bool kvm)
{
	d->m.boot_cpus = boot_cpus;
	d->m.kvm = kvm;
	qmp_script_init(d);
}

void machine_done(struct sim_domain *d)
{
	qmp_script_done(d);
	machine_changed(d);
}

void machine_start(struct sim_domain *d)
{
	d->m.exited = d->m.stopped = false;
	d->m.slow_us = 0;
	fill(d);
	wire_read(&d->m.wire, true);
	wire_listen(&d->m.wire, true);
	wire_listen(&d->a.wire, true);
}

void machine_exit(struct sim_domain *d)
{
	sim_log(d, "QEMU exits");
	disturbed_vm(d);
	d->m.exited = true;
	d->m.n_queue = 0;
	d->m.in_len = 0;
	clock_disarm(&d->m.turn);
	clock_disarm(&d->m.greeting);
	guest_end(d);
	wire_listen(&d->m.wire, false);
	wire_listen(&d->a.wire, false);
}

void machine_stop(struct sim_domain *d, bool stop)
{
	if (d->m.exited || d->m.stopped == stop)
		return;
	sim_log(d, "QEMU %s", stop ? "stops" : "continues");
	d->m.stopped = stop;
	wire_read(&d->m.wire, !stop);
	agent_mute(d, d->a.mute);
	if (stop)
		return;
	qmp_resume(d);
	guest_wake(d);
}

void machine_set_state(struct sim_domain *d, enum machine_state state)
{
	static const char *const events[] = {
		[MACHINE_RUNNING] = "RESUME",
		[MACHINE_PAUSED] = "STOP",
		[MACHINE_SHUTDOWN] = "SHUTDOWN",
		[MACHINE_PANICKED] = "GUEST_PANICKED",
	};

	if (d->m.exited || d->m.state == state)
		return;
	sim_log(d, "QEMU: %s", events[state]);
	d->m.state = state;
	if (state == MACHINE_SHUTDOWN)
		machine_event(d, events[state],
			      "{\"guest\": true, \"reason\": \"guest-shutdown\"}");
	else if (state == MACHINE_PANICKED)
		machine_event(d, events[state], "{\"action\": \"pause\"}");
	else
		machine_event(d, events[state], NULL);
	if (state == MACHINE_SHUTDOWN)
		disturbed_vm(d);
	if (state == MACHINE_SHUTDOWN)
		guest_end(d);
	if (state == MACHINE_SHUTDOWN || state == MACHINE_PANICKED)
		machine_event(d, "STOP", NULL);
	agent_mute(d, d->a.mute);
	if (state == MACHINE_RUNNING)
		guest_wake(d);
}

void machine_reset(struct sim_domain *d)
{
	bool keeps = rng_chance(&d->rng, 50);

	if (d->m.exited)
		return;
	sim_log(d, "the guest is reset");
	for (unsigned int i = 0; i < SIM_SLOTS && !keeps; i++)
		d->m.slots[i].removing = false;
	guest_end(d);
	if (d->m.state != MACHINE_RUNNING)
		machine_set_state(d, MACHINE_RUNNING);
	machine_event(d, "RESET", "{\"guest\": true, \"reason\": \"guest-reset\"}");
	guest_boot(d, 1500000 + rng_below(&d->rng, 1000000));
}

int machine_plug(struct sim_domain *d, unsigned int slot, const char *id, bool foreign)
{
	struct slot *s = &d->m.slots[slot];

	if (s->present)
		return -EEXIST;
	*s = (struct slot){
		.present = true,
		.inserting = true,
		.foreign = foreign,
		.thread = new_thread(d, slot),
		.ost_source = s->ost_source,
		.ost_status = s->ost_status,
		.added = s->added,
		.deleted = s->deleted,
	};
	snprintf(s->id, sizeof(s->id), "%s", id);
	machine_changed(d);
	guest_gpe(d);
	return 0;
}

void machine_unplug(struct sim_domain *d, unsigned int slot)
{
	d->m.slots[slot].removing = true;
	guest_gpe(d);
}

void machine_ost(struct sim_domain *d, unsigned int slot, int source, int status)
{
	struct slot *s = &d->m.slots[slot];
	char data[200], device[96] = "";

	s->ost_source = source;
	s->ost_status = status;
	if (s->present && *s->id)
		snprintf(device, sizeof(device), "\"device\": \"%s\", ", s->id);
	snprintf(data, sizeof(data),
		 "{\"info\": {%s\"source\": %d, \"status\": %d, \"slot\": \"%u\", "
		 "\"slot-type\": \"CPU\"}}",
		 device, source, status, slot);
	machine_event(d, "ACPI_DEVICE_OST", data);
}

void machine_eject(struct sim_domain *d, unsigned int slot)
{
	struct slot *s = &d->m.slots[slot];
	char data[256];

	if (!s->present || slot < d->m.boot_cpus)
		return;
	sim_log(d, "slot %u is ejected", slot);
	snprintf(data, sizeof(data), "{\"path\": \"/machine/peripheral/%s/lapic\"}", s->id);
	machine_event(d, "DEVICE_DELETED", data);
	if (d->m.kvm) {
		snprintf(data, sizeof(data),
			 "{\"device\": \"%s\", \"path\": \"/machine/peripheral/%s\"}", s->id,
			 s->id);
		machine_event(d, "DEVICE_DELETED", data);
	}
	s->present = s->inserting = s->removing = s->foreign = false;
	s->id[0] = '\0';
	s->thread = 0;
	machine_changed(d);
	machine_ost(d, slot, HV_OST_REMOVE, 0);
}
