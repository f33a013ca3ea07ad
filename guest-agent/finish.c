/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A job ends in finish_job() and nowhere else. What somebody waits for comes first: where the CPU
 * rests, and a kick's result, which is kept until the host has acknowledged it. Then begins what has
 * waited for this CPU, or for all of them, to be at rest.
 *
 * What nobody waits for is done from the loop, REST_MS after the last result (finish_rest()).
 */
#include "guest-agent/finish.h"
#include "guest-agent/adopt.h"
#include "guest-agent/announced.h"
#include "guest-agent/control.h"
#include "guest-agent/cputable.h"
#include "guest-agent/crew.h"
#include "guest-agent/kick.h"
#include "guest-agent/kladder.h"
#include "guest-agent/place.h"
#include "guest-agent/registry.h"
#include "guest-agent/spares.h"
#include "guest-agent/text.h"
#include "guest-agent/writer.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { REST_MS = 10 };

/**
 * struct outcome - how a job ended
 */
struct outcome {
	int rc;
	int failed_at;
	int rollback_rc;
	int rollback_failed_at;
};

const char *errno_name(int error)
{
#ifdef __GLIBC__
	const char *name = strerrorname_np(error);

	return name ? name : "?";
#else
	static const char *const names[] = {
		[EPERM] = "EPERM",           [ENOENT] = "ENOENT",       [EIO] = "EIO",
		[EAGAIN] = "EAGAIN",         [ENOMEM] = "ENOMEM",       [EACCES] = "EACCES",
		[EBUSY] = "EBUSY",           [ENODEV] = "ENODEV",       [EINVAL] = "EINVAL",
		[ENOSPC] = "ENOSPC",         [ECANCELED] = "ECANCELED", [ETIMEDOUT] = "ETIMEDOUT",
		[EOPNOTSUPP] = "EOPNOTSUPP", [EISDIR] = "EISDIR",       [EROFS] = "EROFS",
	};

	if (error < 0 || (size_t)error >= sizeof(names) / sizeof(names[0]) || !names[error])
		return "?";
	return names[error];
#endif
}

static struct outcome outcome_of(const struct job *j)
{
	const struct walk *w = &j->h.walk;
	struct outcome o = {
		.rc = w->rc,
		.failed_at = w->failed_at,
		.rollback_rc = w->rollback_rc,
		.rollback_failed_at = w->rollback_failed_at,
	};

	/* The walk before the late one is the one that was asked for. */
	if (j->rc) {
		o.rc = j->rc;
		o.failed_at = j->failed_at;
	}
	/* Stopped without a failure before: a walk that lost its worker too often. */
	if (!o.rc && o.rollback_rc) {
		o.rc = o.rollback_rc;
		o.failed_at = o.rollback_failed_at;
	}
	return o;
}

static uint8_t wire_state(int state)
{
	return state < 0 ? 0xff : (uint8_t)state;
}

/* Of the CPU that was kicked nothing is left where its number is another's by now. */
static int state_of(const struct cpu *c, uint16_t slot)
{
	return c->slot == slot || c->slot == MSG_NO_SLOT ? c->state : CPUHP_OFFLINE;
}

/* Before the host has heard of it. */
static void log_end(struct agent *a, const struct cpu *c)
{
	char line[96] = "cpu";

	text_add_number(line, sizeof(line), (unsigned int)c->cpu);
	text_add(line, sizeof(line), ": kick ");
	text_add_number(line, sizeof(line), c->done.kick);
	text_add(line, sizeof(line), " ended at ");
	text_add(line, sizeof(line), ladder_name(c->state));
	if (c->done.rc == 0) {
		text_add(line, sizeof(line), " with 0");
		agent_log_text(a, line);
	} else {
		agent_log(a, "%s with %d: %s", line, c->done.rc, c->done.text);
	}
}

static void keep_result(struct agent *a, struct cpu *c, const struct job *j,
			const struct outcome *o)
{
	c->done = (struct record_done){
		.kick = j->h.kick,
		.slot = j->slot,
		.cpu = (uint16_t)c->cpu,
		.state = (uint8_t)state_of(c, j->slot),
		.rc = o->rc,
		.failed_at = wire_state(o->failed_at),
		.rollback_rc = o->rollback_rc,
		.rollback_failed_at = wire_state(o->rollback_failed_at),
		.ran_on = c->ran_on < 0 ? MSG_NO_CPU : (uint16_t)c->ran_on,
	};
	text_copy(c->done.text, sizeof(c->done.text), o->rc ? j->text : "");
	c->done_kept = c->done_due = true;
	log_end(a, c);
}

