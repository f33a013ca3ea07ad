/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/metrics.h"

#include "daemon/metrics-load.h"
#include "daemon/metrics-ops.h"
#include <stdlib.h>

/*
 * Theory of operation
 *
 * One row of the table is one metric family; for each the samples of all domains follow its
 * header, as OpenMetrics demands (families may not be interleaved). A function writes the samples
 * of one domain, or of the whole daemon. Results that never happened are still counted with 0, so
 * that a first one is seen as an increase; of the states, both ways, only those are there that ever
 * occurred, as each is fourteen lines. A gauge that is unknown is left out.
 *
 * No label comes from a guest but the names of callbacks, of which counters.c bounds the number.
 */

typedef void (*domain_fn)(struct metrics_text *t, const struct metrics_labels *l,
			  const struct domain *d);
typedef void (*daemon_fn)(struct metrics_text *t, const struct manager *m);

/* Of each domain, or (@whole) once. */
struct row {
	struct metrics_family family;
	domain_fn samples;
	daemon_fn whole;
};

static const struct metrics_labels no_labels;

static void put_build(struct metrics_text *t, const struct manager *m)
{
	struct metrics_labels l = metrics_labels_with(&no_labels, "version", VCPUHP_VERSION);

	metrics_put(t, &l, 1);
}

static void put_domains(struct metrics_text *t, const struct manager *m)
{
	metrics_put(t, &no_labels, m->n_domains);
}

static void put_libvirt(struct metrics_text *t, const struct manager *m)
{
	if (m->config->libvirt)
		metrics_put(t, &no_labels, m->libvirt_up);
}

static void put_known(struct metrics_text *t, const struct metrics_labels *l, int n)
{
	if (n >= 0)
		metrics_put(t, l, (uint64_t)n);
}

static void put_maximum(struct metrics_text *t, const struct metrics_labels *l,
			const struct domain *d)
{
	put_known(t, l, domain_counts(d).maximum);
}

static void put_present(struct metrics_text *t, const struct metrics_labels *l,
			const struct domain *d)
{
	put_known(t, l, domain_counts(d).present);
}

static void put_online(struct metrics_text *t, const struct metrics_labels *l,
		       const struct domain *d)
{
	put_known(t, l, domain_counts(d).online);
}

static void put_standby(struct metrics_text *t, const struct metrics_labels *l,
			const struct domain *d)
{
	put_known(t, l, domain_counts(d).standby);
}

/* Of a VM that is gone the slots are remembered, and are no one's. */
static bool has_slots(const struct domain *d)
{
	return domain_counts(d).maximum >= 0;
}

/* The three to rest in always, so that there is a 0 to compare with; callbacks are one state here. */
static void put_states(struct metrics_text *t, const struct metrics_labels *domain,
		       const struct domain *d)
{
	unsigned int n[CPUHP_STATES] = { 0 }, unknown = 0;

	if (!has_slots(d))
		return;
	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		int state = d->vcpus[i].state;

		if (state < 0 || state >= CPUHP_STATES)
			unknown++;
		else
			n[ladder_is_dyn(state) ? CPUHP_AP_DYN : state]++;
	}
	for (int state = 0; state < CPUHP_STATES; state++) {
		bool rests =
			state == CPUHP_OFFLINE || state == CPUHP_STANDBY || state == CPUHP_ONLINE;
		struct metrics_labels l;

		if (!rests && n[state] == 0)
			continue;
		l = metrics_labels_with(domain, "state", ladder_name(state));
		metrics_put(t, &l, n[state]);
	}
	if (unknown) {
		struct metrics_labels l = metrics_labels_with(domain, "state", "unknown");

		metrics_put(t, &l, unknown);
	}
}

static void put_drifting(struct metrics_text *t, const struct metrics_labels *l,
			 const struct domain *d)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < d->n_vcpus; i++)
		n += d->vcpus[i].drift[0] != '\0';
	if (has_slots(d))
		metrics_put(t, l, n);
}

