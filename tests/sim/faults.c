/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The faults: what each does at its moment, and what heals it. The table at the end is their list;
 * tests/matrix.md has a row for each. What more there is to some of them stands in strikes.h.
 */
#include "tests/sim/faults.h"
#include "tests/sim/strikes.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <string.h>

/* The daemon */

static void daemon_kill(struct sim_domain *d, const struct item *i)
{
	world_kill(d->world, i->span_us);
}

static void daemon_kill_twice(struct sim_domain *d, const struct item *i)
{
	d->world->kills_due = 1;
	world_kill(d->world, i->span_us);
}

static void client_cancels(struct sim_domain *d, const struct item *i)
{
	world_cancel(d);
}

static void client_goes(struct sim_domain *d, const struct item *i)
{
	world_client_goes(d);
}

static void clock_jumps(struct sim_domain *d, const struct item *i)
{
	clock_set_wall(i->arg & 1 ? INT64_C(3600000000) * 24 * 365 : INT64_C(-7200000000));
}

/* The agent */

static void start_agent(struct sim_domain *d, uint64_t arg)
{
	agent_start(d);
}

static void agent_dies(struct sim_domain *d, const struct item *i)
{
	agent_kill(d);
	sim_later(d, i->span_us, start_agent, 0);
}

static void agent_is_upgraded(struct sim_domain *d, const struct item *i)
{
	agent_kill(d);
	d->a.version++;
	agent_start(d);
}

static void unmute(struct sim_domain *d, uint64_t arg)
{
	agent_mute(d, false);
}

static void agent_is_mute(struct sim_domain *d, const struct item *i)
{
	if (!d->a.runs)
		return;
	agent_mute(d, true);
	sim_later(d, i->span_us, unmute, 0);
}

static void port_closes(struct sim_domain *d, const struct item *i)
{
	wire_hang_up(&d->a.wire);
}

static void listen_port(struct sim_domain *d, uint64_t arg)
{
	wire_listen(&d->a.wire, !d->m.exited);
}

static void port_goes(struct sim_domain *d, const struct item *i)
{
	wire_listen(&d->a.wire, false);
	sim_later(d, i->span_us, listen_port, 0);
}

/* The guest */

static void go_on(struct sim_domain *d, uint64_t arg)
{
	guest_hang(d, false);
}

static void guest_hangs(struct sim_domain *d, const struct item *i)
{
	guest_hang(d, true);
	sim_later(d, i->span_us, go_on, 0);
}

static void resume(struct sim_domain *d, uint64_t arg)
{
	if (d->m.state == MACHINE_PAUSED)
		machine_set_state(d, MACHINE_RUNNING);
}

static void guest_is_paused(struct sim_domain *d, const struct item *i)
{
	if (!machine_is_running(d))
		return;
	machine_set_state(d, MACHINE_PAUSED);
	sim_later(d, i->span_us, resume, 0);
}

static void guest_is_reset(struct sim_domain *d, const struct item *i)
{
	machine_reset(d);
}

static void begin_anew(struct sim_domain *d, uint64_t arg)
{
	if (!d->m.exited && d->m.state != MACHINE_SHUTDOWN)
		return;
	if (!d->m.exited)
		machine_exit(d);
	machine_start(d);
	guest_boot(d, 1500000);
}

static void guest_shuts_down(struct sim_domain *d, const struct item *i)
{
	if (d->m.exited || d->m.stopped)
		return;
	machine_set_state(d, MACHINE_SHUTDOWN);
	sim_later(d, i->span_us, begin_anew, 0);
}

static void reset_after_panic(struct sim_domain *d, uint64_t arg)
{
	if (d->m.state == MACHINE_PANICKED)
		machine_reset(d);
}

static void guest_panics(struct sim_domain *d, const struct item *i)
{
	if (!machine_is_running(d))
		return;
	machine_set_state(d, MACHINE_PANICKED);
	sim_later(d, i->span_us, reset_after_panic, 0);
}

static void accept_removals(struct sim_domain *d, uint64_t arg)
{
	d->g.removal = REMOVAL_ACCEPT;
	guest_gpe(d);
}

static void unplug_refused(struct sim_domain *d, const struct item *i)
{
	d->g.removal = REMOVAL_REFUSE;
	sim_later(d, i->span_us, accept_removals, 0);
}

static void unplug_ignored(struct sim_domain *d, const struct item *i)
{
	d->g.removal = REMOVAL_IGNORE;
	sim_later(d, i->span_us, accept_removals, 0);
}

