/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A vCPU's state is what QEMU and the guest say, added up; it is set in one place, from where the
 * listeners hear of it. While a walk is under way the walk says where it is; at rest it is what is
 * observed. A guest may change its word as fast as it likes: those who watch are told a few changes
 * at once and then one a second.
 */
#include "daemon/vcpu.h"
#include "daemon/hostwalk.h"
#include "daemon/log.h"
#include "daemon/trace-ring.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TALK_PER_SECOND = 1, TALK_BURST = 16 };

uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void vcpu_format_id(char buf[64], unsigned int vcpu, uint32_t tag)
{
	snprintf(buf, 64, "vhp-%u-%08x", vcpu, tag);
}

bool vcpu_is_own_id(const char *id, unsigned int vcpu)
{
	char prefix[32];
	size_t len = (size_t)snprintf(prefix, sizeof(prefix), "vhp-%u-", vcpu);

	return strncmp(id, prefix, len) == 0 && strlen(id) == len + 8 &&
	       strspn(id + len, "0123456789abcdef") == 8;
}

bool vcpu_is_anothers(const struct vcpu *v)
{
	return v->present && !v->owned && !v->domain->hv->ops->names_devices;
}

bool vcpu_is_on_its_way(const struct vcpu *v)
{
	return v->present && v->domain->agent_up && v->guest_walking && !v->hw && !v->leaving &&
	       !v->returning;
}

struct op_vcpu *op_find_vcpu(struct op *op, unsigned int vcpu)
{
	for (unsigned int i = 0; op && i < op->n_vcpus; i++)
		if (op->vcpus[i].vcpu == vcpu)
			return &op->vcpus[i];
	return NULL;
}

int vcpu_observed_state(const struct vcpu *v)
{
	if (!v->present)
		return CPUHP_OFFLINE;
	if (!v->domain->agent_up)
		return -1;
	return v->guest_present ? v->guest_state : CPUHP_HOST_PLACE;
}

void vcpu_talk_init(struct vcpu *v)
{
	bucket_init(&v->talk, TALK_PER_SECOND, TALK_BURST, now_us());
}

bool vcpu_may_talk(struct vcpu *v)
{
	bucket_refill(&v->talk, now_us());
	if (!bucket_has(&v->talk))
		return false;
	bucket_take(&v->talk, 1);
	return true;
}

void vcpu_tell_state(struct vcpu *v)
{
	struct domain *d = v->domain;
	char name[MSG_NAME_MAX + 16];

	if (!v->state_untold || (!hostwalk_says(v) && !vcpu_may_talk(v)))
		return;
	v->state_untold = false;
	event_publish(d->manager->bus,
		      &(struct event){
			      .type = EVENT_STATE,
			      .t_us = v->shown_us,
			      .domain = d,
			      .op = d->running,
			      .vcpu = (int)v->vcpu,
			      .cpu = v->cpu,
			      .state = v->state,
			      .name = domain_state_name(d, v->state, name, sizeof(name)),
			      .ran_on = v->ran_on,
			      .kstep = -1,
			      .text = "",
		      });
}

static void set_state(struct vcpu *v, int state, uint64_t since_us)
{
	struct domain *d = v->domain;
	char from[MSG_NAME_MAX + 16], to[MSG_NAME_MAX + 16];
	struct op_vcpu *entry;

	if (v->state == state)
		return;
	entry = op_find_vcpu(d->running, v->vcpu);
	if (entry)
		entry->state = state;
	log_domain(LOG_DEBUG, d->config->name, "vcpu %u: %s -> %s", v->vcpu,
		   domain_state_name(d, v->state, from, sizeof(from)),
		   domain_state_name(d, state, to, sizeof(to)));
	v->state = state;
	v->since_us = since_us;
	v->shown_us = now_us();
	v->state_untold = true;
	vcpu_tell_state(v);
}

void vcpu_set_state(struct vcpu *v, int state)
{
	set_state(v, state, now_us());
}

