/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/writer.h"
#include "guest-agent/child.h"
#include "guest-agent/control.h"
#include "guest-agent/cputable.h"
#include "guest-agent/kladder.h"
#include "guest-agent/sysfs.h"
#include "guest-agent/text.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct request {
	int cpu;
	bool online;
};

/*
 * struct reply
 * @time_ns: when the kernel had done it; control hears of it later
 */
struct reply {
	int cpu;
	int rc;
	uint64_t time_ns;
};

/*
 * Whoever did it first (udev, root), what counts is that it is so: the kernel takes a write of the
 * value that stands without a word. That a CPU came online control confirms, which costs less
 * there (control_on_written()). A CPU without the file is always online.
 */
static int write_online(int cpus, const struct request *q)
{
	char folder[32] = "cpu", path[32];
	long now = 0;
	int r;

	text_add_number(folder, sizeof(folder), (unsigned int)q->cpu);
	text_copy(path, sizeof(path), folder);
	text_add(path, sizeof(path), "/online");
	r = sysfs_write(cpus, path, q->online ? "1\n" : "0\n");
	if (r == -ENOENT && faccessat(cpus, folder, F_OK, 0) == 0)
		return q->online ? 0 : -EPERM;
	if (r == 0 && !q->online)
		r = sysfs_read_long(cpus, path, &now);
	if (r == -ENOENT)
		return -ENODEV;
	if (r < 0)
		return r;
	return now == 0 ? 0 : -EIO;
}

/* Everybody waits for the kernel's online, and on a guest's only CPU the agent itself is in its way. */
enum { HELPER_NICE = -10 };

