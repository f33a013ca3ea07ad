/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * An operation's result for people: a line of what became of it, then a line for each vCPU that did
 * not get where it was asked to (or, for `op`, a table of all), and its error on stderr. As JSON
 * the daemon's object is handed on as it is. A number that is null there is "-": nobody knows it.
 */
#include "daemon/ctl/result.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/step.h"
#include "daemon/ctl/value.h"
#include "daemon/json-in.h"
#include <inttypes.h>
#include <string.h>

enum { MAXIMUM_TIMEOUT_MS = 1000 };

int result_exit(const struct ctl *c, json_object *result)
{
	int r = op_result_find(value_string(result, "result", NULL));

	if (r < 0)
		return ctl_bad_reply(c, "an operation without a known result");
	return (int)op_result_exit((enum op_result)r);
}

/* How many vCPUs the domain can have, or -1: a result does not tell. */
static int64_t ask_maximum(struct ctl *c, const char *domain)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };

	if (ctl_ask_quietly(c, "GetDomain", ctl_parameters("domain", domain), MAXIMUM_TIMEOUT_MS,
			    &reply) < 0)
		return -1;
	return value_int(value_object(reply.parameters, "info"), "maximum", -1);
}

/* The counts of the domain; one that is not managed, as a shut off one, has none. */
static void print_counts(struct ctl *c, json_object *result)
{
	char online[CELL_MAX], standby[CELL_MAX], present[CELL_MAX];
	int64_t maximum = ask_maximum(c, value_string(result, "domain", ""));

	printf(": %s online, %s standby, %s present",
	       output_cell(value_get(result, "online"), online, sizeof(online)),
	       output_cell(value_get(result, "standby"), standby, sizeof(standby)),
	       output_cell(value_get(result, "present"), present, sizeof(present)));
	if (maximum >= 0)
		printf(" of %" PRId64, maximum);
}

/* Of what was done, and of what was left out where that is to be known. */
static void print_config(json_object *config, bool alone)
{
	char present[CELL_MAX], maximum[CELL_MAX], word[CELL_MAX];
	const char *became = value_string(config, "result", "?");

	printf("%s persistent configuration ", alone ? ":" : ";");
	if (strcmp(became, "done") != 0)
		printf("%s", strcmp(became, "skipped") == 0
				     ? "not changed"
				     : output_clean(became, word, sizeof(word)));
	else
		printf("%s of %s",
		       output_cell(value_get(config, "present"), present, sizeof(present)),
		       output_cell(value_get(config, "maximum"), maximum, sizeof(maximum)));
}

static void print_summary(struct ctl *c, json_object *result)
{
	json_object *config = value_object(result, "config");
	bool alone = config && !value_get(result, "op");
	char domain[CELL_MAX], word[CELL_MAX], by[CELL_MAX];
	const char *refused_by = value_string(result, "refused_by", NULL);

	printf("%s: %s", output_clean(value_string(result, "domain", "?"), domain, sizeof(domain)),
	       output_clean(value_string(result, "result", "?"), word, sizeof(word)));
	if (refused_by)
		printf(" by %s", output_clean(refused_by, by, sizeof(by)));
	if (!alone)
		print_counts(c, result);
	if (config)
		print_config(config, alone);
	putchar('\n');
}

static void print_rollback(json_object *rollback)
{
	char at[CELL_MAX], rc[64];

	printf("; the rollback failed at %s: %s",
	       output_cell(value_get(rollback, "failed_at"), at, sizeof(at)),
	       step_format_rc((int)value_int(rollback, "rc", 0), rc, sizeof(rc)));
}

/* What went wrong; a sentence names the state by itself. */
static void print_reason(json_object *vcpu)
{
	const char *failed_at = value_string(vcpu, "failed_at", NULL);
	const char *error = value_string(vcpu, "error", NULL);
	int rc = (int)value_int(vcpu, "rc", 0);
	char buf[CELL_MAX];

	if (error) {
		printf(": %s", output_clean(step_skip_vcpu(error), buf, sizeof(buf)));
		return;
	}
	if (failed_at)
		printf(" at %s", output_clean(failed_at, buf, sizeof(buf)));
	if (rc)
		printf(": %s", step_format_rc(rc, buf, sizeof(buf)));
}

static void print_vcpu(json_object *vcpu)
{
	char buf[CELL_MAX];
	json_object *rollback = value_object(vcpu, "rollback");
	int64_t cpu = value_int(vcpu, "cpu", -1);

	printf("vcpu %" PRId64, value_int(vcpu, "vcpu", -1));
	if (cpu >= 0)
		printf(" (cpu%" PRId64 ")", cpu);
	printf(": %s", output_clean(value_string(vcpu, "result", "?"), buf, sizeof(buf)));
	print_reason(vcpu);
	if (rollback)
		print_rollback(rollback);
	printf("; now %s\n", output_clean(value_string(vcpu, "name", "unknown"), buf, sizeof(buf)));
}

