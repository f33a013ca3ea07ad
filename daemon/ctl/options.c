/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/command.h"
#include "daemon/ctl/words.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

static const struct option_def table[OPTIONS] = {
	[OPT_SOCKET] = { "socket", 'S', "SOCKET",
			 "the daemon's socket (else VCPUHP_SOCKET, else " DEFAULT_SOCKET ")",
			 WORD_FILE },
	[OPT_OUTPUT] = { "output", 'o', "table|json", "how results are printed (default table)",
			 WORD_CHOICE },
	[OPT_QUIET] = { "quiet", 'q', NULL, "no progress" },
	[OPT_HELP] = { "help", 'h', NULL, "print this help" },
	[OPT_VERSION] = { "version", 0, NULL, "print the version" },
	[OPT_MAXIMUM] = { "maximum", 0, NULL, "only how many vCPUs the domain can have" },
	[OPT_PRESENT] = { "present", 0, NULL, "only how many QEMU has" },
	[OPT_ONLINE] = { "online", 0, NULL, "only how many are online" },
	[OPT_AT_STANDBY] = { "standby", 0, NULL, "only how many rest at standby" },
	[OPT_ENABLE] = { "enable", 0, NULL, "bring them online" },
	[OPT_DISABLE] = { "disable", 0, NULL, "take them away" },
	[OPT_TO_STANDBY] = { "standby", 0, NULL,
			     "plug them, or take them offline in the guest, and rest at standby" },
	[OPT_STANDBY] = { "standby", 0, "N",
			  "and so many resting at standby (default: as they are)" },
	[OPT_POLICY] = { "policy", 0, "POLICY", "all (default), best-effort or at-least=K",
			 WORD_POLICY },
	[OPT_TIMEOUT] = { "timeout", 0, "SEC", "deadline of the operation, 1 to 86400" },
	[OPT_WAIT_TIMEOUT] = { "timeout", 0, "SEC", "stop waiting after SEC seconds, 1 to 86400" },
	[OPT_NO_WAIT] = { "no-wait", 0, NULL,
			  "print the operation's id as soon as it is accepted" },
	[OPT_DRY_RUN] = { "dry-run", 0, NULL, "print the plan and change nothing" },
	[OPT_FOREIGN] = { "foreign", 0, NULL, "may also remove vCPUs that others plugged" },
	[OPT_OP_ID] = { "op-id", 0, "ID", "name the operation (default: a random id)" },
	[OPT_COUNT] = { "count", 0, "N", "stop after N events" },
	[OPT_OP] = { "op", 0, "ID", "only this operation's steps", WORD_OP },
	[OPT_FILE] = { NULL, 'O', "FILE", "file to write; - is stdout", WORD_FILE },
	[OPT_SVG] = { "svg", 0, NULL, "a picture (SVG) instead" },
	[OPT_QMP] = { "qmp", 0, "PATH", "QEMU's QMP socket", WORD_FILE },
	[OPT_AGENT] = { "agent", 0, "PATH", "the socket of the guest agent's port", WORD_FILE },
	[OPT_LIVE] = { "live", 0, NULL, "change the running domain (default)" },
	[OPT_CONFIG] = { "config", 0, NULL,
			 "change the persistent configuration (with --live: both)" },
	[OPT_CURRENT] = { "current", 0, NULL, "as --live if the domain runs, else as --config" },
	[OPT_MAXVCPUS] = { "maxvcpus", 0, "N", "how many vCPUs it is to be able to have" },
	[OPT_FORMAT] = { "format", 0, "FORMAT", "openmetrics (default) or prometheus" },
	[OPT_APPLY] = { "apply", 0, NULL, "define the domain so, instead of printing it" },
	[OPT_LOAD] = { "load", 0, NULL, "the guests' load too" },
	[OPT_INTERVAL] = { "interval", 0, "SEC", "how often the load is told (default 2)" },
	[OPT_REFRESHES] = { "count", 0, "N", "stop after N refreshes" },
};

const struct option_def *option_def(enum option o)
{
	assert((unsigned int)o < OPTIONS);
	return &table[o];
}

