/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text of the metrics: its grammar over every line, and the values. */
#include "daemon/metrics.h"
#include "fake-domain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct fake));
	assert_non_null(*state);
	fake_init(*state, NULL);
	return 0;
}

static int teardown(void **state)
{
	fake_done(*state);
	free(*state);
	return 0;
}

static void assert_has(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	if (!at || (at > text && at[-1] != '\n') || at[strlen(line)] != '\n')
		fail_msg("no line: %s", line);
}

static char *openmetrics(struct fake *f)
{
	size_t len;
	char *text = metrics_format(&f->manager, METRICS_OPENMETRICS, &len);

	assert_non_null(text);
	assert_int_equal(strlen(text), len);
	return text;
}

static void the_load_is_there_as_far_as_it_is_known(void **state)
{
	struct fake *f = *state;
	struct domain *d = &f->domain;
	char *text = openmetrics(f);

	assert_null(strstr(text, "vcpuhp_guest_pressure_ratio{"));
	free(text);
	d->load = (struct load){ .known = true,
				 .number = 1,
				 .guest = { .avg10 = 4210,
					    .total_us = 123456789,
					    .load1 = 512,
					    .load5 = LOAD_NO_NUMBER,
					    .runnable = 9 } };
	f->vcpus[0].load = (struct load_row){ 1, 875, LOAD_NO_SHARE };
	text = openmetrics(f);
	assert_has(text, "vcpuhp_guest_pressure_ratio{domain=\"web1\"} 0.4210");
	assert_has(text, "vcpuhp_guest_pressure_seconds_total{domain=\"web1\"} 123.456789");
	assert_has(text, "vcpuhp_guest_load_average{domain=\"web1\"} 5.12");
	assert_has(text, "vcpuhp_guest_tasks_runnable{domain=\"web1\"} 9");
	assert_has(text, "vcpuhp_guest_busy_ratio{domain=\"web1\"} 0.875");
	assert_null(strstr(text, "vcpuhp_guest_steal_ratio{"));
	free(text);
	d->load.guest = (struct record_load){ .avg10 = LOAD_NO_SHARE,
					      .total_us = LOAD_NO_TIME,
					      .load1 = LOAD_NO_NUMBER,
					      .runnable = LOAD_NO_NUMBER };
	f->vcpus[0].load.busy = LOAD_NO_SHARE;
	text = openmetrics(f);
	assert_null(strstr(text, "vcpuhp_guest_pressure_ratio{"));
	assert_null(strstr(text, "vcpuhp_guest_tasks_runnable{"));
	assert_null(strstr(text, "vcpuhp_guest_busy_ratio{"));
	free(text);
}

static void counts_what_is_there(void **state)
{
	struct fake *f = *state;
	struct domain *d = &f->domain;
	char *text;

	d->agent_up = true;
	d->counters.operations[OP_DONE] = 7;
	d->counters.denials[ERR_BUSY] = 2;
	d->counters.drift = 3;
	d->counters.guest_refusals = 5;
	f->vcpus[1].pending = VCPU_PENDING_UNPLUG;
	text = openmetrics(f);
	assert_has(text, "vcpuhp_vcpus_maximum{domain=\"web1\"} 4");
	assert_has(text, "vcpuhp_vcpus_present{domain=\"web1\"} 2");
	assert_has(text, "vcpuhp_vcpus_online{domain=\"web1\"} 1");
	assert_has(text, "vcpuhp_vcpus_standby{domain=\"web1\"} 1");
	assert_has(text, "vcpuhp_vcpus_removal_pending{domain=\"web1\"} 1");
	assert_has(text, "vcpuhp_agent_up{domain=\"web1\"} 1");
	assert_has(text, "vcpuhp_operations_total{domain=\"web1\",result=\"done\"} 7");
	assert_has(text, "vcpuhp_requests_denied_total{domain=\"web1\",error=\"Busy\"} 2");
	assert_has(text, "vcpuhp_requests_denied_total{domain=\"web1\",error=\"Conflict\"} 0");
	assert_null(strstr(text, "result=\"conflict\""));
	assert_has(text, "vcpuhp_drift_total{domain=\"web1\"} 3");
	assert_has(text, "vcpuhp_guest_refusals_total{domain=\"web1\"} 5");
	assert_has(text, "vcpuhp_operations_running{domain=\"web1\"} 0");
	assert_has(text, "vcpuhp_build_info{version=\"" VCPUHP_VERSION "\"} 1");
	assert_has(text, "vcpuhp_domains 1");
	assert_null(strstr(text, "accepted"));
	assert_null(strstr(text, "\nvcpuhp_libvirt_up "));
	free(text);
}

