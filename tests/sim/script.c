/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/script.h"
#include "tests/sim/faults.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const phase_names[PHASES] = {
	[PHASE_SUBMIT] = "submitted",
	[PHASE_ADMITTED] = "admitted",
	[PHASE_ADD_SENT] = "add sent",
	[PHASE_ADD_REPLIED] = "add replied",
	[PHASE_PRESENT] = "present",
	[PHASE_KERNEL_ONLINE] = "kernel online",
	[PHASE_CALLBACK_1] = "callback 1",
	[PHASE_CALLBACK_N] = "callback n",
	[PHASE_ONLINE] = "online",
	[PHASE_DOWN_SUBMIT] = "submitted (down)",
	[PHASE_DOWN_ADMITTED] = "admitted (down)",
	[PHASE_DOWN_ACTIVE] = "active (down)",
	[PHASE_DOWN_CALLBACK_N] = "callback n (down)",
	[PHASE_DOWN_CALLBACK_1] = "callback 1 (down)",
	[PHASE_KERNEL_OFFLINE] = "kernel offline",
	[PHASE_STANDBY] = "standby",
	[PHASE_DEL_SENT] = "del sent",
	[PHASE_EJECT_AWAITED] = "eject awaited",
};

const char *phase_name(enum phase p)
{
	return phase_names[p];
}

unsigned int script_boot_cpus(unsigned int kind)
{
	return 1 + kind % 2;
}

struct script *script_new(uint64_t seed, unsigned int domains)
{
	struct script *s = calloc(1, sizeof(*s));

	assert(s);
	s->seed = seed;
	s->domains = domains;
	s->drill = true;
	return s;
}

struct script *script_free(struct script *s)
{
	if (s)
		free(s->items);
	free(s);
	return NULL;
}

void script_add(struct script *s, const struct item *i)
{
	if (s->n == s->room) {
		s->room = s->room ? 2 * s->room : 64;
		s->items = reallocarray(s->items, s->room, sizeof(*i));
		assert(s->items);
	}
	s->items[s->n++] = *i;
}

/* Generation */

static struct op_request make_count(struct rng *r)
{
	struct op_request q = { .goal = OP_GOAL_COUNT, .standby = -1 };

	q.count = rng_range(r, 1, SIM_SLOTS - 2);
	if (rng_chance(r, 20))
		q.standby = (int)rng_below(r, 3);
	return q;
}

static struct op_request make_target(struct rng *r)
{
	static const int targets[] = { CPUHP_OFFLINE, CPUHP_OFFLINE,    CPUHP_STANDBY,
				       CPUHP_ONLINE,  CPUHP_ONLINE,     CPUHP_AP_THREADS,
				       CPUHP_AP_DYN,  CPUHP_AP_DYN + 1, CPUHP_AP_ACTIVE };
	struct op_request q = { .goal = OP_GOAL_TARGET, .standby = -1 };
	unsigned int first = rng_range(r, 1, SIM_SLOTS - 1), n = rng_range(r, 1, 3);

	q.target = targets[rng_below(r, sizeof(targets) / sizeof(*targets))];
	for (unsigned int i = first; i < first + n && i < SIM_SLOTS; i++)
		cpulist_set(&q.list, i);
	return q;
}

static struct op_request make_request(struct rng *r)
{
	struct op_request q = rng_chance(r, 70) ? make_count(r) : make_target(r);
	unsigned int policy = rng_below(r, 10);

	q.policy = policy < 6   ? OP_POLICY_ALL
		   : policy < 9 ? OP_POLICY_BEST_EFFORT
				: OP_POLICY_AT_LEAST;
	if (q.policy == OP_POLICY_AT_LEAST)
		q.at_least = 1;
	q.foreign = rng_chance(r, 50);
	if (rng_chance(r, 5))
		q.timeout_ms = rng_range(r, 50, 3000);
	return q;
}

/* @flags: the kind has to have. */
static struct item make_fault(struct rng *r, const struct script_options *o, unsigned int domain,
			      unsigned int number, unsigned int flags)
{
	struct item i = { .kind = ITEM_FAULT, .domain = domain, .number = number };
	const struct fault_kind *k;

	do {
		i.fault = o->only_fault >= 0 ? (unsigned int)o->only_fault
					     : rng_below(r, n_fault_kinds);
		k = &fault_kinds[i.fault];
		/* What meets everybody comes to each of many domains. */
	} while (o->only_fault < 0 &&
		 ((k->flags & flags) != flags ||
		  ((k->flags & FAULT_ALL) &&
		   (o->only_domain >= 0 || o->steady || !rng_chance(r, 200 / (o->domains + 1))))));
	i.phase = rng_below(r, PHASES);
	i.nth = rng_chance(r, 70) ? 0 : rng_below(r, 3);
	i.delay_us = rng_chance(r, 50) ? 0 : rng_below(r, 60000);
	i.span_us = rng_range(r, k->min_ms, k->max_ms) * UINT64_C(1000);
	i.arg = (unsigned int)rng_next(r) & 0xffff;
	return i;
}

struct script *script_make(const struct script_options *o)
{
	struct script *s = script_new(o->seed, o->domains);