void vcpu_log(enum journal_message what, const struct vcpu *v, const char *format, ...)
{
	const struct domain *d = v->domain;
	struct journal_fields f;
	char text[OP_TEXT_MAX + 16], name[MSG_NAME_MAX + 16];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	journal_fields_init(&f);
	journal_field(&f, "VCPUHP_VCPU", "%u", v->vcpu);
	journal_field(&f, "VCPUHP_STATE", "%s", domain_state_name(d, v->state, name, sizeof(name)));
	log_outcome(what, d->config->name, &f, "vcpu %u: %s", v->vcpu, text);
}

void vcpu_settle(struct vcpu *v)
{
	int state = vcpu_observed_state(v);

	if (hostwalk_says(v))
		return;
	if (!v->hw)
		v->entered_us = 0;
	/* At standby and above it is the guest's word, however long ago he has said it. */
	set_state(v, state, state >= CPUHP_STANDBY ? v->told_us : now_us());
}

static const char *callback_name(const struct domain *d, int state)
{
	return ladder_is_dyn(state) ? d->dyn_names[state - CPUHP_AP_DYN] : "";
}

/* Out of memory: it is shown by its present name, or by its number's. */
static void keep_name(struct op *op, const struct domain *d, int state)
{
	const char *name = callback_name(d, state);

	if (*name)
		(void)op_keep_callback(op, state, name);
}

/* Add a finished step to the operation's entry and the domain's counters. */
static void account_step(struct vcpu *v, const struct step_note *n)
{
	struct op_vcpu *entry = op_find_vcpu(n->op, v->vcpu);
	uint64_t spent = v->entered_us && n->t_us > v->entered_us ? n->t_us - v->entered_us : 0;

	counters_step(&v->domain->counters, n->state, callback_name(v->domain, n->state),
		      n->startup, v->entered_us ? &spent : NULL, n->rc != 0);
	v->entered_us = 0;
	/* Told pending, its walk goes on; the result stays as it was given. */
	if (!entry || n->op->ended)
		return;
	keep_name(n->op, v->domain, n->state);
	if (!n->rollback)
		op_vcpu_keep_step(entry, n->state, spent);
	if (n->ran_on >= 0)
		entry->ran_on = n->ran_on;
	entry->cpu = v->cpu;
}

/* A guest can tell thousands of steps a second, and each costs for everybody who watches. */
static bool may_publish(struct domain *d, const struct step_note *n)
{
	if (!n->told)
		return true;
	bucket_refill(&d->guest_steps, now_us());
	if (!bucket_has(&d->guest_steps))
		return false;
	bucket_take(&d->guest_steps, 1);
	return true;
}

void vcpu_note_step(struct vcpu *v, const struct step_note *n)
{
	struct domain *d = v->domain;
	char name[MSG_NAME_MAX + 16];
	struct event e = {
		.type = n->kstep >= 0 ? EVENT_KSTEP : EVENT_STEP,
		.t_us = n->t_us,
		.error_us = n->error_us,
		.domain = d,
		.op = n->op,
		.op_tag = n->op ? n->op->tag : n->op_tag,
		.vcpu = (int)v->vcpu,
		.cpu = v->cpu,
		.state = n->state,
		.name = domain_state_name(d, n->state, name, sizeof(name)),
		.enter = n->enter,
		.startup = n->startup,
		.rollback = n->rollback,
		.late = n->late,
		.rc = n->rc,
		.ran_on = n->ran_on,
		.kstep = n->kstep,
		.kname = n->kname ? n->kname : "",
		.text = n->text ? n->text : "",
	};

	if (n->ran_on >= 0)
		v->ran_on = n->ran_on;
	if (n->kstep < 0) {
		if (n->enter)
			v->entered_us = n->t_us;
		else
			account_step(v, n);
	}
	trace_ring_add(&d->trace, &e);
	if (may_publish(d, n))
		event_publish(d->manager->bus, &e);
}