static void unplug_late(struct sim_domain *d, const struct item *i)
{
	d->g.removal = REMOVAL_LATE;
	sim_later(d, i->span_us, accept_removals, 0);
}

static void found_after_all(struct sim_domain *d, uint64_t arg)
{
	guest_gpe(d);
}

/* The registers keep the request; the next event, of whatever, makes the guest find it. */
static void gpe_is_lost(struct sim_domain *d, const struct item *i)
{
	d->g.lose_gpes = 1 + i->arg % 2;
	sim_later(d, i->span_us, found_after_all, 0);
}

/* One that has been added, if there is any, is about to be moved. */
static unsigned int move_some_slot(struct sim_domain *d, const struct item *i)
{
	for (unsigned int n = 0; n < SIM_SLOTS; n++) {
		unsigned int slot = (i->arg + n) % SIM_SLOTS;

		if (slot < d->m.boot_cpus || !d->m.slots[slot].present)
			continue;
		world_moved(d, slot);
		return slot;
	}
	return SIM_NO_SLOT;
}

static void cpu_is_ejected(struct sim_domain *d, const struct item *i)
{
	unsigned int slot = move_some_slot(d, i);

	if (slot != SIM_NO_SLOT && guest_moves(d))
		guest_eject(d, slot);
}

static void cpu_is_switched(struct sim_domain *d, const struct item *i)
{
	unsigned int slot = move_some_slot(d, i);

	if (slot != SIM_NO_SLOT)
		guest_switch_foreign(d, slot, !d->g.cpus[slot].online);
}

/* QEMU */

static void qemu_exits(struct sim_domain *d, const struct item *i)
{
	if (d->m.exited)
		return;
	machine_exit(d);
	sim_later(d, i->span_us, begin_anew, 0);
}

static void go_on_qemu(struct sim_domain *d, uint64_t arg)
{
	machine_stop(d, false);
}

static void qemu_stops(struct sim_domain *d, const struct item *i)
{
	machine_stop(d, true);
	sim_later(d, i->span_us, go_on_qemu, 0);
}

static void qmp_closes(struct sim_domain *d, const struct item *i)
{
	qmp_hang_up(d);
}

static void qmp_refuses(struct sim_domain *d, const struct item *i)
{
	*(i->phase <= PHASE_ONLINE ? &d->m.refuse_add : &d->m.refuse_del) = 1;
}

static void qmp_is_slow(struct sim_domain *d, const struct item *i)
{
	d->m.slow_us = i->span_us;
}

static void replies_twice(struct sim_domain *d, const struct item *i)
{
	fault_spoil(&d->m.replies, TAMPER_TWICE, i);
}

static void replies_drop(struct sim_domain *d, const struct item *i)
{
	fault_spoil(&d->m.replies, TAMPER_DROP, i);
}

static void replies_tear(struct sim_domain *d, const struct item *i)
{
	fault_spoil(&d->m.replies, TAMPER_TEAR, i);
}

static void replies_noise(struct sim_domain *d, const struct item *i)
{
	fault_spoil(&d->m.replies, TAMPER_NOISE, i);
}

static void events_drop(struct sim_domain *d, const struct item *i)
{
	fault_spoil(&d->m.events, TAMPER_DROP, i);
}

static void events_twice(struct sim_domain *d, const struct item *i)
{
	fault_spoil(&d->m.events, TAMPER_TWICE, i);
}

static void events_late(struct sim_domain *d, const struct item *i)
{
	fault_spoil(&d->m.events, TAMPER_LATE, i);
}

static void events_swap(struct sim_domain *d, const struct item *i)
{
	fault_spoil(&d->m.events, TAMPER_SWAP, i);
}

/* Limited to one a second by QEMU: however often the port was opened, few of these come. */
static void port_events(struct sim_domain *d, const struct item *i)
{
	for (unsigned int n = 0; n < 1 + i->arg % 3; n++)
		machine_event(d, "VSERPORT_CHANGE", "{\"open\": true, \"id\": \"agent\"}");
}

static void foreign_plug(struct sim_domain *d, const struct item *i)
{
	char id[32];

	if (d->m.exited || d->m.stopped)
		return;
	for (unsigned int n = 0; n < SIM_SLOTS; n++) {
		unsigned int slot = (i->arg + n) % SIM_SLOTS;

		snprintf(id, sizeof(id), "vcpu%u", slot);
		if (machine_plug(d, slot, id, true) < 0)
			continue;
		world_moved(d, slot);
		return;
	}
}

