/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Everything that comes before the first step, for whoever wants to know: it changes nothing.
 *
 * QEMU is waited for until the deadline, the agent for a time of its own. Each look begins anew
 * with what is known then, so what has changed while something else was waited for is seen: the
 * request (a vCPU that is not there, a callback that nobody registered), the VM's state, the plan.
 * Without the agent's table only that part of a plan counts which no answer can mend. What the agent
 * is at work on by itself, as on all CPUs of a guest that has just booted, stands nowhere yet: what
 * is about such a vCPU waits until it rests, or a COUNT of those online would be right for a moment.
 * The agent is asked whether it is alive; then the plan is made once more, and that one counts. In a
 * VM that was paused meanwhile no agent can answer: the pause is told as soon as it is known, and
 * QEMU is asked before an agent is said not to answer.
 *
 * A look happens from the event loop alone: whoever changes something only asks for one. QEMU is
 * asked once whether a domain still does not run, for it may have been resumed without having said so.
 */
#include "daemon/admission.h"
#include "daemon/plan.h"
#include "daemon/vcpu.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>

/* From the word to the first kick, and from one to the next. */
enum { PREPARE_MS = 2000 };

int admission_check(const struct domain *d, const struct op_request *r,
		    enum request_error *ret_error, char text[OP_TEXT_MAX])
{
	int beyond = d->attached && d->vcpus ? cpulist_next(&r->list, d->n_vcpus) : -1;
	bool named = *r->callback, open = (named || ladder_is_dyn(r->target)) && !d->agent_up;

	if (r->goal != OP_GOAL_TARGET)
		return 0;
	if (!open && named && domain_find_callback(d, r->callback) < 0) {
		*ret_error = ERR_INVALID_ARGUMENT;
		snprintf(text, OP_TEXT_MAX, "there is no state ap:dyn.%s", r->callback);
	} else if (!open && !named && !domain_is_target(d, r->target)) {
		*ret_error = ERR_REFUSED;
		if (ladder_is_dyn(r->target))
			snprintf(text, OP_TEXT_MAX,
				 "%d is no state to rest in: no callback stands there", r->target);
		else
			snprintf(text, OP_TEXT_MAX, "%s is no state to rest in",
				 ladder_name(r->target));
	} else if (beyond >= 0) {
		*ret_error = ERR_NO_SUCH_VCPU;
		snprintf(text, OP_TEXT_MAX, "%s has no vcpu %d: its maximum is %u", d->config->name,
			 beyond, d->n_vcpus);
	} else {
		return 0;
	}
	return -EINVAL;
}

const char *admission_denier(enum request_error error)
{
	return error == ERR_NO_SUCH_VCPU ? "limit" : error == ERR_REFUSED ? "policy" : "guest";
}

static void end(struct admission *a, const struct verdict *v)
{
	admission_done_fn done = a->done;
	void *ctx = a->ctx;

	assert(done);
	admission_drop(a);
	done(ctx, v);
}

static void end_with(struct admission *a, enum op_result result, const char *by, const char *text)
{
	struct verdict v = { .result = result, .refused_by = by };

	snprintf(v.text, sizeof(v.text), "%s", text);
	end(a, &v);
}

static void end_unreached(struct admission *a)
{
	const char *why = domain_why_detached(a->domain);
	char text[OP_TEXT_MAX];

	snprintf(text, sizeof(text), "QEMU could not be reached in time: %s",
		 why ? why : "it has not told its vCPUs");
	end_with(a, OP_VM_GONE, NULL, text);
}

/* One that the request is about; NULL none. */
static const struct vcpu *find_on_its_way(const struct admission *a)
{
	const struct domain *d = a->domain;
	const struct op_request *r = a->request;

	for (unsigned int i = 0; r && i < d->n_vcpus; i++)
		if ((r->goal == OP_GOAL_COUNT || cpulist_has(&r->list, i)) &&
		    vcpu_is_on_its_way(&d->vcpus[i]))
			return &d->vcpus[i];
	return NULL;
}

static void end_unsettled(struct admission *a, const struct vcpu *v)
{
	char text[OP_TEXT_MAX];

	snprintf(
		text, sizeof(text),
		"vcpu %u: the agent's own work on it did not end in time; nothing was sent to QEMU",
		v->vcpu);
	end_with(a, OP_FAILED, NULL, text);
}

static void end_without_agent(struct admission *a)
{
	const char *why = domain_why_no_agent(a->domain);
	char text[OP_TEXT_MAX];

	snprintf(text, sizeof(text), "no agent answers in the guest%s%s; nothing was sent to QEMU",
		 why ? ": " : "", why ? why : "");
	end_with(a, OP_NO_AGENT, NULL, text);
}

