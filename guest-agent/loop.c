/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Each turn takes what has come (signals, uevents, the children, the port), then announces and
 * sends what has changed, and last does what nobody waits for. It sleeps until the next event or
 * the next deadline; with nothing in transition there is no deadline, and it is not woken.
 *
 * A batch's CPUs come one right behind another, and where a guest has one CPU so far, whatever is done
 * about one of them is in the way of the next. So they gather: while kicks are to come for more than
 * have come, uevents are heard each NEXT_MS as long as that brings another, and the host is told after,
 * or in TOGETHER_MS.
 */
#include "guest-agent/loop.h"
#include "guest-agent/announced.h"
#include "guest-agent/control.h"
#include "guest-agent/cputable.h"
#include "guest-agent/crew.h"
#include "guest-agent/finish.h"
#include "guest-agent/hostlink.h"
#include "guest-agent/kick.h"
#include "guest-agent/kladder.h"
#include "guest-agent/registry.h"
#include "guest-agent/spares.h"
#include "guest-agent/uevent.h"
#include "guest-agent/writer.h"
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVENTS_A_TURN = 32, NEXT_MS = 4, TOGETHER_MS = 50 };

static void bury(struct agent *a, pid_t pid, int status)
{
	if (pid == a->writer.pid) {
		writer_on_exit(a, status);
		return;
	}
	if (pid == a->kladder.setup_pid) {
		kladder_on_setup(a, status);
		return;
	}
	if (spares_on_exit(a, pid))
		return;
	for_each_cpu (a, c) {
		if (c->worker.pid != pid)
			continue;
		crew_on_exit(a, c, status);
		return;
	}
}

void loop_on_signals(struct agent *a)
{
	struct signalfd_siginfo s;
	int status;
	pid_t pid;

	while (read(a->signals, &s, sizeof(s)) == sizeof(s)) {
		/* Before the start the folder has not been looked at once. */
		if (s.ssi_signo == SIGHUP && a->scanned)
			registry_rescan(a);
		else if (s.ssi_signo == SIGTERM || s.ssi_signo == SIGINT)
			a->stop = true;
	}
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		bury(a, pid, status);
}

static bool is_awaiting_kick(const struct agent *a)
{
	return a->jobs == 0 && expedite_deadline(&a->expedite) && a->link.session.established;
}

static void on_uevent(void *ctx, const struct uevent *e)
{
	struct agent *a = ctx;

	if (e->kind == UEVENT_PORT)
		hostlink_try_open(a);
	else
		cputable_on_uevent(a, e);
	/* The kernel tells of an online shortly before the write returns. */
	if (e->kind == UEVENT_CPU_ONLINE)
		writer_look_ahead(a, e->cpu);
}

static void read_uevents(struct agent *a)
{
	/* Steps that others had the kernel take are best dropped while nobody waits. */
	if (!finish_is_batch_on(a))
		kladder_read(a);
	if (uevent_read(a->uevents, on_uevent, a) != -ENOBUFS)
		return;
	agent_log(a, "uevents were lost; reading all again");
	cputable_rescan(a);
	hostlink_try_open(a);
}

static void listen_to_uevents(struct agent *a, bool on)
{
	struct epoll_event e = {
		.events = on ? EPOLLIN : 0,
		.data.u64 = (uint64_t)SOURCE_UEVENT << 32,
	};

	(void)epoll_ctl(a->epoll, EPOLL_CTL_MOD, a->uevents, &e);
}

static void gather(struct agent *a, bool gathered)
{
	uint64_t now = now_ms();

	if (!gathered)
		a->together_ms = now + TOGETHER_MS;
	if (now < a->together_ms)
		a->uevents_ms = now + NEXT_MS;
}

static void on_uevents(struct agent *a)
{
	bool gathered = a->uevents_ms;

	a->has_come = false;
	a->uevents_ms = 0;
	read_uevents(a);
	if (a->has_come && is_awaiting_kick(a) && cputable_awaited(a) < a->expedite.kicks)
		gather(a, gathered);
	if (gathered != (a->uevents_ms > 0))
		listen_to_uevents(a, gathered);
}

