/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/options.h"
#include "guest-agent/config-load.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define CONFIG_FILE "/etc/vcpuhp/vcpuhp-agent.conf"

static const struct option {
	const char *name;
	const char *value; /* what it is called in the help, NULL for a switch */
	size_t offset;
	const char *help;
} table[] = {
	{ "--port", "PATH", offsetof(struct options, port),
	  "device, or name of the virtio port (org.vcpuhp.agent.0)" },
	{ "--callbacks", "DIR", offsetof(struct options, callbacks),
	  "folder of the callbacks (/etc/vcpuhp/cpuhp.d)" },
	{ "--config", "FILE", offsetof(struct options, config),
	  "read FILE and FILE.d/*.conf (" CONFIG_FILE ")" },
	{ "--allow-fault-injection", NULL, offsetof(struct options, allow_faults),
	  "let the host arm one-shot failures" },
	{ "--root", "DIR", offsetof(struct options, root),
	  "look for /sys, /proc, /etc and /run below DIR" },
};

enum { N_OPTIONS = sizeof(table) / sizeof(table[0]) };

static void help(void)
{
	char left[64];

	puts("vcpuhp-agent [OPTION...]\n"
	     "Takes the vCPUs of this guest online and offline as the host's vcpuhpd asks.\n");
	for (size_t i = 0; i < N_OPTIONS; i++) {
		snprintf(left, sizeof(left), "%s %s", table[i].name,
			 table[i].value ? table[i].value : "");
		printf("  %-24s %s\n", left, table[i].help);
	}
	printf("  %-24s %s\n  %-24s %s\n", "--help", "this text", "--version", "the version");
}

static const struct option *find(const char *word, const char **ret_value)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		size_t len = strlen(table[i].name);

		if (strncmp(word, table[i].name, len) != 0 || (word[len] && word[len] != '='))
			continue;
		*ret_value = word[len] ? word + len + 1 : NULL;
		return &table[i];
	}
	return NULL;
}

static int usage(const char *what, const char *word)
{
	fprintf(stderr, "vcpuhp-agent: %s: %s (see --help)\n", word, what);
	return -EINVAL;
}

/* Return: 0, 1 when the next word was its value, -EINVAL. */
static int take(struct options *o, const char *word, const char *next)
{
	const char *value;
	const struct option *opt = find(word, &value);
	char *field;

	if (!opt)
		return usage("unknown option", word);
	field = (char *)o + opt->offset;
	if (!opt->value) {
		if (value)
			return usage("takes no value", word);
		*(bool *)field = true;
		return 0;
	}
	if (!value && !next)
		return usage("needs a value", word);
	if (!(value ? *value : *next))
		return usage("needs a value that is not empty", word);
	memcpy(field, value ? &value : &next, sizeof(const char *));
	return value ? 0 : 1;
}

int options_parse(struct options *o, int argc, char **argv)
{
	*o = (struct options){ .root = "/" };
	for (int i = 1; i < argc; i++) {
		int r;

		if (strcmp(argv[i], "--help") == 0) {
			help();
			return 1;
		}
		if (strcmp(argv[i], "--version") == 0) {
			puts("vcpuhp-agent " VCPUHP_VERSION);
			return 1;
		}
		r = take(o, argv[i], argv[i + 1]);
		if (r < 0)
			return r;
		i += r;
	}
	return 0;
}

static int override(char to[CONFIG_PATH_MAX], const char *value, const char *name)
{
	if (!value)
		return 0;
	if (strlen(value) >= CONFIG_PATH_MAX)
		return usage("the value is too long", name);
	snprintf(to, CONFIG_PATH_MAX, "%s", value);
	return 0;
}

int options_configure(const struct options *o, int root, struct agent_config *ret)
{
	int r = config_load(ret, root, o->config ? o->config : CONFIG_FILE, o->config);

	if (r < 0)
		return r;
	r = override(ret->port, o->port, "--port");
	return r < 0 ? r : override(ret->callbacks, o->callbacks, "--callbacks");
}
