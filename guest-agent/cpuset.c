/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A CPU that goes offline is struck from v1 cpusets for good, and a v2 cpuset that lists CPUs never
 * gains a new one by itself. These two steps keep the configured groups in step with the CPUs that
 * are in use: widening writes the list with the CPU in it, narrowing without it. Both read first
 * and write only what differs, so that running them twice is running them once.
 *
 * A child may not hold (v1) or use (v2) what its parent lacks: parents are widened before their
 * children and narrowed after them. A widening that fails takes back what it had done, since no
 * teardown of this step will follow. Narrowing never fails the walk: the CPU leaves in any case.
 *
 * The lists are read, changed and written back: one worker at a time, by a lock file. A list is
 * never narrowed to nothing, which on v2 would mean every CPU.
 */
#include "guest-agent/cleanup.h"
#include "guest-agent/steps.h"
#include "guest-agent/sysfs.h"
#include "proto/cpulist.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOCK "run/vcpuhp-agent/mask.lock"

enum { LIST_SIZE = CPULIST_MAX * 3, FILES_MAX = CONFIG_CPUSETS_MAX * 2 };

/*
 * struct cpuset_file - one group's list in one hierarchy
 * @empty_is_all: v2: an empty list means whatever the parent has; v1: it means no CPU
 * @changed: rewritten by this call
 */
struct cpuset_file {
	char path[CONFIG_PATH_MAX + 64];
	const char *group;
	bool empty_is_all;
	bool changed;
};

static unsigned int depth(const char *group)
{
	unsigned int n = 0;

	for (; *group; group++)
		n += *group == '/';
	return n;
}

/* The configured groups, parents before their children; as given where neither is. */
static void sort_groups(const struct agent_config *c, const char **groups)
{
	for (size_t i = 0; i < c->n_cpusets; i++) {
		const char *group = c->cpusets[i];
		size_t at = i;

		while (at > 0 && depth(groups[at - 1]) > depth(group)) {
			groups[at] = groups[at - 1];
			at--;
		}
		groups[at] = group;
	}
}

/* Every file of the configured groups, each group in v2 and v1. */
static size_t list_files(const struct agent_config *c, struct cpuset_file *files)
{
	const char *groups[CONFIG_CPUSETS_MAX] = { 0 };
	size_t n = 0;

	sort_groups(c, groups);
	for (size_t i = 0; i < c->n_cpusets; i++) {
		for (int v1 = 0; v1 < 2; v1++) {
			struct cpuset_file *f = &files[n++];

			*f = (struct cpuset_file){ .group = groups[i], .empty_is_all = !v1 };
			snprintf(f->path, sizeof(f->path), "sys/fs/cgroup/%s%s/cpuset.cpus",
				 v1 ? "cpuset/" : "", groups[i]);
		}
	}
	return n;
}

/* Return: 0, -ENOENT where the group has no such file, or -errno. */
static int load(int root, const struct cpuset_file *f, struct cpulist *ret)
{
	char text[LIST_SIZE];
	int r = sysfs_read(root, f->path, text, sizeof(text));

	if (r == -ENOTDIR)
		return -ENOENT;
	return r < 0 ? r : cpulist_parse_kernel(text, ret);
}

static int store(int root, const struct cpuset_file *f, const struct cpulist *l)
{
	char text[LIST_SIZE];
	int r = cpulist_format(l, text, sizeof(text));

	return r < 0 ? r : sysfs_write(root, f->path, text);
}

static int widen_file(struct step_env *env, struct cpuset_file *f)
{
	struct cpulist l;
	int r;

	r = load(env->root, f, &l);
	if (r < 0)
		return r;
	if (cpulist_has(&l, (unsigned int)env->cpu) || (f->empty_is_all && cpulist_count(&l) == 0))
		return 0;
	cpulist_set(&l, (unsigned int)env->cpu);
	r = store(env->root, f, &l);
	if (r == 0)
		f->changed = true;
	return r;
}

/* Return: 0, -ENODATA where the CPU is the list's last one, or -errno. */
static int narrow_file(struct step_env *env, struct cpuset_file *f)
{
	struct cpulist l;
	int r;

	r = load(env->root, f, &l);
	if (r < 0 || !cpulist_has(&l, (unsigned int)env->cpu))
		return r;
	cpulist_clear(&l, (unsigned int)env->cpu);
	return cpulist_count(&l) == 0 ? -ENODATA : store(env->root, f, &l);
}

static void take_back(struct step_env *env, struct cpuset_file *files, size_t n)
{
	while (n-- > 0) {
		if (files[n].changed && narrow_file(env, &files[n]) < 0)
			step_note(env, "cpuset %s keeps cpu %d", files[n].group, env->cpu);
	}
}

static int open_lock(struct step_env *env)
{
	int fd = sysfs_lock(env->root, LOCK);

	if (fd < 0)
		step_note(env, "cannot lock /" LOCK ": %s", strerror(-fd));
	return fd;
}

int step_cpuset_widen(struct step_env *env)
{
	struct cpuset_file files[FILES_MAX];
	size_t n = list_files(env->config, files);
	AUTO_CLOSE int lock = -1;
	bool missing = false;

	env->text[0] = '\0';
	if (n == 0)
		return 0;
	step_waits(env);
	lock = open_lock(env);
	if (lock < 0)
		return lock;
	for (size_t i = 0; i < n; i++) {
		int r = widen_file(env, &files[i]);

		if (r < 0 && r != -ENOENT) {
			step_note(env, "cannot widen cpuset %s by cpu %d: %s", files[i].group,
				  env->cpu, strerror(-r));
			take_back(env, files, i);
			return r;
		}
		/* The two files of a group follow each other, v2 then v1. */
		if (files[i].empty_is_all)
			missing = r == -ENOENT;
		else if (missing && r == -ENOENT)
			step_note(env, "cpuset %s does not exist", files[i].group);
	}
	return 0;
}

int step_cpuset_narrow(struct step_env *env)
{
	struct cpuset_file files[FILES_MAX];
	size_t n = list_files(env->config, files);
	AUTO_CLOSE int lock = -1;

	env->text[0] = '\0';
	if (n == 0)
		return 0;
	step_waits(env);
	lock = open_lock(env);
	if (lock < 0)
		return 0;
	while (n-- > 0) {
		int r = narrow_file(env, &files[n]);

		if (r == -ENODATA)
			step_note(env, "cpuset %s has no other cpu than %d", files[n].group,
				  env->cpu);
		else if (r < 0 && r != -ENOENT)
			step_note(env, "cpuset %s keeps cpu %d: %s", files[n].group, env->cpu,
				  strerror(-r));
	}
	return 0;
}
