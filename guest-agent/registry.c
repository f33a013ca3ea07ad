/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A scan of the folder compares names with the table: first what has gone is unregistered, then
 * what is new is registered, one name at a time in the order of the names. Each takes the first
 * free dynamic state and is invoked on every CPU at or above it at once, each by its own worker.
 * When all have answered the registration stands, or, if one has failed, is taken back on those
 * that succeeded. An unregistered callback goes whatever its teardowns say.
 *
 * Registrations and walks exclude each other: a scan that is due waits until no CPU is in
 * transition, and what comes meanwhile waits for the end of the registration: kicks (kick.c), and
 * CPUs that others brought online (cputable_settle()). But where all that is waited for is overdue
 * (a kernel write may never return, a worker never die) the others go on, and the scan or the
 * registration waits alone; what joins then has the callback started like the rest of its walk, and
 * it is taken back there too.
 *
 * The program is kept open from its registration on, since what is unregistered by deleting its
 * file could otherwise not be torn down.
 *
 * The name is written into the record of this boot before the first startup: an agent that is
 * killed in the middle leaves a callback that stands, with CPUs on which it is still due, and the
 * adoption by the next one completes it.
 */
#include "guest-agent/registry.h"
#include "guest-agent/callback-file.h"
#include "guest-agent/callback.h"
#include "guest-agent/control.h"
#include "guest-agent/cputable.h"
#include "guest-agent/finish.h"
#include "guest-agent/spares.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

static void warn(void *ctx, const char *sentence)
{
	agent_tell(ctx, LOG_WARNING, "%s", sentence);
}

static bool is_listed(const struct callback_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->names[i], name) == 0)
			return true;
	return false;
}

static bool is_registered(const struct registry *r, const char *name)
{
	for (int i = 0; i < CALLBACKS_MAX; i++)
		if (strcmp(r->names[i], name) == 0)
			return true;
	return false;
}

static int first_free(const struct registry *r)
{
	for (int i = 0; i < CALLBACKS_MAX; i++)
		if (!r->names[i][0])
			return i;
	return -ENOSPC;
}

uint32_t registry_mask(const struct registry *r)
{
	uint32_t mask = 0;

	for (int i = 0; i < CALLBACKS_MAX; i++)
		if (r->names[i][0])
			mask |= UINT32_C(1) << i;
	return mask;
}

const char *registry_name(const struct registry *r, int state)
{
	if (!ladder_is_dyn(state) || (r->at == state && !r->removing))
		return "";
	return r->names[state - CPUHP_AP_DYN];
}

static int open_program(const struct agent *a, const char *name)
{
	int folder = callback_open_folder(a->root, a->config.callbacks), fd;

	if (folder < 0)
		return 0;
	fd = callback_open_program(folder, name);
	close(folder);
	return fd < 0 ? 0 : fd;
}

static void seat(struct agent *a, int i, const char *name)
{
	struct registry *r = &a->registry;

	spares_forget(a);
	snprintf(r->names[i], sizeof(r->names[i]), "%s", name);
	r->fds[i] = open_program(a, name);
	if (bootrec_store_name(&a->record, i, name) < 0)
		agent_log(a, "cannot write the record");
}

/*
 * The next that takes this state is another callback. The rows of the record are told first: an
 * agent that begins between the two finds a name that stands and is due, and never one that is
 * taken for done.
 */
static void forget(struct agent *a, int i)
{
	uint32_t bit = UINT32_C(1) << i;

	for_each_cpu (a, c) {
		if (!(c->dyn_done & bit) && c->doubt != CPUHP_AP_DYN + i)
			continue;
		c->dyn_done &= ~bit;
		if (c->doubt == CPUHP_AP_DYN + i)
			c->doubt = 0;
		cpu_store(a, c);
	}
}

static void unseat(struct agent *a, int i)
{
	struct registry *r = &a->registry;

	spares_forget(a);
	r->names[i][0] = '\0';
	if (r->fds[i] > 0)
		close(r->fds[i]);
	r->fds[i] = 0;
	forget(a, i);
	if (bootrec_store_name(&a->record, i, "") < 0)
		agent_log(a, "cannot write the record");
}

static bool scan(struct agent *a, struct callback_list *ret)
{
	int r = callback_scan(a->root, a->config.callbacks, ret, warn, a);

	if (r < 0)
		agent_tell(a, LOG_ERR, "callback folder %s: %s", a->config.callbacks, strerror(-r));
	return r == 0;
}

/* A callback of the last agent stays where it stood; whose program has gone cannot be torn down. */
static void restore(struct agent *a, const struct callback_list *l)
{
	char name[CALLBACK_NAME_MAX + 1];

	for (int i = 0; i < CALLBACKS_MAX; i++) {
		if (bootrec_load_name(&a->record, i, name) < 0 || !name[0])
			continue;
		if (is_listed(l, name)) {
			seat(a, i, name);
			continue;
		}
		agent_tell(a, LOG_WARNING, "callback %s has gone meanwhile without its teardown",
			   name);
		unseat(a, i);
	}
}

static void no_room(struct agent *a, const char *name)
{
	agent_tell(a, LOG_ERR, "callback %s: ENOSPC: all %d states are taken", name, CALLBACKS_MAX);
}

