/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * vcpuhp-agent: the guest's side of the ladder. One process with one loop owns the port, the
 * uevents and the time, and never blocks; what may block is done by its children: the writer
 * (kernel online and offline), a worker on each CPU in transition, the setup of the kernel's
 * trace.
 *
 * Each turn takes what has come (signals, uevents, the children, the port), then announces and
 * sends what has changed. It sleeps until the next event or the next deadline; with nothing in
 * transition there is no deadline, and it is not woken.
 *
 * SIGTERM and SIGINT end the agent and leave every CPU as it is; SIGHUP looks at the callbacks
 * again. A second agent on the same port waits for the first one's end.
 */
#include "guest-agent/adopt.h"
#include "guest-agent/agent.h"
#include "guest-agent/control.h"
#include "guest-agent/cputable.h"
#include "guest-agent/crew.h"
#include "guest-agent/finish.h"
#include "guest-agent/hostlink.h"
#include "guest-agent/kladder.h"
#include "guest-agent/lock.h"
#include "guest-agent/options.h"
#include "guest-agent/registry.h"
#include "guest-agent/sysfs.h"
#include "guest-agent/uevent.h"
#include "guest-agent/writer.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_A_TURN = 32, LOCK_RETRY_MS = 1000 };

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t now_ms(void)
{
	return now_ns() / 1000000u;
}

__attribute__((format(printf, 1, 0))) static void log_line(const char *format, va_list args)
{
	char line[1024];

	vsnprintf(line, sizeof(line), format, args);
	fprintf(stderr, "vcpuhp-agent: %s\n", line);
}

void agent_log(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(format, args);
	va_end(args);
}

void agent_tell(struct agent *a, int level, const char *format, ...)
{
	struct record r = { .type = RECORD_LOG, .log.level = (uint8_t)level };
	va_list args;

	va_start(args, format);
	vsnprintf(r.log.text, sizeof(r.log.text), format, args);
	va_end(args);
	agent_log("%s", r.log.text);
	hostlink_progress(a, &r);
}

int agent_watch(struct agent *a, int fd, uint32_t events, enum source source, int cpu)
{
	struct epoll_event e = {
		.events = events,
		.data.u64 = (uint64_t)source << 32 | (uint32_t)cpu,
	};

	return epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

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
	if (pid == a->spare.pid)
		crew_forget_prepared(a);
	for_each_cpu (a, c) {
		if (c->worker.pid != pid)
			continue;
		crew_on_exit(a, c, status);
		return;
	}
}

static void on_signals(struct agent *a)
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

static void on_uevent(void *ctx, const struct uevent *e)
{
	struct agent *a = ctx;

	if (e->kind == UEVENT_PORT)
		hostlink_try_open(a);
	else
		cputable_on_uevent(a, e);
}

static void on_uevents(struct agent *a)
{
	if (uevent_read(a->uevents, on_uevent, a) != -ENOBUFS)
		return;
	agent_log("uevents were lost; reading all again");
	cputable_rescan(a);
	hostlink_try_open(a);
}

static void dispatch(struct agent *a, uint64_t what)
{
	int cpu = (int)(uint32_t)what;

	switch ((enum source)(what >> 32)) {
	case SOURCE_SIGNAL:
		on_signals(a);
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

static uint64_t earlier(uint64_t x, uint64_t y)
{
	return !x || (y && y < x) ? y : x;
}

/* The next deadline, 0 none. */
static uint64_t next_deadline(struct agent *a)
{
	uint64_t t = a->link.fd < 0 ? a->link.retry_ms : a->link.gather_ms;

	if (a->writer.cpu >= 0 && a->kladder.ready)
		t = earlier(t, a->kladder.tick_ms);
	if (a->jobs == 0)
		return t;
	for_each_cpu (a, c)
		if (c->job.kind)
			t = earlier(t, earlier(c->job.deadline_ms, c->job.step_deadline_ms));
	return t;
}

static void on_time(struct agent *a)
{
	uint64_t now = now_ms();

	if (a->link.fd < 0 && a->link.retry_ms && now >= a->link.retry_ms)
		hostlink_try_open(a);
	if (a->writer.cpu >= 0 && a->kladder.ready && now >= a->kladder.tick_ms)
		kladder_read(a);
	if (a->jobs == 0)
		return;
	for_each_cpu (a, c)
		if (c->job.kind)
			control_on_time(a, c, now);
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
	r = cputable_announce(a);
	if (r < 0)
		agent_log("cannot announce the CPUs: %s", strerror(-r));
}

static int run(struct agent *a)
{
	struct epoll_event events[EVENTS_A_TURN];
	bool more = false;

	while (!a->stop) {
		int n;

		announce(a);
		more = hostlink_turn(a);
		/* Requests may have begun something that is due at once. */
		announce(a);
		finish_rest(a);
		n = epoll_wait(a->epoll, events, EVENTS_A_TURN, more ? 0 : patience(a));
		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++)
			dispatch(a, events[i].data.u64);
		on_time(a);
	}
	return 0;
}

static int watch_signals(struct agent *a)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (a->signals < 0)
		return -errno;
	return agent_watch(a, a->signals, EPOLLIN, SOURCE_SIGNAL, 0);
}