	s->steady = o->steady;
	for (unsigned int d = 0; d < o->domains; d++) {
		struct rng r = rng_of(o->seed, 1000 + d), f = rng_of(o->seed, 5000 + d);
		struct rng clients = rng_of(o->seed, 9000 + d);

		for (unsigned int n = 0; n < o->operations; n++) {
			struct item i = { .kind = ITEM_OPERATION, .domain = d, .number = n };

			i.request = make_request(&r);
			i.gap_us = rng_range(&r, 50, 800) * UINT64_C(1000);
			script_add(s, &i);
			if (o->only_domain >= 0 && (int)d != o->only_domain)
				continue;
			while (rng_chance(&f, o->faults)) {
				i = make_fault(&f, o, d, n, 0);
				script_add(s, &i);
			}
			if (o->only_fault < 0 && rng_chance(&clients, o->faults)) {
				i = make_fault(&clients, o, d, n, FAULT_CLIENTS);
				script_add(s, &i);
			}
		}
	}
	return s;
}

/* Printing */

static void print_request(const struct op_request *q, FILE *out)
{
	static const char *const policies[] = { "all", "at-least", "best-effort" };
	char list[CPULIST_TEXT_MAX];

	if (q->goal == OP_GOAL_COUNT) {
		fprintf(out, "count %u", q->count);
		if (q->standby >= 0)
			fprintf(out, " standby %d", q->standby);
	} else {
		cpulist_format(&q->list, list, sizeof(list));
		fprintf(out, "vcpus %s to %d", list, q->target);
	}
	fprintf(out, ", %s%s", policies[q->policy], q->foreign ? ", foreign" : "");
	if (q->timeout_ms)
		fprintf(out, ", timeout %u ms", q->timeout_ms);
}

void script_print(const struct script *s, FILE *out)
{
	fprintf(out, "# seed %llu, %u domain%s, %zu items\n", (unsigned long long)s->seed,
		s->domains, s->domains == 1 ? "" : "s", s->n);
	for (size_t n = 0; n < s->n; n++) {
		const struct item *i = &s->items[n];

		fprintf(out, "web%u op %u: ", i->domain, i->number);
		if (i->kind == ITEM_OPERATION) {
			print_request(&i->request, out);
			fprintf(out, " (%llu ms after the last)\n",
				(unsigned long long)i->gap_us / 1000);
			continue;
		}
		fprintf(out, "  fault %s at \"%s\" no. %u + %llu us, for %llu ms, arg %u\n",
			fault_kinds[i->fault].name, phase_name(i->phase), i->nth,
			(unsigned long long)i->delay_us, (unsigned long long)i->span_us / 1000,
			i->arg);
	}
}

/* Shrinking */

/* The items without those from @first on that are @n. */
static struct script *without(const struct script *s, size_t first, size_t n)
{
	struct script *t = script_new(s->seed, s->domains);

	t->drill = s->drill;
	t->steady = s->steady;
	t->first_kind = s->first_kind;
	for (size_t i = 0; i < s->n; i++)
		if (i < first || i >= first + n)
			script_add(t, &s->items[i]);
	return t;
}

static struct script *without_domain(const struct script *s, unsigned int domain)
{
	struct script *t = script_new(s->seed, s->domains);

	t->drill = s->drill;
	t->steady = s->steady;
	t->first_kind = s->first_kind;
	for (size_t i = 0; i < s->n; i++)
		if (s->items[i].domain != domain)
			script_add(t, &s->items[i]);
	return t;
}

/* What it is about, without the times and numbers in it. */
static void sign(const char *breach, char ret[512])
{
	const char *text = strstr(breach, ": ");

	for (text = text ? text : breach; *text; text++)
		if (*text < '0' || *text > '9')
			*ret++ = *text;
	*ret = '\0';
}

static bool is_same_breach(const char *a, const char *b)
{
	char x[512], y[512];

	sign(a, x);
	sign(b, y);
	return *a && *b && strncmp(x, y, 60) == 0;
}

struct shrinking {
	const char *breach;
	script_run_fn run;
	unsigned int *runs;
};

/* Take @t in place of @s if it fails in the same way; @t is freed in any case. */
static bool take_if_it_fails(struct script *s, struct script *t, const struct shrinking *how)
{
	struct run_result r;
	bool shorter = t->n < s->n;

	if (shorter) {
		how->run(t, &r);
		++*how->runs;
		shorter = is_same_breach(how->breach, r.breach);
	}
	if (shorter) {
		struct script old = *s;

		*s = *t;
		*t = old;
	}
	script_free(t);
	return shorter;
}

unsigned int script_shrink(struct script *s, const char *breach, script_run_fn run)
{
	unsigned int runs = 0;
	const struct shrinking how = { breach, run, &runs };
	bool shorter = true;

	for (unsigned int d = 0; d < s->domains; d++)
		take_if_it_fails(s, without_domain(s, d), &how);
	for (size_t n = s->n / 2; n > 0; n /= 2)
		for (size_t i = 0; i < s->n;)
			if (!take_if_it_fails(s, without(s, i, n), &how))
				i += n;
	while (shorter) {
		shorter = false;
		for (size_t i = 0; i < s->n; i++)
			shorter |= take_if_it_fails(s, without(s, i, 1), &how);
	}
	return runs;
}
