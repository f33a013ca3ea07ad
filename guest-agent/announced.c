/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/announced.h"
#include "guest-agent/sysfs.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The serial of the last announcement, by whichever agent. */
static uint64_t read_serial(const struct agent *a)
{
	static const char head[] = "{\"serial\":";
	char text[64 << 10];
	uint64_t serial;

	if (sysfs_read(a->root, "run/vcpuhp-agent/cpus.json", text, sizeof(text)) <= 0 ||
	    strncmp(text, head, sizeof(head) - 1) != 0)
		return 0;
	errno = 0;
	serial = strtoull(text + sizeof(head) - 1, NULL, 10);
	return errno ? 0 : serial;
}

void announced_init(struct agent *a)
{
	announce_init(&a->announcer, a->root);
	a->said.serial = read_serial(a);
}

void announced_done(struct agent *a)
{
	announce_done(&a->announcer);
}

/* @next: a CPU to be counted as active, or NULL. */
static void describe(struct agent *a, const struct cpu *next, struct announcement *ret)
{
	*ret = (struct announcement){ .serial = a->said.serial + 1 };
	for_each_cpu (a, c) {
		if (c->active || c == next)
			cpulist_set(&ret->active, (unsigned int)c->cpu);
		else if (c->resting)
			cpulist_set(&ret->standby, (unsigned int)c->cpu);
	}
}

int announced_update(struct agent *a)
{
	struct announcement now;
	int r;

	describe(a, NULL, &now);
	if (a->said_any && memcmp(&now.active, &a->said.active, sizeof(now.active)) == 0 &&
	    memcmp(&now.standby, &a->said.standby, sizeof(now.standby)) == 0)
		return 0;
	r = announce_write(&a->announcer, &now);
	if (r < 0)
		return r;
	a->said_any = true;
	a->said = now;
	return 0;
}

/* The only CPU a worker takes into service now, or NULL. */
static const struct cpu *next_active(struct agent *a)
{
	const struct cpu *next = NULL;

	for_each_cpu (a, c) {
		if (!c->job.at_worker || c->active || c->job.h.walk.target < CPUHP_AP_ACTIVE ||
		    c->job.h.walk.rolling_back)
			continue;
		if (next)
			return NULL;
		next = c;
	}
	return next;
}

void announced_prepare(struct agent *a)
{
	const struct cpu *next = a->jobs > 0 ? next_active(a) : NULL;
	struct announcement what;

	announce_prepare(&a->announcer);
	if (!next)
		return;
	describe(a, next, &what);
	announce_expect(&a->announcer, &what);
}
