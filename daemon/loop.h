/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_LOOP_H
#define DAEMON_LOOP_H

#include <stdint.h>
#include <systemd/sd-event.h>

/**
 * loop_turn() - one turn of the event loop
 *
 * Without memory libsystemd gives a turn up before anything of it was done, and sd_event_loop() with
 * it. Here it is waited for a moment, and the same turn is taken by the next call.
 *
 * Return: as sd_event_run() does, and 1 for a turn given up for want of memory.
 */
int loop_turn(sd_event *event, uint64_t timeout_us);

#endif
