/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A hot-added CPU has no hotplug/ folder in sysfs; what the kernel's own ladder does with it shows
 * only in tracefs. An instance of our own keeps us apart from whoever else traces: own buffer, own
 * clock (mono, which the agent's other times use), own reader.
 *
 * Lines of trace_pipe look like
 *
 *	cpuhp/3-31  [003] d..1. 12.345678: cpuhp_enter: cpu: 0003 target: 236 step: 156 (f)
 *	cpuhp/3-31  [003] d..1. 12.345700: cpuhp_exit:  cpu: 0003  state: 156 step: 156 ret: 0
 *
 * The task's name stands first and may hold anything, even text that looks like an event, so the
 * last event mark of a line counts and nothing left of it but the time stamp is read. The CPU in
 * brackets is the one that ran the step; the CPU in transition is a field of the event.
 *
 * All of this is a view: where tracefs, the events or the instance are missing everything else
 * works. Nothing here waits: the pipe is non-blocking, a read takes at most what its caller allows.
 */
#include "guest-agent/ktrace.h"
#include "guest-agent/cleanup.h"
#include "guest-agent/sysfs.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define TRACING "sys/kernel/tracing"
#define DEBUG_TRACING "sys/kernel/debug/tracing"
#define INSTANCE "instances/vcpuhp"

/* A whole trip of one CPU is 70 lines of about 40 bytes; this holds sixteen, on each CPU, and
 * must hold those that are read at once (UNREAD_MAX, kladder.c). The kernel
 * makes and clears it anew for each CPU that comes online. */
#define BUFFER_KIB "32"

static bool has_tracefs(int root, const char *folder)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/instances", folder);
	return faccessat(root, path, F_OK, 0) == 0;
}

/* The tracing folder in use, or NULL. */
static const char *tracing_folder(int root)
{
	if (has_tracefs(root, TRACING))
		return TRACING;
	return has_tracefs(root, DEBUG_TRACING) ? DEBUG_TRACING : NULL;
}

/* mount(2) takes no descriptor, so the folder is named from a working folder set for the moment. */
static int mount_below(int root)
{
	AUTO_CLOSE int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (here < 0 || fchdir(root) < 0)
		return -errno;
	if (mount("tracefs", TRACING, "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		r = -errno;
	if (fchdir(here) < 0)
		return -errno;
	return r;
}

static int mount_missing(int root)
{
	AUTO_CLOSE int fd = openat(root, TRACING, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0)
		return -errno;
	/* The kernel keeps this folder of sysfs free for tracefs; in any other it is not ours to mount. */
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type != SYSFS_MAGIC)
		return -ENOENT;
	return mount_below(root);
}

static int set(int root, const char *folder, const char *file, const char *value)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s/%s", folder, INSTANCE, file);
	return sysfs_write(root, path, value);
}

static int set_up_instance(int root, const char *folder)
{
	static const struct {
		const char *file;
		const char *value;
		bool may_lack;
	} settings[] = {
		{ "tracing_on", "0", false },
		{ "trace_clock", "mono", false },
		{ "buffer_size_kb", BUFFER_KIB, false },
		/* Wakes the reader at the first event; kernels before 5.0 always do. */
		{ "buffer_percent", "0", true },
		{ "events/cpuhp/enable", "1", false },
		{ "tracing_on", "1", false },
	};
	int r;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		r = set(root, folder, settings[i].file, settings[i].value);
		if (r < 0 && !(r == -ENOENT && settings[i].may_lack))
			return r;
	}
	return 0;
}

int ktrace_setup(int root)
{
	const char *folder = tracing_folder(root);
	char path[PATH_MAX];
	int r;

	if (!folder) {
		r = mount_missing(root);
		if (r < 0)
			return r;
		folder = TRACING;
	}
	snprintf(path, sizeof(path), "%s/%s", folder, INSTANCE);
	if (mkdirat(root, path, 0700) < 0 && errno != EEXIST)
		return -errno;
	return set_up_instance(root, folder);
}

