/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_EVENT_H
#define DAEMON_EVENT_H

#include "daemon/outcome.h"
#include <stdbool.h>
#include <stdint.h>

struct domain;
struct op;

enum event_type {
	EVENT_STEP,      /* a ladder step of a vCPU was entered or left */
	EVENT_KSTEP,     /* the kernel's own ladder beneath ap:online */
	EVENT_OPERATION, /* an operation was accepted, started or ended */
	EVENT_STATE,     /* a vCPU rests in another state */
	EVENT_REMOVED,   /* a vCPU is really gone (R14) */
	EVENT_DRIFT,     /* reality and wish differ, or agree again */
	EVENT_AGENT,     /* agent connected or gone */
	EVENT_DOMAIN,    /* attached, status changed, gone */
	EVENT_CONFIG,    /* a persistent configuration was changed */
	EVENT_LOG,       /* the agent's own words */
	EVENT_LOAD,      /* the guest's load, as its domain has it now */
	EVENT_TYPES
};

const char *event_type_name(enum event_type t); /* "step" "kstep" "operation" ... */

/**
 * struct event - something that happened in a domain
 * @t_us: CLOCK_MONOTONIC of this host; guest times are converted
 * @error_us: how far @t_us of a guest time may be off, 0 for host times
 * @domain: borrowed; NULL: not managed, and called @domain_name, which is borrowed too
 * @op: operation it belongs to, or NULL; borrowed
 * @op_tag: STEP and KSTEP: of the operation, also where it has ended, 0 none
 * @vcpu: -1 none
 * @cpu: the guest's number, -1 unknown
 * @state: of STEP, KSTEP (7) and STATE
 * @name: state's name as users see it ("ap:dyn.10-log")
 * @enter: STEP and KSTEP: entered, else left
 * @startup, @rollback, @late: STEP
 * @rc: on leaving
 * @ran_on: -1 none
 * @kstep, @kname: KSTEP
 * @text: a sentence, or ""
 */
struct event {
	enum event_type type;
	uint64_t t_us;
	uint64_t error_us;
	struct domain *domain;
	const char *domain_name;
	struct op *op;
	uint32_t op_tag;
	int vcpu;
	int cpu;
	int state;
	const char *name;
	bool enter;
	bool startup;
	bool rollback;
	bool late;
	int rc;
	int ran_on;
	int kstep;
	const char *kname;
	const char *text;
};

/* A list of listeners; a listener may remove itself or others while it is called. */
struct event_bus;
struct event_listener;

typedef void (*event_fn)(void *ctx, const struct event *e);

struct event_bus *event_bus_new(void);
struct event_bus *event_bus_free(struct event_bus *b);
/* Return: the listener, to be given to event_unlisten(); NULL when out of memory. */
struct event_listener *event_listen(struct event_bus *b, event_fn fn, void *ctx);
struct event_listener *event_unlisten(struct event_listener *l); /* returns NULL */
void event_publish(struct event_bus *b, const struct event *e);

#endif
