/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The commands that only look: list, host, states, info, vcpucount and metrics. Each is one call;
 * none makes the guest work. With -o json the daemon's objects are handed on as they are, so that
 * keys of a newer daemon reach the programs that know them; a list is one object a line. As tables,
 * known keys become columns; a key that is missing or null is "-". Only where a single number was
 * asked for, not to know it is a failure.
 */
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/handlers.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/value.h"
#include "daemon/json-in.h"
#include "proto/cpulist.h"
#include "proto/ladder.h"
#include <inttypes.h>
#include <string.h>

enum { KEY_MAX = 128, KEY_DEPTH = 8 };

static int print_table(const struct ctl *c, struct table *t)
{
	if (table_print(t, stdout) < 0)
		return ctl_fail(c, EXIT_FAILED, request_error_name(ERR_INTERNAL), "out of memory");
	return 0;
}

static void add_keys(struct table *t, json_object *o, const char *const *keys)
{
	for (; *keys; keys++)
		table_add_value(t, o, *keys);
}

/* "0.1.0", "no", or what else there is of the agent. */
static void add_agent(struct table *t, json_object *domain)
{
	json_object *agent = value_object(domain, "agent");

	if (!agent)
		table_add_value(t, domain, "agent");
	else if (!value_bool(agent, "connected", false))
		table_add(t, "no");
	else
		table_add(t, value_string(agent, "version", "yes"));
}

int run_list(struct ctl *c)
{
	static const char *const headers[] = { "DOMAIN",  "HYPERVISOR", "STATUS",  "MAXIMUM",
					       "PRESENT", "ONLINE",     "STANDBY", "AGENT" };
	static const char *const keys[] = { "domain",  "hypervisor", "status",  "maximum",
					    "present", "online",     "standby", NULL };
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	_cleanup_table_ struct table *t = NULL;
	int r = ctl_ask(c, "ListDomains", NULL, &reply);
	json_object *domains = value_array(reply.parameters, "domains");

	if (r)
		return r;
	if (!domains)
		return ctl_bad_reply(c, "no domains");
	t = c->command->json ? NULL : table_new(8, headers);
	for (size_t i = 0; i < value_count(domains); i++) {
		if (c->command->json) {
			output_json(stdout, value_at(domains, i));
			continue;
		}
		add_keys(t, value_at(domains, i), keys);
		add_agent(t, value_at(domains, i));
	}
	return c->command->json ? 0 : print_table(c, t);
}

/* "kvm.max_vcpus  1024": objects within objects become dotted keys. */
static void print_tree(json_object *o, const char *prefix, unsigned int depth)
{
	json_object_object_foreach(o, key, value)
	{
		char name[KEY_MAX], clean[KEY_MAX], text[CELL_MAX];

		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "." : "", key);
		if (json_object_is_type(value, json_type_object) && depth < KEY_DEPTH)
			print_tree(value, name, depth + 1);
		else
			printf("%-30s %s\n", output_clean(name, clean, sizeof(clean)),
			       output_cell(value, text, sizeof(text)));
	}
}

int run_host(struct ctl *c)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	int r = ctl_ask(c, "GetHost", NULL, &reply);
	json_object *host = value_object(reply.parameters, "host");

	if (r)
		return r;
	if (!host)
		return ctl_bad_reply(c, "no host");
	if (c->command->json)
		output_json(stdout, host);
	else
		print_tree(host, "", 0);
	return 0;
}

static void add_ms(struct table *t, json_object *o, const char *key)
{
	int64_t ms = value_int(o, key, 0);
	char text[32];

	snprintf(text, sizeof(text), "%" PRId64 " ms", ms);
	table_add(t, ms ? text : "-");
}

int run_states(struct ctl *c)
{
	static const char *const headers[] = { "STATE",   "NAME",     "SIDE",   "TARGET",
					       "STARTUP", "TEARDOWN", "MEANING" };
	static const char *const keys[] = { "state", "name", "side", "target", NULL };
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	_cleanup_table_ struct table *t = NULL;
	int r = ctl_ask(c, "ListStates", ctl_parameters("domain", c->command->domain), &reply);
	json_object *states = value_array(reply.parameters, "states");

	if (r)
		return r;
	if (!states)
		return ctl_bad_reply(c, "no states");
	t = c->command->json ? NULL : table_new(7, headers);
	for (size_t i = 0; i < value_count(states); i++) {
		json_object *o = value_at(states, i);

		if (c->command->json) {
			output_json(stdout, o);
			continue;
		}
		add_keys(t, o, keys);
		add_ms(t, o, "startup_ms");
		add_ms(t, o, "teardown_ms");
		table_add_value(t, o, "meaning");
	}
	return c->command->json ? 0 : print_table(c, t);
}

/* Return: an exit code; @ret_info is borrowed from @reply. */
static int get_domain(struct ctl *c, struct client_reply *reply, json_object **ret_info)
{
	int r = ctl_ask(c, "GetDomain", ctl_parameters("domain", c->command->domain), reply);
	json_object *info = value_object(reply->parameters, "info");

	if (r)
		return r;
	if (!info)
		return ctl_bad_reply(c, "no domain");
	*ret_info = info;
	return 0;
}

static void print_fields(json_object *info, const char *const (*fields)[2])
{
	char text[CELL_MAX];

	for (; (*fields)[0]; fields++)
		printf("%-14s %s\n", (*fields)[0],
		       output_cell(value_get(info, (*fields)[1]), text, sizeof(text)));
}

