/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the hypervisor tells of a domain, turned into what the domain knows: that QEMU is there,
 * its status, its table of slots, the guest's _OST. A loss is not yet the end: QEMU may be
 * restarted behind its socket, or the connection alone be lost; only after the time that its
 * implementation of the seam gives the VM is gone, and not while its process still answers: then it
 * is out of reach, and operations do not wait for it beyond their deadlines.
 */
#include "daemon/domain-hv.h"
#include "daemon/domain-guest.h"
#include "daemon/drift.h"
#include "daemon/intent-domain.h"
#include "daemon/log.h"
#include "daemon/op-run.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void publish_domain(struct domain *d, const char *text)
{
	event_publish(d->manager->bus, &(struct event){
					       .type = EVENT_DOMAIN,
					       .t_us = now_us(),
					       .domain = d,
					       .vcpu = -1,
					       .cpu = -1,
					       .state = -1,
					       .ran_on = -1,
					       .kstep = -1,
					       .name = "",
					       .text = text,
				       });
}

/* A QEMU that its guest owns comes and goes as it likes. */
static bool may_log(struct domain *d)
{
	return log_may(&d->hv_lines, now_us(), d->config->name, "its QEMU");
}

static void on_status(void *ctx, enum hv_status status)
{
	struct domain *d = ctx;

	if (d->status == status)
		return;
	log_domain(LOG_DEBUG, d->config->name, "%s -> %s", hv_status_name(d->status),
		   hv_status_name(status));
	d->status = status;
	publish_domain(d, hv_status_name(status));
	if (status == HV_RUNNING)
		link_measure_clock(d->link);
	if (status == HV_SHUT_DOWN)
		op_run_vm_gone(d, "the VM has shut down");
	op_run_poke(d);
}

void domain_hv_forget(struct domain *d)
{
	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		hostwalk_drop(&d->vcpus[i]);
		free(d->vcpus[i].props);
	}
	free(d->vcpus);
	d->vcpus = NULL;
	d->n_vcpus = 0;
	d->table_known = d->agent_up = false;
	memset(d->boot_id, 0, sizeof(d->boot_id));
}

/* A VM started anew with the same arguments differs by its process alone. */
static bool is_same_vm(const struct hv_facts *a, const struct hv_facts *b)
{
	return a->maximum == b->maximum && strcmp(a->uuid, b->uuid) == 0 &&
	       a->libvirt_id == b->libvirt_id && (!a->peer || !b->peer || a->peer == b->peer);
}

/* An agent whose port is open may be that of the next VM already, or of this one still. */
static void doubt_agent(struct domain *d)
{
	if (link_is_up(d->link))
		d->hello_doubted = true;
	else
		d->hello_known = false;
}

static void on_attached(void *ctx, const struct hv_facts *facts)
{
	struct domain *d = ctx;
	bool same = is_same_vm(&d->facts, facts);

	sd_event_source_disable_unref(d->lost);
	d->lost = NULL;
	d->out_of_reach = false;
	if (!same && d->vcpus) {
		op_run_vm_gone(d, "another VM answers on its socket");
		domain_hv_forget(d);
		doubt_agent(d);
	} else {
		d->hello_doubted = false;
	}
	d->facts = *facts;
	d->attached = true;
	intent_domain_on_attached(d);
	d->lost_why[0] = d->why[0] = '\0';
	/* What an agent said before QEMU was there had no place to go: it is asked again. */
	if (!d->table_known)
		domain_guest_ask(d);
	if (may_log(d))
		log_outcome(JOURNAL_DOMAIN_ATTACHED, d->config->name, NULL,
			    "attached: QEMU %s, %s, at most %u vCPUs", facts->version, facts->accel,
			    facts->maximum);
	publish_domain(d, "attached");
	op_run_poke(d);
}

/* Up, with the kernel's own steps, and as much again. */
enum { STEPS_PER_SECOND = 500, STEPS_OF_A_VCPU = 400 };

