/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Theory of operation
 *
 * One row of the table is one metric family; for each the samples of all domains follow its
 * header, as OpenMetrics demands (families may not be interleaved). A function writes the samples
 * of one domain. States without a step taken and results that never happened are still written for
 * results (eleven or so) and left out for states (45 of them). A gauge that is unknown is left out.
 */

typedef void (*samples_fn)(FILE *f, const char *family, const struct domain *d);

/* @type: "gauge", "counter" or "summary"; @unit: NULL none, else the end of @name */
struct family {
	const char *name, *type, *unit, *help;
	samples_fn samples;
};

/* A label value: backslash, quote and newline escaped. */
static void put_value(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", f);
		else if (*text == '\\' || *text == '"')
			fprintf(f, "\\%c", *text);
		else
			fputc(*text, f);
	}
}

/* NAME{domain="...",KEY="..."}, with KEY where it is not NULL. */
static void put_series(FILE *f, const char *family, const char *suffix, const struct domain *d,
		       const char *key, const char *value)
{
	fprintf(f, "%s%s{domain=\"", family, suffix);
	put_value(f, d->config->name);
	if (key) {
		fprintf(f, "\",%s=\"", key);
		put_value(f, value);
	}
	fputs("\"} ", f);
}

static void put_count(FILE *f, const char *family, const char *suffix, const struct domain *d,
		      uint64_t n)
{
	put_series(f, family, suffix, d, NULL, NULL);
	fprintf(f, "%" PRIu64 "\n", n);
}

static void put_known(FILE *f, const char *family, const struct domain *d, int n)
{
	if (n >= 0)
		put_count(f, family, "", d, (uint64_t)n);
}

static void put_maximum(FILE *f, const char *family, const struct domain *d)
{
	put_known(f, family, d, domain_counts(d).maximum);
}

static void put_present(FILE *f, const char *family, const struct domain *d)
{
	put_known(f, family, d, domain_counts(d).present);
}

static void put_online(FILE *f, const char *family, const struct domain *d)
{
	put_known(f, family, d, domain_counts(d).online);
}

static void put_standby(FILE *f, const char *family, const struct domain *d)
{
	put_known(f, family, d, domain_counts(d).standby);
}

static void put_drifting(FILE *f, const char *family, const struct domain *d)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < d->n_vcpus; i++)
		n += d->vcpus[i].drift[0] != '\0';
	put_count(f, family, "", d, n);
}

static void put_pending(FILE *f, const char *family, const struct domain *d)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < d->n_vcpus; i++)
		n += d->vcpus[i].pending == VCPU_PENDING_UNPLUG;
	put_count(f, family, "", d, n);
}

static void put_attached(FILE *f, const char *family, const struct domain *d)
{
	put_count(f, family, "", d, d->attached);
}

static void put_agent(FILE *f, const char *family, const struct domain *d)
{
	put_count(f, family, "", d, d->agent_up);
}

static void put_queued(FILE *f, const char *family, const struct domain *d)
{
	put_count(f, family, "", d, d->n_queued);
}

static void put_operations(FILE *f, const char *family, const struct domain *d)
{
	for (int r = 0; r < OP_RESULTS; r++) {
		if (r == OP_ACCEPTED)
			continue; /* no end of an operation */
		put_series(f, family, "_total", d, "result", op_result_name((enum op_result)r));
		fprintf(f, "%" PRIu64 "\n", d->counters.operations[r]);
	}
}

static void put_drift(FILE *f, const char *family, const struct domain *d)
{
	put_count(f, family, "_total", d, d->counters.drift);
}

static void put_refusals(FILE *f, const char *family, const struct domain *d)
{
	put_count(f, family, "_total", d, d->counters.guest_refusals);
}

static void put_connects(FILE *f, const char *family, const struct domain *d)
{
	put_count(f, family, "_total", d, d->counters.agent_connects);
}

static struct link_stats stats_of(const struct domain *d)
{
	struct link_stats s = { 0 };

	if (d->link)
		link_get_stats(d->link, &s);
	return s;
}

static void put_throttled(FILE *f, const char *family, const struct domain *d)
{
	put_count(f, family, "_total", d, stats_of(d).throttled);
}

static void put_dropped(FILE *f, const char *family, const struct domain *d)
{
	put_count(f, family, "_total", d, stats_of(d).frames_dropped);
}