static bool is_free_slot(json_object *vcpu)
{
	return value_int(vcpu, "state", -1) == CPUHP_OFFLINE && !value_get(vcpu, "pending") &&
	       !value_get(vcpu, "drift");
}

static int print_info(const struct ctl *c, json_object *info)
{
	static const char *const fields[][2] = {
		{ "Domain:", "domain" },           { "UUID:", "uuid" },
		{ "Hypervisor:", "hypervisor" },   { "Status:", "status" },
		{ "Accelerator:", "accel" },       { "Maximum:", "maximum" },
		{ "Present:", "present" },         { "Online:", "online" },
		{ "Standby:", "standby" },         { "Operation:", "operation" },
		{ "Unsupported:", "unsupported" }, { "Not attached:", "why" },
		{ "Leaving:", "leaving" },         { NULL, NULL },
	};
	static const char *const agent_fields[][2] = {
		{ "Agent:", "connected" },       { "No agent:", "why" },
		{ "Agent version:", "version" }, { "Guest kernel:", "kernel" },
		{ "Boot id:", "boot_id" },       { NULL, NULL },
	};
	static const char *const headers[] = { "VCPU",   "CPU",   "STATE",   "NAME",
					       "RAN-ON", "OWNED", "PENDING", "DRIFT" };
	static const char *const keys[] = { "vcpu",  "cpu",     "state", "name", "ran_on",
					    "owned", "pending", "drift", NULL };
	json_object *vcpus = value_array(info, "vcpus");
	_cleanup_table_ struct table *t = table_new(8, headers);
	size_t n_free = 0;
	int r;

	print_fields(info, fields);
	print_fields(value_object(info, "agent"), agent_fields);
	putchar('\n');
	for (size_t i = 0; i < value_count(vcpus); i++) {
		if (is_free_slot(value_at(vcpus, i)))
			n_free++;
		else
			add_keys(t, value_at(vcpus, i), keys);
	}
	r = print_table(c, t);
	if (r == 0 && n_free > 0)
		printf("and %zu free slots, offline\n", n_free);
	return r;
}

int run_info(struct ctl *c)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	json_object *info = NULL;
	int r = get_domain(c, &reply, &info);

	if (r || !c->command->json)
		return r ? r : print_info(c, info);
	output_json(stdout, info);
	return 0;
}

/* @what: "how many vCPUs web1 ..."; @guest: the guest's word, else QEMU's */
static const struct {
	enum option option;
	const char *key, *what;
	bool guest;
} counts[] = {
	{ OPT_MAXIMUM, "maximum", "can have", false },
	{ OPT_PRESENT, "present", "has plugged", false },
	{ OPT_ONLINE, "online", "has online", true },
	{ OPT_AT_STANDBY, "standby", "has at standby", true },
};

static bool count_is_asked(const struct command *command, size_t i)
{
	return !(command->given & command->verb->one_of) || command_has(command, counts[i].option);
}

/* A script that asked for a number must not take anything else for it. Return: 0 or an exit code. */
static int check_count(const struct ctl *c, json_object *info)
{
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		json_object *of = counts[i].guest ? value_object(info, "agent") : info;
		enum request_error error = counts[i].guest ? ERR_NO_AGENT : ERR_VM_GONE;
		const char *why = value_string(of, "why", NULL);

		if (!command_has(c->command, counts[i].option) || value_get(info, counts[i].key))
			continue;
		return ctl_fail(c, request_error_exit(error), request_error_name(error),
				"how many vCPUs %s %s is not known: %s%s%s", c->command->domain,
				counts[i].what,
				counts[i].guest ? "no agent is connected" : "QEMU is not attached",
				why ? ": " : "", why ? why : "");
	}
	return 0;
}

static void print_counts(const struct command *command, json_object *info)
{
	bool only = command->given & command->verb->one_of;

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		char text[CELL_MAX];

		if (!count_is_asked(command, i))
			continue;
		output_cell(value_get(info, counts[i].key), text, sizeof(text));
		if (only)
			puts(text);
		else
			printf("%-8s %s\n", counts[i].key, text);
	}
}

int run_vcpucount(struct ctl *c)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	_cleanup_json_ json_object *line = NULL;
	json_object *info = NULL;
	int r = get_domain(c, &reply, &info);

	if (r == 0)
		r = check_count(c, info);
	if (r)
		return r;
	if (!c->command->json) {
		print_counts(c->command, info);
		return 0;
	}
	line = json_object_new_object();
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (count_is_asked(c->command, i))
			json_object_object_add(line, counts[i].key,
					       json_object_get(value_get(info, counts[i].key)));
	output_json(stdout, line);
	return 0;
}

/* The daemon escapes what came from guests in it; the text goes to programs as it is. */
int run_metrics(struct ctl *c)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	json_object *parameters = NULL;
	const char *text;
	size_t len;
	int r;

	if (c->command->format) {
		parameters = json_object_new_object();
		json_object_object_add(parameters, "format",
				       json_object_new_string(c->command->format));
	}
	r = ctl_ask(c, "Metrics", parameters, &reply);
	text = value_string(reply.parameters, "text", NULL);
	if (r)
		return r;
	if (!text)
		return ctl_bad_reply(c, "no metrics");
	if (c->command->json) {
		output_json(stdout, reply.parameters);
		return 0;
	}
	len = strlen(text);
	printf("%s%s", text, len > 0 && text[len - 1] == '\n' ? "" : "\n");
	return 0;
}