static void dispatch(struct agent *a, uint64_t what)
{
	int cpu = (int)(uint32_t)what;

	switch ((enum source)(what >> 32)) {
	case SOURCE_SIGNAL:
		loop_on_signals(a);
		break;
	case SOURCE_PORT:
		hostlink_on_port(a);
		break;
	case SOURCE_UEVENT:
		on_uevents(a);
		break;
	case SOURCE_WRITER:
		writer_on_readable(a);
		break;
	case SOURCE_WORKER:
		crew_on_readable(a, &a->cpus[cpu]);
		break;
	}
}

static bool is_of_writer(const struct epoll_event *e)
{
	return (enum source)(e->data.u64 >> 32) == SOURCE_WRITER;
}

/* A CPU waits for the kernel write; what its uevents tell is known when it has returned. */
static void dispatch_all(struct agent *a, const struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++)
		if (is_of_writer(&events[i]))
			dispatch(a, events[i].data.u64);
	for (int i = 0; i < n; i++)
		if (!is_of_writer(&events[i]))
			dispatch(a, events[i].data.u64);
}

static uint64_t earlier(uint64_t x, uint64_t y)
{
	return !x || (y && y < x) ? y : x;
}

/* The next deadline, 0 none. */
static uint64_t next_deadline(struct agent *a)
{
	uint64_t t = a->link.fd < 0 ? a->link.retry_ms : a->link.gather_ms;

	t = earlier(t, cputable_deadline(a));
	t = earlier(t, expedite_deadline(&a->expedite));
	t = earlier(t, load_deadline(a));
	t = earlier(t, kladder_wait_deadline(a));
	t = earlier(t, writer_deadline(a));
	t = earlier(t, a->uevents_ms);
	t = earlier(t, kladder_deadline(a));
	t = earlier(t, a->rest_ms);
	if (!finish_is_batch_on(a))
		return t;
	t = earlier(t, a->log_ms);
	for_each_cpu (a, c) {
		if (c->job.kind)
			t = earlier(t, earlier(c->job.deadline_ms, c->job.step_deadline_ms));
		if (c->next_due)
			t = earlier(t, c->next_deadline_ms);
	}
	return t;
}

static void on_time_of_jobs(struct agent *a, uint64_t now)
{
	for_each_cpu (a, c) {
		kick_on_time(c, now);
		if (c->job.kind)
			control_on_time(a, c, now);
	}
}

static void on_time(struct agent *a)
{
	uint64_t now = now_ms();

	if (a->link.fd < 0 && a->link.retry_ms && now >= a->link.retry_ms)
		hostlink_try_open(a);
	if (kladder_deadline(a) && now >= kladder_deadline(a))
		kladder_read(a);
	if (a->uevents_ms && now >= a->uevents_ms)
		on_uevents(a);
	cputable_on_time(a, now);
	load_on_time(a, now);
	if (a->jobs > 0)
		on_time_of_jobs(a, now);
	/* After those: a write that begins now must not be found overdue at once. */
	kladder_on_time(a, now);
	writer_on_time(a, now);
}

static int patience(struct agent *a)
{
	uint64_t t = next_deadline(a), now = now_ms();

	if (!t)
		return -1;
	if (t <= now)
		return 0;
	return t - now > INT_MAX ? INT_MAX : (int)(t - now);
}

static void announce(struct agent *a)
{
	int r;

	if (!a->announce_due)
		return;
	a->announce_due = false;
	r = announced_update(a);
	if (r < 0)
		agent_log(a, "cannot announce the CPUs: %s", strerror(-r));
}

int loop_run(struct agent *a)
{
	struct epoll_event events[EVENTS_A_TURN];
	bool more = false;

	while (!a->stop) {
		int n;

		hostlink_take(a);
		/* Also what a request has changed, before it is answered. */
		announce(a);
		more = hostlink_put(a);
		more |= finish_rest(a);
		n = epoll_wait(a->epoll, events, EVENTS_A_TURN, more ? 0 : patience(a));
		if (n < 0 && errno != EINTR)
			return -errno;
		dispatch_all(a, events, n);
		on_time(a);
	}
	return 0;
}
