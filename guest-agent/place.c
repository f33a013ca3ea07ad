/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/place.h"
#include "guest-agent/agent.h"
#include "guest-agent/sysfs.h"
#include <errno.h>
#include <string.h>

#define STATUS "proc/self/status"
#define ALLOWED "\nCpus_allowed_list:\t"

/* Also of CPUs that are not there, which sched_getaffinity() does not tell. */
static int read_allowed(int root, struct cpulist *ret)
{
	char text[16 << 10], *list, *end;
	int r = sysfs_read(root, STATUS, text, sizeof(text));

	if (r < 0)
		return r;
	list = strstr(text, ALLOWED);
	if (!list)
		return -ENODATA;
	list += sizeof(ALLOWED) - 1;
	end = strchr(list, '\n');
	if (end)
		*end = '\0';
	r = cpulist_parse_kernel(list, ret);
	return r == 0 && cpulist_next(ret, 0) < 0 ? -ENODATA : r;
}

/* What befell a CPU that has come or gone since, or is about to, is the kernel's doing. */
static bool is_as_it_was(const struct cpu *c)
{
	return !c->job.kind && (c->online ? c->placed && c->period == c->placed : !c->placed);
}

/* By others. Where none of ours is left the kernel has moved us, and nobody wanted that. */
static bool is_changed(const struct agent *a, const struct cpulist *now)
{
	const struct cpulist *kept = &a->place.kept;
	bool differs = false, any = false;

	for_each_cpu (a, c) {
		unsigned int n = (unsigned int)c->cpu;

		if (!is_as_it_was(c))
			continue;
		any |= c->online && cpulist_has(kept, n);
		differs |= cpulist_has(kept, n) != cpulist_has(now, n);
	}
	return any && differs;
}

/* Of those given the ones in service, else the ones online that rest. Return: whether there are any. */
static bool choose(const struct agent *a, struct cpulist *ret)
{
	struct cpulist online = { 0 };

	cpulist_zero(ret);
	for_each_cpu (a, c) {
		if (!c->online || !cpulist_has(&a->place.given, (unsigned int)c->cpu))
			continue;
		if (!c->job.kind)
			cpulist_set(&online, (unsigned int)c->cpu);
		if (c->active)
			cpulist_set(ret, (unsigned int)c->cpu);
	}
	if (cpulist_next(ret, 0) < 0)
		*ret = online;
	return cpulist_next(ret, 0) >= 0;
}

static void keep_on(struct agent *a, const struct cpulist *cpus)
{
	struct place *p = &a->place;
	int r = a->seam->keep_on(0, cpus);

	/* It may be dead already; another is forked where we are. */
	if (a->writer.pid > 0)
		(void)a->seam->keep_on(a->writer.pid, cpus);
	if (r == 0 || p->objected)
		return;
	p->objected = true;
	agent_log(a, "cannot keep to the CPUs in service: %s; goes on where it may", strerror(-r));
}

void place_start(struct agent *a)
{
	struct place *p = &a->place;

	p->known = read_allowed(a->root, &p->given) == 0;
	p->kept = p->given;
	p->due = true;
}

void place_settle(struct agent *a)
{
	struct place *p = &a->place;
	struct cpulist now, chosen;

	p->due = false;
	if (!p->known || read_allowed(a->root, &now) < 0)
		return;
	if (is_changed(a, &now))
		p->given = now;
	if (choose(a, &chosen))
		keep_on(a, &chosen);
	if (read_allowed(a->root, &p->kept) < 0)
		p->kept = chosen;
	for_each_cpu (a, c)
		c->placed = c->online && !c->job.kind ? c->period : 0;
}
