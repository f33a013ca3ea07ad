/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/ctl/command.h"
#include <string.h>

/*
 * What people type who know virsh, and is not there: it may do no more than name what is. Row: the
 * command, the option after "--" (NULL: the command itself is virsh's), what it is here.
 */
static const struct {
	const char *verb, *option, *hint;
} table[] = {
	{ "setvcpus", "guest",
	  "the guest takes part in every change; --standby N leaves N plugged and not online" },
	{ "setvcpus", "maximum", "it is 'domain-xml DOMAIN --maxvcpus N --apply' here" },
	{ "setvcpus", "hotpluggable",
	  "'domain-xml DOMAIN --apply' makes boot vCPUs so, and 'setvcpu DOMAIN LIST --enable "
	  "--config' enables such" },
	{ "vcpucount", "active", "it is --present here, and --online what the guest has online" },
	{ "vcpucount", "guest", "it is --online here" },
	{ "vcpucount", "live", "it is the running domain that is counted" },
	{ "vcpucount", "current", "it is the running domain that is counted" },
	{ "vcpucount", "config",
	  "it is the running domain that is counted; 'virsh vcpucount DOMAIN --config' counts the "
	  "configuration" },
	{ "guestvcpus", NULL,
	  "it is 'setvcpu DOMAIN LIST' with --enable, --disable or --standby here, and 'info DOMAIN' "
	  "to look" },
	{ "vcpuinfo", NULL, "it is 'info DOMAIN' here" },
};

const char *virsh_word_hint(const char *verb, const char *option, size_t len)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		const char *name = table[i].option;

		if (strcmp(table[i].verb, verb) != 0 || !name != !option)
			continue;
		if (!option || (strlen(name) == len && strncmp(name, option, len) == 0))
			return table[i].hint;
	}
	return NULL;
}
