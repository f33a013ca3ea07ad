/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_CONTROL_INTERNAL_H
#define AGENT_CONTROL_INTERNAL_H

#include "guest-agent/control.h"

/* Between control.c, which moves walks on, and control-event.c, which hears what became of them. */

/* Report a step of @c's call: @flags is RECORD_STEP_EXIT or 0. */
void control_report_step(struct agent *a, struct cpu *c, uint8_t flags, int rc, int ran_on,
			 uint64_t time_ns, const char *text);

/* Put the reason of a failed call into the job's text, behind the first one if there is one. */
void control_note_failure(struct agent *a, struct cpu *c, int rc, const char *text);

/* The call is reported as left; the walk is not told yet. */
void control_left(struct agent *a, struct cpu *c, int rc, int ran_on, uint64_t time_ns,
		  const char *text);

/* The walk was told: the CPU's row follows it. */
void control_moved(struct agent *a, struct cpu *c);

/* Control's own call is over. */
void control_leave_now(struct agent *a, struct cpu *c, int rc, const char *text);

/* The worker that shall run the next call cannot be had: that call has failed. */
void control_fail_next(struct agent *a, struct cpu *c, int rc, const char *text);

/* The worker before has left: unpark one for the call that waited for that. */
void control_unpark_again(struct agent *a, struct cpu *c);

/* Its CPU is gone: what has been started is torn down late, unbound, by another worker. */
void control_become_late(struct agent *a, struct cpu *c);

/* A worker is being unparked for @c: its call is ap:threads, upwards. */
bool control_is_unparking(const struct job *j);
/* The same, downwards. */
bool control_is_parking(const struct job *j);

#endif
