/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * What must hold, whatever happens. It is looked at from three sides: each event that the daemon
 * tells (an operation has one end, a domain one running operation, and what is told as done is so),
 * each second of the simulation's (what the daemon reports of a domain where nothing happened for
 * CALM_US is what QEMU and the guest have, or is reported as unknown), and at the end, when all is
 * healed (the same at once; nothing left walking or pending; every vCPU accounted for).
 *
 * The truth is the simulation's own: the slots of the scripted QEMU, the CPUs of the scripted
 * kernel, and the honest agent's states. Of a guest that lies only QEMU's part counts until an honest
 * agent has told its table. Where frames were spoilt what is shown may be old until the next session,
 * but nothing is a success by that.
 */
#include "daemon/op-run.h"
#include "daemon/vcpu.h"
#include "tests/sim/store.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <string.h>

/* A drift is shown within 5 s; one second more is how coarsely it is looked at here. */
enum { CALM_US = 6000000 };

/* A QEMU whose socket is gone is waited for for a second. */
enum { GONE_US = 1000000 + HEARD_US };

/* Whatever happens, a run is over long before this. */
static const uint64_t END_US = 24ULL * 3600 * 1000000;

int truth_of(const struct sim_domain *d, unsigned int slot)
{
	const struct guest_cpu *k = &d->g.cpus[slot];

	if (!d->m.slots[slot].present)
		return CPUHP_OFFLINE;
	return k->present ? d->a.cpus[slot].state : CPUHP_HOST_PLACE;
}

static struct sim_domain *find_domain(struct world *w, const struct domain *d)
{
	for (unsigned int i = 0; d && i < w->n; i++)
		if (strcmp(w->domains[i].name, d->config->name) == 0)
			return &w->domains[i];
	return NULL;
}

static struct track *find_track(struct sim_domain *d, const char *id)
{
	for (unsigned int i = d->driver->n_tracks; i-- > 0;)
		if (strcmp(d->driver->tracks[i].id, id) == 0)
			return &d->driver->tracks[i];
	return NULL;
}

static bool is_spoilt(const struct sim_domain *d)
{
	return d->m.replies.left || d->m.events.left || d->m.lost || d->m.slow_us;
}

/* What it has said waits until it has paid, also for the junk of a flood that is read already. */
static bool is_paying(const struct sim_domain *d)
{
	return agent_is_paying(d) || (d->watch->flood_us && wire_unread(&d->a.wire) > 0 &&
				      clock_us() < d->watch->flood_us + PAID_US);
}

/* Can the daemon know what is so? */
static bool is_heard(const struct sim_domain *d)
{
	return machine_is_running(d) && wire_is_open(&d->m.wire) && d->m.greeted && !is_spoilt(d) &&
	       !d->m.slowed && guest_moves(d) && d->a.runs && !d->a.mute && !d->a.flooded &&
	       wire_is_open(&d->a.wire) && !d->a.frames.left && !is_paying(d);
}

static void on_ended(struct sim_domain *d, const struct op *op)
{
	struct track *t = find_track(d, op->id);

	if (strcmp(d->watch->running, op->id) == 0)
		d->watch->running[0] = '\0';
	if (!t)
		return; /* the daemon's own */
	/* An end that could not be written down is told once more, also where the domain was let go and is
	 * taken up again. */
	if ((t->ends++ > 0 || t->end == TRACK_ENDED) && !t->unwritten)
		sim_breach(d, "op %u has ended twice", t->number);
	if (op->result == OP_ACCEPTED || op->result >= OP_RESULTS)
		sim_breach(d, "op %u has ended without a result", t->number);
	checker_watch(d);
	claims_check(d, t, op);
	undisturbed_end(d, t, op);
	disturbed_end(d, t, op);
	if (t->number >= FIRST_DRILL && op->result != OP_DONE)
		sim_breach(d, "with all faults healed op %u is %s: %s", t->number,
			   op_result_name(op->result), text_of(&op->error));
	if (t->number >= FIRST_DRILL)
		claims_drill(d, t->number - FIRST_DRILL);
	world_ended(d, t, op);
}

