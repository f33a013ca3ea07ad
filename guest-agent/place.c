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

static bool same(const struct cpulist *x, const struct cpulist *y)
{
	return memcmp(x, y, sizeof(*x)) == 0;
}

/* Where none of them is in service, all that is given. */
static void choose(const struct place *p, struct cpulist *ret)
{
	for (size_t i = 0; i < sizeof(ret->bits) / sizeof(*ret->bits); i++)
		ret->bits[i] = p->home.bits[i] & p->given.bits[i];
	if (cpulist_next(ret, 0) < 0)
		*ret = p->given;
}

void place_settle(struct agent *a)
{
	struct place *p = &a->place;
	struct cpulist home = { 0 }, now;

	for_each_cpu (a, c)
		if (c->active)
			cpulist_set(&home, (unsigned int)c->cpu);
	if ((p->known && same(&home, &p->home)) || read_allowed(a->root, &now) < 0)
		return;
	if (!p->known || !same(&now, &p->kept))
		p->given = now;
	p->known = true;
	p->kept = now;
	p->home = home;
	choose(p, &now);
	/* What cannot be had now is tried at the next change. */
	if (a->seam->keep_on(&now) == 0 && read_allowed(a->root, &p->kept) < 0)
		p->kept = now;
}
