/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-domain.h"

#include "daemon/trace-ring.h"
#include "daemon/vcpu.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct hv_ops hv_ops = { .hypervisor = "qemu" };
static struct hv hv = { .ops = &hv_ops };

static struct fake *fake_of(const struct domain *d)
{
	return (struct fake *)(uintptr_t)((const char *)d - offsetof(struct fake, domain));
}

static struct fake *fake_of_manager(struct manager *m)
{
	return (struct fake *)((char *)m - offsetof(struct fake, manager));
}

static void init_vcpus(struct fake *f)
{
	for (unsigned int i = 0; i < 4; i++) {
		struct vcpu *v = &f->vcpus[i];

		*v = (struct vcpu){
			.vcpu = i,
			.domain = &f->domain,
			.present = i < 2,
			.boot = i == 0,
			.owned = i == 1,
			.cpu = i < 2 ? (int)i : -1,
			.state = i == 0   ? CPUHP_ONLINE
				 : i == 1 ? CPUHP_STANDBY
					  : CPUHP_OFFLINE,
			.wish = -1,
			.ran_on = i == 0 ? 0 : -1,
			.since_us = 1000000,
		};
	}
}

void fake_init(struct fake *f, sd_event *event)
{
	*f = (struct fake){ 0 };
	f->domain_configs[0] = (struct domain_config){ .name = "web1" };
	f->config_list[0] = &f->domain_configs[0];
	f->config = (struct config){ .domains = f->config_list, .n_domains = 1 };
	f->config.deadlines.operation_ms = 120000;
	f->domain_list[0] = &f->domain;
	f->manager = (struct manager){
		.event = event,
		.config = &f->config,
		.bus = event_bus_new(),
		.domains = f->domain_list,
		.n_domains = 1,
	};
	TAILQ_INIT(&f->manager.changes);
	f->domain = (struct domain){
		.manager = &f->manager,
		.config = &f->domain_configs[0],
		.configured = true,
		.hv = &hv,
		.attached = true,
		.status = HV_RUNNING,
		.n_vcpus = 4,
		.vcpus = f->vcpus,
		.supported = true,
	};
	strcpy(f->domain.dyn_names[1], "20-log");
	init_vcpus(f);
}

void fake_done(struct fake *f)
{
	for (unsigned int i = 0; i < f->n_ops; i++)
		op_unref(f->ops[i]);
	event_bus_free(f->manager.bus);
	counters_done(&f->domain.counters);
}

void fake_step(struct fake *f, struct op *o, enum event_type type, int state, bool enter)
{
	const struct event e = {
		.type = type,
		.t_us = o->accepted_us + 41200,
		.domain = &f->domain,
		.op = o,
		.vcpu = 2,
		.cpu = 2,
		.state = state,
		.name = ladder_name(state),
		.enter = enter,
		.rc = enter ? 0 : f->step_rc,
		.startup = true,
		.ran_on = enter ? -1 : 2,
		.kstep = type == EVENT_KSTEP ? 156 : -1,
		.kname = "smpboot/threads:online",
		.text = "",
	};

	event_publish(f->manager.bus, &e);
}

void fake_end(struct fake *f, struct op *o, enum op_result result)
{
	const struct event e = {
		.type = EVENT_OPERATION,
		.domain = &f->domain,
		.op = o,
		.vcpu = -1,
		.cpu = -1,
		.state = -1,
		.ran_on = -1,
		.text = "",
	};

	o->ended = true;
	o->result = result;
	event_publish(f->manager.bus, &e);
}

uint64_t now_us(void)
{
	return 5000000;
}

struct domain *manager_find(struct manager *m, const char *word)
{
	const struct domain_config *c = m->n_domains ? m->domains[0]->config : NULL;
	bool found = c && (strcmp(word, c->name) == 0 || (*c->uuid && strcmp(word, c->uuid) == 0));

	return found ? m->domains[0] : NULL;
}

struct domain *manager_find_socket(struct manager *m, const struct domain_config *config)
{
	return strcmp(config->agent, "/taken") == 0 ? m->domains[0] : NULL;
}