static int take_output(struct command *c, const char *value)
{
	if (strcmp(value, "json") != 0 && strcmp(value, "table") != 0)
		return command_error(c, "'%s' is no output form; there are table and json", value);
	c->json = strcmp(value, "json") == 0;
	return 0;
}

static int take_format(struct command *c, const char *value)
{
	if (strcmp(value, "openmetrics") != 0 && strcmp(value, "prometheus") != 0)
		return command_error(c, "'%s' is no format; there are openmetrics and prometheus",
				     value);
	c->format = value;
	return 0;
}

static int take_number(struct command *c, const char *value, enum option o, unsigned int min,
		       unsigned int max, unsigned int *ret)
{
	if (words_number(value, min, max, ret) < 0)
		return command_error(c, "--%s needs a number from %u to %u, not '%s'",
				     table[o].name, min, max, value);
	return 0;
}

static int take_id(struct command *c, const char *value)
{
	if (!words_is_op(value))
		return command_error(c, "'%s' is no operation id: 1 to 64 of A-Z a-z 0-9 . _ : -",
				     value);
	c->op = value;
	return 0;
}

static int take_path(struct command *c, const char *value, enum option o, const char **ret)
{
	const struct option_def *d = &table[o];

	if (!*value)
		return command_error(c, "%s%.*s%s needs a path", d->name ? "--" : "-",
				     d->name ? 0 : 1, &d->letter, d->name ? d->name : "");
	*ret = value;
	return 0;
}

static int take_seconds(struct command *c, const char *value, enum option o, unsigned int *ret_ms)
{
	if (words_seconds(value, ret_ms) < 0)
		return command_error(c, "--%s needs seconds from 1 to %d, not '%s'", table[o].name,
				     WORDS_SECONDS_MAX, value);
	return 0;
}

static int take_policy(struct command *c, const char *value)
{
	c->policy = value;
	if (words_is_policy(value))
		return 0;
	return command_error(c, "'%s' is no policy; there are all, best-effort and at-least=K",
			     value);
}

int option_take(struct command *c, enum option o, const char *value)
{
	c->given |= UINT64_C(1) << o;
	switch (o) {
	case OPT_SOCKET:
		return take_path(c, value, o, &c->socket);
	case OPT_OUTPUT:
		return take_output(c, value);
	case OPT_QUIET:
		c->quiet = true;
		return 0;
	case OPT_STANDBY:
		return take_number(c, value, o, 0, WORDS_COUNT_MAX, &c->standby);
	case OPT_MAXVCPUS:
		return take_number(c, value, o, 1, 4096, &c->maximum);
	case OPT_POLICY:
		return take_policy(c, value);
	case OPT_TIMEOUT:
	case OPT_WAIT_TIMEOUT:
		return take_seconds(c, value, o, &c->timeout_ms);
	case OPT_INTERVAL:
		return take_seconds(c, value, o, &c->interval_ms);
	case OPT_COUNT:
	case OPT_REFRESHES:
		return take_number(c, value, o, 1, WORDS_EVENTS_MAX, &c->events);
	case OPT_OP_ID:
	case OPT_OP:
		return take_id(c, value);
	case OPT_FILE:
		return take_path(c, value, o, &c->file);
	case OPT_QMP:
		return take_path(c, value, o, &c->qmp);
	case OPT_AGENT:
		return take_path(c, value, o, &c->agent);
	case OPT_FORMAT:
		return take_format(c, value);
	case OPT_HELP:
	case OPT_VERSION:
	case OPT_MAXIMUM:
	case OPT_PRESENT:
	case OPT_ONLINE:
	case OPT_AT_STANDBY:
	case OPT_ENABLE:
	case OPT_DISABLE:
	case OPT_TO_STANDBY:
	case OPT_NO_WAIT:
	case OPT_DRY_RUN:
	case OPT_FOREIGN:
	case OPT_LIVE:
	case OPT_CONFIG:
	case OPT_CURRENT:
	case OPT_APPLY:
	case OPT_SVG:
	case OPT_LOAD:
	case OPTIONS:
		break;
	}
	return 0;
}