static void put_pending(struct metrics_text *t, const struct metrics_labels *l,
			const struct domain *d)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < d->n_vcpus; i++)
		n += d->vcpus[i].pending == VCPU_PENDING_UNPLUG;
	if (has_slots(d))
		metrics_put(t, l, n);
}

static void put_attached(struct metrics_text *t, const struct metrics_labels *l,
			 const struct domain *d)
{
	metrics_put(t, l, d->attached);
}

static void put_agent(struct metrics_text *t, const struct metrics_labels *l,
		      const struct domain *d)
{
	metrics_put(t, l, d->agent_up);
}

static void put_running(struct metrics_text *t, const struct metrics_labels *l,
			const struct domain *d)
{
	metrics_put(t, l, d->running != NULL);
}

static void put_queued(struct metrics_text *t, const struct metrics_labels *l,
		       const struct domain *d)
{
	metrics_put(t, l, d->n_queued);
}

static void put_drift(struct metrics_text *t, const struct metrics_labels *l,
		      const struct domain *d)
{
	metrics_put(t, l, d->counters.drift);
}

static void put_refusals(struct metrics_text *t, const struct metrics_labels *l,
			 const struct domain *d)
{
	metrics_put(t, l, d->counters.guest_refusals);
}

static void put_connects(struct metrics_text *t, const struct metrics_labels *l,
			 const struct domain *d)
{
	metrics_put(t, l, d->counters.agent_connects);
}

static struct link_stats stats_of(const struct domain *d)
{
	struct link_stats s = { 0 };

	if (d->link)
		link_get_stats(d->link, &s);
	return s;
}

static void put_throttled(struct metrics_text *t, const struct metrics_labels *l,
			  const struct domain *d)
{
	metrics_put(t, l, stats_of(d).throttled);
}

static void put_dropped(struct metrics_text *t, const struct metrics_labels *l,
			const struct domain *d)
{
	metrics_put(t, l, stats_of(d).frames_dropped);
}

static void put_received(struct metrics_text *t, const struct metrics_labels *l,
			 const struct domain *d)
{
	metrics_put(t, l, stats_of(d).frames_in);
}

