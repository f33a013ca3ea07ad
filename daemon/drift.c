/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Drift is a vCPU at rest that is not where it was wished to be. QEMU's table and the guest's word
 * move what is observed; only operations move wishes. What follows from the two is reconcile()'s
 * decision; it is asked for and carried out here, whenever one of them may have changed, and again
 * with every tick's table. What an operation had left pending when the daemon was killed is taken
 * up in the same way.
 *
 * What an operation is about, or the guest is at work on, is no drift: it is looked at when that is
 * over. All else is shown. Two kinds are acted on, each once: standby vCPUs that a reboot of the
 * guest brought up, and with Foreign=online those that others plugged and the guest left offline.
 * Those are operations like any other, one for all vCPUs that go to the same state, and only when
 * the domain has no other; if one fails, the vCPU drifts and is left alone.
 *
 * The first table of an agent's gives the wishes: nothing was asked for yet, so it is as found.
 */
#include "daemon/drift.h"
#include "daemon/deferred.h"
#include "daemon/domain-guest.h"
#include "daemon/hostwalk.h"
#include "daemon/intent-domain.h"
#include "daemon/log.h"
#include "daemon/reconcile.h"
#include "daemon/vcpu.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum reconcile_intent intent_of(const struct vcpu *v)
{
	return v->leaving ? RECONCILE_LEAVE : v->returning ? RECONCILE_RETURN : RECONCILE_REST;
}

static struct reconcile_view view_of(const struct vcpu *v)
{
	return (struct reconcile_view){
		.intent = intent_of(v),
		.goal = v->back,
		.wish = v->wish,
		.present = v->present,
		.boot = v->boot,
		.owned = v->owned,
		.arrived = v->arrived,
		.removal_pending = v->pending == VCPU_PENDING_UNPLUG,
		.state = v->state,
		.guest_present = v->guest_present,
		.guest_online = v->guest_online,
		.guest_walking = v->guest_walking,
		.parked = v->guest_parked,
		.park_again = v->park_again,
		.raise_foreign = v->domain->config->foreign == FOREIGN_ONLINE,
		.guest_text = v->guest_text,
	};
}

static struct reconcile_answer next_of(const struct vcpu *v)
{
	const struct reconcile_view view = view_of(v);

	return reconcile(&view);
}

static void publish_drift(struct vcpu *v)
{
	struct domain *d = v->domain;
	char name[MSG_NAME_MAX + 16];

	event_publish(d->manager->bus,
		      &(struct event){
			      .type = EVENT_DRIFT,
			      .t_us = now_us(),
			      .domain = d,
			      .vcpu = (int)v->vcpu,
			      .cpu = v->cpu,
			      .state = v->state,
			      .name = domain_state_name(d, v->state, name, sizeof(name)),
			      .ran_on = v->ran_on,
			      .kstep = -1,
			      .text = v->drift,
		      });
}

static bool is_asked_for(const struct op *op, const struct vcpu *v)
{
	return op && op->request.goal == OP_GOAL_TARGET && cpulist_has(&op->request.list, v->vcpu);
}

/* In one that runs, or is one of those that name it in the queue: it is being seen to. */
static bool in_operation(const struct vcpu *v)
{
	const struct domain *d = v->domain;

	for (unsigned int i = 0; i < d->n_queued; i++)
		if (is_asked_for(d->queue[i], v))
			return true;
	return v->hw || op_find_vcpu(d->running, v->vcpu) || is_asked_for(d->running, v);
}

/* One operation for all that go there, each on its own: what cannot go holds nobody up. */
enum { OWN_OP_S = 10 };

static void submit(struct domain *d, const struct cpulist *list, int target)
{
	const struct op_request r = {
		.goal = OP_GOAL_TARGET,
		.standby = -1,
		.target = target,
		.list = *list,
		.policy = OP_POLICY_BEST_EFFORT,
		.own = true,
	};
	enum request_error error;
	char *text = NULL;
	struct op *op;

	bucket_take(&d->own_ops, OWN_OP_S);
	if (domain_submit(d, &r, &op, &error, &text) < 0) {
		if (domain_guest_may_log(d))
			log_domain(LOG_WARNING, d->config->name, "vCPUs cannot be taken to %s: %s",
				   ladder_name(target), text ? text : "out of memory");
		free(text);
		return;
	}
	for (int i = cpulist_next(list, 0); i >= 0; i = cpulist_next(list, (unsigned int)i + 1)) {
		d->vcpus[i].wish = target;
		d->vcpus[i].park_again = d->vcpus[i].arrived = false;
	}
	op_unref(op);
}