static void look_again(struct admission *a)
{
	sd_event_source_set_enabled(a->look, SD_EVENT_ONESHOT);
}

static bool is_attached(const struct admission *a)
{
	return a->domain->attached && a->domain->vcpus;
}

void admission_expire(struct admission *a)
{
	const struct vcpu *v;

	if (!a->done)
		return;
	v = find_on_its_way(a);
	if (!is_attached(a))
		end_unreached(a);
	else if (v)
		end_unsettled(a, v);
	else
		end_without_agent(a);
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
	admission_expire(userdata);
	return 0;
}

static int on_no_agent(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct admission *a = userdata;

	a->agent_wait = sd_event_source_disable_unref(a->agent_wait);
	if (a->phase == ADMISSION_TABLE)
		end_without_agent(a);
	return 0;
}

static void wait_for_agent(struct admission *a)
{
	const struct manager *m = a->domain->manager;
	uint64_t wait_us = (uint64_t)a->domain->settings->deadlines.agent_wait_ms * 1000;

	a->phase = ADMISSION_TABLE;
	if (!a->agent_wait && sd_event_add_time(m->event, &a->agent_wait, CLOCK_MONOTONIC,
						now_us() + wait_us, 1000, on_no_agent, a) < 0)
		end_with(a, OP_FAILED, NULL, "out of memory");
}

static void on_ping(void *arg, int rc)
{
	struct admission *a = arg;

	if (a->phase != ADMISSION_PONG)
		return;
	/* Its session ended before it could answer: the next one may be under way already. */
	if (rc && rc != -ETIMEDOUT) {
		wait_for_agent(a);
		return;
	}
	a->phase = rc ? ADMISSION_MUTE : ADMISSION_PLAN;
	if (rc)
		a->status_asked = 0;
	look_again(a);
}

static unsigned int count_kicks(const struct plan *plan)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < plan->n_moves; i++)
		n += plan->moves[i].to >= CPUHP_STANDBY || plan->moves[i].from > CPUHP_STANDBY;
	return n;
}

/* With a word of what is to come, so that the guest is ready for it when it comes. */
static void ask_agent(struct admission *a, const struct plan *plan)
{
	struct domain *d = a->domain;
	unsigned int slow = domain_slow_factor(d), kicks = count_kicks(plan);
	uint64_t wait_us = (uint64_t)d->settings->deadlines.agent_ping_ms * 1000 * slow;
	int r;

	a->phase = ADMISSION_PONG;
	if (a->needs == ADMISSION_MOVE && kicks > 0)
		r = link_ping_before(d->link, kicks, PREPARE_MS * slow, wait_us, on_ping, a);
	else
		r = link_ping(d->link, wait_us, on_ping, a);
	if (r == -ENOMEM)
		end_with(a, OP_FAILED, NULL, "out of memory");
	else if (r < 0)
		wait_for_agent(a);
}

static void on_status_known(void *arg, int rc, const char *text)
{
	struct domain *d = arg;

	d->status_told++;
	admission_poke(d);
}

/* What is known of it may be old. True: the answer is waited for. */
static bool ask_status(struct admission *a)
{
	struct domain *d = a->domain;

	if (!a->status_asked && d->hv->ops->query(d->hv, on_status_known, d) >= 0)
		a->status_asked = ++d->status_asked;
	return a->status_asked && (int)(d->status_told - a->status_asked) < 0;
}

static bool deny(struct admission *a)
{
	struct verdict v = { .result = OP_REFUSED, .denied = true };

	if (admission_check(a->domain, a->request, &v.denial, v.text) == 0)
		return false;
	v.refused_by = admission_denier(v.denial);
	end(a, &v);
	return true;
}

/* Can this VM be changed at all now? True when it is over. */
static bool refuse_state(struct admission *a)
{
	const struct domain *d = a->domain;
	char text[OP_TEXT_MAX];

	if (d->leaving && a->needs == ADMISSION_CHANGE) {
		end_with(a, OP_REFUSED, "policy", domain_why_leaving(d));
	} else if (d->status == HV_SHUT_DOWN) {
		end_with(a, OP_VM_GONE, NULL, "the VM has shut down");
	} else if (d->status != HV_RUNNING) {
		snprintf(text, sizeof(text), "the domain is %s%s", domain_status_name(d),
			 d->status == HV_PAUSED ? ", so its guest can take no part; resume it first"
						: "");
		end_with(a, OP_REFUSED, "policy", text);
	} else if (!d->supported) {
		end_with(a, OP_REFUSED, "policy", d->unsupported_why);
	} else if (d->agent_up && !(d->hello.features & MSG_FEATURE_HOTPLUG)) {
		end_with(
			a, OP_REFUSED, "guest",
			"the guest kernel cannot hotplug CPUs (ACPI is off, or it is built without)");
	} else {
		return false;
	}
	return true;
}

