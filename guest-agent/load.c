/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/load.h"
#include "guest-agent/agent.h"
#include "guest-agent/hostlink.h"

enum { INTERVAL_MIN_MS = 100, PAUSE_MS = 1000 };

void load_init(struct load *l)
{
	*l = (struct load){ .interval_ms = 0 };
	load_files_init(&l->files);
}

void load_stop(struct load *l)
{
	load_files_close(&l->files);
	l->interval_ms = 0;
	l->goes_on = false;
}

/* Hosts may ask again and again: each time the first report is no sooner than the second would be. */
static uint64_t first_due(const struct load *l)
{
	uint64_t pause = l->interval_ms < PAUSE_MS ? l->interval_ms : PAUSE_MS;
	uint64_t now = now_ms();

	return l->told_ms && l->told_ms + pause > now ? l->told_ms + pause : now;
}

void load_on_request(struct agent *a, const struct msg_load *m)
{
	struct load *l = &a->load;

	if (m->interval_ms == 0) {
		load_stop(l);
		return;
	}
	l->interval_ms = m->interval_ms < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : m->interval_ms;
	l->due_ms = l->goes_on ? l->told_ms + l->interval_ms : first_due(l);
}

uint64_t load_deadline(const struct agent *a)
{
	return a->load.interval_ms && a->link.session.established ? a->load.due_ms : 0;
}

/* A CPU that was not in the report before has come online since: its times began anew. */
static void tell_cpu(void *ctx, int cpu, const struct load_times *t)
{
	struct record r = { .type = RECORD_LOAD_CPU };
	struct agent *a = ctx;
	struct load_mark *m;

	if (cpu >= a->possible)
		return;
	m = &a->cpus[cpu].load;
	r.load_cpu.cpu = (uint16_t)cpu;
	r.load_cpu.busy = r.load_cpu.steal = LOAD_NO_SHARE;
	if (a->load.goes_on && m->report == a->load.reports)
		load_shares(&m->times, t, &r.load_cpu);
	m->times = *t;
	m->report = a->load.reports + 1;
	hostlink_report(a, &r);
}

static void tell(struct agent *a)
{
	/* now_ms() is too coarse for what others divide by. */
	uint64_t now = now_ns() / 1000000u;
	struct record r = { .type = RECORD_LOAD };
	struct load *l = &a->load;

	load_files_read(&l->files, a->root, &r.load);
	load_files_read_cpus(&l->files, a->root, tell_cpu, a);
	if (l->goes_on)
		r.load.span_ms = (uint32_t)(now - l->told_ms);
	hostlink_report(a, &r);
	hostlink_flush(a);
	l->told_ms = now;
	l->goes_on = true;
	l->reports++;
}

void load_on_time(struct agent *a, uint64_t now)
{
	struct load *l = &a->load;

	if (!load_deadline(a) || now < l->due_ms)
		return;
	if (!hostlink_is_behind(a))
		tell(a);
	l->due_ms += l->interval_ms;
	/* What was slept through is not made up for. */
	if (l->due_ms <= now)
		l->due_ms = now + l->interval_ms;
}