int manager_attach(struct manager *m, const struct domain_config *config, struct domain **ret)
{
	if (manager_find(m, config->name))
		return -EEXIST;
	if (manager_find_socket(m, config))
		return -EADDRINUSE;
	fake_of_manager(m)->attached++;
	return 0;
}

int manager_detach(struct manager *m, struct domain *d)
{
	if (d->configured)
		return -EPERM;
	if (d->running || d->n_queued)
		return -EBUSY;
	fake_of_manager(m)->detached++;
	m->n_domains = 0;
	return 0;
}

struct op *manager_find_op(struct manager *m, const char *id)
{
	struct fake *f = fake_of_manager(m);

	for (unsigned int i = 0; i < f->n_ops; i++)
		if (strcmp(f->ops[i]->id, id) == 0)
			return f->ops[i];
	return NULL;
}

struct vcpu_counts domain_counts(const struct domain *d)
{
	struct vcpu_counts c = { .maximum = (int)d->n_vcpus };

	if (d->n_vcpus == 0 || (!d->attached && !d->lost))
		return VCPU_COUNTS_UNKNOWN;
	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		c.present += d->vcpus[i].present;
		c.online += d->vcpus[i].state == CPUHP_ONLINE;
		c.standby += d->vcpus[i].state == CPUHP_STANDBY;
	}
	for (unsigned int i = 0; i < d->n_vcpus; i++)
		if (d->vcpus[i].present && d->vcpus[i].state < 0)
			c.online = c.standby = -1;
	return c;
}

const char *domain_why_detached(const struct domain *d)
{
	return d->attached ? NULL : d->why;
}

const char *domain_why_leaving(const struct domain *d)
{
	return d->leaving ? "it leaves" : NULL;
}

int manager_reload(struct manager *m, struct config *config)
{
	m->config = config;
	return 0;
}

const char *domain_why_no_agent(const struct domain *d)
{
	return d->agent_up ? NULL : "nobody answers";
}

void load_watch(struct manager *m, struct load_watch *w, const char *domain,
		unsigned int interval_ms)
{
	w->manager = m;
	w->interval_ms = interval_ms;
	snprintf(w->domain, sizeof(w->domain), "%s", domain);
	fake_of_manager(m)->watched++;
}

void load_unwatch(struct load_watch *w)
{
	if (w->manager)
		fake_of_manager(w->manager)->watched--;
	w->manager = NULL;
}

bool load_is_due(const struct domain *d, unsigned int interval_ms)
{
	return interval_ms > 0;
}

const struct load *domain_load(const struct domain *d)
{
	return d->load.known ? &d->load : NULL;
}

const char *domain_why_no_load(const struct domain *d)
{
	return d->load.known ? NULL : "nobody has asked";
}

const struct load_row *domain_load_row(const struct domain *d, unsigned int vcpu)
{
	const struct vcpu *v = &d->vcpus[vcpu];

	return d->load.known && v->load.number == d->load.number ? &v->load : NULL;
}

struct load_row domain_load_mean(const struct domain *d)
{
	return d->vcpus[0].load;
}

bool domain_is_one_by_one(const struct domain *d)
{
	return d->config->one_by_one == ONE_BY_ONE_YES;
}

void domain_port(const struct domain *d, struct domain_port *ret)
{
	*ret = (struct domain_port){ .connected = d->attached, .heard_us = d->agent_up ? 1 : 0 };
}

const char *domain_status_name(const struct domain *d)
{
	return d->attached ? "running" : "attaching";
}

const char *domain_state_name(const struct domain *d, int state, char *buf, size_t size)
{
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
	return strcmp(name, "20-log") == 0 ? CPUHP_AP_DYN + 1 : -ENOENT;
}

int domain_submit(struct domain *d, const struct op_request *request, struct op **ret,
		  enum request_error *ret_error, char **ret_text)
{
	struct fake *f = fake_of(d);
	struct op *o;