static void foreign_unplug(struct sim_domain *d, const struct item *i)
{
	unsigned int slot = move_some_slot(d, i);

	if (slot != SIM_NO_SLOT && d->g.up && !d->m.stopped)
		machine_unplug(d, slot);
}

enum { UP = FAULT_UP, DOWN = FAULT_DOWN, BOTH = FAULT_UP | FAULT_DOWN };

const struct fault_kind fault_kinds[] = {
	{ "daemon killed", daemon_kill, BOTH | FAULT_ALL, 1, 500, "done, rolled back",
	  "done, rolled back" },
	{ "daemon killed twice", daemon_kill_twice, BOTH | FAULT_ALL, 1, 500, "done, rolled back",
	  "done, rolled back" },
	{ "client cancels", client_cancels, BOTH, 0, 0, "cancelled, done", "cancelled, done",
	  PHASE_CALLBACK_1, PHASE_STANDBY },
	{ "client gone", client_goes, BOTH, 0, 0, "done", "done" },
	{ "wall clock jumps", clock_jumps, BOTH, 0, 0, "done", "done" },
	{ "deadline passes", guest_hangs, BOTH | FAULT_SILENCES | FAULT_TIMEOUT, 6000, 9000,
	  "rolled back, done", "rolled back, pending, done", PHASE_CALLBACK_1,
	  PHASE_EJECT_AWAITED },
	{ "agent killed", agent_dies, BOTH | FAULT_SILENCES, 50, 3000, "done", "done" },
	{ "agent upgraded", agent_is_upgraded, BOTH, 0, 0, "done", "done" },
	{ "agent mute", agent_is_mute, BOTH | FAULT_SILENCES, 100, 20000, "done, rolled back",
	  "done" },
	{ "port closed", port_closes, BOTH, 0, 0, "done, rolled back", "done, rolled back" },
	{ "port gone", port_goes, BOTH, 100, 5000, "done, rolled back", "done, rolled back" },
	/* A result that is lost cannot be told from a step that is out: pending. */
	{ "frames lost", frames_drop, BOTH | FAULT_SILENCES, 0, 0, "done, rolled back, pending",
	  "done, pending" },
	{ "frames twice", frames_twice, BOTH, 0, 0, "done", "done" },
	{ "frames late", frames_late, BOTH | FAULT_SILENCES, 1, 2000, "done", "done" },
	{ "frames swapped", frames_swap, BOTH | FAULT_SILENCES, 0, 0, "done, pending",
	  "done, pending" },
	{ "frame torn", frames_tear, BOTH | FAULT_SILENCES, 0, 0, "done, rolled back", "done" },
	/* As those that are lost. */
	{ "frames spoilt", frames_noise, BOTH | FAULT_SILENCES, 0, 0, "done, rolled back, pending",
	  "done, pending" },
	/* A kick that is lost is not taken over in time; where the agent has the ladder already its end is
	 * not known. */
	{ "frames to agent lost", heard_drop, BOTH | FAULT_SILENCES, 0, 0,
	  "done, rolled back, pending", "done, pending" },
	{ "frames to agent twice", heard_twice, BOTH, 0, 0, "done", "done" },
	{ "frames to agent late", heard_late, BOTH | FAULT_SILENCES, 1, 2000, "done", "done" },
	{ "frames to agent swapped", heard_swap, BOTH | FAULT_SILENCES, 0, 0, "done", "done" },
	{ "frame to agent torn", heard_tear, BOTH | FAULT_SILENCES, 0, 0, "done", "done" },
	{ "frames to agent spoilt", heard_noise, BOTH | FAULT_SILENCES, 0, 0,
	  "done, rolled back, pending", "done, pending" },
	{ "step fails", fault_step_fails, BOTH, 0, 0, "rolled back, done", "refused, done",
	  PHASE_ADMITTED, 0 },
	{ "callback fails", fault_callback_fails, BOTH, 0, 0, "rolled back, done", "refused, done",
	  PHASE_CALLBACK_1, PHASE_DOWN_ADMITTED },
	{ "callback hangs", fault_callback_hangs, BOTH, 0, 0, "rolled back, done", "refused, done",
	  PHASE_CALLBACK_1, PHASE_DOWN_ADMITTED },
	{ "rollback fails", fault_rollback_fails, BOTH, 0, 0, "stuck, done", "stuck, done",
	  PHASE_CALLBACK_1, PHASE_DOWN_ADMITTED },
	{ "kernel refuses", fault_kernel_refuses, BOTH, 0, 0, "rolled back, done", "refused, done",
	  PHASE_ADMITTED, PHASE_DOWN_CALLBACK_1 },
	/* Beyond 30 s an eject is pending. */
	{ "guest hangs", guest_hangs, BOTH | FAULT_SILENCES, 100, 40000, "done, rolled back",
	  "done, pending" },
	{ "guest paused", guest_is_paused, BOTH | FAULT_STOPS, 100, 20000, "done, rolled back",
	  "done" },
	/* A kick under way is void, and the rest goes back; a removal goes on in the next boot. */
	{ "guest reset", guest_is_reset, BOTH | FAULT_WAITED, 0, 0, "rolled back, done",
	  "rolled back, done", 0, PHASE_STANDBY },
	{ "guest shut down", guest_shuts_down, BOTH, 500, 5000, "vm-gone, done", "vm-gone, done",
	  PHASE_CALLBACK_1, PHASE_DEL_SENT },
	{ "guest panics", guest_panics, BOTH | FAULT_WAITED | FAULT_STOPS, 500, 5000,
	  "rolled back, done", "rolled back, done", 0, PHASE_KERNEL_OFFLINE },
	{ "unplug refused", unplug_refused, DOWN, 3000, 20000, "done", "refused, done", 0,
	  PHASE_STANDBY },
	{ "unplug ignored", unplug_ignored, DOWN, 3000, 60000, "done", "done, pending" },
	{ "unplug late", unplug_late, DOWN, 3000, 20000, "done", "done" },
	{ "event to guest lost", gpe_is_lost, BOTH, 500, 40000, "done, rolled back", "done" },
	/* The last of an add that has been kept may be taken before its end is told: partial. */
	{ "unasked eject", cpu_is_ejected, BOTH, 0, 0, "done, rolled back, partial",
	  "done, refused" },
	{ "unasked switch", cpu_is_switched, BOTH, 0, 0, "done, rolled back", "done" },
	{ "QEMU exits", qemu_exits, BOTH, 100, 5000, "vm-gone, done", "vm-gone, done",
	  PHASE_CALLBACK_N, PHASE_DEL_SENT },
	/* A device_add without an answer cannot be recalled: pending. */
	{ "QEMU stopped", qemu_stops, BOTH | FAULT_SILENCES, 100, 20000,
	  "done, rolled back, pending", "done" },
	{ "QMP closed", qmp_closes, BOTH, 0, 0, "done, rolled back", "done" },
	{ "QMP error", qmp_refuses, BOTH, 0, 0, "rolled back, done", "refused, done",
	  PHASE_ADMITTED, PHASE_KERNEL_OFFLINE },
	{ "QMP slow", qmp_is_slow, BOTH, 100, 9000, "done, pending", "done" },
	{ "replies twice", replies_twice, BOTH, 0, 0, "done, rolled back", "done" },
	/* The same, unless the next table shows that it was not carried out. */
	{ "replies lost", replies_drop, BOTH, 0, 0, "done, rolled back, pending", "done" },
	{ "reply torn", replies_tear, BOTH, 0, 0, "done, rolled back", "done" },
	{ "replies spoilt", replies_noise, BOTH, 0, 0, "done, rolled back", "done" },
	{ "events lost", events_drop, BOTH, 0, 0, "done", "done" },
	{ "events twice", events_twice, BOTH, 0, 0, "done", "done" },
	{ "events late", events_late, BOTH, 1, 5000, "done", "done" },
	{ "events swapped", events_swap, BOTH, 0, 0, "done", "done" },
	{ "port events", port_events, BOTH, 0, 0, "done", "done" },
	/* Without KVM a slot may not leave below one that stays. */
	{ "foreign plug", foreign_plug, BOTH, 0, 0, "done, rolled back", "done, refused" },
	{ "foreign unplug", foreign_unplug, BOTH, 0, 0, "done, rolled back", "done" },
	{ "lie: done", lies_done, BOTH, 1000, 8000, "rolled back, done", "done" },
	{ "lie: where it ran", lies_ran_on, BOTH, 1000, 8000, "stuck, done", "stuck, done",
	  PHASE_CALLBACK_1, PHASE_DOWN_CALLBACK_1 },
	{ "lie: old results", lies_old, BOTH, 1000, 8000, "done", "done" },
	{ "lie: rows", lies_rows, BOTH, 1000, 8000, "done", "done" },
	{ "lie: another state", lies_state, BOTH, 1000, 8000, "stuck, done", "stuck, done",
	  PHASE_ADMITTED, PHASE_KERNEL_OFFLINE },
	{ "flood", floods, BOTH, 0, 0, "done, rolled back", "done" },
	{ "store full", store_is_full, BOTH, 100, 20000, "done, refused", "done, refused",
	  PHASE_ADMITTED, PHASE_DOWN_ADMITTED },
	{ "store read-only", store_is_read_only, BOTH, 100, 20000, "done, refused", "done, refused",
	  PHASE_ADMITTED, PHASE_DOWN_ADMITTED },
	{ "store fails", store_fails, BOTH, 100, 20000, "done, refused", "done, refused",
	  PHASE_ADMITTED, PHASE_DOWN_ADMITTED },
	{ "store fails, daemon killed", store_fails_and_kill, BOTH | FAULT_ALL, 100, 20000,
	  "done, rolled back, refused, unheard-of", "done, rolled back, refused, unheard-of" },
	{ "others ask", others_ask, BOTH | FAULT_CLIENTS, 0, 0, "done", "done" },
	{ "others ask, daemon killed", others_ask_and_kill, BOTH | FAULT_CLIENTS | FAULT_ALL, 1,
	  500, "done, rolled back", "done, rolled back" },
	{ "queue full", queue_fills, BOTH | FAULT_CLIENTS, 0, 0, "done", "done" },
	{ "queued too long", queued_too_long, BOTH | FAULT_CLIENTS, 0, 0, "done", "done" },
	{ "queued one cancelled", queued_is_cancelled, BOTH | FAULT_CLIENTS, 0, 1000, "done",
	  "done" },
	{ "queued one's client gone", queued_client_goes, BOTH | FAULT_CLIENTS, 0, 1000, "done",
	  "done" },
	{ "id asked for again", id_is_repeated, BOTH | FAULT_CLIENTS, 0, 0, "done", "done" },
	{ "id taken", id_is_taken, BOTH | FAULT_CLIENTS, 0, 0, "done", "done" },
	{ "reload", reload_strikes, BOTH, 1, 2000, "done", "done" },
};

