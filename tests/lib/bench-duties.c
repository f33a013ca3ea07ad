/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench-duties.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define INSTANCE "/sys/kernel/tracing/instances/bench"
#define EXPEDITED "/sys/kernel/rcu_expedited"
#define FOLDER "/run/bench"

enum { RECORD_BYTES = 40, TIMER_NS = 100 * 1000, SPIN_NS = 20 * 1000 };

/* Return: 0 or an errno. */
static int write_file(const char *path, int flags, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644), r = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		r = errno;
	close(fd);
	return r;
}

static int open_trace(struct duties *d)
{
	static const char *const settings[][2] = {
		{ INSTANCE "/trace_clock", "mono" },
		{ INSTANCE "/buffer_size_kb", "16" },
		{ INSTANCE "/events/cpuhp/enable", "1" },
	};

	if (mkdir(INSTANCE, 0700) < 0 && errno != EEXIST)
		return errno;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		int r = write_file(settings[i][0], O_TRUNC, settings[i][1]);

		if (r)
			return r;
	}
	d->trace = open(INSTANCE "/trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return d->trace < 0 ? errno : 0;
}

void duties_init(struct duties *d)
{
	*d = (struct duties){ .record = -1, .expedited = -1, .trace = -1 };
	pthread_mutex_init(&d->lock, NULL);
}

static int open_all(struct duties *d)
{
	if (mkdir(FOLDER, 0755) < 0 && errno != EEXIST)
		return errno;
	d->record = open(FOLDER "/record", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	d->expedited = open(EXPEDITED, O_RDWR | O_CLOEXEC);
	if (d->record < 0 || d->expedited < 0)
		return errno;
	return open_trace(d);
}

int duties_arm(struct duties *d, bool on)
{
	int r = d->record < 0 ? open_all(d) : 0;

	if (r == 0)
		r = write_file(INSTANCE "/tracing_on", O_TRUNC, on ? "1" : "0");
	/* What was left of the last time. */
	return r == 0 ? write_file(INSTANCE "/trace", O_TRUNC, "") : r;
}

int duties_expedite(struct duties *d, bool on)
{
	char old[2];
	int r;

	if (!on) {
		if (pwrite(d->expedited, "0", 1, 0) != 1)
			return errno;
		return unlink(FOLDER "/expedite") < 0 ? errno : 0;
	}
	if (pread(d->expedited, old, sizeof(old), 0) < 0)
		return errno;
	r = write_file(FOLDER "/expedite", O_CREAT | O_TRUNC, "0");
	if (r)
		return r;
	return pwrite(d->expedited, "1", 1, 0) == 1 ? 0 : errno;
}

static int note(struct duties *d, int cpu, char what)
{
	char row[RECORD_BYTES];

	memset(row, what, sizeof(row));
	if (pwrite(d->record, row, sizeof(row), (off_t)cpu * RECORD_BYTES) == RECORD_BYTES)
		return 0;
	return errno;
}

int duties_before(struct duties *d, int cpu)
{
	return note(d, cpu, 'u');
}

static int check_timer(void)
{
	const struct itimerspec when = { .it_value = { .tv_nsec = TIMER_NS } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r = 0;

	if (fd < 0)
		return errno;
	if (timerfd_settime(fd, 0, &when, NULL) < 0 || poll(&p, 1, 1000) != 1)
		r = ETIME;
	close(fd);
	return r;
}

static void check_cpu_time(void)
{
	struct timespec from, to;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	while ((to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec < SPIN_NS);
}

static int announce(int cpu)
{
	char text[64];
	int r;

	snprintf(text, sizeof(text), "{\"serial\":1,\"active\":[0,%d]}\n", cpu);
	r = write_file(FOLDER "/cpus.json~", O_CREAT | O_TRUNC, text);
	if (r)
		return r;
	return rename(FOLDER "/cpus.json~", FOLDER "/cpus.json") < 0 ? errno : 0;
}

/* As it comes; an agent makes some 25 bytes of each line for its host, and so does this. */
static size_t read_ladder(struct duties *d, char *report, size_t size)
{
	enum { LINE_TO_HOST = 25 };
	size_t lines = 0;
	ssize_t n;

	while ((n = read(d->trace, d->text, sizeof(d->text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += d->text[i] == '\n';
	if (lines * LINE_TO_HOST > size)
		lines = size / LINE_TO_HOST;
	memset(report, 'k', lines * LINE_TO_HOST);
	return lines * LINE_TO_HOST;
}

int duties_after(struct duties *d, int cpu, char *report, size_t size)
{
	size_t n = 0;
	int r = check_timer();

	if (r)
		return -r;
	check_cpu_time();
	pthread_mutex_lock(&d->lock);
	r = announce(cpu);
	if (r == 0)
		r = note(d, cpu, 'o');
	if (r == 0)
		n = read_ladder(d, report, size);
	pthread_mutex_unlock(&d->lock);
	return r ? -r : (int)n;
}