#define STEP(suffix, way, more)                                                           \
	"vcpuhp_step_" suffix "{domain=\"web1\",state=\"ap:dyn.20-log\",direction=\"" way \
	"\"" more "} "

/* Each bucket counts what is below it too, and the last all. */
static void histograms_add_up(void **state)
{
	struct fake *f = *state;
	struct domain_counters *c = &f->domain.counters;
	uint64_t times[] = { 900, 1000, 70000, 70000001 };
	char *text;

	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
		counters_step(c, CPUHP_AP_DYN + 1, "20-log", true, &times[i], i == 3);
	counters_step(c, CPUHP_AP_DYN + 1, "20-log", false, &times[2], false);
	c->operations[OP_DONE] = 1;
	histogram_add(&c->operation_time[OP_DONE], 1500001);
	text = openmetrics(f);
	assert_has(text, STEP("seconds_bucket", "up", ",le=\"0.001\"") "2");
	assert_has(text, STEP("seconds_bucket", "up", ",le=\"0.03\"") "2");
	assert_has(text, STEP("seconds_bucket", "up", ",le=\"0.1\"") "3");
	assert_has(text, STEP("seconds_bucket", "up", ",le=\"60.0\"") "3");
	assert_has(text, STEP("seconds_bucket", "up", ",le=\"+Inf\"") "4");
	assert_has(text, STEP("seconds_count", "up", "") "4");
	assert_has(text, STEP("seconds_sum", "up", "") "70.071901");
	assert_has(text, STEP("seconds_sum", "down", "") "0.070000");
	assert_has(text, STEP("failures_total", "up", "") "1");
	assert_has(text, STEP("failures_total", "down", "") "0");
	assert_has(text, "vcpuhp_operation_seconds_sum{domain=\"web1\",result=\"done\"} 1.500001");
	assert_null(strstr(text, "vcpuhp_operation_seconds_sum{domain=\"web1\",result=\"failed\""));
	assert_null(strstr(text, "ap:online"));
	free(text);
}

static void every_slot_is_in_one_state(void **state)
{
	struct fake *f = *state;
	char *text = openmetrics(f);

	assert_has(text, "vcpuhp_vcpus{domain=\"web1\",state=\"offline\"} 2");
	assert_has(text, "vcpuhp_vcpus{domain=\"web1\",state=\"standby\"} 1");
	assert_has(text, "vcpuhp_vcpus{domain=\"web1\",state=\"online\"} 1");
	assert_null(strstr(text, "\"unknown\""));
	free(text);
	f->vcpus[0].state = -1;
	f->vcpus[1].state = CPUHP_AP_DYN + 1;
	f->vcpus[2].state = CPUHP_AP_DYN + 2;
	text = openmetrics(f);
	assert_has(text, "vcpuhp_vcpus{domain=\"web1\",state=\"offline\"} 1");
	assert_has(text, "vcpuhp_vcpus{domain=\"web1\",state=\"standby\"} 0");
	assert_has(text, "vcpuhp_vcpus{domain=\"web1\",state=\"ap:dyn\"} 2");
	assert_has(text, "vcpuhp_vcpus{domain=\"web1\",state=\"unknown\"} 1");
	free(text);
}

static void a_vm_that_is_gone_has_no_slots(void **state)
{
	struct fake *f = *state;
	char *text;

	f->domain.attached = false;
	text = openmetrics(f);
	assert_has(text, "vcpuhp_hypervisor_up{domain=\"web1\"} 0");
	assert_null(strstr(text, "vcpuhp_vcpus_maximum{"));
	assert_null(strstr(text, "vcpuhp_vcpus{"));
	assert_null(strstr(text, "vcpuhp_vcpus_drifting{"));
	assert_null(strstr(text, "vcpuhp_vcpus_removal_pending{"));
	free(text);
}

static void libvirt_is_told_where_it_is_configured(void **state)
{
	struct fake *f = *state;
	char *text;

	f->config.libvirt = true;
	text = openmetrics(f);
	assert_has(text, "vcpuhp_libvirt_up 0");
	free(text);
	f->manager.libvirt_up = true;
	text = openmetrics(f);
	assert_has(text, "vcpuhp_libvirt_up 1");
	free(text);
}

