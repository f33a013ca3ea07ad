/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_LOAD_H
#define DAEMON_LOAD_H

#include "daemon/config.h"
#include "proto/msg.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct domain;
struct manager;

/*
 * The load of the guests. An agent tells it only while somebody wants it: the configuration
 * (LoadIntervalSec=) or a watch. Whoever wants it most often decides how often the agent is asked to tell it.
 */

/**
 * struct load - what a guest told of its load last, in this session
 * @interval_ms: what its agent was asked for, 0 nothing
 * @asked_us, @ask_us: CLOCK_MONOTONIC of when that was, and of when something else is to be asked for,
 *                     0 never
 * @known: there is one
 * @number: of the last report, which is that of its rows (struct load_row)
 * @last: the highest that was given so far, in any session; that of a dropped report too
 * @t_us, @before_us: CLOCK_MONOTONIC of its arrival, and of the one before's, 0 none
 * @guest: its words, in range and no more than that
 */
struct load {
	unsigned int interval_ms;
	uint64_t asked_us, ask_us;
	bool known;
	uint32_t number, last;
	uint64_t t_us, before_us;
	struct record_load guest;
};

/**
 * struct load_row - a vCPU's part of it, where @number is the report's
 * @busy, @steal: per mille, LOAD_NO_SHARE unknown
 */
struct load_row {
	uint32_t number;
	uint16_t busy, steal;
};

/**
 * struct load_watch - somebody wants to know, for as long as it is registered
 * @domain: a name, "" all domains
 */
struct load_watch {
	LIST_ENTRY(load_watch) entry;
	struct manager *manager;
	char domain[CONFIG_NAME_MAX + 1];
	unsigned int interval_ms;
};

/* @w: the caller's, until load_unwatch(); one that is not registered is passed over there. */
void load_watch(struct manager *m, struct load_watch *w, const char *domain,
		unsigned int interval_ms);
void load_unwatch(struct load_watch *w);

/* Whether the report that has just come is one for who wants them each @interval_ms. */
bool load_is_due(const struct domain *d, unsigned int interval_ms);

/* Ask the agent for what is wanted by now, unless it was; at once, or as soon as it may be asked. */
void load_ask(struct domain *d);

/* A session with an agent has begun, or is over: what the last one said and was asked is void. */
void load_forget(struct domain *d);

/* The agent's records. */
void load_on_cpu(struct domain *d, const struct record_load_cpu *r);
void load_on_report(struct domain *d, const struct record_load *r);

/* LoadIntervalSec= in force, 0 never: then it is told only while somebody watches. */
unsigned int load_configured_ms(const struct domain *d);

/* The load of @d as told last; NULL: none is known, or it is too old. Borrowed. */
const struct load *domain_load(const struct domain *d);
/* Why none is known; NULL it is. Static. */
const char *domain_why_no_load(const struct domain *d);
/* The row of vCPU @vcpu in it, or NULL. */
const struct load_row *domain_load_row(const struct domain *d, unsigned int vcpu);
/* The mean of the rows in per mille, LOAD_NO_SHARE where there is none. */
struct load_row domain_load_mean(const struct domain *d);

#endif
