/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/others.h"
#include "guest-agent/cleanup.h"
#include "guest-agent/sysfs.h"
#include <ctype.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { RULES_SIZE = 128 * 1024, PATH_SIZE = 320 };

/* In the order in which one replaces another. On most systems the last is the one before it. */
static const char *const folders[] = { "etc/udev/rules.d", "run/udev/rules.d",
				       "usr/local/lib/udev/rules.d", "usr/lib/udev/rules.d",
				       "lib/udev/rules.d" };

/* A rule is a line; one that ends with a backslash goes on in the next. */
static char *next_rule(char **text)
{
	char *rule = *text, *to = rule, *p = rule;

	if (!*p)
		return NULL;
	for (; *p && *p != '\n'; p++) {
		if (p[0] == '\\' && p[1] == '\n')
			p++;
		else if (!isspace((unsigned char)*p))
			*to++ = *p;
	}
	*text = *p ? p + 1 : p;
	*to = '\0';
	return rule;
}

static bool has_such_rule(char *text)
{
	char *rule;

	while ((rule = next_rule(&text)))
		if (*rule != '#' && strstr(rule, "SUBSYSTEM==\"cpu\"") &&
		    strstr(rule, "ATTR{online}=\"1\""))
			return true;
	return false;
}

static bool is_replaced(int root, size_t folder, const char *name)
{
	char path[PATH_SIZE];
	struct stat st;

	for (size_t i = 0; i < folder; i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], name);
		if (fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	}
	return false;
}

/* A FIFO would hold up the agent's start for ever. */
static bool is_file(int root, const char *path)
{
	struct stat st;

	return fstatat(root, path, &st, 0) == 0 && S_ISREG(st.st_mode);
}

static bool is_rules_file(const char *name)
{
	static const char ending[] = ".rules";
	size_t n = strlen(name);

	return n > strlen(ending) && strcmp(name + n - strlen(ending), ending) == 0;
}

static bool folder_onlines(int root, size_t folder, char *buf)
{
	AUTO_CLOSEDIR DIR *d = sysfs_open_folder(root, folders[folder]);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[PATH_SIZE];

		if (!is_rules_file(e->d_name) || is_replaced(root, folder, e->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folders[folder], e->d_name);
		if (is_file(root, path) && sysfs_read(root, path, buf, RULES_SIZE) > 0 &&
		    has_such_rule(buf))
			return true;
	}
	return false;
}

bool others_udev_onlines(int root)
{
	AUTO_FREE char *buf = malloc(RULES_SIZE);

	for (size_t i = 0; buf && i < sizeof(folders) / sizeof(folders[0]); i++)
		if (folder_onlines(root, i, buf))
			return true;
	return false;
}

bool others_irqbalance_runs(int root)
{
	AUTO_CLOSEDIR DIR *d = sysfs_open_folder(root, "proc");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[64], comm[64];

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "proc/%.20s/comm", e->d_name);
		if (sysfs_read(root, path, comm, sizeof(comm)) > 0 && !strcmp(comm, "irqbalance"))
			return true;
	}
	return false;
}