static bool is_to_operate(const struct vcpu *v, int target)
{
	struct reconcile_answer a;

	if (v->hw)
		return false;
	a = next_of(v);
	return a.action == RECONCILE_OPERATE && a.target == target;
}

/*
 * Operations of our own accord give way to all others: what those leave behind is looked at again
 * at the end of each. A guest that asks for them again and again gets ten, and then one each ten
 * seconds.
 */
static void act(struct domain *d)
{
	static const int targets[] = { CPUHP_STANDBY, CPUHP_ONLINE };

	bucket_refill(&d->own_ops, now_us());
	for (size_t t = 0; t < sizeof(targets) / sizeof(targets[0]); t++) {
		struct cpulist list;

		if (d->leaving || d->running || d->n_queued || *d->store_why ||
		    !bucket_has(&d->own_ops))
			return;
		cpulist_zero(&list);
		for (unsigned int i = 0; i < d->n_vcpus; i++)
			if (is_to_operate(&d->vcpus[i], targets[t]))
				cpulist_set(&list, i);
		if (cpulist_count(&list))
			submit(d, &list, targets[t]);
	}
}

static void log_drift(const struct vcpu *v)
{
	if (!domain_guest_may_log(v->domain))
		return;
	if (*v->drift)
		vcpu_log(JOURNAL_DRIFT_BEGUN, v, "drift: %s", v->drift);
	else
		vcpu_log(JOURNAL_DRIFT_ENDED, v, "its drift is over");
}

/* The newest text is told, and as often as a guest may be heard; it is tried again later. */
static void tell_drift(struct vcpu *v)
{
	if (!v->drift_untold || !vcpu_may_talk(v))
		return;
	v->drift_untold = false;
	if (*v->drift || v->drift_told)
		log_drift(v);
	v->drift_told = *v->drift;
	publish_drift(v);
}

static void check_one(struct vcpu *v)
{
	const char *reason;

	/* An adoption or a registration is at work on it: where it comes to rest is what counts. */
	if (in_operation(v) || v->guest_walking)
		return;
	reason = next_of(v).why;
	if (strncmp(reason, v->drift, sizeof(v->drift) - 1) != 0) {
		v->domain->counters.drift += !*v->drift; /* one that goes on is no other */
		snprintf(v->drift, sizeof(v->drift), "%s", reason);
		v->drift_untold = true;
	}
	/* An operation that moved it has ended its drift without a word. */
	if (v->drift_told && !*v->drift)
		v->drift_untold = true;
	tell_drift(v);
}

/* What an operation of an earlier daemon had left pending when it ended. */
static void mind_pending(struct vcpu *v)
{
	struct reconcile_answer a;

	if (v->hw || intent_of(v) == RECONCILE_REST)
		return;
	a = next_of(v);
	if (a.action == RECONCILE_SETTLED)
		domain_on_at_rest(v);
	else if (a.action == RECONCILE_AWAIT && hostwalk_await(v) == 0)
		v->leaving = false;
	else if (a.action == RECONCILE_WALK && domain_take_back(v, a.target) == 0)
		v->returning = false;
}

void drift_check(struct domain *d)
{
	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		vcpu_tell_state(&d->vcpus[i]);
		mind_pending(&d->vcpus[i]);
	}
	if (d->unsaved)
		(void)domain_remember(d);
	if (!d->table_known)
		return;
	act(d);
	for (unsigned int i = 0; i < d->n_vcpus; i++)
		check_one(&d->vcpus[i]);
}

int drift_on_look(sd_event_source *s, void *userdata)
{
	drift_check(userdata);
	return 0;
}

void drift_look(struct domain *d)
{
	deferred_call(d->look);
}

void drift_on_session(struct domain *d, bool same_boot)
{
	bool first = !d->table_known;

	d->table_known = true;
	d->unsaved |= d->intent && (first || !same_boot);
	memcpy(d->boot_id, d->hello.boot_id, sizeof(d->boot_id));
	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		struct vcpu *v = &d->vcpus[i];

		const struct reconcile_view view = view_of(v);

		if (v->wish < 0 && !v->hw)
			v->wish = reconcile_wish_as_found(&view);
		if (!first && !same_boot)
			v->park_again = v->wish == CPUHP_STANDBY && v->state > CPUHP_STANDBY;
	}
	drift_check(d);
}
