/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/handlers.h"
#include "daemon/ctl/watch.h"
#include <errno.h>
#include <string.h>
#include <sys/random.h>

enum { OP_ID_BYTES = 8 };

/*
 * The id is made here, before anything is sent: so it can be told when the waiting is broken off
 * early, and a client that asks again with it is not taken for a second one.
 */
static int make_id(char *buf)
{
	unsigned char bytes[OP_ID_BYTES];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return -EIO;
	for (size_t i = 0; i < sizeof(bytes); i++)
		sprintf(buf + 2 * i, "%02x", bytes[i]);
	return 0;
}

/* NULL: the daemon's own choice. */
static const char *affect(const struct command *c)
{
	if (command_has(c, OPT_CURRENT))
		return "current";
	if (!command_has(c, OPT_CONFIG))
		return command_has(c, OPT_LIVE) ? "live" : NULL;
	return command_has(c, OPT_LIVE) ? "live+config" : "config";
}

static void add_options(json_object *o, const struct command *command, const char *id)
{
	ctl_add_string(o, "affect", affect(command));
	ctl_add_string(o, "policy", command->policy);
	if (command_has(command, OPT_TIMEOUT))
		ctl_add_int(o, "timeout_ms", command->timeout_ms);
	ctl_add_bool(o, "wait", !command_has(command, OPT_NO_WAIT));
	if (command_has(command, OPT_DRY_RUN))
		ctl_add_bool(o, "dry_run", true);
	if (command_has(command, OPT_FOREIGN))
		ctl_add_bool(o, "foreign", true);
	ctl_add_string(o, "op", id);
}

static void say_inside(const struct command *c)
{
	if (c->inside && !c->quiet)
		fputs("vcpuhpctl: called by a hook (VCPUHP_OP is set), so as with --no-wait\n",
		      stderr);
}

/* @parameters: taken */
static int change(struct ctl *c, const char *method, json_object *parameters)
{
	char made[2 * OP_ID_BYTES + 1];
	const char *id = c->command->op;

	if (command_has(c->command, OPT_NO_WAIT))
		say_inside(c->command);
	if (!id) {
		if (make_id(made) < 0) {
			json_object_put(parameters);
			return ctl_fail(c, EXIT_FAILED, request_error_name(ERR_INTERNAL),
					"no random id for the operation");
		}
		id = made;
	}
	/* A dry run makes no operation, so it has an id only where the user asked about that one. */
	add_options(parameters, c->command,
		    command_has(c->command, OPT_DRY_RUN) ? c->command->op : id);
	return watch_operation(c, method, parameters, id);
}

int run_setvcpus(struct ctl *c)
{
	const struct command *command = c->command;
	json_object *o = ctl_parameters("domain", command->domain);

	ctl_add_int(o, "count", command->count);
	if (command_has(command, OPT_STANDBY))
		ctl_add_int(o, "standby", command->standby);
	return change(c, "SetVcpus", o);
}

static int set_target(struct ctl *c, const struct cpulist *vcpus, const char *target)
{
	json_object *o = ctl_parameters("domain", c->command->domain);
	char list[CPULIST_TEXT_MAX];

	cpulist_format(vcpus, list, sizeof(list));
	ctl_add_string(o, "vcpus", list);
	ctl_add_string(o, "target", target);
	return change(c, "SetTarget", o);
}

int run_setvcpu(struct ctl *c)
{
	if (command_has(c->command, OPT_ENABLE))
		return set_target(c, &c->command->list, "online");
	if (command_has(c->command, OPT_DISABLE))
		return set_target(c, &c->command->list, "offline");
	return set_target(c, &c->command->list, "standby");
}

int run_target(struct ctl *c)
{
	struct cpulist one;

	cpulist_zero(&one);
	cpulist_set(&one, c->command->vcpu);
	return set_target(c, &one, c->command->state);
}
