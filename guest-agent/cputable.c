/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The CPU table: what the kernel says of each CPU (present, online, slot) and where it stands on
 * the ladder. A uevent is a hint to look again and no more: anybody who may write to the uevent file
 * of a device can have one sent, and some are lost. The kernel sends remove@ a little before the
 * folder goes, so it is looked at again, later each time (LOOK_FIRST_MS to LOOK_LAST_MS), until
 * the CPU is gone, or else it was only somebody's word. One that comes has no slot yet at add@, and
 * has it at bind@, so it is looked at then, or in BIND_MS where no driver takes it. It is offline:
 * where it is not any more, online@ follows, or a loss is told and all is read again.
 *
 * A CPU that was offline for a moment looks online before and after, so online is told apart by its
 * period: what was done in one says nothing of the next.
 *
 * A difference between kernel and row is acted on only while the CPU rests, or it makes the walk
 * under way fail (control.c); what came of a walk's own write is not news.
 */
#include "guest-agent/cputable.h"
#include "guest-agent/adopt.h"
#include "guest-agent/control.h"
#include "guest-agent/cpulook.h"
#include "guest-agent/pages.h"
#include "guest-agent/registry.h"
#include "guest-agent/text.h"
#include "guest-agent/writer.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_FIRST_MS = 5, LOOK_LAST_MS = 2560, BIND_MS = 20 };

static size_t rows_size(const struct agent *a)
{
	return (size_t)a->possible * sizeof(*a->cpus);
}

int cputable_init(struct agent *a)
{
	a->possible = cpulook_possible(a->cpu_folder, AGENT_CPUS_MAX);
	a->sysfs = cpulook_is_sysfs(a->cpu_folder);
	a->cpus = pages_alloc(rows_size(a));
	if (!a->cpus)
		return -ENOMEM;
	pages_withhold(a->cpus, rows_size(a));
	for_each_cpu (a, c) {
		c->cpu = (int)(c - a->cpus);
		c->slot = c->left_slot = MSG_NO_SLOT;
		c->ran_on = -1;
		c->worker.fd = -1;
	}
	return 0;
}

void cputable_done(struct agent *a)
{
	pages_free(a->cpus, rows_size(a));
	a->cpus = NULL;
	a->possible = 0;
}

/* The row says so meanwhile; finish_start_waiting() looks at it again. */
static void wait_for_registration(struct agent *a, struct cpu *c)
{
	static const char why[] = "online, and waits for the end of a registration";

	if (strcmp(c->text, why) == 0)
		return;
	if (c->state < CPUHP_STANDBY)
		cpu_set_state(a, c, CPUHP_STANDBY);
	cpu_say(a, c, "%s", why);
	cpu_changed(a, c);
}

/* Of one CPU, or of all where @only is NULL. */
static void read_online(struct agent *a, struct cpu *only)
{
	struct cpulook_online all;

	cpulook_online(a->cpu_folder, a->sysfs, &all);
	for_each_cpu (a, c) {
		if (only && c != only)
			continue;
		c->online = c->present && cpulook_is_online(a->cpu_folder, &all, c->cpu);
		c->period = c->online ? cpulook_period(a->cpu_folder, c->cpu) : 0;
	}
}

void cputable_read_online(struct agent *a, struct cpu *c)
{
	read_online(a, c);
}

static bool check_stored(struct agent *a, const struct cpu *c, int r)
{
	if (r < 0)
		agent_log(a, "cpu%d: cannot write the record: %s", c->cpu, strerror(-r));
	return r == 0;
}

static void store_subject(struct agent *a, const struct cpu *c)
{
	const struct bootrec_subject s = { .device = c->device, .period = c->state_period };

	(void)check_stored(a, c, bootrec_store_subject(&a->record, c->cpu, &s));
}

void cputable_begin_period(struct agent *a, struct cpu *c)
{
	c->state_period = c->period;
	store_subject(a, c);
}

bool cputable_period_is_over(const struct cpu *c)
{
	return !c->online || (c->period && c->period != c->state_period);
}

void cputable_read_slot(struct agent *a, struct cpu *c)
{
	uint16_t slot;

	if (c->slot != MSG_NO_SLOT)
		return;
	slot = cpulook_slot(a->cpu_folder, c->cpu);
	if (slot == MSG_NO_SLOT)
		return;
	c->slot = slot;
	c->row_due = true;
}

/* There is none any more, or another: what was wished for it was for it alone. */
static void on_gone(struct cpu *c)
{
	c->present = c->leaving = c->awaited = false;
	c->standby_wish = 0;
	c->fail_state = c->fail_rc = 0;
	c->row_due = true;
}

