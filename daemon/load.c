/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * What is wanted is computed anew whenever a wish comes or goes, and sent where it differs from
 * what this session's agent was asked for last. Nobody's wish is 0, and then the agent sleeps. Clients
 * come and go as often as they like, and that costs an agent little: it is asked to tell more often
 * at once, but no sooner than ASK_PAUSE_US after it was asked last, and to tell less often, or
 * nothing, when nobody has wished otherwise for EASE_US. One timer serves what was put off, and is
 * there no longer than that. There is none for reports: they come, or they do not, and one that
 * is too old is no word any more.
 *
 * The guest is not trusted. link.c has checked the range of each number and bounds the frames. A
 * row costs its own vCPU alone: it is marked with the number of the report that it is for, which
 * the report at its end makes the last one. A number is never used again, so that a row of a report
 * that did not come to its end, or of before, is no row of a later one. A report is told to all who
 * watch, so what was not asked for, or comes much more often than that, is dropped with its rows.
 */
#include "daemon/load.h"
#include "daemon/domain.h"
#include "daemon/event.h"
#include "daemon/vcpu.h"
#include <stdio.h>
#include <string.h>

enum {
	EARLY_PART = 4, /* reports that come in less than this part of the interval are dropped */
	MISSED_MAX = 3, /* so many intervals may pass without a word, and LATE_US */
};
#define LATE_US UINT64_C(2000000)
#define ASK_PAUSE_US UINT64_C(1000000)
#define EASE_US UINT64_C(2000000)

unsigned int load_configured_ms(const struct domain *d)
{
	const struct load_interval *own = &d->config->load_interval;

	return own->set ? own->ms : d->settings->load_interval.ms;
}

static bool is_about(const struct load_watch *w, const struct domain *d)
{
	return !w->domain[0] || strcmp(w->domain, d->config->name) == 0;
}

static unsigned int wanted_ms(const struct domain *d)
{
	unsigned int ms = load_configured_ms(d);
	const struct load_watch *w;

	LIST_FOREACH(w, &d->manager->load_watches, entry)
	if (is_about(w, d) && (!ms || w->interval_ms < ms))
		ms = w->interval_ms;
	return ms;
}

static bool can_tell(const struct domain *d)
{
	const struct msg_hello *h = link_hello(d->link);

	return h && (h->features & MSG_FEATURE_LOAD);
}

/* When to ask for @ms instead, 0 never. */
static uint64_t when_to_ask(const struct load *l, unsigned int ms, uint64_t now)
{
	uint64_t next = l->asked_us ? l->asked_us + ASK_PAUSE_US : now;

	if (ms == l->interval_ms)
		return 0;
	if (ms && (!l->interval_ms || ms < l->interval_ms))
		return next > now ? next : now;
	return l->ask_us ? l->ask_us : now + EASE_US;
}

/* What was told is no word any more, nor are rows that were on their way to a report. */
static void void_words(struct load *l)
{
	l->known = false;
	l->last++;
}

static void ask(struct domain *d, uint64_t now)
{
	struct load *l = &d->load;
	unsigned int ms = wanted_ms(d);

	l->ask_us = can_tell(d) ? when_to_ask(l, ms, now) : 0;
	if (!l->ask_us || l->ask_us > now)
		return;
	l->ask_us = 0;
	if (link_load(d->link, ms) < 0)
		return;
	l->interval_ms = ms;
	l->asked_us = now;
	if (!ms)
		void_words(l);
}

static int on_put_off(sd_event_source *s, uint64_t usec, void *userdata);

/* Wake up for the first that was put off. */
static void wake_for_asking(struct manager *m)
{
	uint64_t first = 0;

	for (unsigned int i = 0; i < m->n_domains; i++) {
		uint64_t at = m->domains[i]->load.ask_us;

		if (at && (!first || at < first))
			first = at;
	}
	m->ask_loads = sd_event_source_disable_unref(m->ask_loads);
	/* Without memory for it the next wish that comes or goes has them asked. */
	if (first)
		(void)sd_event_add_time(m->event, &m->ask_loads, CLOCK_MONOTONIC, first, 0,
					on_put_off, m);
}

static void ask_all(struct manager *m)
{
	uint64_t now = now_us();

	for (unsigned int i = 0; i < m->n_domains; i++)
		ask(m->domains[i], now);
	wake_for_asking(m);
}

static int on_put_off(sd_event_source *s, uint64_t usec, void *userdata)
{
	ask_all(userdata);
	return 0;
}

void load_ask(struct domain *d)
{
	ask(d, now_us());
	wake_for_asking(d->manager);
}

void load_forget(struct domain *d)
{
	d->load.interval_ms = 0;
	d->load.asked_us = d->load.ask_us = 0;
	void_words(&d->load);
}

