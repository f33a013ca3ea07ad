/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/process.h"
#include "guest-agent/cleanup.h"
#include "guest-agent/sysfs.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Numbers of the fields in proc(5); the name before the first of these may hold anything. */
enum { FIELD_STATE = 3, FIELD_GROUP = 5, FIELD_SESSION = 6, FIELD_START = 22, FIELD_CPU = 39 };

static void take_field(struct process_stat *s, int field, const char *text)
{
	switch (field) {
	case FIELD_STATE:
		s->state = *text;
		break;
	case FIELD_GROUP:
		s->group = (pid_t)strtol(text, NULL, 10);
		break;
	case FIELD_SESSION:
		s->session = (pid_t)strtol(text, NULL, 10);
		break;
	case FIELD_START:
		s->start = strtoull(text, NULL, 10);
		break;
	case FIELD_CPU:
		s->cpu = (int)strtol(text, NULL, 10);
		break;
	default:
		break;
	}
}

int process_read(pid_t pid, struct process_stat *ret)
{
	char path[64], text[1024], *rest, *word;
	int field = FIELD_STATE, r;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	r = sysfs_read(AT_FDCWD, path, text, sizeof(text));
	if (r < 0)
		return r;
	rest = strrchr(text, ')');
	if (!rest || rest[1] != ' ')
		return -EINVAL;
	rest += 2;
	*ret = (struct process_stat){ 0 };
	for (; (word = strsep(&rest, " ")); field++)
		take_field(ret, field, word);
	return field > FIELD_CPU ? 0 : -EINVAL;
}

int process_group_own(struct process_group *ret)
{
	struct process_stat s;
	pid_t self = getpid();
	int r = process_read(self, &s);

	if (r < 0)
		return r;
	if (s.group != self)
		return -EINVAL;
	*ret = (struct process_group){ .start = s.start, .id = s.group, .session = s.session };
	return 0;
}

static bool may_be_of(const struct process_group *g, pid_t pid, const struct process_stat *s)
{
	return s->session == g->session &&
	       (pid == g->id ? s->start == g->start : s->start >= g->start);
}

static pid_t pid_of(const char *name)
{
	char *end;
	long n = strtol(name, &end, 10);

	return *end || n < 0 || n > INT_MAX ? 0 : (pid_t)n;
}

/* How many of the group are alive, 0 where it may be another. */
static unsigned int count(const struct process_group *g)
{
	AUTO_CLOSEDIR DIR *d = opendir("/proc");
	struct process_stat s;
	unsigned int n = 0;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		pid_t pid = pid_of(e->d_name);

		if (pid == 0 || process_read(pid, &s) < 0 || s.group != g->id)
			continue;
		if (!may_be_of(g, pid, &s))
			return 0;
		n += s.state != 'Z' && s.state != 'X';
	}
	return n;
}

unsigned int process_group_kill(const struct process_group *g)
{
	unsigned int n;

	/* 1 would be all processes there are. */
	if (g->id <= 1 || (kill(-g->id, 0) < 0 && errno == ESRCH))
		return 0;
	n = count(g);
	if (n)
		kill(-g->id, SIGKILL);
	return n;
}
