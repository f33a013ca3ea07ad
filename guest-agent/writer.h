/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_WRITER_H
#define AGENT_WRITER_H

#include "guest-agent/agent.h"

/*
 * The kernel's online and offline, done by a helper process: such a write may sleep in the kernel
 * for ever, and must then hold neither the port nor anybody else. One write at a time (the kernel
 * serializes them on one lock anyway), in the order of the kicks; one helper for all
 * of them.
 */

void writer_init(struct writer *w);

/* Queue the write that @c's call asks for; control_on_write_started() and _written() follow. */
void writer_queue(struct agent *a, struct cpu *c);

/* What kept the queue waiting is over (kladder.h). */
void writer_go_on(struct agent *a);

/* A CPU has come, or is about to: what is queued next waits a little. */
void writer_on_come(struct agent *a);
/* One kick less is to come, whatever it asks for. */
void writer_on_kick(struct agent *a);
/* The deadline: now_ms(), 0 none. */
void writer_on_time(struct agent *a, uint64_t now);
uint64_t writer_deadline(struct agent *a);

/* Take a write that has not started out of the queue again. Return: whether it was there. */
bool writer_withdraw(struct cpu *c);

bool writer_is_busy_with(const struct agent *a, const struct cpu *c);

/* Whether a CPU is on its way up in it. */
bool writer_is_at_startup(const struct agent *a);

/* While it is, of @cpu: see cputable_look_ahead(). */
void writer_look_ahead(struct agent *a, int cpu);

void writer_on_readable(struct agent *a);
/* The helper died. */
void writer_on_exit(struct agent *a, int status);

/* Fork the helper ahead, where there is none. */
void writer_prepare(struct agent *a);

#endif
