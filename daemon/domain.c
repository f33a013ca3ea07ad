/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A domain is where the two truths meet: QEMU's table (domain-hv.c, through the hypervisor seam)
 * and the guest's table (domain-guest.c, through the agent's link). Both only ever move what was observed;
 * wishes are moved by operations alone. A vCPU in a walk is the walk's; all others settle to what
 * is observed.
 *
 * The slots are fixed at the first attach. A reconnect to QEMU that shows another UUID or another
 * number of slots is another VM: everything known of the old one is void.
 */
#include "daemon/domain.h"
#include "daemon/deferred.h"
#include "daemon/domain-guest.h"
#include "daemon/domain-hv.h"
#include "daemon/drift.h"
#include "daemon/intent-domain.h"
#include "daemon/op-run.h"
#include "daemon/plan.h"
#include "daemon/trace-ring.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUEST_EVENTS_PER_SECOND = 20, GUEST_EVENTS_BURST = 100, OWN_OPS_BURST_S = 100 };

static int make_deferred(struct domain *d)
{
	int r = deferred_new(&d->next, d->manager->event, op_on_next, d);

	return r < 0 ? r : deferred_new(&d->look, d->manager->event, drift_on_look, d);
}

int domain_new(struct domain **ret, struct manager *m, const struct domain_config *config,
	       bool configured)
{
	struct domain *d = calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return -ENOMEM;
	d->manager = m;
	d->configured = configured;
	d->settings = config_ref(m->config);
	d->status = HV_CONNECTING;
	bucket_init(&d->guest_events, GUEST_EVENTS_PER_SECOND, GUEST_EVENTS_BURST, now_us());
	bucket_init(&d->own_ops, 1, OWN_OPS_BURST_S, now_us());
	d->config = domain_config_copy(config);
	rc = d->config ? make_deferred(d) : -ENOMEM;
	if (!rc)
		rc = intent_domain_init(d);
	if (!rc)
		rc = link_new(&d->link, m->event, config->agent, &domain_guest_ops, d);
	if (!rc && config->qmp)
		rc = hv_qmp_new(&d->hv, m->event, config->qmp, m->config->deadlines.qmp_reply_ms,
				&domain_hv_events, d);
	else if (!rc)
		rc = m->new_libvirt_hv(m->discovery, &d->hv, config->uuid, &domain_hv_events, d);
	if (rc < 0) {
		domain_free(d);
		return rc;
	}
	*ret = d;
	return 0;
}

/* Operations outlive their domain in the hands of clients: cut the way back. */
static void orphan(struct op *o)
{
	o->domain = NULL;
	op_unref(o);
}

struct domain *domain_free(struct domain *d)
{
	if (!d)
		return NULL;
	if (d->running) {
		op_run_drop(d->running);
		orphan(d->running);
	}
	for (unsigned int i = 0; i < d->n_queued; i++)
		orphan(d->queue[i]);
	for (unsigned int i = 0; i < d->n_kept; i++)
		orphan(d->kept[i]);
	domain_armed(d, -ECONNRESET);
	domain_hv_forget(d);
	hv_free(d->hv);
	link_free(d->link);
	sd_event_source_disable_unref(d->lost);
	sd_event_source_disable_unref(d->next);
	sd_event_source_disable_unref(d->look);
	intent_domain_done(d);
	trace_ring_done(&d->trace);
	counters_done(&d->counters);
	domain_config_free(d->config);
	config_free(d->settings);
	free(d);
	return NULL;
}

/*
 * QEMU that is lost may be back in a moment; one that was given up is no machine any more. The VM
 * of a libvirtd that is away is where it was.
 */
static bool is_machine(const struct domain *d)
{
	return d->attached || d->lost || d->hv->ops->lost_ms == 0;
}

struct vcpu_counts domain_counts(const struct domain *d)
{
	struct vcpu_counts c = { .maximum = (int)d->n_vcpus };
	bool heard = true;

	if (d->n_vcpus == 0 || !is_machine(d))
		return VCPU_COUNTS_UNKNOWN;
	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		const struct vcpu *v = &d->vcpus[i];

		c.present += v->present;
		c.online += v->state == CPUHP_ONLINE;
		c.standby += v->state == CPUHP_STANDBY;
		heard &= !v->present || v->state >= 0;
	}
	if (!heard)
		c.online = c.standby = -1;
	return c;
}

