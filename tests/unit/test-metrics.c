/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* OpenMetrics text: its grammar over every line, and the values. */
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

static void counts_what_is_there(void **state)
{
	struct fake *f = *state;
	struct domain *d = &f->domain;
	char *text;

	d->agent_up = true;
	d->counters.operations[OP_DONE] = 7;
	d->counters.drift = 3;
	d->counters.guest_refusals = 5;
	d->counters.step_count[CPUHP_AP_DYN + 1] = 2;
	d->counters.step_us[CPUHP_AP_DYN + 1] = 1500001;
	d->counters.step_failures[CPUHP_AP_DYN + 1] = 1;
	f->vcpus[1].pending = VCPU_PENDING_UNPLUG;
	text = metrics_format(&f->manager);
	assert_non_null(text);
	assert_has(text, "vcpuhp_vcpus_maximum{domain=\"web1\"} 4");
	assert_has(text, "vcpuhp_vcpus_present{domain=\"web1\"} 2");
	assert_has(text, "vcpuhp_vcpus_online{domain=\"web1\"} 1");
	assert_has(text, "vcpuhp_vcpus_standby{domain=\"web1\"} 1");
	assert_has(text, "vcpuhp_vcpus_removal_pending{domain=\"web1\"} 1");
	assert_has(text, "vcpuhp_agent_up{domain=\"web1\"} 1");
	assert_has(text, "vcpuhp_operations_total{domain=\"web1\",result=\"done\"} 7");
	assert_has(text, "vcpuhp_drift_total{domain=\"web1\"} 3");
	assert_has(text, "vcpuhp_guest_refusals_total{domain=\"web1\"} 5");
	assert_has(text,
		   "vcpuhp_step_seconds_sum{domain=\"web1\",state=\"ap:dyn.20-log\"} 1.500001");
	assert_has(text, "vcpuhp_step_seconds_count{domain=\"web1\",state=\"ap:dyn.20-log\"} 2");
	assert_has(text, "vcpuhp_step_failures_total{domain=\"web1\",state=\"ap:dyn.20-log\"} 1");
	assert_null(strstr(text, "accepted"));
	free(text);
}

/* A number that nobody knows is no number. */
static void leaves_out_the_unknown(void **state)
{
	struct fake *f = *state;
	char *text;

	f->domain.agent_up = false;
	f->vcpus[0].state = -1;
	text = metrics_format(&f->manager);
	assert_has(text, "vcpuhp_vcpus_present{domain=\"web1\"} 2");
	assert_null(strstr(text, "vcpuhp_vcpus_online{"));
	assert_null(strstr(text, "vcpuhp_vcpus_standby{"));
	assert_has(text, "vcpuhp_agent_up{domain=\"web1\"} 0");
	free(text);
	f->domain.n_vcpus = 0;
	text = metrics_format(&f->manager);
	assert_null(strstr(text, "vcpuhp_vcpus_maximum{"));
	assert_null(strstr(text, "vcpuhp_vcpus_present{"));
	free(text);
}

static void escapes_labels(void **state)
{
	struct fake *f = *state;
	char *text;

	strcpy(f->domain.dyn_names[1], "20-a\"b\\c\nd");
	f->domain.counters.step_count[CPUHP_AP_DYN + 1] = 1;
	text = metrics_format(&f->manager);
	assert_has(text, "vcpuhp_step_seconds_count{domain=\"web1\","
			 "state=\"ap:dyn.20-a\\\"b\\\\c\\nd\"} 1");
	free(text);
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
	if (strcmp(type, "info") == 0)
		return strcmp(suffix, "_info") == 0;
	return strcmp(type, "summary") == 0 &&
	       (strcmp(suffix, "_sum") == 0 || strcmp(suffix, "_count") == 0);
}

static void check_sample(struct grammar *g, const char *line)
{
	const char *brace = strchr(line, '{'), *value = strrchr(line, ' ');
	char name[96];
	char *end;

	assert_false(g->eof);
	assert_true(g->help);
	if (!brace || !value) {
		fail_msg("no sample: %s", line);
		return;
	}
	assert_true(value > brace && value[-1] == '}');
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
	size_t len;

	for (int i = 0; i < CPUHP_STATES; i++)
		f->domain.counters.step_count[i] = 1;
	f->domain.agent_up = true;
	text = metrics_format(&f->manager);
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

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(counts_what_is_there),
		CASE(leaves_out_the_unknown),
		CASE(escapes_labels),
		CASE(every_line_is_openmetrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
