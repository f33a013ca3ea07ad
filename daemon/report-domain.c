/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/report.h"

#include "daemon/json-out.h"
#include "daemon/varlink.h"
#include <stdio.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * What a domain is and how the daemon stands, from memory alone: nothing here asks QEMU or the
 * guest, so looking never costs them anything. A domain that is still attaching has null where a
 * number is not known yet; an old number is never shown for an unknown one.
 */

static json_object *report_agent(const struct domain *d)
{
	json_object *o = json_object_new_object();
	const struct msg_hello *h = d->hello_known ? &d->hello : NULL;
	char id[40];

	json_out_bool(o, "connected", d->agent_up);
	json_out_text(o, "version", h ? h->version : NULL);
	json_out_text(o, "kernel", h ? h->kernel : NULL);
	if (h) {
		const uint8_t *b = h->boot_id;

		snprintf(id, sizeof(id),
			 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
			 b[12], b[13], b[14], b[15]);
	}
	json_out_text(o, "boot_id", h ? id : NULL);
	json_out_text(o, "why", domain_why_no_agent(d));
	return o;
}

static void add_counts(json_object *o, const struct domain *d)
{
	const struct vcpu_counts c = domain_counts(d);

	json_out_known(o, "maximum", c.maximum);
	json_out_known(o, "present", c.present);
	json_out_known(o, "online", c.online);
	json_out_known(o, "standby", c.standby);
}

static const char *pending_name(enum vcpu_pending p)
{
	switch (p) {
	case VCPU_PENDING_NONE:
		return NULL;
	case VCPU_PENDING_PLUG:
		return "plug";
	case VCPU_PENDING_UNPLUG:
		return "unplug";
	}
	return NULL;
}

static json_object *report_vcpu(const struct vcpu *v, uint64_t now_us)
{
	json_object *o = json_object_new_object();
	char name[MSG_NAME_MAX + 16];

	json_out_int(o, "vcpu", v->vcpu);
	/* The guest may claim a CPU in a slot that QEMU has empty. */
	json_out_known(o, "cpu", v->present ? v->cpu : -1);
	json_object_object_add(o, "slot", v->props ? json_tokener_parse(v->props) : NULL);
	json_out_bool(o, "boot", v->boot);
	json_out_bool(o, "owned", v->owned);
	json_out_known(o, "state", v->state);
	json_out_str(o, "name",
		     v->state < 0 ? NULL
				  : domain_state_name(v->domain, v->state, name, sizeof(name)));
	json_out_known(o, "ran_on", v->present ? v->ran_on : -1);
	json_out_str(o, "pending", pending_name(v->pending));
	json_out_text(o, "drift", v->drift);
	json_out_int(o, "since_ms",
		     now_us > v->since_us ? (int64_t)((now_us - v->since_us) / 1000) : 0);
	return o;
}

static void add_identity(json_object *o, const struct domain *d)
{
	json_out_str(o, "domain", d->config->name);
	json_out_text(o, "uuid", d->facts.uuid);
	json_out_str(o, "hypervisor", d->hv ? d->hv->ops->hypervisor : NULL);
	json_out_str(o, "status", domain_status_name(d));
	json_out_text(o, "why", domain_why_detached(d));
	json_out_text(o, "leaving", domain_why_leaving(d));
	json_out_text(o, "accel", d->facts.accel);
	json_object_object_add(o, "agent", report_agent(d));
	add_counts(o, d);
	json_out_text(o, "operation", d->running ? d->running->id : NULL);
}

static void add_load(json_object *o, const struct domain *d, bool cpus, uint64_t now_us)
{
	json_object_object_add(o, "load", report_load(d, cpus, now_us));
	json_out_text(o, "load_why", domain_why_no_load(d));
}

json_object *report_summary(const struct domain *d, uint64_t now_us)
{
	json_object *o = json_object_new_object();

	add_identity(o, d);
	add_load(o, d, false, now_us);
	return o;
}

json_object *report_info(const struct domain *d, uint64_t now_us)
{
	json_object *o = json_object_new_object();
	json_object *vcpus = json_object_new_array();

	add_identity(o, d);
	json_out_text(o, "unsupported",
		      d->n_vcpus > 0 && !d->supported ? d->unsupported_why : NULL);
	add_load(o, d, true, now_us);
	for (unsigned int i = 0; i < d->n_vcpus; i++)
		json_object_array_add(vcpus, report_vcpu(&d->vcpus[i], now_us));
	json_object_object_add(o, "vcpus", vcpus);
	return o;
}