static int make_vcpus(struct domain *d, unsigned int n)
{
	if (d->vcpus)
		return 0;
	d->vcpus = calloc(n ? n : 1, sizeof(*d->vcpus));
	if (!d->vcpus)
		return -ENOMEM;
	d->n_vcpus = n;
	bucket_init(&d->guest_steps, STEPS_PER_SECOND, STEPS_OF_A_VCPU * (n ? n : 1), now_us());
	for (unsigned int i = 0; i < n; i++) {
		d->vcpus[i] = (struct vcpu){ .vcpu = i,
					     .domain = d,
					     .cpu = -1,
					     .ran_on = -1,
					     .wish = -1,
					     .state = -1,
					     .since_us = now_us() };
		vcpu_talk_init(&d->vcpus[i]);
	}
	return 0;
}

/* Two devices of one slot never have the same id; libvirt's name the slot alone. */
static bool is_replaced(const struct vcpu *v, const struct hv_slot *s)
{
	return v->present && s->present && !v->domain->hv->ops->names_devices &&
	       strcmp(v->id, s->id) != 0;
}

static void take_row(struct vcpu *v, const struct hv_slot *s)
{
	bool left = v->present && !s->present;

	v->arrived = s->present && !v->hw && (v->arrived || !v->present);
	v->present = s->present;
	v->removable = s->removable;
	v->boot = s->present && !s->removable;
	/* libvirt's own id for it says nothing: there what was ours once is ours until it leaves. */
	v->owned = s->present && (vcpu_is_own_id(s->id, v->vcpu) ||
				  ((v->owned || v->claimed) && v->domain->hv->ops->names_devices));
	v->apic_id = s->apic_id;
	/* The same at nearly each look, for each slot. */
	if (strcmp(v->id, s->id) != 0)
		snprintf(v->id, sizeof(v->id), "%s", s->id);
	if (!v->props && s->props)
		v->props = strdup(s->props); /* fixed as long as the machine is */
	hostwalk_on_table(v);
	if (left) {
		v->guest_present = v->guest_online = v->park_again = false;
		v->cpu = v->ran_on = -1;
	}
	vcpu_settle(v);
}

/*
 * One that another took the place of between two looks has left, and the slot was empty in between.
 * Return: whether the guest is to be asked of what has come.
 */
static bool take_slot(struct vcpu *v, const struct hv_slot *s)
{
	bool replaced = is_replaced(v, s), was_present = v->present;

	if (replaced) {
		take_row(v, &(struct hv_slot){ .apic_id = s->apic_id });
		/* What was to become of that one is no matter of the other's. */
		if (!v->hw && (v->leaving || v->returning))
			domain_on_at_rest(v);
	}
	take_row(v, s);
	return replaced || (s->present && !was_present && !v->hw && !v->guest_present);
}

static void on_table(void *ctx, const struct hv_table *table)
{
	struct domain *d = ctx;
	bool unheard = false;

	if (make_vcpus(d, table->n) < 0) {
		log_domain(LOG_ERR, d->config->name, "out of memory");
		return;
	}
	d->supported = table->supported;
	snprintf(d->unsupported_why, sizeof(d->unsupported_why), "%s", table->why);
	for (unsigned int i = 0; i < table->n && i < d->n_vcpus; i++)
		unheard |= take_slot(&d->vcpus[i], &table->slots[i]);
	/* What the guest has said of a new one may have come before this table, and gone with the old one. */
	if (unheard && d->table_known && (d->agent_up || d->table_due))
		domain_guest_doubt(d);
	intent_domain_on_table(d);
	drift_check(d);
}

static void on_ost(void *ctx, unsigned int slot, int source, int status)
{
	struct domain *d = ctx;

	if (slot >= d->n_vcpus)
		return;
	hostwalk_on_ost(&d->vcpus[slot], source, status);
	if (source == HV_OST_ADD)
		op_run_poke(d);
}