/* They are taken in the order of their acceptance, and while they have time. */
static void check_order(struct sim_domain *d, const struct track *t)
{
	uint64_t time_us = t->request.timeout_ms * UINT64_C(1000);

	if (time_us && clock_us() > t->accepted_us + time_us)
		sim_breach(d, "op %u begins after its deadline", t->number);
	for (const struct track *before = d->driver->tracks; before < t; before++)
		if (before->end == TRACK_OPEN && !before->begun)
			sim_breach(d, "op %u begins before op %u", t->number, before->number);
}

static uint32_t busy_slots(const struct sim_domain *d)
{
	const struct domain *domain = world_domain(d);
	uint32_t slots = 0;

	for (unsigned int i = 0; domain && i < domain->n_vcpus; i++) {
		const struct vcpu *v = &domain->vcpus[i];

		slots |= (uint32_t)(v->hw || v->leaving || v->returning) << i;
	}
	return slots;
}

static void on_running(struct sim_domain *d, const struct op *op)
{
	struct track *t = find_track(d, op->id);
	char *running = d->watch->running;

	if (t) {
		check_order(d, t);
		checker_watch(d);
		t->begun = true;
		t->busy = busy_slots(d);
		t->begun_us = t->begun_us ? t->begun_us : clock_us();
		t->begun_written = store_written(d);
		undisturbed_begin(d, t, op);
	}
	if (*running && strcmp(running, op->id) != 0)
		sim_breach(d, "operation %s begins while %s runs", op->id, running);
	snprintf(running, sizeof(d->watch->running), "%s", op->id);
}

void checker_on_event(struct world *w, const struct event *e)
{
	struct sim_domain *d = find_domain(w, e->domain);

	if (!d || !e->op || e->type != EVENT_OPERATION)
		return;
	if (e->op->ended)
		on_ended(d, e->op);
	else if (e->op == e->domain->running)
		on_running(d, e->op);
}

/* What moves has been written down as such, or the next daemon would not know of it. */
static void check_written(struct sim_domain *sim, const struct op *op)
{
	const struct track *t = find_track(sim, op->id);

	if (t && op->run && op->run->phase == RUN_CLIMB && store_written(sim) == t->begun_written)
		sim_breach(sim, "op %u moves vCPUs, and that has not been written down", t->number);
}

static void turn_of(struct sim_domain *sim, const struct domain *d)
{
	if (d->running)
		check_written(sim, d->running);
	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		const struct vcpu *v = &d->vcpus[i];

		if (v->present && !d->attached && !d->lost)
			sim_breach(sim, "vcpu %u is shown although QEMU is gone", i);
		if (v->state > CPUHP_STANDBY && !v->present && !v->hw && !d->running)
			sim_breach(sim, "vcpu %u is shown at %d, and QEMU is known not to have it",
				   i, v->state);
	}
	if (d->running && d->running->ended)
		sim_breach(sim, "an operation that has ended is still running");
	if (d->n_queued > OP_QUEUE_MAX || d->n_kept > OP_KEPT_MAX)
		sim_breach(sim, "more operations are kept than may be");
}

static void watch_silence(struct sim_domain *d)
{
	struct watch *w = d->watch;
	bool port = wire_is_open(&d->a.wire) && d->a.wire.listens;

	if (port)
		w->port_us = clock_us();
	/* One that is mute reads nothing, and speaks. What waits behind a flood, or has still to be paid for,
	 * is read when its turn comes, also if the guest stands still by then. */
	if (port && ((d->a.runs && guest_moves(d)) || d->a.flooded || is_paying(d)))
		w->voice_us = clock_us();
	if (d->m.wire.listens)
		w->qemu_us = clock_us();
}