void registry_init(struct agent *a)
{
	struct callback_list l = { 0 };

	if (!scan(a, &l))
		return;
	restore(a, &l);
	for (size_t n = 0; n < l.n; n++) {
		int i = first_free(&a->registry);

		if (is_registered(&a->registry, l.names[n]))
			continue;
		if (i < 0)
			no_room(a, l.names[n]);
		else
			seat(a, i, l.names[n]);
	}
}

void registry_done(struct agent *a)
{
	for (int i = 0; i < CALLBACKS_MAX; i++)
		if (a->registry.fds[i] > 0)
			close(a->registry.fds[i]);
}

static bool concerns(const struct registry *r, const struct cpu *c)
{
	uint32_t bit = UINT32_C(1) << (r->at - CPUHP_AP_DYN);

	if (r->undoing || r->removing)
		return c->dyn_done & bit;
	return c->state >= r->at;
}

/* The first to fail is the reason. */
static void note_answer(struct agent *a, const struct cpu *c, int rc)
{
	struct registry *r = &a->registry;
	const char *name = r->names[r->at - CPUHP_AP_DYN];

	if (rc == 0)
		return;
	agent_tell(a, LOG_ERR, "cpu%d: callback %s: %s failed with %d", c->cpu, name,
		   r->removing || r->undoing ? "teardown" : "startup", rc);
	if (!r->rc)
		r->rc = rc;
}

static void invoke_all(struct agent *a)
{
	struct registry *r = &a->registry;
	bool startup = !r->removing && !r->undoing;

	/* One more than there are, so that answers given at once do not end it early. */
	r->pending = 1;
	for_each_cpu (a, c) {
		int rc;

		if (!concerns(r, c))
			continue;
		r->pending++;
		rc = control_invoke(a, c, r->at, startup);
		if (rc < 0) {
			r->pending--;
			note_answer(a, c, rc);
		}
	}
	r->pending--;
}

/* All have answered. */
static void conclude(struct agent *a)
{
	struct registry *r = &a->registry;
	int i = r->at - CPUHP_AP_DYN;

	assert(i >= 0);
	r->invoked = false;
	if (r->rc && !r->removing && !r->undoing) {
		agent_tell(a, LOG_ERR, "callback %s is not registered: it failed with %d",
			   r->names[i], r->rc);
		r->undoing = true;
		return;
	}
	agent_log(a, "callback %s: %s", r->names[i],
		  r->undoing    ? "taken back"
		  : r->removing ? "unregistered"
				: "registered");
	if (r->removing || r->undoing)
		unseat(a, i);
	r->at = 0;
	if (!r->undoing)
		r->rows_due |= UINT32_C(1) << i;
}

static void begin(struct registry *r, int i, bool removing)
{
	r->at = CPUHP_AP_DYN + i;
	r->removing = removing;
	r->undoing = false;
	r->rc = 0;
}

/* Return: whether there is something to unregister. */
static bool next_gone(struct registry *r)
{
	for (int i = 0; i < CALLBACKS_MAX; i++) {
		if (!r->names[i][0] || is_listed(&r->list, r->names[i]))
			continue;
		begin(r, i, true);
		return true;
	}
	return false;
}

/* Return: whether there is something to register. */
static bool next_new(struct agent *a)
{
	struct registry *r = &a->registry;

	for (size_t n = 0; n < r->list.n; n++) {
		int i = first_free(r);

		if (is_registered(r, r->list.names[n]) || cpulist_has(&r->tried, (unsigned int)n))
			continue;
		cpulist_set(&r->tried, (unsigned int)n);
		if (i < 0) {
			no_room(a, r->list.names[n]);
			continue;
		}
		seat(a, i, r->list.names[n]);
		begin(r, i, false);
		return true;
	}
	return false;
}

static bool next_change(struct agent *a)
{
	struct registry *r = &a->registry;

	while (r->at_work || r->scan_due) {
		if (!r->at_work) {
			r->scan_due = false;
			cpulist_zero(&r->tried);
			r->at_work = scan(a, &r->list);
		}
		if (r->at_work && (next_gone(r) || next_new(a)))
			return true;
		r->at_work = false;
	}
	return false;
}

static bool is_held_up(const struct agent *a)
{
	for_each_cpu (a, c)
		if (c->job.kind && c->job.overdue)
			return true;
	return false;
}

/* A CPU has yet to answer and may: the registration's end is near. */
static bool is_invoking(const struct agent *a)
{
	for_each_cpu (a, c)
		if (c->job.kind == JOB_INVOKE && !c->job.overdue)
			return true;
	return false;
}

bool registry_is_busy(const struct agent *a)
{
	const struct registry *r = &a->registry;

	if (!r->at && !r->scan_due && !r->at_work)
		return false;
	return !is_held_up(a) || (r->at && is_invoking(a));
}

void registry_rescan(struct agent *a)
{
	a->registry.scan_due = true;
	registry_poll(a);
	finish_start_waiting(a);
}

void registry_poll(struct agent *a)
{
	struct registry *r = &a->registry;

	while (a->jobs == 0 && r->pending == 0) {
		if (r->invoked) {
			conclude(a);
			continue;
		}
		if (!r->at && !next_change(a))
			return;
		r->invoked = true;
		invoke_all(a);
	}
}

void registry_on_invoked(struct agent *a, struct cpu *c, int rc)
{
	a->registry.pending--;
	note_answer(a, c, rc);
}