static void rest(struct agent *a, struct cpu *c, const struct job *j)
{
	int rest_state = c->present ? CPUHP_STANDBY : CPUHP_OFFLINE;
	int state = j->h.walk.state;

	/* A callback alone leaves the CPU where it is. */
	if (j->kind == JOB_INVOKE && !j->h.late)
		return;
	if (j->h.late || state <= CPUHP_STANDBY)
		state = rest_state;
	cpu_set_state(a, c, state);
}

bool finish_is_batch_on(const struct agent *a)
{
	return a->jobs > 0 || expedite_deadline(&a->expedite);
}

static void rest_log(struct agent *a, uint64_t now)
{
	if (finish_is_batch_on(a) && (!a->log_ms || now < a->log_ms))
		return;
	log_flush(&a->log);
	/* What was not taken is tried again, while CPUs move not at each turn. */
	a->log_ms = a->log.used ? now + AGENT_LOG_MS : 0;
}

/*
 * Its way out takes time of a CPU, and what moves meanwhile may be all that the host has room for:
 * they leave when nothing does, and no more than SPARES wait for that.
 */
static void dismiss_idle(struct agent *a)
{
	unsigned int idle = 0;

	for_each_cpu (a, c)
		idle += !c->job.kind && crew_is_idle(c);
	if (a->jobs > 0 && idle <= SPARES)
		return;
	for_each_cpu (a, c)
		if (!c->job.kind)
			crew_dismiss_idle(c);
}

/* What is overdue may be so for ever. */
static bool is_moving(struct agent *a)
{
	for_each_cpu (a, c)
		if (c->job.kind && !c->job.overdue)
			return true;
	return expedite_deadline(&a->expedite) > 0;
}

bool finish_rest(struct agent *a)
{
	uint64_t now = now_ms();
	bool more;
	int r;

	rest_log(a, now);
	/* The host hears of the result first: it may share a core with this. */
	if (a->jobs == 0 && now < a->rest_ms)
		return false;
	a->rest_ms = 0;
	r = expedite_rest(&a->expedite, a->jobs > 0, now);
	if (r < 0)
		agent_log(a, "cannot %s: %s",
			  a->expedite.active ? "put rcu_expedited back" : "expedite", strerror(-r));
	more = a->jobs == 0 && kladder_rest(a);
	if (!expedite_deadline(&a->expedite))
		more |= cputable_await_no_more(a);
	announced_prepare(a);
	dismiss_idle(a);
	if (a->place.due && !is_moving(a))
		place_settle(a);
	writer_prepare(a);
	more |= spares_prepare(a);
	/* What was said here: nothing may wake the loop again for long. */
	rest_log(a, now);
	return more;
}

void finish_start_waiting(struct agent *a)
{
	if (registry_is_busy(a))
		return;
	for_each_cpu (a, c) {
		if (!c->job.kind)
			cputable_settle(a, c);
		if (c->next_due && !c->job.kind)
			kick_start_next(a, c);
	}
}

void finish_job(struct agent *a, struct cpu *c)
{
	struct job j = c->job;
	struct outcome o = outcome_of(&j);

	c->job.kind = JOB_NONE;
	c->doubt = 0;
	c->job.step_deadline_ms = 0;
	a->jobs--;
	a->rest_ms = now_ms() + REST_MS;
	a->place.due = true;
	rest(a, c, &j);
	if (j.kind == JOB_KICK) {
		/* One that failed and is back at standby is wished there as it was before. */
		if (o.rc == 0 || c->state > CPUHP_STANDBY)
			c->standby_wish = c->state == CPUHP_STANDBY;
		keep_result(a, c, &j, &o);
	} else if (j.kind == JOB_ADOPT || j.kind == JOB_PARK) {
		adopt_on_finished(a, c, j.kind, o.rc, j.text);
	}
	cpu_changed(a, c);
	if (j.kind == JOB_INVOKE)
		registry_on_invoked(a, c, o.rc);
	if (!c->job.kind)
		cputable_settle(a, c);
	registry_poll(a);
	finish_start_waiting(a);
}
