/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HOOK_RUN_H
#define DAEMON_HOOK_RUN_H

#include "daemon/hook.h"
#include <systemd/sd-event.h>

/* One call of one hook. */

struct hook_run;

/**
 * struct hook_ends - who is told
 * @ended: how it ended; of one that is late as soon as it is
 * @gone: its processes are gone as well; comes last, and also after hook_run_drop()
 *
 * Both come from the event loop, once.
 */
struct hook_ends {
	void (*ended)(void *arg, const struct hook_outcome *o);
	void (*gone)(void *arg);
	void *arg;
};

/* @ret: frees itself when it is gone. Return: 0 or -errno, and nobody is told of anything. */
int hook_run_start(struct hook_run **ret, sd_event *event, const struct hook_call *call,
		   const struct hook_ends *ends);

/* Whether it is a child of the daemon's, and no unit. */
bool hook_run_is_child(const struct hook_run *r);

/* Its outcome is not wanted any more: end it. */
void hook_run_drop(struct hook_run *r);

/* The daemon ends: kill it and free it now, without a word. */
void hook_run_kill(struct hook_run *r);

#endif