__attribute__((noreturn)) static void helper(int cpus, int fd)
{
	struct request q;

	(void)setpriority(PRIO_PROCESS, 0, HELPER_NICE);
	while (recv(fd, &q, sizeof(q), 0) == sizeof(q)) {
		struct reply p = { .cpu = q.cpu, .rc = write_online(cpus, &q) };

		p.time_ns = now_ns();
		if (send(fd, &p, sizeof(p), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

void writer_init(struct writer *w)
{
	*w = (struct writer){ .fd = -1, .cpu = -1 };
}

static int start_helper(struct agent *a)
{
	int fd = -1, r;
	pid_t pid = child_fork(&a->cpu_folder, 1, &fd);

	if (pid < 0)
		return pid;
	if (pid == 0)
		helper(a->cpu_folder, fd);
	r = agent_watch(a, fd, EPOLLIN, SOURCE_WRITER, 0);
	if (r < 0) {
		child_hang_up(&fd);
		return r;
	}
	a->writer.pid = pid;
	a->writer.fd = fd;
	return 0;
}

static struct cpu *first_in_queue(struct agent *a)
{
	struct cpu *first = NULL;

	for_each_cpu (a, c)
		if (c->job.ticket && (!first || c->job.ticket < first->job.ticket))
			first = c;
	return first;
}

/* Dead or of no use: the next write gets another. */
static void forget_helper(struct writer *w)
{
	child_hang_up(&w->fd);
	w->pid = 0;
}

static int try_to_send(struct agent *a, const struct request *q)
{
	int r = a->writer.fd < 0 ? start_helper(a) : 0;

	if (r < 0)
		return r;
	return send(a->writer.fd, q, sizeof(*q), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int send_request(struct agent *a, const struct cpu *c)
{
	const struct request q = { .cpu = c->cpu, .online = c->job.call.startup };

	if (try_to_send(a, &q) == 0)
		return 0;
	/* One that died while it was idle may not have been heard of yet. */
	forget_helper(&a->writer);
	return try_to_send(a, &q);
}

/*
 * While the kernel adds a CPU it holds the lock that an online needs. A write that meets that sleeps
 * for 5 ms and more before it tries again; one that gets in between two makes the next write meet it.
 * So what is queued behind CPUs that have just come waits: for the next kick that is to come, KICK_MS
 * each and HOLD_MS in all, and behind the last one LOCK_MS for the kernel to be done, which on one CPU
 * it may not be before we sleep. What was queued before them is not held.
 */
enum { KICK_MS = 10, HOLD_MS = 50, LOCK_MS = 2, RECENT_MS = 100 };

static void hold(struct agent *a)
{
	struct writer *w = &a->writer;
	uint64_t now = now_ms();

	if (!w->came_ms || now >= w->came_ms + RECENT_MS)
		return;
	if (!w->hold_ms)
		w->hold_end_ms = now + HOLD_MS;
	w->hold_ms = now + (expedite_deadline(&a->expedite) ? KICK_MS : LOCK_MS);
	if (w->hold_ms > w->hold_end_ms)
		w->hold_ms = w->hold_end_ms;
}

void writer_on_come(struct agent *a)
{
	a->writer.came_ms = now_ms();
	if (a->writer.hold_ms)
		hold(a);
}

void writer_on_kick(struct agent *a)
{
	if (a->writer.hold_ms)
		hold(a);
}

uint64_t writer_deadline(struct agent *a)
{
	if (a->writer.cpu >= 0 || kladder_wait_deadline(a) || !first_in_queue(a))
		return 0;
	return a->writer.hold_ms;
}

static void start_next(struct agent *a)
{
	struct writer *w = &a->writer;
	struct cpu *c;
	uint64_t begun_ns;
	int r;

	if (kladder_wait_deadline(a) || (w->hold_ms && now_ms() < w->hold_ms))
		return;
	while (w->cpu < 0 && (c = first_in_queue(a))) {
		c->job.ticket = 0;
		w->came_ms = w->hold_ms = 0;
		w->cpu = c->cpu;
		kladder_begin(a, c);
		begun_ns = now_ns();
		r = send_request(a, c);
		/* It is at work meanwhile. */
		control_on_write_started(a, c, begun_ns);
		if (r < 0) {
			w->cpu = -1;
			kladder_end(a, c, r);
			control_on_written(a, c, r, now_ns(),
					   "no process can be had for the kernel write");
		}
	}
}

void writer_queue(struct agent *a, struct cpu *c)
{
	c->job.ticket = ++a->writer.tickets;
	hold(a);
	start_next(a);
}

void writer_go_on(struct agent *a)
{
	start_next(a);
}

void writer_on_time(struct agent *a, uint64_t now)
{
	uint64_t due = writer_deadline(a);

	if (due && now >= due)
		start_next(a);
}

bool writer_withdraw(struct cpu *c)
{
	bool queued = c->job.ticket != 0;

	c->job.ticket = 0;
	return queued;
}

bool writer_is_busy_with(const struct agent *a, const struct cpu *c)
{
	return a->writer.cpu == c->cpu;
}

bool writer_is_at_startup(const struct agent *a)
{
	return a->writer.cpu >= 0 && a->cpus[a->writer.cpu].job.call.startup;
}

void writer_look_ahead(struct agent *a, int cpu)
{
	if (a->writer.cpu == cpu && writer_is_at_startup(a))
		cputable_look_ahead(a, &a->cpus[cpu]);
}

static void finish(struct agent *a, int rc, uint64_t time_ns, const char *why)
{
	struct cpu *c = &a->cpus[a->writer.cpu];
	bool goes_on = rc == 0 && c->job.call.startup;

	a->writer.cpu = -1;
	/* The next CPU's write begins before this one's other steps: they overlap. */
	start_next(a);
	if (!goes_on)
		kladder_end(a, c, rc);
	control_on_written(a, c, rc, time_ns, why);
	if (goes_on)
		kladder_end(a, c, rc);
}

void writer_on_readable(struct agent *a)
{
	struct reply p;

	while (a->writer.fd >= 0) {
		ssize_t n = recv(a->writer.fd, &p, sizeof(p), MSG_DONTWAIT);

		if (n == 0)
			child_hang_up(&a->writer.fd);
		if (n != sizeof(p))
			return;
		if (a->writer.cpu >= 0 && p.cpu == a->writer.cpu)
			finish(a, p.rc, p.time_ns, NULL);
	}
}

/* It did not live to tell: what counts is what is so now. */
static int judge(struct agent *a, struct cpu *c)
{
	c->job.period = 0;
	cputable_read_online(a, c);
	return c->online == c->job.call.startup ? 0 : -EIO;
}

void writer_on_exit(struct agent *a, int status)
{
	struct reply p = { .cpu = -1 };
	ssize_t n = recv(a->writer.fd, &p, sizeof(p), MSG_DONTWAIT);
	int cpu = a->writer.cpu;

	/* First of all, since what is finished here begins the next write. */
	forget_helper(&a->writer);
	if (cpu < 0)
		return;
	if (n == sizeof(p) && p.cpu == cpu)
		finish(a, p.rc, p.time_ns, NULL);
	else
		finish(a, judge(a, &a->cpus[cpu]), now_ns(),
		       "the process that did the kernel write died");
}

void writer_prepare(struct agent *a)
{
	/* Without one ahead it is forked when it is needed, and the failure told then. */
	if (a->writer.fd < 0 && a->writer.pid == 0)
		(void)start_helper(a);
}