	f->submitted++;
	f->request = *request;
	if (f->refuse || f->n_ops == sizeof(f->ops) / sizeof(f->ops[0])) {
		*ret_error = f->refuse ? f->error : ERR_BUSY;
		*ret_text = strdup("no");
		return -EINVAL;
	}
	o = calloc(1, sizeof(*o));
	o->refs = 1;
	o->domain = d;
	o->request = *request;
	o->asked = request->count;
	o->accepted_us = now_us() + f->n_ops;
	o->result = OP_ACCEPTED;
	snprintf(o->id, sizeof(o->id), "%s", *request->id ? request->id : "made");
	snprintf(o->domain_name, sizeof(o->domain_name), "%s", d->config->name);
	o->tag = 1 + f->n_ops;
	f->ops[f->n_ops++] = o;
	*ret = op_ref(o);
	return 0;
}

static void admit(struct admission *a, const struct verdict *v)
{
	struct fake *f = fake_of(a->domain);
	struct plan_move move = { .vcpu = 2, .from = 0, .to = CPUHP_ONLINE };
	char refusals[1][OP_TEXT_MAX] = { "too many" };
	struct plan go = { .n_moves = 1, .moves = &move };
	const struct plan no = { .n_refusals = 1, .refusals = refusals, .refused_by = "limit" };
	struct verdict made = { .result = OP_ACCEPTED };
	admission_done_fn done = a->done;
	void *ctx = a->ctx;

	snprintf(go.warning, sizeof(go.warning), "%s", f->warning ? f->warning : "");
	if (a->needs >= ADMISSION_CHANGE) {
		bool many = a->request->count > a->domain->n_vcpus;

		f->request = *a->request;
		made.result = many ? OP_REFUSED : OP_ACCEPTED;
		made.plan = many ? &no : &go;
	}
	admission_drop(a);
	f->admitted++;
	done(ctx, v ? v : &made);
}

void fake_admit(struct fake *f, const struct verdict *v)
{
	admit(f->domain.admissions, v);
}

static int on_look(sd_event_source *s, void *userdata)
{
	struct admission *a = userdata;

	if (!fake_of(a->domain)->hold)
		admit(a, NULL);
	return 0;
}

int admission_start(struct admission *a, struct domain *d, enum admission_needs needs,
		    const struct op_request *request, unsigned int timeout_ms,
		    admission_done_fn done, void *ctx)
{
	*a = (struct admission){
		.domain = d,
		.needs = needs,
		.request = request,
		.done = done,
		.ctx = ctx,
		.next = d->admissions,
	};
	d->admissions = a;
	return sd_event_add_defer(d->manager->event, &a->look, on_look, a);
}

void admission_drop(struct admission *a)
{
	struct admission **at = &a->domain->admissions;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	a->look = sd_event_source_disable_unref(a->look);
}

const char *admission_denier(enum request_error error)
{
	return error == ERR_REFUSED ? "policy" : "guest";
}

int domain_cancel(struct op *o)
{
	if (o->ended)
		return -EALREADY;
	fake_of(o->domain)->cancelled++;
	return 0;
}

int domain_arm_failure(struct domain *d, unsigned int vcpu, int state, hv_done_fn cb, void *arg)
{
	struct fake *f = fake_of(d);

	if (state == CPUHP_STANDBY)
		return -EINVAL;
	f->armed++;
	f->armed_state = state;
	f->arm_done = cb;
	f->arm_arg = arg;
	return 0;
}

struct op *op_ref(struct op *o)
{
	o->refs++;
	return o;
}

struct op *op_unref(struct op *o)
{
	if (o && --o->refs == 0) {
		op_done(o);
		free(o);
	}
	return NULL;
}

bool config_is_name(const char *s)
{
	size_t len = strlen(s);

	return len >= 1 && len <= 64 && !strpbrk(s, "/ \t\n");
}

struct domain_config *domain_config_free(struct domain_config *d)
{
	if (d) {
		free(d->qmp);
		free(d->agent);
		free(d);
	}
	return NULL;
}

void link_get_stats(const struct link *l, struct link_stats *ret)
{
	*ret = (struct link_stats){ 0 };
}

const struct trace_record *trace_ring_at(const struct trace_ring *t, unsigned int i)
{
	return i < t->n ? &t->records[(t->head + i) % TRACE_RECORDS_MAX] : NULL;
}

const char *trace_ring_kname(const struct trace_ring *t, unsigned int step)
{
	return step == 156 ? "smpboot/threads:online" : "";
}
