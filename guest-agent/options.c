/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/options.h"
#include "guest-agent/cleanup.h"
#include "guest-agent/sysfs.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_FILE "/etc/vcpuhp/vcpuhp-agent.conf"

enum { CONFIG_SIZE_MAX = 64 << 10, DROPINS_MAX = 64 };

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

static int read_file(struct agent_config *c, int root, const char *path)
{
	char text[CONFIG_SIZE_MAX];
	const char *why = "";
	unsigned int line = 0;
	int r = sysfs_read(root, path + strspn(path, "/"), text, sizeof(text));

	if (r >= 0)
		r = agent_config_parse(c, text, (size_t)r, &line, &why);
	if (r == -EINVAL)
		fprintf(stderr, "vcpuhp-agent: %s:%u: %s\n", path, line, why);
	else if (r < 0 && r != -ENOENT)
		fprintf(stderr, "vcpuhp-agent: %s: %s\n", path, strerror(-r));
	return r;
}

static bool is_dropin(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 5 && strcmp(name + len - 5, ".conf") == 0;
}

/* The names in a folder of drop-ins, in no order. Return: how many, or -errno. */
static int list_dropins(int root, const char *folder, char names[DROPINS_MAX][NAME_MAX + 1])
{
	int fd = openat(root, folder + strspn(folder, "/"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSEDIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int n = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((e = readdir(d))) {
		if (!is_dropin(e->d_name))
			continue;
		if (n == DROPINS_MAX)
			return -E2BIG;
		snprintf(names[n++], NAME_MAX + 1, "%s", e->d_name);
	}
	return n;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int read_dropins(struct agent_config *c, int root, const char *file)
{
	char folder[PATH_MAX], path[PATH_MAX + 1 + NAME_MAX];
	char names[DROPINS_MAX][NAME_MAX + 1];
	int n, r = 0;

	snprintf(folder, sizeof(folder), "%s.d", file);
	n = list_dropins(root, folder, names);
	if (n < 0) {
		fprintf(stderr, "vcpuhp-agent: %s: %s\n", folder, strerror(-n));
		return n;
	}
	qsort(names, (size_t)n, sizeof(names[0]), compare_names);
	for (int i = 0; i < n && r == 0; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		r = read_file(c, root, path);
		if (r == -ENOENT)
			fprintf(stderr, "vcpuhp-agent: %s: %s\n", path, strerror(ENOENT));
	}
	return r;
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
	const char *file = o->config ? o->config : CONFIG_FILE;
	int r;

	agent_config_defaults(ret);
	r = read_file(ret, root, file);
	if (r == -ENOENT && o->config)
		return usage("no such file", file);
	if (r < 0 && r != -ENOENT)
		return r;
	r = read_dropins(ret, root, file);
	if (r < 0)
		return r;
	r = override(ret->port, o->port, "--port");
	return r < 0 ? r : override(ret->callbacks, o->callbacks, "--callbacks");
}