static void count(struct watch *w)
{
	w->present = w->online = w->standby = 0;
	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		w->present += w->was[i] != CPUHP_OFFLINE;
		w->online += w->was[i] == CPUHP_ONLINE;
		w->standby += w->was[i] == CPUHP_STANDBY;
	}
}

void checker_watch(struct sim_domain *d)
{
	struct watch *w = d->watch;
	bool moved = false;

	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		int truth = truth_of(d, i);

		if (truth == w->was[i])
			continue;
		moved = true;
		w->since_us[i] = w->last_us[i][w->was[i]] = clock_us();
		if (truth == CPUHP_OFFLINE)
			w->there_us[i] = clock_us();
		w->was[i] = truth;
	}
	if (moved)
		count(w);
	watch_silence(d);
	d->a.flooded &= d->a.flood || wire_unread(&d->a.wire) > 0;
	if (d->a.flooded)
		w->flood_us = clock_us();
	if (d->a.lie != LIE_NONE)
		w->lied_us = clock_us();
	/* What is lost with an event is seen with the next table of the tick's. */
	if (is_spoilt(d))
		w->deaf_us = clock_us() + CALM_US;
	else if (w->deaf_us < clock_us() && (d->deaf || !d->trusted || !is_heard(d) ||
					     !world_domain(d) || !world_domain(d)->agent_up))
		w->deaf_us = clock_us();
}

void checker_turn(struct world *w)
{
	for (unsigned int n = 0; n < w->n; n++)
		checker_watch(&w->domains[n]);
	if (w->n == 0)
		return;
	/* One domain a turn: there are many turns to each change, and they take turns too. */
	unsigned int i = w->turns++ % w->n;
	const struct domain *d =
		w->manager && i < w->manager->n_domains ? w->manager->domains[i] : NULL;

	if (d)
		turn_of(&w->domains[i], d);
}

/* What QEMU and the guest have, as one number. */
static uint64_t sum_up(const struct sim_domain *d)
{
	uint64_t sum = d->a.starts + d->g.boots * 7919ULL + (uint64_t)d->m.pid;

	for (unsigned int i = 0; i < SIM_SLOTS; i++)
		sum = sum * 47 + (uint64_t)truth_of(d, i) + d->g.cpus[i].online * 101ULL +
		      d->a.cpus[i].job;
	return sum;
}

static void compare(struct sim_domain *sim, const struct domain *d)
{
	for (unsigned int i = 0; i < SIM_SLOTS && i < d->n_vcpus; i++) {
		const struct vcpu *v = &d->vcpus[i];
		int truth = truth_of(sim, i);

		if (v->present != sim->m.slots[i].present)
			sim_breach(sim, "vcpu %u is shown as %s, and QEMU %s it", i,
				   v->present ? "present" : "absent",
				   sim->m.slots[i].present ? "has" : "does not have");
		else if (sim->trusted && !sim->deaf && d->agent_up && v->state != truth)
			sim_breach(sim, "vcpu %u is shown at %d and is at %d", i, v->state, truth);
		else if (!d->agent_up && v->present && v->state != -1)
			sim_breach(sim, "vcpu %u is shown at %d while no agent is heard", i,
				   v->state);
	}
}

/* Of a guest that nobody hears the state is unknown, or as old as the silence, and shown as that. */
static void check_voice(struct sim_domain *sim, const struct vcpu *v)
{
	const struct watch *w = sim->watch;

	/* Its end is read behind a flood, all of which the socket may hold. */
	if (v->state >= 0 && clock_us() > w->port_us + HEARD_US &&
	    clock_us() > w->flood_us + UINT64_C(4) * PAID_US)
		sim_breach(sim, "vcpu %u is shown at %d, and the agent's port is gone", v->vcpu,
			   v->state);
	/* A walk that ends without a word may show the last one anew. */
	if (!v->domain->running && v->state >= CPUHP_STANDBY &&
	    clock_us() > w->voice_us + CALM_US && v->since_us > w->voice_us + HEARD_US)
		sim_breach(sim, "vcpu %u is shown at %d since %llu us after the agent's last word",
			   v->vcpu, v->state, (unsigned long long)(v->since_us - w->voice_us));
}