static const struct row rows[] = {
	/* No "info", which is a type to OpenMetrics alone. */
	{ { "vcpuhp_build_info", METRICS_GAUGE, NULL, "The running daemon, by version" },
	  .whole = put_build },
	{ { "vcpuhp_domains", METRICS_GAUGE, NULL, "Domains that are managed" },
	  .whole = put_domains },
	{ { "vcpuhp_libvirt_up", METRICS_GAUGE, NULL,
	    "Whether libvirtd is connected, where [Libvirt] is configured" },
	  .whole = put_libvirt },
	{ { "vcpuhp_hypervisor_up", METRICS_GAUGE, NULL, "Whether QEMU answers" }, put_attached },
	{ { "vcpuhp_agent_up", METRICS_GAUGE, NULL, "Whether an agent session is established" },
	  put_agent },
	{ { "vcpuhp_vcpus", METRICS_GAUGE, NULL,
	    "vCPU slots by the state of the ladder that they are in" },
	  put_states },
	{ { "vcpuhp_vcpus_maximum", METRICS_GAUGE, NULL, "vCPU slots of the machine" },
	  put_maximum },
	{ { "vcpuhp_vcpus_present", METRICS_GAUGE, NULL, "vCPUs that QEMU has" }, put_present },
	{ { "vcpuhp_vcpus_online", METRICS_GAUGE, NULL, "vCPUs in service" }, put_online },
	{ { "vcpuhp_vcpus_standby", METRICS_GAUGE, NULL, "vCPUs plugged and parked" },
	  put_standby },
	{ { "vcpuhp_vcpus_drifting", METRICS_GAUGE, NULL, "vCPUs not as they were asked to be" },
	  put_drifting },
	{ { "vcpuhp_vcpus_removal_pending", METRICS_GAUGE, NULL,
	    "vCPUs whose removal was sent and not confirmed" },
	  put_pending },
	{ { "vcpuhp_operations_running", METRICS_GAUGE, NULL, "Operations under way" },
	  put_running },
	{ { "vcpuhp_operations_queued", METRICS_GAUGE, NULL,
	    "Operations waiting for the running one" },
	  put_queued },
	{ { "vcpuhp_operations", METRICS_COUNTER, NULL, "Operations ended, by result" },
	  metrics_put_operations },
	{ { "vcpuhp_requests_denied", METRICS_COUNTER, NULL,
	    "Requests that no operation came of, by error" },
	  metrics_put_denials },
	{ { "vcpuhp_operation_seconds", METRICS_HISTOGRAM, "seconds",
	    "Time of whole operations from their acceptance to their end, by result" },
	  metrics_put_operation_time },
	{ { "vcpuhp_step_seconds", METRICS_HISTOGRAM, "seconds",
	    "Time in each state of the ladder, up and down" },
	  metrics_put_steps },
	{ { "vcpuhp_step_failures", METRICS_COUNTER, NULL, "Steps that failed, by state" },
	  metrics_put_failures },
	{ { "vcpuhp_drift", METRICS_COUNTER, NULL, "Times a vCPU was found other than asked" },
	  put_drift },
	{ { "vcpuhp_guest_refusals", METRICS_COUNTER, NULL, "Operations that the guest refused" },
	  put_refusals },
	{ { "vcpuhp_agent_connects", METRICS_COUNTER, NULL, "Agent sessions established" },
	  put_connects },
	{ { "vcpuhp_frames_received", METRICS_COUNTER, NULL, "Frames taken from the guest" },
	  put_received },
	{ { "vcpuhp_frames_dropped", METRICS_COUNTER, NULL, "Frames of the guest not used" },
	  put_dropped },
	{ { "vcpuhp_throttled", METRICS_COUNTER, NULL,
	    "Times the guest's frames were made to wait" },
	  put_throttled },
	{ { "vcpuhp_guest_pressure_ratio", METRICS_GAUGE, "ratio",
	    "Share of the last 10 s in which tasks of the guest waited for a CPU" },
	  metrics_put_pressure },
	{ { "vcpuhp_guest_pressure_seconds", METRICS_COUNTER, "seconds",
	    "Time in which tasks of the guest waited for a CPU, since it booted" },
	  metrics_put_pressure_time },
	{ { "vcpuhp_guest_load_average", METRICS_GAUGE, NULL,
	    "Load average of the guest, of 1 min" },
	  metrics_put_average },
	{ { "vcpuhp_guest_tasks_runnable", METRICS_GAUGE, NULL,
	    "Tasks of the guest that run or want to" },
	  metrics_put_runnable },
	{ { "vcpuhp_guest_busy_ratio", METRICS_GAUGE, "ratio",
	    "Share of the time in which the guest's CPUs ran something, their mean" },
	  metrics_put_busy },
	{ { "vcpuhp_guest_steal_ratio", METRICS_GAUGE, "ratio",
	    "Share of the time in which they wanted to run and the host ran another" },
	  metrics_put_steal },
};

enum { N_ROWS = sizeof(rows) / sizeof(*rows) };

const struct metrics_family *metrics_family_at(size_t i)
{
	return i < N_ROWS ? &rows[i].family : NULL;
}

static void put_row(struct metrics_text *t, const struct row *row, const struct manager *m)
{
	metrics_begin(t, &row->family);
	if (row->whole)
		row->whole(t, m);
	for (unsigned int i = 0; row->samples && i < m->n_domains; i++) {
		const struct domain *d = m->domains[i];
		struct metrics_labels l =
			metrics_labels_with(&no_labels, "domain", d->config->name);

		row->samples(t, &l, d);
	}
}

char *metrics_format(const struct manager *m, enum metrics_format format, size_t *ret_len)
{
	char *text = NULL;
	size_t size;
	struct metrics_text t = { .f = open_memstream(&text, &size), .format = format };
	bool failed;

	if (!t.f)
		return NULL;
	for (size_t i = 0; i < N_ROWS; i++)
		put_row(&t, &rows[i], m);
	metrics_end(&t);
	failed = ferror(t.f);
	if (fclose(t.f) != 0 || failed) {
		free(text);
		return NULL;
	}
	if (ret_len)
		*ret_len = size;
	return text;
}
