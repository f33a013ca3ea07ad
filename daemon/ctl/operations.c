/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/handlers.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/result.h"
#include "daemon/ctl/value.h"
#include "daemon/ctl/watch.h"
#include "proto/cpulist.h"

/* The vCPUs of an operation as a list. */
static void add_vcpus(struct table *t, json_object *vcpus)
{
	struct cpulist list;
	char text[CELL_MAX];

	cpulist_zero(&list);
	for (size_t i = 0; i < value_count(vcpus); i++) {
		int64_t vcpu = value_int(value_at(vcpus, i), "vcpu", -1);

		if (vcpu >= 0 && vcpu < CPULIST_MAX)
			cpulist_set(&list, (unsigned int)vcpu);
	}
	if (cpulist_format(&list, text, sizeof(text)) < 0)
		snprintf(text, sizeof(text), "%u vCPUs", cpulist_count(&list));
	table_add(t, *text ? text : "-");
}

/* @table: NULL with -o json */
struct listing {
	const struct ctl *c;
	struct table *table;
};

static void add_operation(struct table *t, json_object *o)
{
	table_add_value(t, o, "op");
	table_add_value(t, o, "domain");
	table_add_value(t, o, "result");
	table_add_value(t, o, "asked");
	add_vcpus(t, value_array(o, "vcpus"));
}

static int take_operations(void *ctx, json_object *parameters)
{
	const struct listing *l = ctx;
	json_object *operations = value_array(parameters, "operations");

	if (!operations)
		return ctl_bad_reply(l->c, "no operations");
	for (size_t i = 0; i < value_count(operations); i++) {
		if (l->c->command->json)
			output_json(stdout, value_at(operations, i));
		else
			add_operation(l->table, value_at(operations, i));
	}
	return 0;
}

int run_ops(struct ctl *c)
{
	static const char *const headers[] = { "ID", "DOMAIN", "RESULT", "ASKED", "VCPUS" };
	_cleanup_table_ struct table *t = c->command->json ? NULL : table_new(5, headers);
	struct listing l = { .c = c, .table = t };
	int r = ctl_ask_parts(c, "ListOperations", ctl_parameters("domain", c->command->domain),
			      take_operations, &l);

	if (r || c->command->json)
		return r;
	if (table_print(t, stdout) < 0)
		return ctl_fail(c, EXIT_FAILED, request_error_name(ERR_INTERNAL), "out of memory");
	return 0;
}

int run_op(struct ctl *c)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	int r = ctl_ask(c, "GetOperation", ctl_parameters("op", c->command->op), &reply);
	json_object *result = value_object(reply.parameters, "result");

	if (r)
		return r;
	if (!result)
		return ctl_bad_reply(c, "no result");
	result_print_all(c, result);
	return 0;
}

/* How it stands now, and as it ended or as if the time was over. */
static int wait_no_longer(struct ctl *c)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	int r = ctl_ask(c, "GetOperation", ctl_parameters("op", c->command->op), &reply);
	json_object *result = value_object(reply.parameters, "result");

	if (r)
		return r;
	if (!result)
		return ctl_bad_reply(c, "no result");
	fputs("vcpuhpctl: called by a hook (VCPUHP_OP is set), so operations are not waited for\n",
	      stderr);
	result_print(c, result);
	r = op_result_find(value_string(result, "result", NULL));
	return r == OP_ACCEPTED ? EXIT_PENDING : result_exit(c, result);
}

int run_wait(struct ctl *c)
{
	json_object *o;

	if (c->command->inside)
		return wait_no_longer(c);
	o = ctl_parameters("op", c->command->op);
	ctl_add_bool(o, "wait", true);
	if (command_has(c->command, OPT_WAIT_TIMEOUT))
		ctl_add_int(o, "timeout_ms", c->command->timeout_ms);
	return watch_operation(c, "GetOperation", o, c->command->op);
}

int run_cancel(struct ctl *c)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	int r = ctl_ask(c, "CancelOperation", ctl_parameters("op", c->command->op), &reply);
	json_object *result = value_object(reply.parameters, "result");
	int found;

	if (r)
		return r;
	found = op_result_find(value_string(result, "result", NULL));
	if (found < 0)
		return ctl_bad_reply(c, "no result");
	result_print(c, result);
	if (found == OP_CANCELLED || found == OP_ACCEPTED)
		return EXIT_AS_ASKED;
	fprintf(stderr, "vcpuhpctl: operation %s had ended before\n", c->command->op);
	return found == OP_DONE ? EXIT_REFUSED : (int)op_result_exit((enum op_result)found);
}