/* A number that nobody knows is no number. */
static void leaves_out_the_unknown(void **state)
{
	struct fake *f = *state;
	char *text;

	f->domain.agent_up = false;
	f->vcpus[0].state = -1;
	text = openmetrics(f);
	assert_has(text, "vcpuhp_vcpus_present{domain=\"web1\"} 2");
	assert_null(strstr(text, "vcpuhp_vcpus_online{"));
	assert_null(strstr(text, "vcpuhp_vcpus_standby{"));
	assert_has(text, "vcpuhp_agent_up{domain=\"web1\"} 0");
	free(text);
	f->domain.n_vcpus = 0;
	text = openmetrics(f);
	assert_null(strstr(text, "vcpuhp_vcpus_maximum{"));
	assert_null(strstr(text, "vcpuhp_vcpus_present{"));
	free(text);
}

static void escapes_labels(void **state)
{
	struct fake *f = *state;
	char *text;

	strcpy(f->domain_configs[0].name, "a\"b\\c\nd");
	text = openmetrics(f);
	assert_has(text, "vcpuhp_agent_up{domain=\"a\\\"b\\\\c\\nd\"} 0");
	free(text);
}

/* Cut off where it is, a label is a label still. */
static void a_label_that_is_too_long_is_cut_off(void **state)
{
	const struct metrics_labels none = { .len = 0 };
	char quotes[METRICS_LABELS_SIZE];

	for (size_t n = 1; n < sizeof(quotes); n++) {
		struct metrics_labels l, more;

		memset(quotes, '"', n);
		quotes[n] = '\0';
		l = metrics_labels_with(&none, "domain", quotes);
		more = metrics_labels_with(&l, "state", quotes);
		assert_int_equal(strlen(l.text), l.len);
		assert_int_equal(strlen(more.text), more.len);
		assert_true(more.len < sizeof(more.text));
		assert_int_equal(l.text[l.len - 1], '"');
		assert_int_equal(more.text[more.len - 1], '"');
		/* An even number of backslashes would leave the last quote open. */
		assert_int_equal((l.len - strlen("domain=\"\"")) % 2, 0);
		assert_memory_equal(more.text, l.text, l.len);
	}
}

/**
 * struct grammar - what a parser of OpenMetrics remembers from line to line
 * @family, @type: of the last TYPE line; @help: its HELP was seen
 * @seen: all families so far, each with a space behind
 */
struct grammar {
	char family[64], type[16], seen[4096];
	bool help, eof;
};

static void check_comment(struct grammar *g, const char *line)
{
	char word[16], family[64], rest[128];

	assert_false(g->eof);
	if (strcmp(line, "# EOF") == 0) {
		g->eof = true;
		return;
	}
	assert_int_equal(sscanf(line, "# %15s %63s %127[^\n]", word, family, rest), 3);
	if (strcmp(word, "TYPE") == 0) {
		char name[80];

		snprintf(name, sizeof(name), "%s ", family);
		assert_null(strstr(g->seen, name));
		snprintf(g->seen + strlen(g->seen), sizeof(g->seen) - strlen(g->seen), "%s", name);
		snprintf(g->family, sizeof(g->family), "%s", family);
		snprintf(g->type, sizeof(g->type), "%.15s", rest);
		g->help = false;
		return;
	}
	assert_string_equal(family, g->family);
	if (strcmp(word, "UNIT") == 0) {
		size_t len = strlen(family), unit = strlen(rest);

		assert_true(len > unit && family[len - unit - 1] == '_');
		assert_string_equal(family + len - unit, rest);
		return;
	}
	assert_string_equal(word, "HELP");
	g->help = true;
}

static bool suffix_fits(const char *type, const char *suffix)
{
	if (strcmp(type, "gauge") == 0)
		return strcmp(suffix, "") == 0;
	if (strcmp(type, "counter") == 0)
		return strcmp(suffix, "_total") == 0;
	return strcmp(type, "histogram") == 0 &&
	       (strcmp(suffix, "_sum") == 0 || strcmp(suffix, "_count") == 0 ||
		strcmp(suffix, "_bucket") == 0);
}