static void on_unplug_error(void *ctx, unsigned int slot)
{
	on_ost(ctx, slot, HV_OST_REMOVE, 1);
}

static void on_reset(void *ctx)
{
	struct domain *d = ctx;

	publish_domain(d, "reset");
	link_reset(d->link);
}

static void on_port_asked(void *arg, int rc)
{
	struct domain *d = arg;

	d->port_asked = false;
	if (rc == -ETIMEDOUT && d->status == HV_RUNNING && link_is_silent(d->link))
		link_abandon(d->link);
}

/* It may have been the agent, which is asked whether it is there still. */
static void on_port_closed(void *ctx)
{
	struct domain *d = ctx;
	uint64_t wait_us =
		(uint64_t)d->settings->deadlines.agent_ping_ms * 1000 * domain_slow_factor(d);

	if (!d->port_asked)
		d->port_asked = link_ping(d->link, wait_us, on_port_asked, d) == 0;
}

/* Its process answers, and yet it cannot be attached: that is no end of the VM. */
static bool is_there_still(struct domain *d, sd_event_source *s)
{
	const struct hv_ops *ops = d->hv->ops;

	d->out_of_reach = ops->is_there && ops->is_there(d->hv) &&
			  sd_event_source_set_time(s, now_us() + ops->lost_ms * 1000ULL) >= 0 &&
			  sd_event_source_set_enabled(s, SD_EVENT_ONESHOT) >= 0;
	return d->out_of_reach;
}

static int on_lost(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct domain *d = userdata;

	if (is_there_still(d, s)) {
		op_run_poke(d);
		return 0;
	}
	d->lost = sd_event_source_disable_unref(d->lost);
	op_run_vm_gone(d, d->lost_why);
	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		struct vcpu *v = &d->vcpus[i];

		hostwalk_drop(v);
		v->present = v->removable = v->owned = v->park_again = false;
		v->pending = VCPU_PENDING_NONE;
		v->leaving = v->returning = v->claimed = false;
		v->wish = -1;
		v->drift[0] = '\0';
		vcpu_settle(v);
	}
	d->table_known = false;
	memset(d->boot_id, 0, sizeof(d->boot_id));
	publish_domain(d, "gone");
	return 0;
}

static void on_gone(void *ctx, const char *why)
{
	struct domain *d = ctx;

	snprintf(d->why, sizeof(d->why), "%s", why);
	if (!d->attached) {
		/* Not at each try: the backend tells a reason when it is another than the last. */
		if (may_log(d))
			log_outcome(JOURNAL_DOMAIN_NOT_ATTACHED, d->config->name, NULL,
				    "not attached: %s", why);
		publish_domain(d, d->why);
		return;
	}
	if (may_log(d))
		log_outcome(JOURNAL_DOMAIN_LOST, d->config->name, NULL, "%s is gone: %s",
			    d->hv->ops->lost_ms ? "QEMU" : d->hv->ops->hypervisor, why);
	d->attached = false;
	d->status = HV_CONNECTING;
	doubt_agent(d);
	snprintf(d->lost_why, sizeof(d->lost_why), "%s: %s",
		 d->hv->ops->lost_ms ? "the VM is gone" : "not attached", why);
	publish_domain(d, d->lost_why);
	if (!d->lost && d->hv->ops->lost_ms)
		sd_event_add_time(d->manager->event, &d->lost, CLOCK_MONOTONIC,
				  now_us() + d->hv->ops->lost_ms * 1000ULL, 1000, on_lost, d);
}

const struct hv_events domain_hv_events = {
	.on_status = on_status,
	.on_attached = on_attached,
	.on_table = on_table,
	.on_ost = on_ost,
	.on_unplug_error = on_unplug_error,
	.on_reset = on_reset,
	.on_gone = on_gone,
	.on_port_closed = on_port_closed,
};
