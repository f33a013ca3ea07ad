/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The failpoints of the test build, vcpuhpd-test; never installed.
 *
 * $VCPUHP_TEST_FAILPOINTS names a file of lines "POINT NTH ACTION": at the NTH passing of POINT in this
 * process ("*" any point, "+" behind the number: and at each later one) ACTION is done: "kill" ends the
 * process with SIGKILL, a number is the errno with which the step fails. The file is read again at
 * each passing, so a test can change its mind; it is counted anew where another file has the name.
 * Where FILE.passed exists, the name of each point is appended to it as it is passed: that is how a
 * test finds out what there is.
 */
#include "daemon/failpoint.h"
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { POINTS_MAX = 64, NAME_MAX_LEN = 40 };

static struct passed {
	char name[NAME_MAX_LEN];
	unsigned int n;
} passed[POINTS_MAX], any;

static unsigned int count(const char *point)
{
	for (size_t i = 0; i < POINTS_MAX; i++) {
		if (!*passed[i].name)
			snprintf(passed[i].name, sizeof(passed[i].name), "%s", point);
		if (strcmp(passed[i].name, point) == 0)
			return ++passed[i].n;
	}
	abort();
}

/* The numbers are those since the file came. */
static void restart_with(const char *path)
{
	static ino_t last;
	struct stat st;

	if (stat(path, &st) < 0 || st.st_ino == last)
		return;
	last = st.st_ino;
	memset(passed, 0, sizeof(passed));
	any.n = 0;
}

static void note(const char *path, const char *point)
{
	char name[4096];
	int fd;

	snprintf(name, sizeof(name), "%s.passed", path);
	fd = open(name, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		return;
	dprintf(fd, "%s\n", point);
	close(fd);
}

static int act(const char *action)
{
	if (strcmp(action, "kill") == 0)
		raise(SIGKILL);
	return -(int)strtol(action, NULL, 10);
}

/* What a line "POINT NTH ACTION" wants now, and NULL where it is about another passing. */
static const char *wanted(char *line, const char *point, unsigned int at, unsigned int all)
{
	char *rest, *more, *name = strtok_r(line, " ", &rest);
	char *number = strtok_r(NULL, " ", &rest), *action = strtok_r(NULL, " \n", &rest);
	bool is_any;
	unsigned long nth;

	if (!name || !number || !action)
		return NULL;
	nth = strtoul(number, &more, 10);
	is_any = strcmp(name, "*") == 0;
	at = is_any ? all : at;
	if ((!is_any && strcmp(name, point) != 0) || at < nth || (at > nth && *more != '+'))
		return NULL;
	return action;
}

int failpoint(const char *point)
{
	const char *path = getenv("VCPUHP_TEST_FAILPOINTS"), *action;
	unsigned int at;
	char line[128];
	int rc = 0;
	FILE *f;

	if (!path)
		return 0;
	restart_with(path);
	at = count(point);
	any.n++;
	note(path, point);
	f = fopen(path, "re");
	while (f && rc == 0 && fgets(line, sizeof(line), f)) {
		action = wanted(line, point, at, any.n);
		rc = action ? act(action) : 0;
	}
	if (f)
		fclose(f);
	return rc;
}