static void put_received(FILE *f, const char *family, const struct domain *d)
{
	put_count(f, family, "_total", d, stats_of(d).frames_in);
}

static void put_steps(FILE *f, const char *family, const struct domain *d)
{
	const struct domain_counters *c = &d->counters;

	for (int state = 0; state < CPUHP_STATES; state++) {
		char name[MSG_NAME_MAX + 16];
		const char *text = domain_state_name(d, state, name, sizeof(name));

		if (c->step_count[state] == 0)
			continue;
		put_series(f, family, "_sum", d, "state", text);
		fprintf(f, "%" PRIu64 ".%06" PRIu64 "\n", c->step_us[state] / 1000000,
			c->step_us[state] % 1000000);
		put_series(f, family, "_count", d, "state", text);
		fprintf(f, "%" PRIu64 "\n", c->step_count[state]);
	}
}

static void put_failures(FILE *f, const char *family, const struct domain *d)
{
	for (int state = 0; state < CPUHP_STATES; state++) {
		char name[MSG_NAME_MAX + 16];

		if (d->counters.step_count[state] == 0 && d->counters.step_failures[state] == 0)
			continue;
		put_series(f, family, "_total", d, "state",
			   domain_state_name(d, state, name, sizeof(name)));
		fprintf(f, "%" PRIu64 "\n", d->counters.step_failures[state]);
	}
}

static const struct family families[] = {
	{ "vcpuhp_attached", "gauge", NULL, "Whether QEMU answers", put_attached },
	{ "vcpuhp_agent_up", "gauge", NULL, "Whether an agent session is established", put_agent },
	{ "vcpuhp_vcpus_maximum", "gauge", NULL, "vCPU slots of the machine", put_maximum },
	{ "vcpuhp_vcpus_present", "gauge", NULL, "vCPUs that QEMU has", put_present },
	{ "vcpuhp_vcpus_online", "gauge", NULL, "vCPUs in service", put_online },
	{ "vcpuhp_vcpus_standby", "gauge", NULL, "vCPUs plugged and parked", put_standby },
	{ "vcpuhp_vcpus_drifting", "gauge", NULL, "vCPUs not as they were asked to be",
	  put_drifting },
	{ "vcpuhp_vcpus_removal_pending", "gauge", NULL,
	  "vCPUs whose removal was sent and not confirmed", put_pending },
	{ "vcpuhp_operations_queued", "gauge", NULL, "Operations waiting for the running one",
	  put_queued },
	{ "vcpuhp_operations", "counter", NULL, "Operations ended, by result", put_operations },
	{ "vcpuhp_drift", "counter", NULL, "Times a vCPU was found other than asked", put_drift },
	{ "vcpuhp_guest_refusals", "counter", NULL, "Operations that the guest refused",
	  put_refusals },
	{ "vcpuhp_agent_connects", "counter", NULL, "Agent sessions established", put_connects },
	{ "vcpuhp_frames_received", "counter", NULL, "Frames taken from the guest", put_received },
	{ "vcpuhp_frames_dropped", "counter", NULL, "Frames of the guest not used", put_dropped },
	{ "vcpuhp_throttled", "counter", NULL, "Times the guest's frames were made to wait",
	  put_throttled },
	{ "vcpuhp_step_seconds", "summary", "seconds", "Time in each step of the ladder",
	  put_steps },
	{ "vcpuhp_step_failures", "counter", NULL, "Steps that failed, by state", put_failures },
};

static void put_family(FILE *f, const struct family *m, const struct manager *manager)
{
	fprintf(f, "# TYPE %s %s\n", m->name, m->type);
	if (m->unit)
		fprintf(f, "# UNIT %s %s\n", m->name, m->unit);
	fprintf(f, "# HELP %s %s.\n", m->name, m->help);
	for (unsigned int i = 0; i < manager->n_domains; i++)
		m->samples(f, m->name, manager->domains[i]);
}

char *metrics_format(const struct manager *m)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	bool failed;

	if (!f)
		return NULL;
	fprintf(f,
		"# TYPE vcpuhp_build info\n# HELP vcpuhp_build The running daemon.\n"
		"vcpuhp_build_info{version=\"%s\"} 1\n",
		VCPUHP_VERSION);
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		put_family(f, &families[i], m);
	fputs("# EOF\n", f);
	failed = ferror(f);
	if (fclose(f) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}
