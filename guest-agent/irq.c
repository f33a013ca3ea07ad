/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A new CPU gets no device interrupts until somebody moves some there. With Irq=spread this step
 * gives it its fair share: of M interrupts in use that can be moved, on N online CPUs, M / N are
 * pointed at it, each time one from the CPU that now serves the most. Interrupts whose affinity the
 * kernel manages itself refuse the write (EIO) and count no more. Where irqbalance runs, all of
 * this is its business and nothing is touched.
 *
 * What was moved is on record in run/vcpuhp-agent/irq-CPU, a line "IRQ OLD-LIST" each, appended
 * before the interrupt is written: an agent that is killed between the two leaves a line too many,
 * never one too few. On the way down an interrupt is put back only if its list is still exactly
 * ours; whoever changed it meanwhile knew better. A lock file shared with the cpuset step keeps two
 * workers from taking the same interrupt.
 */
#include "guest-agent/cleanup.h"
#include "guest-agent/others.h"
#include "guest-agent/steps.h"
#include "guest-agent/sysfs.h"
#include "proto/cpulist.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LOCK "run/vcpuhp-agent/mask.lock"
#define RECORD "run/vcpuhp-agent/irq-%d"

enum { LIST_SIZE = 1024, IRQS_MAX = 2048, RECORD_SIZE = 65536 };

/*
 * struct irq - one that may be moved
 * @target: the CPU that serves it now
 * @refused: its affinity cannot be written
 */
struct irq {
	int number;
	int target;
	bool refused;
};

/*
 * struct irq_table
 * @load: how many of them each CPU serves
 * @movable: those that have not refused
 */
struct irq_table {
	struct irq irqs[IRQS_MAX];
	size_t n;
	size_t movable;
	uint16_t load[CPULIST_MAX];
};

static int read_list(int root, int irq, const char *file, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "proc/irq/%d/%s", irq, file);
	return sysfs_read(root, path, text, size);
}

static int write_list(int root, int irq, const char *list)
{
	char path[64];

	snprintf(path, sizeof(path), "proc/irq/%d/smp_affinity_list", irq);
	return sysfs_write(root, path, list);
}

/*
 * The CPU that serves @irq, -1 unknown. A list of one CPU is believed before the kernel's own word:
 * a move takes effect with the next interrupt only.
 */
static int serving_cpu(int root, int irq, const char *allowed)
{
	char text[LIST_SIZE];
	struct cpulist l;
	int first;

	if (cpulist_parse_kernel(allowed, &l) < 0)
		return -1;
	first = cpulist_next(&l, 0);
	if (cpulist_count(&l) == 1 ||
	    read_list(root, irq, "effective_affinity_list", text, sizeof(text)) <= 0 ||
	    cpulist_parse_kernel(text, &l) < 0 || cpulist_count(&l) == 0)
		return first;
	return cpulist_next(&l, 0);
}

/* Whether a driver has asked for it. A kernel that does not say is taken to have one for each. */
static bool is_in_use(int root, int irq)
{
	char path[64], actions[256];
	int r;

	snprintf(path, sizeof(path), "sys/kernel/irq/%d/actions", irq);
	r = sysfs_read(root, path, actions, sizeof(actions));
	return r != 0;
}

static int load_table(const struct step_env *env, struct irq_table *t)
{
	AUTO_CLOSEDIR DIR *d = sysfs_open_folder(env->root, "proc/irq");
	struct dirent *e;

	if (!d)
		return -errno;
	while (t->n < IRQS_MAX && (e = readdir(d))) {
		struct irq irq = { .number = sysfs_number(e->d_name) };
		char text[LIST_SIZE];

		if (irq.number < 0 || !is_in_use(env->root, irq.number) ||
		    read_list(env->root, irq.number, "smp_affinity_list", text, sizeof(text)) <= 0)
			continue;
		irq.target = serving_cpu(env->root, irq.number, text);
		if (irq.target < 0)
			continue;
		t->irqs[t->n++] = irq;
		t->load[irq.target]++;
	}
	t->movable = t->n;
	return 0;
}

/* One from the CPU that serves the most, the lowest where several do; NULL when none is left. */
static struct irq *next_irq(struct irq_table *t, int cpu)
{
	struct irq *best = NULL;
	size_t most = 0;

	for (size_t i = 0; i < t->n; i++) {
		struct irq *irq = &t->irqs[i];
		size_t load = t->load[irq->target];

		if (irq->refused || irq->target == cpu)
			continue;
		if (!best || load > most || (load == most && irq->number < best->number)) {
			best = irq;
			most = load;
		}
	}
	return best;
}