static void print_error(json_object *result)
{
	const char *error = value_string(result, "error", NULL);
	char buf[CELL_MAX];

	if (!error || !*error)
		return;
	fflush(stdout);
	fprintf(stderr, "vcpuhpctl: %s\n", output_clean(error, buf, sizeof(buf)));
}

static void print_warnings(json_object *o)
{
	json_object *warnings = value_array(o, "warnings");
	char buf[CELL_MAX];

	fflush(stdout);
	for (size_t i = 0; i < value_count(warnings); i++)
		fprintf(stderr, "vcpuhpctl: warning: %s\n",
			output_cell(value_at(warnings, i), buf, sizeof(buf)));
}

void result_print(struct ctl *c, json_object *result)
{
	json_object *vcpus = value_array(result, "vcpus");

	if (c->command->json) {
		output_json(stdout, result);
		return;
	}
	print_summary(c, result);
	for (size_t i = 0; i < value_count(vcpus); i++)
		if (strcmp(value_string(value_at(vcpus, i), "result", "?"), "ok") != 0)
			print_vcpu(value_at(vcpus, i));
	print_warnings(result);
	print_error(result);
}

static double sum_ms(json_object *ms)
{
	double sum = 0;

	if (!ms)
		return 0;
	json_object_object_foreach(ms, key, value)
	{
		(void)value;
		sum += value_number(ms, key, 0);
	}
	return sum;
}

void result_print_all(struct ctl *c, json_object *result)
{
	static const char *const headers[] = { "VCPU",      "CPU",    "STATE", "NAME", "RESULT",
					       "FAILED-AT", "RAN-ON", "TIME",  "ERROR" };
	json_object *vcpus = value_array(result, "vcpus");
	_cleanup_table_ struct table *t = NULL;
	char time[32];

	if (c->command->json) {
		output_json(stdout, result);
		return;
	}
	print_summary(c, result);
	t = value_count(vcpus) ? table_new(9, headers) : NULL;
	for (size_t i = 0; i < value_count(vcpus); i++) {
		json_object *v = value_at(vcpus, i);

		table_add_value(t, v, "vcpu");
		table_add_value(t, v, "cpu");
		table_add_value(t, v, "state");
		table_add_value(t, v, "name");
		table_add_value(t, v, "result");
		table_add_value(t, v, "failed_at");
		table_add_value(t, v, "ran_on");
		table_add(t, step_format_ms(sum_ms(value_object(v, "ms")), time, sizeof(time)));
		table_add_value(t, v, "error");
	}
	if (t)
		table_print(t, stdout);
	print_warnings(result);
	print_error(result);
}

static void print_plan_lines(json_object *plan, json_object *refusals, json_object *config)
{
	char from[CELL_MAX], to[CELL_MAX];

	for (size_t i = 0; i < value_count(plan); i++) {
		json_object *move = value_at(plan, i);

		printf("vcpu %" PRId64 ": %s -> %s\n", value_int(move, "vcpu", -1),
		       output_clean(value_string(move, "from", "?"), from, sizeof(from)),
		       output_clean(value_string(move, "to", "?"), to, sizeof(to)));
	}
	for (size_t i = 0; i < value_count(refusals); i++)
		printf("refused: %s\n", output_cell(value_at(refusals, i), from, sizeof(from)));
	if (config)
		printf("persistent configuration: %" PRId64 " -> %" PRId64 " vCPUs\n",
		       value_int(config, "from", -1), value_int(config, "to", -1));
	else if (value_count(plan) + value_count(refusals) == 0)
		puts("nothing to do");
}

int result_print_plan(const struct ctl *c, json_object *reply)
{
	_cleanup_json_ json_object *line = json_object_new_object();
	json_object *plan = value_array(reply, "plan");
	json_object *refusals = value_array(reply, "refusals");
	json_object *warnings = value_array(reply, "warnings");
	json_object *config = value_object(reply, "config");

	if (!c->command->json) {
		print_plan_lines(plan, refusals, config);
		print_warnings(reply);
	} else {
		json_object_object_add(line, "plan",
				       plan ? json_object_get(plan) : json_object_new_array());
		json_object_object_add(line, "refusals",
				       refusals ? json_object_get(refusals)
						: json_object_new_array());
		if (warnings)
			json_object_object_add(line, "warnings", json_object_get(warnings));
		if (config)
			json_object_object_add(line, "config", json_object_get(config));
		output_json(stdout, line);
	}
	return value_count(refusals) ? EXIT_REFUSED : EXIT_AS_ASKED;
}
