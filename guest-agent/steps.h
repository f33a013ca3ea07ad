/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_STEPS_H
#define AGENT_STEPS_H

#include "guest-agent/agent-config.h"
#include <stdbool.h>

/**
 * struct verify_kit - what step_verify() uses, of the process that calls it
 * @timer: -1 not there yet
 * @clocksource: the file that names the kernel's, -1 not there yet
 * @noted: the clocksource of this boot, "" not known yet
 */
struct verify_kit {
	int timer;
	int clocksource;
	char noted[64];
};

/* Make it ahead, which takes longer than all that is done with it. What is missing is made then. */
void step_verify_prepare(int root, struct verify_kit *ret);

/**
 * struct step_env - what the worker's own steps may use
 * @root: descriptor of the root folder
 * @config: borrowed
 * @cpu: the CPU in transition; the calling process is bound to it
 * @verify: for step_verify()
 * @waits: called before what may take its time, so that others can see where it is; NULL nobody looks
 * @ctx: for @waits
 * @text: returned: why it failed, or a warning where the return value is 0
 */
struct step_env {
	int root;
	const struct agent_config *config;
	int cpu;
	struct verify_kit *verify;
	void (*waits)(void *ctx);
	void *ctx;
	char text[256];
};

/*
 * The worker's steps 9 to 11. Each returns 0 or -errno, with @env->text filled on failure and,
 * on success, with a warning or "".
 * Context: the worker process; may block.
 */

/* Add a sentence to @env->text, behind "; " where there is one already; cut at its end. */
void step_note(struct step_env *env, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What follows may take its time. */
void step_waits(const struct step_env *env);

/* By the configuration there is nothing that @state does. */
bool step_is_off(const struct agent_config *config, int state);

/* A timer armed on this CPU fires, the thread's CPU time grows; warns if the clocksource changed since boot. */
int step_verify(struct step_env *env);

/* Widen / narrow every configured cpuset (v2 cpuset.cpus, v1 cpuset/.../cpuset.cpus). Holds a
 * lock file against other workers. Narrowing that is refused is a warning. */
int step_cpuset_widen(struct step_env *env);
int step_cpuset_narrow(struct step_env *env);

/* Spread IRQs by policy: some unmanaged IRQs get this CPU added / are moved off it. */
int step_irq_spread(struct step_env *env);
int step_irq_away(struct step_env *env);

#endif