static void note_coming(struct agent *a)
{
	/* Who are found at the start have been there before. */
	if (!a->scanned)
		return;
	a->has_come = true;
	writer_on_come(a);
}

static void on_come(struct agent *a, struct cpu *c)
{
	/* That the one before has gone is told before this one is. */
	if (c->row_due && c->slot != MSG_NO_SLOT)
		c->left_slot = c->slot;
	c->present = true;
	note_coming(a);
	c->awaited = expedite_deadline(&a->expedite);
	c->slot = MSG_NO_SLOT;
	c->taken = false;
	c->row_due = true;
}

static bool is_same(const struct cpu *c, uint64_t device, uint16_t slot)
{
	if (device != c->device)
		return false;
	return slot == c->slot || slot == MSG_NO_SLOT || c->slot == MSG_NO_SLOT;
}

static void look(struct agent *a, struct cpu *c)
{
	uint64_t device = cpulook_device(a->cpu_folder, c->cpu);
	uint16_t slot = device ? cpulook_slot(a->cpu_folder, c->cpu) : MSG_NO_SLOT;

	c->coming = false;
	/* By the record it may be another at the first look. */
	if (c->device && !is_same(c, device, slot))
		on_gone(c);
	if (device && !c->present)
		on_come(a, c);
	if (device != c->device) {
		c->device = device;
		store_subject(a, c);
	}
	if (slot == MSG_NO_SLOT || slot == c->slot)
		return;
	c->slot = slot;
	c->row_due = true;
}

void cputable_look_ahead(struct agent *a, struct cpu *c)
{
	if (!c->job.period)
		c->job.period = cpulook_topology(a->cpu_folder, c->cpu);
}

bool cputable_confirm_online(struct agent *a, struct cpu *c)
{
	cputable_look_ahead(a, c);
	c->period = c->job.period;
	c->online = c->present && c->period != 0;
	if (!c->online) {
		look(a, c);
		read_online(a, c);
	}
	return c->online;
}

void cputable_rescan(struct agent *a)
{
	for_each_cpu (a, c) {
		c->job.period = 0;
		look(a, c);
	}
	read_online(a, NULL);
	for_each_cpu (a, c)
		cputable_settle(a, c);
}

void cputable_look(struct agent *a, struct cpu *c)
{
	look(a, c);
	read_online(a, c);
	cputable_settle(a, c);
}

/* It was looked at since. A guest that was suspended tells of the end of that alone: by the period. */
static bool is_known(const struct agent *a, struct cpu *c, const struct uevent *e)
{
	if (e->kind == UEVENT_CPU_ONLINE)
		return c->online && cpulook_period(a->cpu_folder, c->cpu) == c->period;
	/* It is told for the slot's sake; another CPU has a folder of another number. */
	if (e->kind == UEVENT_CPU_BIND && c->present && c->slot != MSG_NO_SLOT &&
	    cpulook_device(a->cpu_folder, c->cpu) == c->device)
		return true;
	/* Whatever it is, a time online that was seen before may be over. */
	c->job.period = 0;
	return e->kind == UEVENT_CPU_OFFLINE && c->present && !c->online;
}

static bool is_to_be_looked_at(const struct agent *a, struct cpu *c, const struct uevent *e)
{
	if (is_known(a, c, e))
		return false;
	/* What comes of a write of ours is looked at when that returns. */
	return (e->kind != UEVENT_CPU_ONLINE && e->kind != UEVENT_CPU_OFFLINE) ||
	       !writer_is_busy_with(a, c) || c->job.overdue;
}

uint64_t cputable_deadline(const struct agent *a)
{
	for_each_cpu (a, c)
		if (c->coming || c->leaving)
			return a->look_ms;
	return 0;
}

/* To be called before the row says so: while none comes or goes @look_ms is void. */
static void look_again(struct agent *a, unsigned int in_ms)
{
	uint64_t due = now_ms() + in_ms;

	if (!cputable_deadline(a) || due < a->look_ms)
		a->look_ms = due;
}

void cputable_on_uevent(struct agent *a, const struct uevent *e)
{
	struct cpu *c = e->cpu < a->possible ? &a->cpus[e->cpu] : NULL;
	bool was_present;

	if (!c || !is_to_be_looked_at(a, c, e))
		return;
	was_present = c->present;
	if (e->kind == UEVENT_CPU_ADD && !was_present) {
		look_again(a, BIND_MS);
		note_coming(a);
		c->coming = true;
		return;
	}
	look(a, c);
	if (e->kind != UEVENT_CPU_BIND || was_present || !c->present)
		read_online(a, c);
	cputable_settle(a, c);
	if (e->kind == UEVENT_CPU_REMOVE && c->present) {
		look_again(a, LOOK_FIRST_MS);
		c->leaving = true;
		a->look_wait_ms = LOOK_FIRST_MS;
	}
}

