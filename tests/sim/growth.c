/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Memory and descriptors of a daemon that lives long: the fewest allocations and the most descriptors
 * that were seen in the third quarter of a run's operations and in the last. What is remembered on
 * purpose (the last results of each domain) is full before that, faults come in all quarters alike,
 * and none ends the daemon. So both are the same, but for what was lost with operations and faults
 * between them. Both sides' allocations are counted: of an operation that has ended the simulation keeps
 * none of its own.
 */
#include "tests/sim/shortage.h"
#include "tests/sim/world.h"

#include <assert.h>
#include <dirent.h>

enum { SLACK = 100 }; /* allocations, over some hundreds of operations */

static size_t count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	assert(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Of all operations; in percent. */
static unsigned int progress(const struct world *w)
{
	size_t at = 0, all = 1;

	for (unsigned int i = 0; i < w->n; i++) {
		at += w->drivers[i].at;
		all += w->script->n;
	}
	return (unsigned int)(100 * at / all);
}

void growth_look(struct world *w)
{
	unsigned int at = progress(w);
	size_t live = (size_t)shortage_live(), descriptors;
	struct growth *g;

	if (!w->script->steady || at < 50 || w->healed)
		return;
	g = &w->quarters[at >= 75];
	descriptors = count_descriptors();
	if (!g->live || live < g->live)
		g->live = live;
	if (descriptors > g->descriptors)
		g->descriptors = descriptors;
}

void growth_judge(struct world *w)
{
	const struct growth *a = &w->quarters[0], *b = &w->quarters[1];

	if (!w->script->steady)
		return;
	sim_log(&w->domains[0], "allocations %zu, then %zu; descriptors %zu, then %zu", a->live,
		b->live, a->descriptors, b->descriptors);
	if (!a->live || !b->live)
		sim_breach(&w->domains[0], "too short to see what grows");
	if (b->live > a->live + SLACK)
		sim_breach(&w->domains[0], "there were %zu allocations, and there are %zu", a->live,
			   b->live);
	if (b->descriptors > a->descriptors)
		sim_breach(&w->domains[0], "there were %zu descriptors, and there are %zu",
			   a->descriptors, b->descriptors);
}
