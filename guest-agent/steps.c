/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/steps.h"
#include "proto/ladder.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void step_note(struct step_env *env, const char *format, ...)
{
	size_t used = strlen(env->text);
	va_list args;

	if (used > 0 && used + 2 < sizeof(env->text)) {
		memcpy(env->text + used, "; ", 3);
		used += 2;
	}
	va_start(args, format);
	vsnprintf(env->text + used, sizeof(env->text) - used, format, args);
	va_end(args);
}

void step_waits(const struct step_env *env)
{
	if (env->waits)
		env->waits(env->ctx);
}

bool step_is_off(const struct agent_config *config, int state)
{
	return (state == CPUHP_AP_CPUSET && config->n_cpusets == 0) ||
	       (state == CPUHP_AP_IRQ && config->irq == IRQ_OFF);
}