int ktrace_open(struct ktrace *k, int root)
{
	const char *folder = tracing_folder(root);
	char path[PATH_MAX];

	k->fd = -1;
	k->used = 0;
	if (!folder)
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/%s/trace_pipe", folder, INSTANCE);
	k->fd = openat(root, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return k->fd < 0 ? -errno : 0;
}

void ktrace_close(struct ktrace *k)
{
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
	k->used = 0;
}

void ktrace_remove(int root)
{
	const char *folder = tracing_folder(root);
	char path[PATH_MAX];

	if (!folder)
		return;
	snprintf(path, sizeof(path), "%s/%s", folder, INSTANCE);
	unlinkat(root, path, AT_REMOVEDIR);
}

/* Blanks, then digits. Moves *@at on. */
static bool number(const char **at, unsigned long long *ret)
{
	const char *p = *at + strspn(*at, " ");
	char *end;

	if (*p < '0' || *p > '9')
		return false;
	errno = 0;
	*ret = strtoull(p, &end, 10);
	*at = end;
	return errno == 0;
}

/* Blanks, @key, then a number of at most @max. Moves *@at on. */
static bool field(const char **at, const char *key, unsigned long long max, int *ret)
{
	const char *p = *at + strspn(*at, " ");
	unsigned long long v;

	if (strncmp(p, key, strlen(key)) != 0)
		return false;
	p += strlen(key);
	if (!number(&p, &v) || v > max)
		return false;
	*ret = (int)v;
	*at = p;
	return true;
}

/* The time stamp "12.345678" that ends at @end, of whatever number of digits up to nanoseconds. */
static bool parse_time(const char *line, const char *end, uint64_t *ret)
{
	const char *p = end;
	unsigned long long sec, frac;
	size_t digits;

	while (p > line && p[-1] != ' ')
		p--;
	if (!number(&p, &sec) || *p != '.' || sec > UINT64_MAX / 1000000000u - 1)
		return false;
	p++;
	digits = strspn(p, "0123456789");
	if (digits < 1 || digits > 9 || p + digits != end || !number(&p, &frac))
		return false;
	for (size_t i = digits; i < 9; i++)
		frac *= 10;
	*ret = sec * 1000000000u + frac;
	return true;
}

static bool parse_enter(const char *p, struct ktrace_event *e)
{
	int target;

	if (!field(&p, "cpu:", INT_MAX, &e->cpu) || !field(&p, "target:", INT_MAX, &target) ||
	    !field(&p, "step:", UINT8_MAX, &e->step))
		return false;
	/* The step that is the target itself is only ever run on the way up. */
	e->startup = target >= e->step;
	return true;
}

static bool parse_exit(const char *p, struct ktrace_event *e)
{
	static const char ret[] = " ret: ";
	bool negative;
	int state;

	if (!field(&p, "cpu:", INT_MAX, &e->cpu) || !field(&p, "state:", INT_MAX, &state) ||
	    !field(&p, "step:", UINT8_MAX, &e->step) || strncmp(p, ret, strlen(ret)) != 0)
		return false;
	p += strlen(ret);
	negative = *p == '-';
	if (!field(&(const char *){ p + negative }, "", INT_MAX, &e->rc))
		return false;
	if (negative)
		e->rc = -e->rc;
	/* On the way down the kernel counts its state down before the step runs. */
	e->startup = state >= e->step;
	e->exit = true;
	return true;
}

int ktrace_parse(const char *line, struct ktrace_event *ret)
{
	static const struct {
		const char *mark;
		bool (*parse)(const char *p, struct ktrace_event *e);
	} kinds[] = {
		{ ": cpuhp_enter: ", parse_enter },
		{ ": cpuhp_multi_enter: ", parse_enter },
		{ ": cpuhp_exit: ", parse_exit },
	};
	struct ktrace_event e = { 0 };

	for (const char *at = line + strlen(line); at > line; at--) {
		if (at[-1] != ':')
			continue;
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			size_t len = strlen(kinds[i].mark);

			if (strncmp(at - 1, kinds[i].mark, len) != 0)
				continue;
			if (!parse_time(line, at - 1, &e.time_ns) ||
			    !kinds[i].parse(at - 1 + len, &e))
				return 0;
			*ret = e;
			return 1;
		}
	}
	return 0;
}

/* Hand out the whole lines of the buffer and keep the torn one. */
static void take_lines(struct ktrace *k, void (*cb)(void *ctx, const struct ktrace_event *e),
		       void *ctx)
{
	char *start = k->buf, *end = k->buf + k->used, *newline;
	struct ktrace_event e;

	while ((newline = memchr(start, '\n', (size_t)(end - start)))) {
		*newline = '\0';
		if (ktrace_parse(start, &e))
			cb(ctx, &e);
		else if (strncmp(start, "CPU:", 4) == 0 && strstr(start, " [LOST "))
			k->lost = true;
		start = newline + 1;
	}
	k->used = (size_t)(end - start);
	memmove(k->buf, start, k->used);
	/* No line of the kernel is that long: what fills the buffer without an end is no line. */
	if (k->used == sizeof(k->buf))
		k->used = 0;
}

int ktrace_read(struct ktrace *k, size_t max, void (*cb)(void *ctx, const struct ktrace_event *e),
		void *ctx)
{
	while (max > 0) {
		size_t space = sizeof(k->buf) - k->used;
		ssize_t n = read(k->fd, k->buf + k->used, space < max ? space : max);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0)
			return 0;
		k->used += (size_t)n;
		max -= (size_t)n;
		take_lines(k, cb, ctx);
	}
	return 0;
}

/* One line of the list: "156: smpboot/threads:online". */
static void take_name(struct kstep_names *k, const char *line)
{
	unsigned long long step;
	size_t len;

	if (!number(&line, &step) || step >= sizeof(k->names) / sizeof(k->names[0]) || *line != ':')
		return;
	line++;
	line += strspn(line, " ");
	len = strnlen(line, sizeof(k->names[0]) - 1);
	memcpy(k->names[step], line, len);
	k->names[step][len] = '\0';
}

int kstep_names_load(struct kstep_names *k, int root)
{
	char text[16384], *rest = text, *line;
	int r = sysfs_read(root, "sys/devices/system/cpu/hotplug/states", text, sizeof(text));

	memset(k, 0, sizeof(*k));
	if (r < 0)
		return r;
	while ((line = strsep(&rest, "\n")))
		take_name(k, line);
	return 0;
}

const char *kstep_name(const struct kstep_names *k, int step)
{
	if (step < 0 || (size_t)step >= sizeof(k->names) / sizeof(k->names[0]))
		return "";
	return k->names[step];
}