unsigned int cputable_awaited(const struct agent *a)
{
	unsigned int n = 0;

	for_each_cpu (a, c)
		n += c->coming || c->awaited;
	return n;
}

void cputable_on_time(struct agent *a, uint64_t now)
{
	uint64_t due = cputable_deadline(a);
	bool last = a->look_wait_ms >= LOOK_LAST_MS;

	if (!due || now < due)
		return;
	for_each_cpu (a, c) {
		if (!c->leaving && !c->coming)
			continue;
		cputable_look(a, c);
		c->leaving = c->leaving && !last;
	}
	if (!last)
		a->look_wait_ms *= 2;
	a->look_ms = now + a->look_wait_ms;
}

void cputable_settle(struct agent *a, struct cpu *c)
{
	int rest = c->present ? CPUHP_STANDBY : CPUHP_OFFLINE;

	if (c->job.kind) {
		control_on_observed(a, c);
	} else if (c->state > CPUHP_STANDBY && cputable_period_is_over(c)) {
		adopt_taken(a, c);
	} else if (c->online && (c->state <= CPUHP_STANDBY || c->restored)) {
		if (registry_is_busy(a))
			wait_for_registration(a, c);
		else
			adopt_found_online(a, c);
	} else if (!c->online && (c->state != rest || c->text[0])) {
		c->text[0] = '\0';
		cpu_set_state(a, c, rest);
		cpu_changed(a, c);
	} else if (c->row_due) {
		cpu_changed(a, c);
	}
}

static void log_move(struct agent *a, const struct cpu *c, int state)
{
	char line[288] = "cpu", name[128];

	text_add_number(line, sizeof(line), (unsigned int)c->cpu);
	text_add(line, sizeof(line), ": ");
	text_add(line, sizeof(line), cputable_state_name(a, c->state, name));
	text_add(line, sizeof(line), " -> ");
	text_add(line, sizeof(line), cputable_state_name(a, state, name));
	agent_log_text(a, line);
}

void cpu_set_state(struct agent *a, struct cpu *c, int state)
{
	if (state == c->state)
		return;
	log_move(a, c, state);
	c->state = state;
	if (state <= CPUHP_STANDBY) {
		/* None of this is of a CPU that is offline. */
		c->foreign = false;
		c->dyn_done = 0;
		c->doubt = 0;
		c->ran_on = -1;
		c->text[0] = '\0';
	}
}

void cpu_store(struct agent *a, struct cpu *c)
{
	const struct bootrec_row row = {
		.state = (uint8_t)c->state,
		.under_way = (uint8_t)c->doubt,
		.standby_wish = c->standby_wish,
		.dyn_done = c->dyn_done,
		.kick = c->last_kick,
	};

	if (c->job.at_worker)
		return;
	if (c->is_stored && memcmp(&row, &c->stored, sizeof(row)) == 0)
		return;
	c->is_stored = check_stored(a, c, bootrec_store(&a->record, c->cpu, &row));
	c->stored = row;
}

static void announce_later(struct agent *a, struct cpu *c)
{
	a->announce_due = true;
	/*
	 * On the way up that was asked for it is said to rest until it is in service, or not at all: one
	 * announcement tells both.
	 */
	if (!c->job.kind)
		c->active = c->state >= CPUHP_AP_ACTIVE;
	if (c->job.kind != JOB_KICK || c->job.h.late)
		c->resting = !c->job.kind && c->present && !c->online &&
			     c->state == CPUHP_STANDBY && !c->awaited;
}

void cpu_changed(struct agent *a, struct cpu *c)
{
	c->row_due = true;
	announce_later(a, c);
	cpu_store(a, c);
}

bool cputable_await_no_more(struct agent *a)
{
	bool any = false;

	for_each_cpu (a, c) {
		if (!c->awaited)
			continue;
		any = true;
		c->awaited = false;
		announce_later(a, c);
	}
	return any;
}

void cpu_say(struct agent *a, struct cpu *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->text, sizeof(c->text), format, args);
	va_end(args);
	agent_log(a, "cpu%d: %s", c->cpu, c->text);
}

const char *cputable_state_name(const struct agent *a, int state, char buf[128])
{
	const char *name = ladder_is_dyn(state) ? a->registry.names[state - CPUHP_AP_DYN] : "";

	if (!*name)
		return ladder_name(state);
	text_copy(buf, 128, ladder_name(state));
	text_add(buf, 128, ".");
	text_add(buf, 128, name);
	return buf;
}
