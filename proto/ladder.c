/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "proto/ladder.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const struct cpuhp_step ladder[CPUHP_STATES] = {
	[CPUHP_OFFLINE] = {
		.name = "offline",
		.meaning = "no vCPU in QEMU",
		.side = CPUHP_SIDE_REST,
		.is_target = true,
	},
	/* Admission comes first: whatever it refuses has touched neither QEMU nor the guest. */
	[CPUHP_HOST_ADMIT] = {
		.name = "host:admit",
		.meaning = "domain, agent, slot, limits and policy allow it; the slot is reserved",
		.side = CPUHP_SIDE_HOST,
		.startup_ms = 10000, /* waiting for an agent */
	},
	[CPUHP_QEMU_DEVICE] = {
		.name = "qemu:device",
		.meaning = "QEMU has the vCPU device",
		.side = CPUHP_SIDE_HOST,
		.startup_ms = 5000,
		.teardown_ms = 30000, /* the guest ejects when it likes */
	},
	[CPUHP_HOST_PLACE] = {
		.name = "host:place",
		.meaning = "the vCPU's host thread is pinned by policy",
		.side = CPUHP_SIDE_HOST,
		.startup_ms = 5000,
		.teardown_ms = 5000,
	},
	[CPUHP_GUEST_PRESENT] = {
		.name = "guest:present",
		.meaning = "the agent reports the CPU present",
		.side = CPUHP_SIDE_HOST,
		.startup_ms = 10000,
	},
	/* The last step the host takes upwards (R2): beyond it the agent walks. */
	[CPUHP_AP_KICK] = {
		.name = "ap:kick",
		.meaning = "the ladder is handed to the agent",
		.side = CPUHP_SIDE_HOST,
		.startup_ms = 5000,
	},
	[CPUHP_STANDBY] = {
		.name = "standby",
		.meaning = "plugged and present, parked, not online",
		.side = CPUHP_SIDE_REST,
		.is_target = true,
	},
	[CPUHP_AP_ONLINE] = {
		.name = "ap:online",
		.meaning = "the guest kernel has the CPU online",
		.side = CPUHP_SIDE_CONTROL,
		.startup_ms = 10000,
		.teardown_ms = 10000,
	},
	/* After the kernel's online and before its offline (R11): a worker holds up an offline. */
	[CPUHP_AP_THREADS] = {
		.name = "ap:threads",
		.meaning = "the hotplug worker runs on the CPU",
		.side = CPUHP_SIDE_CONTROL,
		.is_target = true,
		.startup_ms = 5000,
		.teardown_ms = 5000,
	},
	[CPUHP_AP_VERIFY] = {
		.name = "ap:verify",
		.meaning = "a pinned timer fired there and the worker's CPU time grew",
		.side = CPUHP_SIDE_WORKER,
		.is_target = true,
		.startup_ms = 5000,
		.teardown_ms = 5000,
	},
	[CPUHP_AP_CPUSET] = {
		.name = "ap:cpuset",
		.meaning = "the configured cpusets include the CPU",
		.side = CPUHP_SIDE_WORKER,
		.is_target = true,
		.startup_ms = 5000,
		.teardown_ms = 5000,
	},
	[CPUHP_AP_IRQ] = {
		.name = "ap:irq",
		.meaning = "interrupts are spread to the CPU by policy",
		.side = CPUHP_SIDE_WORKER,
		.is_target = true,
		.startup_ms = 5000,
		.teardown_ms = 5000,
	},
	[CPUHP_AP_DYN ... CPUHP_AP_DYN_END] = {
		.name = "ap:dyn",
		.meaning = "a registered callback",
		.side = CPUHP_SIDE_WORKER,
		.is_target = true, /* where one stands */
		.startup_ms = 10000,
		.teardown_ms = 10000,
	},
	/* Announced last, when all below has succeeded. */
	[CPUHP_AP_ACTIVE] = {
		.name = "ap:active",
		.meaning = "the CPU is announced to the guest's programs",
		.side = CPUHP_SIDE_WORKER,
		.is_target = true,
		.skip_rollback = true,
		.startup_ms = 5000,
		.teardown_ms = 5000,
	},
	[CPUHP_ONLINE] = {
		.name = "online",
		.meaning = "in service",
		.side = CPUHP_SIDE_REST,
		.is_target = true,
	},
};

const struct cpuhp_step *ladder_step(int state)
{
	return state >= 0 && state < CPUHP_STATES ? &ladder[state] : NULL;
}

enum cpuhp_side ladder_side(int state)
{
	const struct cpuhp_step *step = ladder_step(state);

	return step ? step->side : CPUHP_SIDE_REST;
}

bool ladder_is_dyn(int state)
{
	return state >= CPUHP_AP_DYN && state <= CPUHP_AP_DYN_END;
}

const char *ladder_name(int state)
{
	const struct cpuhp_step *step = ladder_step(state);

	return step ? step->name : "unknown";
}

static int find_number(const char *word)
{
	int n = 0;

	for (; *word; word++) {
		if (*word < '0' || *word > '9')
			return -EINVAL;
		n = n * 10 + (*word - '0');
		if (n >= CPUHP_STATES)
			return -EINVAL;
	}
	return n;
}

int ladder_find(const char *word)
{
	if (*word >= '0' && *word <= '9')
		return find_number(word);
	for (int i = 0; i < CPUHP_STATES; i++)
		if (!ladder_is_dyn(i) && strcmp(ladder[i].name, word) == 0)
			return i;
	return -EINVAL;
}

bool ladder_is_target(int state, bool has_callback)
{
	const struct cpuhp_step *step = ladder_step(state);

	return step && step->is_target && (has_callback || !ladder_is_dyn(state));
}
