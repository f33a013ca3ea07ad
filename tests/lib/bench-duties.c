/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench-duties.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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
		{ INSTANCE "/buffer_size_kb", "32" },
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
	*d = (struct duties){ .record = -1, .saved = -1, .expedited = -1, .trace = -1 };
}

static int open_all(struct duties *d)
{
	if (mkdir(FOLDER, 0755) < 0 && errno != EEXIST)
		return errno;
	d->record = open(FOLDER "/record", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	d->saved = open(FOLDER "/expedite", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	d->expedited = open(EXPEDITED, O_RDWR | O_CLOEXEC);
	if (d->record < 0 || d->saved < 0 || d->expedited < 0)
		return errno;
	return open_trace(d);
}

static int expedite(struct duties *d, bool on)
{
	char old[2];

	if (!on) {
		if (pwrite(d->expedited, "0", 1, 0) != 1)
			return errno;
		return pwrite(d->saved, "-", 1, 0) == 1 ? 0 : errno;
	}
	if (pread(d->expedited, old, sizeof(old), 0) < 0 || pwrite(d->saved, "0", 1, 0) != 1)
		return errno;
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

/* Of all that was brought online, as text, since nobody watches. */
static void read_ladder(struct duties *d)
{
	while (read(d->trace, d->text, sizeof(d->text)) > 0)
		;
}

/* Return: 0 where it is so, or an errno. */
static int confirm_online(int cpu)
{
	char path[64], now = '0';
	int fd, r = 0;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (read(fd, &now, 1) != 1)
		r = errno;
	close(fd);
	return r == 0 && now != '1' ? EIO : r;
}

/* What a child is asked, and its answer. */
struct duty {
	int cpu;
	int rc; /* 0 or an errno */
	struct duty_times times;
};

static void write_it(struct duty *q)
{
	q->times.write_ns = bench_now_ns();
	q->rc = bench_write_online(q->cpu, "1", &q->times.online_ns);
}

static void prove_it(struct duty *q)
{
	q->rc = sched_getcpu() == q->cpu ? check_timer() : EXDEV;
	if (q->rc == 0)
		check_cpu_time();
}

static int fork_child(struct duty_child *c, void (*work)(struct duty *q))
{
	struct duty q;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return errno;
	*c = (struct duty_child){ .pid = fork(), .fd = fds[0], .cpu = -1 };
	if (c->pid < 0)
		return errno;
	if (c->pid > 0)
		return close(fds[1]) < 0 ? errno : 0;
	close(fds[0]);
	while (recv(fds[1], &q, sizeof(q), 0) == sizeof(q)) {
		work(&q);
		if (send(fds[1], &q, sizeof(q), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

static int ask(struct duty_child *c, int cpu)
{
	const struct duty q = { .cpu = cpu };

	c->cpu = cpu;
	return send(c->fd, &q, sizeof(q), MSG_NOSIGNAL) < 0 ? errno : 0;
}

static int hear(struct duty_child *c, struct duty *ret)
{
	c->cpu = -1;
	return recv(c->fd, ret, sizeof(*ret), 0) == sizeof(*ret) ? ret->rc : EPIPE;
}

static int fork_all(struct duties *d)
{
	int r = fork_child(&d->writer, write_it);

	for (int i = 0; r == 0 && i < DUTY_WORKERS; i++)
		r = fork_child(&d->workers[i], prove_it);
	return r;
}

int duties_arm(struct duties *d, bool on)
{
	int r = d->record < 0 ? open_all(d) : 0;

	if (r == 0 && d->writer.pid == 0)
		r = fork_all(d);
	if (r == 0)
		r = write_file(INSTANCE "/tracing_on", O_TRUNC, on ? "1" : "0");
	/* What was left of the last time. */
	return r == 0 ? write_file(INSTANCE "/trace", O_TRUNC, "") : r;
}

/**
 * struct run - a batch under way
 * @queue: CPUs to be written, @n_queued of them, @n_begun of those with the writer or further
 */
struct run {
	struct duties *d;
	const struct duty_batch *b;
	int queue[DUTY_WORKERS];
	int n_queued, n_begun, n_did;
	bool expedited;
	long long begin_ns;
};

static int say(int port, const char *word, int cpu)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%s %d\n", word, cpu);

	return write(port, line, (size_t)n) == n ? 0 : EIO;
}

static int write_next(struct run *run)
{
	int r = 0, cpu;

	if (run->d->writer.cpu >= 0 || run->n_begun == run->n_queued)
		return 0;
	cpu = run->queue[run->n_begun++];
	if (run->b->expedited && !run->expedited)
		r = expedite(run->d, true);
	run->expedited = run->b->expedited;
	if (r == 0)
		r = note(run->d, cpu, 'u');
	return r ? r : ask(&run->d->writer, cpu);
}

static struct duty_child *idle_worker(struct duties *d)
{
	for (int i = 0; i < DUTY_WORKERS; i++)
		if (d->workers[i].cpu < 0)
			return &d->workers[i];
	return NULL;
}

static int on_written(struct run *run)
{
	struct duties *d = run->d;
	struct duty_child *w = idle_worker(d);
	struct duty q;
	cpu_set_t set;
	int r = hear(&d->writer, &q);

	if (r == 0)
		r = write_next(run);
	if (r == 0)
		r = confirm_online(q.cpu);
	if (r || !w)
		return r ? r : EBUSY;
	CPU_ZERO(&set);
	CPU_SET(q.cpu, &set);
	if (sched_setaffinity(w->pid, sizeof(set), &set) < 0)
		return errno;
	d->times[w - d->workers] = q.times;
	return ask(w, q.cpu);
}

static int on_proved(struct run *run, struct duty_child *w)
{
	struct duties *d = run->d;
	struct duty q;
	struct duty_times *t = &d->times[w - d->workers];
	int r = hear(w, &q), len;
	char line[128];

	t->proof_ns = bench_now_ns();
	if (r == 0)
		r = announce(q.cpu);
	if (r == 0)
		r = note(d, q.cpu, 'o');
	if (r)
		return r;
	len = snprintf(line, sizeof(line), "did %d %lld %lld %lld %lld\n", q.cpu, t->online_ns,
		       t->write_ns - run->begin_ns, t->proof_ns - t->write_ns - t->online_ns,
		       bench_now_ns() - t->proof_ns);
	run->n_did++;
	return write(run->b->port, line, (size_t)len) == len ? 0 : EIO;
}

static int on_uevent(struct run *run)
{
	int cpu = bench_added_cpu(run->b->uevents);

	return cpu < 0 ? 0 : say(run->b->port, "present", cpu);
}

/* "ping", or "kick CPU", of which there may be more than one. */
static int on_port(struct run *run)
{
	char text[256];
	ssize_t n = read(run->b->port, text, sizeof(text) - 1);

	if (n <= 0)
		return EIO;
	text[n] = '\0';
	if (strcmp(text, "ping\n") == 0)
		return write(run->b->port, "ready\n", 6) == 6 ? 0 : EIO;
	for (char *at = text; (at = strstr(at, "kick ")) && run->n_queued < run->b->n;) {
		at += strlen("kick ");
		run->queue[run->n_queued++] = (int)strtol(at, NULL, 10);
	}
	return write_next(run);
}

static int wait_and_serve(struct run *run)
{
	struct duties *d = run->d;
	struct pollfd p[DUTY_WORKERS + 3];
	int r = 0;

	for (int i = 0; i < DUTY_WORKERS; i++)
		p[i] = (struct pollfd){ .fd = d->workers[i].fd, .events = POLLIN };
	p[DUTY_WORKERS] = (struct pollfd){ .fd = d->writer.fd, .events = POLLIN };
	p[DUTY_WORKERS + 1] = (struct pollfd){ .fd = run->b->uevents, .events = POLLIN };
	p[DUTY_WORKERS + 2] =
		(struct pollfd){ .fd = run->b->uevents < 0 ? -1 : run->b->port, .events = POLLIN };
	if (poll(p, DUTY_WORKERS + 3, -1) < 0)
		return errno;
	if (p[DUTY_WORKERS].revents)
		r = on_written(run);
	for (int i = 0; r == 0 && i < DUTY_WORKERS; i++)
		if (p[i].revents)
			r = on_proved(run, &d->workers[i]);
	if (r == 0 && p[DUTY_WORKERS + 1].revents)
		r = on_uevent(run);
	if (r == 0 && p[DUTY_WORKERS + 2].revents)
		r = on_port(run);
	return r;
}

int duties_run(struct duties *d, const struct duty_batch *b)
{
	struct run run = { .d = d, .b = b, .begin_ns = bench_now_ns() };
	int r;

	if (b->n > DUTY_WORKERS)
		return E2BIG;
	for (int i = 0; b->uevents < 0 && i < b->n; i++)
		run.queue[run.n_queued++] = b->first + i;
	r = write_next(&run);
	while (r == 0 && run.n_did < b->n)
		r = wait_and_serve(&run);
	/* Nobody waits for these. */
	read_ladder(d);
	return r == 0 && run.expedited ? expedite(d, false) : r;
}