void load_watch(struct manager *m, struct load_watch *w, const char *domain,
		unsigned int interval_ms)
{
	w->manager = m;
	snprintf(w->domain, sizeof(w->domain), "%s", domain);
	w->interval_ms = interval_ms;
	LIST_INSERT_HEAD(&m->load_watches, w, entry);
	ask_all(m);
}

void load_unwatch(struct load_watch *w)
{
	if (!w->manager)
		return;
	LIST_REMOVE(w, entry);
	ask_all(w->manager);
	w->manager = NULL;
}

/* The first in each stretch of the interval, which another's shorter one divides. */
bool load_is_due(const struct domain *d, unsigned int interval_ms)
{
	uint64_t us = (uint64_t)interval_ms * 1000;

	if (!interval_ms)
		return false;
	return interval_ms <= d->load.interval_ms || !d->load.before_us ||
	       d->load.t_us / us != d->load.before_us / us;
}

/* The vCPU that the guest calls @cpu. */
static struct vcpu *find_by_cpu(struct domain *d, unsigned int cpu)
{
	unsigned int slot = cpu < CPULIST_MAX ? d->claimed[cpu] : 0;
	struct vcpu *v = slot && slot <= d->n_vcpus ? &d->vcpus[slot - 1] : NULL;

	return v && v->present && v->cpu == (int)cpu ? v : NULL;
}

/* A guest that is late may be in time again with the next; one that tells all the time may not. */
static bool is_early(const struct load *l, uint64_t now)
{
	return l->known && now - l->t_us < UINT64_C(1000) * l->interval_ms / EARLY_PART;
}

void load_on_cpu(struct domain *d, const struct record_load_cpu *r)
{
	struct load *l = &d->load;
	struct vcpu *v = find_by_cpu(d, r->cpu);

	if (v && l->interval_ms && !is_early(l, now_us()))
		v->load = (struct load_row){ l->last + 1, r->busy, r->steal };
}

/* A report has come: whoever is to hear of each is told from here. */
static void domain_on_load(struct domain *d)
{
	event_publish(d->manager->bus, &(struct event){
					       .type = EVENT_LOAD,
					       .t_us = d->load.t_us,
					       .domain = d,
					       .vcpu = -1,
					       .cpu = -1,
					       .state = -1,
					       .ran_on = -1,
					       .kstep = -1,
					       .name = "",
					       .text = "",
				       });
}

void load_on_report(struct domain *d, const struct record_load *r)
{
	uint64_t now = now_us();
	struct load *l = &d->load;

	if (!l->interval_ms)
		return;
	l->last++;
	if (is_early(l, now))
		return;
	l->before_us = l->known ? l->t_us : 0;
	l->t_us = now;
	l->known = true;
	l->number = l->last;
	l->guest = *r;
	domain_on_load(d);
}

static bool is_old(const struct load *l)
{
	return now_us() - l->t_us > MISSED_MAX * UINT64_C(1000) * l->interval_ms + LATE_US;
}

const struct load *domain_load(const struct domain *d)
{
	return d->load.known && !is_old(&d->load) ? &d->load : NULL;
}

const char *domain_why_no_load(const struct domain *d)
{
	if (domain_load(d))
		return NULL;
	if (!link_is_up(d->link))
		return "no agent is connected";
	if (!can_tell(d))
		return "the guest's agent is of a version that does not tell it";
	if (!d->load.interval_ms)
		return "nobody has asked for it (LoadIntervalSec=)";
	return d->load.known ? "the guest has not told it for long"
			     : "the guest has not told it yet";
}

const struct load_row *domain_load_row(const struct domain *d, unsigned int vcpu)
{
	const struct vcpu *v = vcpu < d->n_vcpus ? &d->vcpus[vcpu] : NULL;

	return v && v->present && d->load.known && v->load.number == d->load.number ? &v->load
										    : NULL;
}

static void add_share(uint16_t share, uint64_t *sum, unsigned int *n)
{
	if (share == LOAD_NO_SHARE)
		return;
	*sum += share;
	(*n)++;
}

static uint16_t mean_of(uint64_t sum, unsigned int n)
{
	return n ? (uint16_t)((sum + n / 2) / n) : LOAD_NO_SHARE;
}

struct load_row domain_load_mean(const struct domain *d)
{
	uint64_t busy = 0, steal = 0;
	unsigned int n_busy = 0, n_steal = 0;

	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		const struct load_row *row = domain_load_row(d, i);

		if (!row)
			continue;
		add_share(row->busy, &busy, &n_busy);
		add_share(row->steal, &steal, &n_steal);
	}
	return (struct load_row){ d->load.number, mean_of(busy, n_busy), mean_of(steal, n_steal) };
}
