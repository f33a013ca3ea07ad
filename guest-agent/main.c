/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * vcpuhp-agent: the guest's side of the ladder. One process with one loop (loop.c) owns the port,
 * the uevents and the time, and never blocks; what may block is done by its children: the writer
 * (kernel online and offline), a worker on each CPU in transition, the setup of the kernel's
 * trace.
 *
 * Here it begins and ends. One agent at a time: a second one waits for the first one's end before
 * it touches anything. SIGTERM and SIGINT end it and leave every CPU as it is.
 */
#include "guest-agent/adopt.h"
#include "guest-agent/agent.h"
#include "guest-agent/announced.h"
#include "guest-agent/cpulook.h"
#include "guest-agent/cputable.h"
#include "guest-agent/crew.h"
#include "guest-agent/finish.h"
#include "guest-agent/hostlink.h"
#include "guest-agent/kladder.h"
#include "guest-agent/lock.h"
#include "guest-agent/loop.h"
#include "guest-agent/options.h"
#include "guest-agent/others.h"
#include "guest-agent/pages.h"
#include "guest-agent/place.h"
#include "guest-agent/registry.h"
#include "guest-agent/spares.h"
#include "guest-agent/sysfs.h"
#include "guest-agent/text.h"
#include "guest-agent/writer.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_RETRY_MS = 1000 };

static uint64_t read_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

/*
 * Of the kernel's last tick: deadlines need no more. Where a guest has no clock that programs can
 * read by themselves, a precise one is a system call and an exit from the vCPU, many times a step.
 */
uint64_t now_ms(void)
{
	return read_clock(CLOCK_MONOTONIC_COARSE) / 1000000u;
}

void agent_log_text(struct agent *a, const char *text)
{
	char line[1040];
	size_t len;

	text_copy(line, sizeof(line), "vcpuhp-agent: ");
	text_add(line, sizeof(line) - 1, text);
	len = strlen(line);
	line[len++] = '\n';
	log_add(&a->log, line, len);
	if (!a->log_ms)
		a->log_ms = now_ms() + AGENT_LOG_MS;
}

void agent_log(struct agent *a, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	agent_log_text(a, text);
}

void agent_tell(struct agent *a, int level, const char *format, ...)
{
	struct record r = { .type = RECORD_LOG, .log.level = (uint8_t)level };
	va_list args;

	va_start(args, format);
	vsnprintf(r.log.text, sizeof(r.log.text), format, args);
	va_end(args);
	agent_log(a, "%s", r.log.text);
	hostlink_progress(a, &r);
}

/* Say what cannot be done, where that is known; the error goes up. */
static int cannot(struct agent *a, const char *what, int r)
{
	agent_log(a, "cannot %s: %s", what, strerror(-r));
	return r;
}

int agent_watch(struct agent *a, int fd, uint32_t events, enum source source, int cpu)
{
	struct epoll_event e = {
		.events = events,
		.data.u64 = (uint64_t)source << 32 | (uint32_t)cpu,
	};

	return epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
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
			agent_log(a, "another agent is at work; waiting for its end");
		said = true;
		log_flush(&a->log);
		if (poll(&p, 1, LOCK_RETRY_MS) > 0)
			loop_on_signals(a);
		if (a->stop)
			return -ECANCELED;
	}
	return a->lock < 0 ? cannot(a, "take the lock /" LOCK_PATH, a->lock) : 0;
}

static int set_up(struct agent *a)
{
	bool fresh;
	int r;

	a->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (a->epoll < 0)
		return cannot(a, "make an epoll instance", -errno);
	spares_init(a);
	writer_init(&a->writer);
	hostlink_init(a);
	load_init(&a->load);
	r = watch_signals(a);
	if (r < 0)
		return cannot(a, "watch for signals", r);
	r = take_turn(a);
	if (r < 0)
		return r;
	read_boot_id(a);
	a->hotplug = exists(a, "sys/firmware/acpi/tables") &&
		     exists(a, "sys/devices/system/cpu/hotplug");
	a->udev_onlines = others_udev_onlines(a->root);
	r = bootrec_open(&a->record, a->root, a->boot_id, &fresh);
	if (r < 0)
		return cannot(a, "open the record /" BOOTREC_PATH, r);
	agent_log(a, "version " VCPUHP_VERSION ", %s", fresh ? "first of this boot" : "again");
	r = expedite_init(&a->expedite, a->root, a->config.expedite);
	if (r < 0)
		(void)cannot(a, "put rcu_expedited back", r);
	r = watch_uevents(a);
	return r < 0 ? cannot(a, "watch for uevents", r) : 0;
}

/* The port first: the host can ask while the rest is looked at. */
static int start(struct agent *a)
{
	int r;

	a->cpu_folder = cpulook_open(a->root);
	if (a->cpu_folder < 0)
		return cannot(a,
			      "open the folder of CPUs /sys/devices/system/cpu (is /sys mounted?)",
			      a->cpu_folder);
	r = cputable_init(a);
	if (r < 0)
		return cannot(a, "make the table of CPUs", r);
	announced_init(a);
	kladder_init(a);
	hostlink_try_open(a);
	crew_end_leftovers(a);
	adopt_restore(a);
	registry_init(a);
	cputable_rescan(a);
	a->scanned = true;
	place_start(a);
	a->announce_due = true;
	return 0;
}

/* CPUs stay as they are; workers and the writer die with this process. */
static void end(struct agent *a)
{
	int r = expedite_done(&a->expedite);

	if (r < 0)
		(void)cannot(a, "put rcu_expedited back", r);
	hostlink_done(a);
	load_stop(&a->load);
	kladder_done(a);
	registry_done(a);
	bootrec_close(&a->record);
	cputable_done(a);
	announced_done(a);
	close(a->cpu_folder);
	agent_log(a, "ended");
}

static int serve(struct agent *a)
{
	int r = set_up(a);

	if (r == 0)
		r = start(a);
	if (r == 0) {
		r = loop_run(a);
		if (r < 0)
			(void)cannot(a, "wait for events", r);
		end(a);
	}
	return r == -ECANCELED ? 0 : r;
}

static int run(struct agent *a, struct options *o)
{
	int r;

	a->root = open(o->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (a->root < 0) {
		r = -errno;
		agent_log(a, "%s: %s", o->root, strerror(-r));
		return r;
	}
	a->seam = seam_get();
	a->allow_faults = o->allow_faults;
	r = options_configure(o, a->root, &a->config);
	if (r == 0)
		r = serve(a);
	close(a->root);
	return r;
}

/* A look at the callbacks that is asked for while it starts ends nothing: they are looked at anyway. */
static void hold_hup(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* Whoever started it may have had it ignored (nohup); then it would never be heard. */
	signal(SIGHUP, SIG_DFL);
}

int main(int argc, char **argv)
{
	struct options o;
	struct agent *a;
	int r;

	r = options_parse(&o, argc, argv);
	if (r)
		return r > 0 ? EXIT_SUCCESS : 2;
	hold_hup();
	a = pages_alloc(sizeof(*a));
	if (!a)
		return EXIT_FAILURE;
	pages_withhold(&a->log, sizeof(*a) - offsetof(struct agent, log));
	log_init(&a->log);
	r = run(a, &o);
	log_flush(&a->log);
	pages_free(a, sizeof(*a));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