static int append_record(const struct step_env *env, const char *record, int irq, const char *old)
{
	AUTO_CLOSE int fd = openat(env->root, record,
				   O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	return dprintf(fd, "%d %s\n", irq, old) < 0 ? -errno : 0;
}

/* Return: 0, -EAGAIN when this one refuses and another should be tried, or -errno. */
static int move_irq(const struct step_env *env, const char *record, const char *ours,
		    struct irq *irq)
{
	char old[LIST_SIZE];
	int r;

	r = read_list(env->root, irq->number, "smp_affinity_list", old, sizeof(old));
	if (r > 0)
		r = append_record(env, record, irq->number, old);
	else
		r = r < 0 ? -EAGAIN : r;
	if (r < 0)
		return r;
	return write_list(env->root, irq->number, ours) < 0 ? -EAGAIN : 0;
}

static size_t online_cpus(int root)
{
	char text[LIST_SIZE];
	struct cpulist l;

	if (sysfs_read(root, "sys/devices/system/cpu/online", text, sizeof(text)) <= 0 ||
	    cpulist_parse_kernel(text, &l) < 0)
		return 0;
	return cpulist_count(&l);
}

/* Move interrupts until the new CPU has its share or none is left to try. */
static int spread(const struct step_env *env, struct irq_table *t, size_t online)
{
	char record[64], ours[16];
	struct irq *irq;

	snprintf(record, sizeof(record), RECORD, env->cpu);
	snprintf(ours, sizeof(ours), "%d", env->cpu);
	while (t->load[env->cpu] < t->movable / online && (irq = next_irq(t, env->cpu))) {
		int r = move_irq(env, record, ours, irq);

		if (r < 0 && r != -EAGAIN)
			return r;
		t->load[irq->target]--;
		if (r < 0) {
			irq->refused = true;
			t->movable--;
		} else {
			irq->target = env->cpu;
			t->load[env->cpu]++;
		}
	}
	return 0;
}

static int spread_locked(const struct step_env *env)
{
	AUTO_CLOSE int lock = sysfs_lock(env->root, LOCK);
	size_t online = online_cpus(env->root);
	struct irq_table table = { 0 };
	int r;

	if (lock < 0)
		return lock;
	if (env->cpu < 0 || env->cpu >= CPULIST_MAX)
		return -ERANGE;
	r = load_table(env, &table);
	return r < 0 || online == 0 ? r : spread(env, &table, online);
}

int step_irq_spread(struct step_env *env)
{
	int r;

	env->text[0] = '\0';
	if (env->config->irq != IRQ_SPREAD)
		return 0;
	step_waits(env);
	if (others_irqbalance_runs(env->root)) {
		step_note(env, "irqbalance runs: no interrupts moved");
		return 0;
	}
	r = spread_locked(env);
	if (r < 0)
		step_note(env, "cannot spread interrupts: %s", strerror(-r));
	return r;
}

/* Put one interrupt back where its list is still ours. */
static void put_back(struct step_env *env, int irq, const char *old)
{
	char now[LIST_SIZE], ours[16];
	int r;

	snprintf(ours, sizeof(ours), "%d", env->cpu);
	if (read_list(env->root, irq, "smp_affinity_list", now, sizeof(now)) < 0 ||
	    strcmp(now, ours) != 0)
		return;
	r = write_list(env->root, irq, old);
	if (r < 0)
		step_note(env, "irq %d stays on cpu %d: %s", irq, env->cpu, strerror(-r));
}

static void put_line_back(struct step_env *env, char *line)
{
	char *list = strchr(line, ' ');
	struct cpulist l;
	int irq;

	if (!list)
		return;
	*list++ = '\0';
	irq = sysfs_number(line);
	if (irq >= 0 && cpulist_parse_kernel(list, &l) == 0 && cpulist_count(&l) > 0)
		put_back(env, irq, list);
}

int step_irq_away(struct step_env *env)
{
	AUTO_CLOSE int lock = -1;
	char record[64], text[RECORD_SIZE], *rest = text, *line;
	int r;

	env->text[0] = '\0';
	snprintf(record, sizeof(record), RECORD, env->cpu);
	if (faccessat(env->root, record, F_OK, 0) < 0 && errno == ENOENT)
		return 0;
	step_waits(env);
	lock = sysfs_lock(env->root, LOCK);
	r = lock < 0 ? lock : sysfs_read(env->root, record, text, sizeof(text));
	if (r < 0) {
		step_note(env, "cannot read /%s: %s", record, strerror(-r));
		return 0;
	}
	/* An interrupt's first line is the oldest; once it is put back its later lines pass. */
	while ((line = strsep(&rest, "\n")))
		put_line_back(env, line);
	if (unlinkat(env->root, record, 0) < 0)
		step_note(env, "cannot remove /%s: %s", record, strerror(errno));
	return 0;
}