static int watch_uevents(struct agent *a)
{
	a->uevents = a->seam->open_uevents(a->root);
	if (a->uevents < 0)
		return a->uevents;
	return agent_watch(a, a->uevents, EPOLLIN, SOURCE_UEVENT, 0);
}

static void read_boot_id(struct agent *a)
{
	char text[64];
	int n = 0;

	if (sysfs_read(a->root, "proc/sys/kernel/random/boot_id", text, sizeof(text)) <= 0)
		return;
	for (const char *p = text; *p && n < 32; p++) {
		const char *digits = "0123456789abcdef", *d = strchr(digits, *p);

		if (!d)
			continue;
		a->boot_id[n / 2] = (uint8_t)(a->boot_id[n / 2] << 4 | (d - digits));
		n++;
	}
}

static bool exists(const struct agent *a, const char *path)
{
	return faccessat(a->root, path, F_OK, 0) == 0;
}

/* Wait until no other agent is at work, or until told to stop. */
static int take_turn(struct agent *a)
{
	bool said = false;

	while ((a->lock = lock_take(a->root)) == -EAGAIN) {
		struct pollfd p = { .fd = a->signals, .events = POLLIN };

		if (!said)
			agent_log("another agent is at work; waiting for its end");
		said = true;
		fflush(stderr);
		if (poll(&p, 1, LOCK_RETRY_MS) > 0)
			on_signals(a);
		if (a->stop)
			return -ECANCELED;
	}
	return a->lock < 0 ? a->lock : 0;
}

static int set_up(struct agent *a)
{
	bool fresh;
	int r;

	a->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (a->epoll < 0)
		return -errno;
	a->spare.fd = -1;
	writer_init(&a->writer);
	hostlink_init(a);
	r = watch_signals(a);
	if (r == 0)
		r = take_turn(a);
	if (r < 0)
		return r;
	read_boot_id(a);
	a->hotplug = exists(a, "sys/firmware/acpi/tables") &&
		     exists(a, "sys/devices/system/cpu/hotplug");
	r = bootrec_open(&a->record, a->root, a->boot_id, &fresh);
	if (r < 0) {
		agent_log("cannot open the record of this boot: %s", strerror(-r));
		return r;
	}
	agent_log("version " VCPUHP_VERSION ", %s", fresh ? "first of this boot" : "again");
	r = expedite_init(&a->expedite, a->root, a->config.expedite);
	if (r < 0)
		agent_log("cannot put rcu_expedited back: %s", strerror(-r));
	return watch_uevents(a);
}

/* The port first: the host can ask while the rest is looked at. */
static int start(struct agent *a)
{
	int r = cputable_init(a);

	if (r < 0)
		return r;
	kladder_init(a);
	hostlink_try_open(a);
	registry_init(a);
	adopt_restore(a);
	cputable_rescan(a);
	a->scanned = true;
	a->announce_due = true;
	return 0;
}

/* CPUs stay as they are; workers and the writer die with this process. */
static void end(struct agent *a)
{
	int r = expedite_end(&a->expedite);

	if (r < 0)
		agent_log("cannot put rcu_expedited back: %s", strerror(-r));
	hostlink_done(a);
	kladder_done(a);
	registry_done(a);
	bootrec_close(&a->record);
	cputable_done(a);
	agent_log("ended");
}

static int serve(struct agent *a)
{
	int r = set_up(a);

	if (r == 0)
		r = start(a);
	if (r == 0) {
		r = run(a);
		end(a);
	}
	if (r == -ECANCELED)
		return 0;
	if (r < 0)
		agent_log("%s", strerror(-r));
	return r;
}

int main(int argc, char **argv)
{
	struct options o;
	struct agent *a;
	int r;

	r = options_parse(&o, argc, argv);
	if (r)
		return r > 0 ? EXIT_SUCCESS : 2;
	a = calloc(1, sizeof(*a));
	if (!a)
		return EXIT_FAILURE;
	a->root = open(o.root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (a->root < 0) {
		agent_log("%s: %s", o.root, strerror(errno));
		free(a);
		return EXIT_FAILURE;
	}
	/* Written out when the turn's work is done, before the loop sleeps. */
	setvbuf(stderr, NULL, _IOFBF, BUFSIZ);
	a->seam = seam_get();
	a->allow_faults = o.allow_faults;
	r = options_configure(&o, a->root, &a->config);
	if (r == 0)
		r = serve(a);
	close(a->root);
	free(a);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