const char *domain_why_detached(const struct domain *d)
{
	if (d->attached)
		return NULL;
	return *d->why ? d->why : "its socket was not tried yet";
}

const char *domain_why_no_agent(const struct domain *d)
{
	const char *why;

	if (d->agent_up)
		return NULL;
	why = link_why_down(d->link);
	if (*why)
		return why;
	return d->attached ? "it has not told its CPUs yet" : "QEMU is not attached";
}

const char *domain_why_leaving(const struct domain *d)
{
	switch (d->leaving) {
	case DOMAIN_STAYS:
		return NULL;
	case DOMAIN_LEAVES:
		return "it stands no more in the configuration and is let go as soon as nothing is "
		       "under way";
	case DOMAIN_IS_REPLACED:
		return "its sockets are others in the configuration and it is attached anew as soon "
		       "as nothing is under way";
	}
	return NULL;
}

void domain_port(const struct domain *d, struct domain_port *ret)
{
	ret->connected = link_is_connected(d->link);
	ret->heard_us = link_heard_us(d->link);
	ret->silent = link_is_silent(d->link);
}

const char *domain_status_name(const struct domain *d)
{
	return hv_status_name(d->attached ? d->status : HV_CONNECTING);
}

const char *domain_state_name(const struct domain *d, int state, char *buf, size_t size)
{
	if (state < 0)
		return "unknown";
	if (!ladder_is_dyn(state) || !d->dyn_names[state - CPUHP_AP_DYN][0])
		return ladder_name(state);
	snprintf(buf, size, "ap:dyn.%s", d->dyn_names[state - CPUHP_AP_DYN]);
	return buf;
}

bool domain_is_target(const struct domain *d, int state)
{
	return ladder_is_target(state,
				ladder_is_dyn(state) && d->dyn_names[state - CPUHP_AP_DYN][0]);
}

int domain_find_callback(const struct domain *d, const char *name)
{
	for (int s = CPUHP_AP_DYN; s <= CPUHP_AP_DYN_END; s++)
		if (strcmp(d->dyn_names[s - CPUHP_AP_DYN], name) == 0)
			return s;
	return -ENOENT;
}

unsigned int domain_slow_factor(const struct domain *d)
{
	return d->facts.kvm ? 1 : 6;
}

bool domain_is_one_by_one(const struct domain *d)
{
	switch (d->config->one_by_one) {
	case ONE_BY_ONE_YES:
		return true;
	case ONE_BY_ONE_NO:
		return false;
	case ONE_BY_ONE_AUTO:
		break;
	}
	switch (d->facts.smm) {
	case HV_SMM_ON:
		return true;
	case HV_SMM_OFF:
		return false;
	case HV_SMM_UNKNOWN:
		return d->facts.pflash;
	}
	return false;
}

/* With the callback's number. Not told yet: each stands above standby, so all are refused alike. */
static struct op_request resolve_target(const struct domain *d, const struct op_request *request)
{
	struct op_request r = *request;

	if (*r.callback)
		r.target = domain_find_callback(d, r.callback);
	if (*r.callback && r.target < 0)
		r.target = CPUHP_AP_DYN;
	return r;
}

int domain_plan(const struct domain *d, const struct op_request *request, struct plan *ret)
{
	const struct op_request resolved = resolve_target(d, request);
	const struct kvm_limits *kvm = &d->manager->kvm;
	struct plan_vcpu *vcpus = calloc(d->n_vcpus ? d->n_vcpus : 1, sizeof(*vcpus));
	struct plan_input in = {
		.vcpus = vcpus,
		.n = d->n_vcpus,
		.max_present = d->config->max_vcpus,
		.kvm_max = d->facts.kvm ? kvm->max_vcpus : 0,
		.kvm_max_id = d->facts.kvm ? kvm->max_vcpu_id : 0,
		.kvm_recommended = d->facts.kvm ? kvm->nr_vcpus : 0,
		.guest_possible = d->agent_up ? d->hello.possible : 0,
		.contiguous = !d->facts.kvm,
	};
	int rc;

	assert(d->vcpus || d->n_vcpus == 0);
	if (!vcpus)
		return -ENOMEM;
	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		const struct vcpu *v = &d->vcpus[i];

		vcpus[i] = (struct plan_vcpu){
			.present = v->present,
			.boot = v->boot,
			.removable = v->removable,
			.owned = v->owned || d->hv->ops->names_devices,
			.apic_id = v->apic_id,
			.pending = v->pending != VCPU_PENDING_NONE || v->hw || v->leaving ||
				   v->returning,
			/* Not heard yet: refuse only what no answer can mend. */
			.state = v->state >= 0 ? v->state : CPUHP_ONLINE
		};
	}
	rc = plan_make(&in, &resolved, ret);
	free(vcpus);
	return rc;
}