const unsigned int n_fault_kinds = sizeof(fault_kinds) / sizeof(*fault_kinds);

int fault_find(const char *name)
{
	for (unsigned int i = 0; i < n_fault_kinds; i++)
		if (strcmp(fault_kinds[i].name, name) == 0)
			return (int)i;
	return -1;
}

const char *fault_may_end(unsigned int fault, bool down)
{
	return down ? fault_kinds[fault].down : fault_kinds[fault].up;
}

bool fault_is_sure(unsigned int fault, bool down, enum phase p)
{
	const struct fault_kind *k = &fault_kinds[fault];

	if ((k->flags & FAULT_WAITED) && (p == PHASE_SUBMIT || p == PHASE_DOWN_SUBMIT))
		return false;
	return p < (down ? k->down_sure : k->up_sure);
}

static void calm(struct sim_domain *d)
{
	d->m.replies.left = d->m.events.left = d->a.frames.left = 0;
	d->a.heard.left = 0;
	d->m.slow_us = 0;
	d->m.refuse_add = d->m.refuse_del = 0;
	d->a.plant.left = 0;
	d->a.flood = 0;
	d->g.lose_gpes = 0;
}

void faults_heal(struct sim_domain *d)
{
	calm(d);
	machine_stop(d, false);
	begin_anew(d, 0);
	reset_after_panic(d, 0);
	resume(d, 0);
	guest_hang(d, false);
	wire_listen(&d->a.wire, true);
	accept_removals(d, 0);
	lies_end(d, 0);
	agent_mute(d, false);
	/* A reply that was lost is missed when its deadline has passed, without KVM long after this. */
	if (d->m.lost)
		qmp_hang_up(d);
	/* A handshake that was spoilt may not be noticed by either side: the channel promises order. */
	if (d->spoilt)
		wire_hang_up(&d->a.wire);
	tamper_done(&d->a.frames);
	tamper_done(&d->a.heard);
	store_heal(d, 0);
	if (d->g.up && !d->a.restart.at)
		agent_start(d);
}
