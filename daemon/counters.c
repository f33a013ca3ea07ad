/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/counters.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OTHERS = COUNTERS_CALLBACKS - 1 };

#define DAY_US UINT64_C(86400000000)

const struct histogram_bound histogram_bounds[HISTOGRAM_BUCKETS] = {
	{ 1000, "0.001" },    { 3000, "0.003" },    { 10000, "0.01" },    { 30000, "0.03" },
	{ 100000, "0.1" },    { 300000, "0.3" },    { 1000000, "1.0" },   { 3000000, "3.0" },
	{ 10000000, "10.0" }, { 30000000, "30.0" }, { 60000000, "60.0" }, { UINT64_MAX, "+Inf" },
};

void histogram_add(struct histogram *h, uint64_t us)
{
	unsigned int i = 0;

	if (us > DAY_US)
		us = DAY_US;
	while (us > histogram_bounds[i].us)
		i++;
	h->n[i]++;
	h->sum_us += us;
}

uint64_t histogram_count(const struct histogram *h)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++)
		n += h->n[i];
	return n;
}

void counters_done(struct domain_counters *c)
{
	free(c->callbacks);
	*c = (struct domain_counters){ 0 };
}

/* It goes into a label: what no file of a callback is called is not one. */
static bool is_callback(const char *name)
{
	return name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				 "0123456789._+-")] == '\0';
}

static unsigned int find_callback(struct callback_counters *callbacks, const char *name)
{
	if (!*name)
		return 0;
	if (!is_callback(name))
		return OTHERS;
	for (unsigned int i = 1; i < OTHERS; i++) {
		struct callback_counters *c = &callbacks[i];

		if (!c->name[0])
			snprintf(c->name, sizeof(c->name), "%s", name);
		if (strcmp(c->name, name) == 0)
			return i;
	}
	return OTHERS;
}

static struct state_counters *find_state(struct domain_counters *c, int state, const char *callback)
{
	if (!ladder_is_dyn(state))
		return &c->fixed[state < CPUHP_AP_DYN ? state : state - COUNTERS_DYNS];
	if (!c->callbacks)
		c->callbacks = calloc(COUNTERS_CALLBACKS, sizeof(*c->callbacks));
	if (!c->callbacks)
		return NULL;
	return &c->callbacks[find_callback(c->callbacks, callback)].state;
}

void counters_step(struct domain_counters *c, int state, const char *callback, bool startup,
		   const uint64_t *us, bool failed)
{
	struct state_counters *s = find_state(c, state, callback);
	struct step_counters *way;

	if (!s)
		return;
	way = startup ? &s->up : &s->down;
	if (us)
		histogram_add(&way->time, *us);
	way->failures += failed;
}

static bool is_counted(const struct step_counters *s)
{
	return s->failures || histogram_count(&s->time);
}

static const struct state_counters *find_row(const struct domain_counters *c, unsigned int i)
{
	if (i < COUNTERS_FIXED)
		return &c->fixed[i];
	return c->callbacks ? &c->callbacks[i - COUNTERS_FIXED].state : NULL;
}

static void name_row(const struct domain_counters *c, unsigned int i,
		     char ret_name[COUNTERS_NAME_SIZE])
{
	int state = i < CPUHP_AP_DYN ? (int)i : (int)i + COUNTERS_DYNS;
	unsigned int callback = i - COUNTERS_FIXED;

	if (i < COUNTERS_FIXED)
		snprintf(ret_name, COUNTERS_NAME_SIZE, "%s", ladder_name(state));
	else if (callback == 0)
		snprintf(ret_name, COUNTERS_NAME_SIZE, "%s", ladder_name(CPUHP_AP_DYN));
	else
		snprintf(ret_name, COUNTERS_NAME_SIZE, "%s.%s", ladder_name(CPUHP_AP_DYN),
			 callback == OTHERS ? "*" : c->callbacks[callback].name);
}

const struct state_counters *counters_row(const struct domain_counters *c, unsigned int i,
					  char ret_name[COUNTERS_NAME_SIZE])
{
	const struct state_counters *s = find_row(c, i);

	if (!s || !(is_counted(&s->up) || is_counted(&s->down)))
		return NULL;
	name_row(c, i, ret_name);
	return s;
}