static void check_silence(struct sim_domain *sim, const struct domain *d)
{
	bool gone = clock_us() > sim->watch->qemu_us + GONE_US;

	if (gone && d->attached)
		sim_breach(sim, "QEMU is gone, and is shown as attached");
	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		if (gone && d->vcpus[i].present)
			sim_breach(sim, "vcpu %u is shown as present, and QEMU is gone", i);
		/* One of the operation that runs is shown where its walk has brought it. */
		if (d->vcpus[i].present && !d->vcpus[i].hw && !op_find_vcpu(d->running, i))
			check_voice(sim, &d->vcpus[i]);
	}
}

void checker_sample(struct world *w)
{
	for (unsigned int i = 0; i < w->n; i++) {
		struct sim_domain *sim = &w->domains[i];
		const struct domain *d = world_domain(sim);
		uint64_t sum = sum_up(sim);

		checker_watch(sim);
		if (d)
			check_silence(sim, d);

		if (clock_us() > END_US && checker_unrest(sim))
			sim_breach(sim, "never comes to rest: %s", checker_unrest(sim));
		if (sum != sim->watch->truth || !d || d->running || !is_heard(sim) ||
		    sim->m.turn.at) {
			sim->watch->truth = sum;
			sim->watch->calm_us = clock_us();
		} else if (clock_us() - sim->watch->calm_us > CALM_US && d->attached) {
			compare(sim, d);
		}
	}
}

const char *checker_unrest(const struct sim_domain *sim)
{
	const struct domain *d = world_domain(sim);

	if (!d || !d->attached)
		return "QEMU is not attached";
	if (!d->agent_up)
		return "no agent is heard";
	if (d->running || d->n_queued)
		return "an operation has not ended";
	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		if (d->vcpus[i].hw || d->vcpus[i].pending != VCPU_PENDING_NONE)
			return "a vCPU is in a walk or pending";
		if (sim->a.cpus[i].job)
			return "a CPU is in a walk of the agent's";
		if (sim->m.slots[i].inserting || sim->m.slots[i].removing)
			return "the guest has not looked at the registers";
	}
	return NULL;
}

void checker_final(struct world *w)
{
	for (unsigned int i = 0; i < w->n; i++) {
		struct sim_domain *sim = &w->domains[i];
		const struct domain *d = world_domain(sim);

		compare(sim, d);
		if (w->drill > 0)
			claims_drill(sim, w->drill - 1);
		if (store_is_behind(sim))
			sim_breach(sim, "what is to be done has not been written down");
		for (unsigned int s = 0; s < SIM_SLOTS; s++) {
			const struct vcpu *v = &d->vcpus[s];

			/* Whose it is, and where it should be: else it would be nobody's. */
			if (v->present && v->state != v->wish && !*v->drift)
				sim_breach(
					sim,
					"vcpu %u is at %d, was wished at %d, and nothing is said "
					"of it",
					s, v->state, v->wish);
			if (v->present && !v->boot && v->owned == sim->m.slots[s].foreign)
				sim_breach(sim, "vcpu %u: whose it is, is not known", s);
		}
	}
}

void checker_count(struct world *w)
{
	if (w->result->breach[0])
		return;
	for (unsigned int i = 0; i < w->n; i++)
		for (unsigned int t = 0; t < w->drivers[i].n_tracks; t++) {
			const struct track *k = &w->drivers[i].tracks[t];

			if (k->end == TRACK_OPEN)
				sim_breach(&w->domains[i], "op %u has never ended", k->number);
		}
}