void domain_armed(struct domain *d, int rc)
{
	hv_done_fn cb = d->arm_done;
	void *arg = d->arm_arg;

	d->arm_timer = sd_event_source_disable_unref(d->arm_timer);
	d->arm_done = NULL;
	if (cb)
		cb(arg, rc, "");
}

static int on_arm_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	domain_armed(userdata, -ETIMEDOUT);
	return 0;
}

static int arm_in_guest(struct domain *d, const struct msg_arm *m, hv_done_fn cb, void *arg)
{
	uint64_t wait_us = (uint64_t)d->manager->config->deadlines.agent_ping_ms * 1000 *
			   domain_slow_factor(d);
	int rc;

	if (d->arm_done)
		return -EBUSY;
	rc = sd_event_add_time(d->manager->event, &d->arm_timer, CLOCK_MONOTONIC,
			       now_us() + wait_us, 1000, on_arm_timer, d);
	if (rc >= 0)
		rc = link_arm(d->link, m);
	if (rc < 0) {
		d->arm_timer = sd_event_source_disable_unref(d->arm_timer);
		return rc;
	}
	d->arming = *m;
	d->arm_done = cb;
	d->arm_arg = arg;
	return 0;
}

int domain_arm_failure(struct domain *d, unsigned int vcpu, int state, hv_done_fn cb, void *arg)
{
	struct msg_arm m = { .slot = (uint16_t)vcpu, .state = (uint8_t)state, .rc = -EAGAIN };

	if (vcpu >= d->n_vcpus)
		return -ENOENT;
	if (state <= CPUHP_OFFLINE || state == CPUHP_STANDBY || state >= CPUHP_ONLINE)
		return -EINVAL;
	if (state == CPUHP_HOST_PLACE && !d->config->has_place)
		return -EINVAL;
	if (state > CPUHP_STANDBY)
		return arm_in_guest(d, &m, cb, arg);
	d->vcpus[vcpu].armed = state;
	cb(arg, 0, "");
	return 0;
}

void domain_on_removed(struct vcpu *v, struct op *op)
{
	struct domain *d = v->domain;

	/* Else another's is there by now. */
	if (!v->present) {
		v->guest_present = v->guest_online = false;
		v->cpu = v->ran_on = -1;
	}
	v->pending = VCPU_PENDING_NONE;
	event_publish(d->manager->bus, &(struct event){
					       .type = EVENT_REMOVED,
					       .t_us = now_us(),
					       .domain = d,
					       .op = op,
					       .vcpu = (int)v->vcpu,
					       .cpu = -1,
					       .state = CPUHP_OFFLINE,
					       .ran_on = -1,
					       .kstep = -1,
					       .name = ladder_name(CPUHP_OFFLINE),
					       .text = "",
				       });
}

void domain_on_at_rest(struct vcpu *v)
{
	v->leaving = v->returning = false;
	vcpu_settle(v);
	v->wish = v->state;
	domain_remember_later(v->domain);
	op_run_poke(v->domain);
	manager_follow_later(v->domain->manager);
}

static void on_undone(void *ctx, struct vcpu *v, const struct hostwalk_outcome *o)
{
	if (o->pending)
		return;
	if (o->rc)
		vcpu_log(JOURNAL_VCPU_NOT_UNDONE, v, "%s", o->text);
	domain_on_at_rest(v);
}

int domain_take_back(struct vcpu *v, int to)
{
	return hostwalk_start(v, NULL, to, true, on_undone, NULL);
}

void domain_on_settled(struct vcpu *v, int back)
{
	/* What another has put there meanwhile stays. */
	bool is_there = v->present && (back >= CPUHP_QEMU_DEVICE || !vcpu_is_anothers(v));

	/* The agent has to be heard for it first. */
	if (back >= 0 && is_there && v->state < 0) {
		v->returning = true;
		v->back = back;
		return;
	}
	if (back >= 0 && is_there && v->state > back && domain_take_back(v, back) >= 0)
		return;
	domain_on_at_rest(v);
}