static void check_sample(struct grammar *g, const char *line)
{
	const char *brace = line + strcspn(line, "{ "), *value = strrchr(line, ' ');
	char name[96];
	char *end;

	assert_false(g->eof);
	assert_true(g->help);
	if (!value) {
		fail_msg("no sample: %s", line);
		return;
	}
	assert_true(value == brace || value[-1] == '}');
	snprintf(name, sizeof(name), "%.*s", (int)(brace - line), line);
	assert_memory_equal(name, g->family, strlen(g->family));
	assert_true(suffix_fits(g->type, name + strlen(g->family)));
	for (const char *p = name; *p; p++)
		assert_true(islower((unsigned char)*p) || *p == '_');
	assert_true(strtod(value + 1, &end) >= 0);
	assert_int_equal(*end, '\0');
}

static void every_line_is_openmetrics(void **state)
{
	struct fake *f = *state;
	struct grammar g = { 0 };
	char *text, *save = NULL;
	uint64_t us = 1;
	size_t len;

	for (int i = 0; i < CPUHP_STATES; i++)
		counters_step(&f->domain.counters, i, "20-log", true, &us, false);
	for (int i = 0; i < OP_RESULTS; i++)
		f->domain.counters.operations[i] = 1;
	f->domain.agent_up = true;
	f->config.libvirt = true;
	text = openmetrics(f);
	len = strlen(text);
	assert_true(len > 6 && strcmp(text + len - 6, "# EOF\n") == 0);
	assert_null(strstr(text, "\n\n"));
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (*line == '#')
			check_comment(&g, line);
		else
			check_sample(&g, line);
	assert_true(g.eof);
	free(text);
}

/* The same samples; what stands around them is what its parsers know. */
static void the_older_format_has_the_same_samples(void **state)
{
	struct fake *f = *state;
	char *text = openmetrics(f);
	char *older = metrics_format(&f->manager, METRICS_PROMETHEUS, NULL);
	char *save_text = NULL, *save_older = NULL, *a, *b;

	assert_has(text, "# TYPE vcpuhp_operations counter");
	assert_has(text, "# UNIT vcpuhp_step_seconds seconds");
	assert_has(older, "# TYPE vcpuhp_operations_total counter");
	assert_has(older, "# HELP vcpuhp_operations_total Operations ended, by result.");
	assert_null(strstr(older, "# UNIT"));
	assert_null(strstr(older, "# EOF"));
	a = strtok_r(text, "\n", &save_text);
	b = strtok_r(older, "\n", &save_older);
	while (a || b) {
		if (a && *a == '#') {
			a = strtok_r(NULL, "\n", &save_text);
		} else if (b && *b == '#') {
			b = strtok_r(NULL, "\n", &save_older);
		} else {
			assert_string_equal(a ? a : "nothing", b ? b : "nothing");
			a = strtok_r(NULL, "\n", &save_text);
			b = strtok_r(NULL, "\n", &save_older);
		}
	}
	free(text);
	free(older);
}

static void the_table_is_complete(void **state)
{
	const struct metrics_family *m;
	size_t n = 0;

	for (; (m = metrics_family_at(n)); n++) {
		size_t len = strlen(m->name);

		assert_int_equal(strncmp(m->name, "vcpuhp_", 7), 0);
		assert_true(strlen(m->help) > 10 && m->help[strlen(m->help) - 1] != '.');
		assert_true(len < 64);
		assert_true(len < 6 || strcmp(m->name + len - 6, "_total") != 0);
		/* A name ends with the unit, as promtool has it. */
		assert_true(m->unit || m->kind != METRICS_HISTOGRAM);
		assert_true(!m->unit || (len > strlen(m->unit) &&
					 strcmp(m->name + len - strlen(m->unit), m->unit) == 0));
	}
	assert_true(n > 20);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_load_is_there_as_far_as_it_is_known),
		CASE(counts_what_is_there),
		CASE(leaves_out_the_unknown),
		CASE(escapes_labels),
		CASE(histograms_add_up),
		CASE(every_slot_is_in_one_state),
		CASE(a_vm_that_is_gone_has_no_slots),
		CASE(libvirt_is_told_where_it_is_configured),
		CASE(a_label_that_is_too_long_is_cut_off),
		CASE(every_line_is_openmetrics),
		CASE(the_older_format_has_the_same_samples),
		CASE(the_table_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
