/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/options.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* @arg: what the option takes, NULL for a flag; @offset: where it goes in struct options */
struct option_row {
	const char *name, *arg, *help;
	size_t offset;
};

static const struct option_row rows[] = {
	{ "config", "FILE", "read FILE and FILE.d/*.conf only [/etc/vcpuhp/vcpuhpd.conf]",
	  offsetof(struct options, config) },
	{ "socket", "PATH", "listen there, in a folder that exists [RUNTIME-DIR/control]",
	  offsetof(struct options, socket) },
	{ "runtime-dir", "DIR", "what is lost with a reboot; one daemon each [/run/vcpuhp]",
	  offsetof(struct options, runtime_dir) },
	{ "state-dir", "DIR", "what outlives a reboot [/var/lib/vcpuhp]",
	  offsetof(struct options, state_dir) },
	{ "check-config", NULL, "read the configuration, say what is wrong with it, and exit",
	  offsetof(struct options, check_config) },
	{ "foreground", NULL, "log to standard error", offsetof(struct options, foreground) },
	{ "help", NULL, "show this help", offsetof(struct options, help) },
	{ "version", NULL, "show the version", offsetof(struct options, version) },
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

/* "--NAME" or "--NAME=VALUE"; *ret_value is then behind the "=", else NULL. */
static const struct option_row *find_row(const char *word, const char **ret_value)
{
	size_t len;

	if (strncmp(word, "--", 2) != 0)
		return NULL;
	word += 2;
	len = strcspn(word, "=");
	*ret_value = word[len] ? word + len + 1 : NULL;
	for (size_t i = 0; i < ROWS; i++)
		if (strlen(rows[i].name) == len && memcmp(rows[i].name, word, len) == 0)
			return &rows[i];
	return NULL;
}

static void store(struct options *o, const struct option_row *row, const char *value)
{
	char *field = (char *)o + row->offset;

	if (row->arg)
		memcpy(field, &value, sizeof(value));
	else
		memcpy(field, &(bool){ true }, sizeof(bool));
}

int options_parse(int argc, char **argv, struct options *ret, const char **ret_why,
		  const char **ret_word)
{
	struct options o = { .runtime_dir = "/run/vcpuhp", .state_dir = "/var/lib/vcpuhp" };

	for (int i = 1; i < argc; i++) {
		const char *value = NULL;
		const struct option_row *row = find_row(argv[i], &value);

		*ret_word = argv[i];
		if (!row) {
			*ret_why = argv[i][0] == '-' ? "unknown option" : "unexpected argument";
			return -EINVAL;
		}
		if (!row->arg && value) {
			*ret_why = "takes no value";
			return -EINVAL;
		}
		if (row->arg && !value && i + 1 < argc)
			value = argv[++i];
		if (row->arg && (!value || !*value)) {
			*ret_why = "needs a value";
			return -EINVAL;
		}
		store(&o, row, value);
	}
	*ret = o;
	return 0;
}

void options_print_help(FILE *f)
{
	fprintf(f,
		"Usage: vcpuhpd [OPTION]...\n\n"
		"The host side of vCPU hotplug: takes vCPUs of running guests to the state asked\n"
		"for and answers vcpuhpctl.\n\n");
	for (size_t i = 0; i < ROWS; i++)
		fprintf(f, "  --%s%s%-*s %s\n", rows[i].name, rows[i].arg ? " " : "",
			(int)(20 - strlen(rows[i].name) - (rows[i].arg ? 1 : 0)),
			rows[i].arg ? rows[i].arg : "", rows[i].help);
	fprintf(f, "\nExit status: 0 stopped by SIGTERM or SIGINT, 1 failed to start, 2 usage.\n"
		   "See vcpuhpd(8).\n");
}