/*
 * Before the agent is heard every vCPU of QEMU's is taken for online. A COUNT below that may still
 * be a way up, from standby: what is refused there the agent's table may mend.
 */
static bool is_mendable(const struct admission *a)
{
	return !a->domain->agent_up && a->request->goal == OP_GOAL_COUNT &&
	       (int)a->request->count < domain_counts(a->domain).present;
}

static void look_at_plan(struct admission *a)
{
	struct plan plan = { 0 };
	struct verdict v = { .result = OP_ACCEPTED, .plan = &plan };

	bool settled = !find_on_its_way(a);

	if (!settled && a->phase >= ADMISSION_REST) {
		a->phase = ADMISSION_REST;
		return;
	}
	if (domain_plan(a->domain, a->request, &plan) < 0) {
		end_with(a, OP_FAILED, NULL, "out of memory");
		return;
	}
	if (plan.n_refusals && !is_mendable(a) && settled) {
		v.result = OP_REFUSED;
		v.refused_by = plan.refused_by;
		snprintf(v.text, sizeof(v.text), "%s", plan.refusals[0]);
		end(a, &v);
	} else if (!a->domain->agent_up) {
		wait_for_agent(a);
	} else if (a->phase != ADMISSION_PLAN) {
		ask_agent(a, &plan);
	} else {
		end(a, &v);
	}
	plan_done(&plan);
}

static void look_at_change(struct admission *a)
{
	bool mute = a->phase == ADMISSION_MUTE, attached = is_attached(a);

	if (deny(a) || (!attached && !mute))
		return;
	if (attached && (mute || a->domain->status != HV_RUNNING) && ask_status(a))
		return;
	if (attached && refuse_state(a))
		return;
	if (mute)
		end_with(a, OP_NO_AGENT, NULL,
			 "the agent does not answer; nothing was sent to QEMU");
	else if (a->phase != ADMISSION_PONG)
		look_at_plan(a);
}

static void look(struct admission *a)
{
	if (a->needs >= ADMISSION_CHANGE)
		look_at_change(a);
	else if (!is_attached(a))
		return;
	else if (a->needs == ADMISSION_AGENT && !a->domain->agent_up)
		wait_for_agent(a);
	else
		end_with(a, OP_ACCEPTED, NULL, "");
}

static int on_look(sd_event_source *s, void *userdata)
{
	look(userdata);
	return 0;
}

int admission_start(struct admission *a, struct domain *d, enum admission_needs needs,
		    const struct op_request *request, unsigned int timeout_ms,
		    admission_done_fn done, void *ctx)
{
	sd_event *event = d->manager->event;
	int rc;

	*a = (struct admission){ .domain = d,
				 .needs = needs,
				 .request = request,
				 .done = done,
				 .ctx = ctx,
				 .next = d->admissions };
	d->admissions = a;
	rc = sd_event_add_defer(event, &a->look, on_look, a);
	if (rc >= 0 && timeout_ms)
		rc = sd_event_add_time(event, &a->deadline, CLOCK_MONOTONIC,
				       now_us() + (uint64_t)timeout_ms * 1000, 1000, on_deadline,
				       a);
	if (rc < 0)
		admission_drop(a);
	return rc < 0 ? rc : 0;
}

void admission_drop(struct admission *a)
{
	struct admission **at;

	if (!a->done)
		return;
	for (at = &a->domain->admissions; *at != a; at = &(*at)->next)
		;
	*at = a->next;
	if (a->domain->link)
		link_ping_forget(a->domain->link, a);
	sd_event_source_disable_unref(a->look);
	sd_event_source_disable_unref(a->agent_wait);
	sd_event_source_disable_unref(a->deadline);
	a->look = a->agent_wait = a->deadline = NULL;
	a->done = NULL;
}

void admission_poke(struct domain *d)
{
	for (struct admission *a = d->admissions; a; a = a->next)
		look_again(a);
}

bool admission_doubt(struct domain *d)
{
	bool any = false;

	for (struct admission *a = d->admissions; a; a = a->next) {
		if (a->phase != ADMISSION_REST)
			continue;
		any = true;
		a->phase = ADMISSION_TABLE;
		look_again(a);
	}
	return any;
}

void admission_end_all(struct domain *d, enum op_result result, const char *why)
{
	while (d->admissions)
		end_with(d->admissions, result, NULL, why);
}
