/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Of the kernel's steps on a CPU those belong to a kick that were taken between the begin of its write and
 * the write's return (@trace_ns, @trace_end_ns), whenever they are read; all others are dropped.
 *
 * Reading takes the CPU that is on its way up some milliseconds where it is emulated: the agent has slept,
 * so it goes before the kernel's work. Where somebody watches they are read every TICK_MS while a write
 * is under way and when it has returned. Else when nothing moves any more, when UNREAD_MAX writes (fewer
 * once steps were lost) have returned or one has failed, and each second while there is something to
 * read: who asks later sees where a CPU is stuck.
 */
#include "guest-agent/kladder.h"
#include "guest-agent/child.h"
#include "guest-agent/hostlink.h"
#include "guest-agent/text.h"
#include "guest-agent/writer.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

enum {
	TICK_MS = 50,
	UNWATCHED_TICK_MS = 1000,
	READ_MAX = 256 << 10,
	/* As many as an empty outbox takes, a way up being some 3 KiB of records; BUFFER_KIB holds more. */
	UNREAD_MAX = 8,
	SETUP_MS = 5000,
};

/* Once to a host: the features in each HELLO tell the others. */
void kladder_on_session(struct agent *a)
{
	struct record r = { .type = RECORD_LOG, .log.level = LOG_NOTICE };
	struct kladder *k = &a->kladder;

	if (!k->rc || k->told || !a->link.session.established)
		return;
	k->told = true;
	snprintf(r.log.text, sizeof(r.log.text), "kernel ladder unavailable: %s", strerror(-k->rc));
	hostlink_progress(a, &r);
}

static void unavailable(struct agent *a, int rc)
{
	a->kladder.rc = rc;
	agent_log(a, "kernel ladder unavailable: %s", strerror(-rc));
	kladder_on_session(a);
}

void kladder_init(struct agent *a)
{
	pid_t pid;
	int fd = -1;

	a->kladder.trace.fd = -1;
	a->kladder.unread_max = UNREAD_MAX;
	pid = child_fork(&a->root, 1, &fd);
	if (pid == 0)
		_exit(-ktrace_setup(a->root));
	child_hang_up(&fd);
	if (pid < 0) {
		unavailable(a, pid);
		return;
	}
	a->kladder.setup_pid = pid;
	a->kladder.wait_ms = now_ms() + SETUP_MS;
}

uint64_t kladder_wait_deadline(const struct agent *a)
{
	return a->kladder.wait_ms;
}

void kladder_on_time(struct agent *a, uint64_t now)
{
	struct kladder *k = &a->kladder;
	bool over = k->setup_pid == 0;

	if (!k->wait_ms || (!over && now < k->wait_ms))
		return;
	if (!over)
		agent_log(a, "the kernel's trace is not there after %d ms; going on without",
			  SETUP_MS);
	k->wait_ms = 0;
	writer_go_on(a);
}

static void take_into_use(struct agent *a, int r)
{
	struct kladder *k = &a->kladder;

	if (r == 0)
		r = ktrace_open(&k->trace, a->root);
	if (r < 0) {
		unavailable(a, r);
		return;
	}
	/* Without their names the steps still have numbers. */
	(void)kstep_names_load(&k->names, a->root);
	k->ready = true;
	hostlink_hello_again(a);
}

void kladder_on_setup(struct agent *a, int status)
{
	a->kladder.setup_pid = 0;
	take_into_use(a, WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO);
}

void kladder_done(struct agent *a)
{
	struct kladder *k = &a->kladder;

	if (k->setup_pid > 0) {
		kill(k->setup_pid, SIGKILL);
		waitpid(k->setup_pid, NULL, 0);
	}
	ktrace_close(&k->trace);
	/* Like the setup, this has the kernel patch itself. Another agent takes what is left. */
	if (a->writer.cpu < 0)
		ktrace_remove(a->root);
}

static void report(void *ctx, const struct ktrace_event *e)
{
	struct agent *a = ctx;
	const struct cpu *c = e->cpu < a->possible ? &a->cpus[e->cpu] : NULL;
	struct record r = {
		.type = RECORD_KSTEP,
		.kstep = {
			.step = (uint16_t)e->step,
			.flags = (uint8_t)((e->exit ? RECORD_STEP_EXIT : 0) |
					   (e->startup ? RECORD_STEP_STARTUP : 0)),
			.rc = e->rc,
			.time_ns = e->time_ns,
		},
	};

	/* What others did with a CPU, or we did before, is nobody's step now. */
	if (!c || !c->trace_ns || e->time_ns < c->trace_ns)
		return;
	if (c->trace_end_ns && e->time_ns > c->trace_end_ns)
		return;
	r.kstep.kick = c->trace_kick;
	r.kstep.slot = c->slot;
	r.kstep.cpu = (uint16_t)c->cpu;
	text_copy(r.kstep.name, sizeof(r.kstep.name), kstep_name(&a->kladder.names, e->step));
	hostlink_progress(a, &r);
}

static void arm_tick(struct agent *a)
{
	bool unwatched = a->writer.cpu >= 0 && a->cpus[a->writer.cpu].job.ladder_later;

	a->kladder.tick_ms = now_ms() + (unwatched ? UNWATCHED_TICK_MS : TICK_MS);
}

/* All of it has been read now: what is done with those CPUs from here on is others' doing. */
static void forget_ended(struct agent *a)
{
	for_each_cpu (a, c)
		if (a->writer.cpu != c->cpu)
			c->trace_ns = 0;
}

/* With many queues a CPU has more steps than the kernel's buffer, or the outbox, takes of so many. */
static void read_sooner(struct agent *a)
{
	struct kladder *k = &a->kladder;

	k->unread_max /= 2;
	agent_log(a, "some of the kernel's steps were lost; they are read after %u CPUs now",
		  k->unread_max);
}

void kladder_read(struct agent *a)
{
	struct kladder *k = &a->kladder;
	bool several = k->unread > 1, behind = hostlink_is_behind(a);
	uint64_t dropped = a->link.out.dropped;
	int r = k->ready ? ktrace_read(&k->trace, READ_MAX, report, a) : 0;

	arm_tick(a);
	k->unread = 0;
	forget_ended(a);
	/* Of one alone, or to a host that does not read, no reading sooner helps. */
	if (several && (k->trace.lost || (!behind && a->link.out.dropped > dropped)))
		read_sooner(a);
	k->trace.lost = false;
	if (r == 0)
		return;
	ktrace_close(&k->trace);
	k->ready = false;
	unavailable(a, r);
}

void kladder_begin(struct agent *a, struct cpu *c)
{
	/* A rollback that follows at once: the steps of the way up have not been read yet. */
	if (c->trace_ns)
		kladder_read(a);
	c->trace_ns = now_ns();
	c->trace_end_ns = 0;
	c->trace_kick = c->job.h.kick;
	arm_tick(a);
}

uint64_t kladder_deadline(const struct agent *a)
{
	const struct kladder *k = &a->kladder;

	return k->ready && (a->writer.cpu >= 0 || k->unread > 0) ? k->tick_ms : 0;
}

void kladder_end(struct agent *a, struct cpu *c, int rc)
{
	/* Its way back may have begun. */
	if (a->writer.cpu != c->cpu)
		c->trace_end_ns = now_ns();
	/* Which step refused belongs to the result. */
	if (c->job.ladder_later && rc == 0 && ++a->kladder.unread < a->kladder.unread_max)
		return;
	kladder_read(a);
}

bool kladder_rest(struct agent *a)
{
	if (a->kladder.unread == 0)
		return false;
	kladder_read(a);
	a->link.urgent = true;
	return true;
}
