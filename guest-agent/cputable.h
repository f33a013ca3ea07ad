/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_CPUTABLE_H
#define AGENT_CPUTABLE_H

#include "guest-agent/agent.h"
#include "guest-agent/uevent.h"

/* Make the table: one row for each CPU the kernel has room for. Return: 0 or -errno. */
int cputable_init(struct agent *a);
void cputable_done(struct agent *a);

/* Read presence, online and slot of every CPU again, and act on what changed. */
void cputable_rescan(struct agent *a);

/* The same for one CPU. */
void cputable_look(struct agent *a, struct cpu *c);

/*
 * The same upon a uevent; one that comes is looked at when its slot is known, or a moment later, and
 * whether it is online is left to an event of its own.
 */
void cputable_on_uevent(struct agent *a, const struct uevent *e);

/* How many have come, or are about to, to be kicked. */
unsigned int cputable_awaited(const struct agent *a);

/* The same for those that are coming or leaving, by time. The deadline: now_ms(), 0 none. */
void cputable_on_time(struct agent *a, uint64_t now);
uint64_t cputable_deadline(const struct agent *a);

/* Read again whether the kernel has it online. */
void cputable_read_online(struct agent *a, struct cpu *c);

/*
 * Look for the time online that a kernel's online under way makes; the folder that tells it comes
 * with that one's first steps, so that nobody has to wait for this look at its end. It proves nothing
 * before that has succeeded, and nothing after an event of the CPU's that is not its online.
 */
void cputable_look_ahead(struct agent *a, struct cpu *c);

/*
 * Whether the kernel's online, which says it succeeded, has come to something: its row tells what is
 * so. Of a CPU that is online, one look shows it.
 */
bool cputable_confirm_online(struct agent *a, struct cpu *c);

/* What is done on it from now on is done in the time online that was read last. */
void cputable_begin_period(struct agent *a, struct cpu *c);

/* Whether the one in which its state was reached is over, be the CPU online again or not. */
bool cputable_period_is_over(const struct cpu *c);

/* Act on a difference between what the kernel says of a CPU and what its row says. */
void cputable_settle(struct agent *a, struct cpu *c);

/* Read the slot where it is not known yet. */
void cputable_read_slot(struct agent *a, struct cpu *c);

/* The one setter of a CPU's state; logs "cpu5: ap:online -> ap:threads". */
void cpu_set_state(struct agent *a, struct cpu *c, int state);

/* Its row has changed: send it, and keep the record and the announcement right. */
void cpu_changed(struct agent *a, struct cpu *c);

/* What came while kicks were to come, and was not kicked, rests. Return: whether any has come. */
bool cputable_await_no_more(struct agent *a);

/* Write its row of the record if it is not right; not while a worker walks, whose row it is then. */
void cpu_store(struct agent *a, struct cpu *c);

/* Why it rests where it does; logged. */
void cpu_say(struct agent *a, struct cpu *c, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* "ap:verify", and for a callback "ap:dyn.NN-name", made in @buf. */
const char *cputable_state_name(const struct agent *a, int state, char buf[128]);

#endif