static json_object *report_kvm(const struct kvm_limits *k)
{
	json_object *o = json_object_new_object();

	json_out_bool(o, "available", k->available);
	json_out_text(o, "why", k->why);
	json_out_known(o, "api", k->available ? k->api : -1);
	json_out_known(o, "nr_vcpus", k->available ? (int64_t)k->nr_vcpus : -1);
	json_out_known(o, "max_vcpus", k->available ? (int64_t)k->max_vcpus : -1);
	json_out_known(o, "max_vcpu_id", k->available ? (int64_t)k->max_vcpu_id : -1);
	return o;
}

static json_object *report_deadlines(const struct deadlines *d)
{
	json_object *o = json_object_new_object();

	json_out_int(o, "qmp_reply_ms", d->qmp_reply_ms);
	json_out_int(o, "guest_present_ms", d->guest_present_ms);
	json_out_int(o, "eject_soft_ms", d->eject_soft_ms);
	json_out_int(o, "eject_hard_ms", d->eject_hard_ms);
	json_out_int(o, "agent_ping_ms", d->agent_ping_ms);
	json_out_int(o, "agent_wait_ms", d->agent_wait_ms);
	json_out_int(o, "operation_ms", d->operation_ms);
	return o;
}

static json_object *report_config(const struct config *c)
{
	json_object *o = json_object_new_object();
	json_object *operators = json_object_new_array();

	json_out_bool(o, "allow_fault_injection", c->allow_fault_injection);
	for (char **name = c->operators; name && *name; name++)
		json_object_array_add(operators, json_object_new_string(*name));
	json_object_object_add(o, "operators", operators);
	json_out_text(o, "metrics_listen", c->metrics_listen ? c->metrics_listen : "");
	json_object_object_add(o, "deadlines", report_deadlines(&c->deadlines));
	json_out_int(o, "load_interval_ms", c->load_interval.ms);
	return o;
}

json_object *report_host(const struct manager *m, uint64_t now_us)
{
	json_object *o = json_object_new_object();

	json_out_str(o, "version", VCPUHP_VERSION);
	json_out_int(o, "cpus_online", sysconf(_SC_NPROCESSORS_ONLN));
	json_object_object_add(o, "kvm", report_kvm(&m->kvm));
	json_out_int(o, "domains", m->n_domains);
	json_out_int(o, "uptime_ms", (int64_t)((now_us - m->started_us) / 1000));
	json_object_object_add(o, "config", report_config(m->config));
	return o;
}

/* As in the ladder's table in the manual. */
static const char *side_name(enum cpuhp_side side)
{
	switch (side) {
	case CPUHP_SIDE_REST:
		return "-";
	case CPUHP_SIDE_HOST:
		return "host";
	case CPUHP_SIDE_CONTROL:
		return "control";
	case CPUHP_SIDE_WORKER:
		return "worker";
	}
	return "-";
}

static json_object *report_state(const struct domain *d, int state)
{
	const struct cpuhp_step *step = ladder_step(state);
	json_object *o = json_object_new_object();
	char name[MSG_NAME_MAX + 16];

	json_out_int(o, "state", state);
	json_out_str(o, "name", d ? domain_state_name(d, state, name, sizeof(name)) : step->name);
	json_out_str(o, "meaning", step->meaning);
	json_out_str(o, "side", side_name(ladder_side(state)));
	json_out_bool(o, "target", step->is_target);
	json_out_bool(o, "skip_rollback", step->skip_rollback);
	json_out_int(o, "startup_ms", step->startup_ms);
	json_out_int(o, "teardown_ms", step->teardown_ms);
	return o;
}

json_object *report_states(const struct domain *d)
{
	json_object *states = json_object_new_array();

	for (int state = 0; state < CPUHP_STATES; state++)
		if (!d || !ladder_is_dyn(state) || d->dyn_names[state - CPUHP_AP_DYN][0])
			json_object_array_add(states, report_state(d, state));
	return states;
}
