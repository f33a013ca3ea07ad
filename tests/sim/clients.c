/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * What clients do while an operation of another is under way, and what they have to be told. They ask
 * for more until the queue is full, for one that there is already, for another by an id that is
 * taken; they cancel what waits, give it too little time, or go away. None of that may change how the
 * operation that runs ends. What they ask for is a number of vCPUs by the fault's argument; each is
 * tracked (world.h) to its one end as the script's own operations are.
 *
 * A daemon that has just been killed is asked nothing.
 */
#include "daemon/vcpu.h"
#include "tests/sim/shortage.h"
#include "tests/sim/store.h"
#include "tests/sim/strikes.h"
#include "tests/sim/world.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is to be done where a record cannot be written. */
static const char *advice(int error)
{
	switch (error) {
	case ENOSPC:
		return "; make room there";
	case EROFS:
		return "; make it writable";
	default:
		return "; see what is wrong with that file system";
	}
}

static bool blames_store(const char *text)
{
	return strstr(text, "cannot be written");
}

/* Which file, why, and what to do. */
static void check_blame(struct sim_domain *d, const char *text)
{
	int error = store_error(d);
	char file[32];

	snprintf(file, sizeof(file), "/intent/qmp-%s,", d->name);
	if (!error)
		sim_breach(d, "the store is well, and it is said: %s", text);
	else if (!strstr(text, file) || !strstr(text, strerror(error)) ||
		 !strstr(text, advice(error)))
		sim_breach(d, "that the store fails is not said well: %s", text);
}

/* Nobody is turned away before the queue is full, and then he hears who is before him. */
static void check_busy(struct sim_domain *d, const char *text)
{
	const struct domain *domain = world_domain(d);
	const struct op *first = domain->running ? domain->running : domain->queue[0];

	if (domain->n_queued < OP_QUEUE_MAX)
		sim_breach(d, "%u wait, and the next is denied: %s", domain->n_queued, text);
	else if (!strstr(text, first->id) || request_error_exit(ERR_BUSY) != EXIT_BUSY)
		sim_breach(d, "that %s is under way is not said: %s", first->id, text);
}

void client_on_denied(struct sim_domain *d, enum request_error error, const char *text)
{
	/* Why it is then the run itself looks at. */
	if (shortage_hit())
		return;
	if (error == ERR_INTERNAL || error == ERR_CONFLICT)
		sim_breach(d, "an operation is denied as %s: %s", request_error_name(error), text);
	else if (error == ERR_BUSY)
		check_busy(d, text);
	else if (blames_store(text) && request_error_exit(error) != EXIT_REFUSED)
		sim_breach(d, "a store that fails is told as %s", request_error_name(error));
	else if (blames_store(text))
		check_blame(d, text);
}

void client_on_accepted(struct sim_domain *d)
{
	if (store_error(d))
		sim_breach(d, "an operation is accepted, and cannot be written down");
}

void client_on_restart(struct sim_domain *d, struct track *t)
{
	struct op *op = manager_find_op(d->world->manager, t->id);

	if (!op && !t->again && !store_was_unreadable(d)) {
		sim_breach(d, "op %u was accepted, and the next daemon knows nothing of it",
			   t->number);
	} else if (!op) {
		world_lost(d, t);
	} else if (op->ended) {
		t->ends++;
		if (!t->begun && !t->again &&
		    (op->result != OP_FAILED ||
		     strcmp(text_of(&op->error), "daemon restarted") != 0))
			sim_breach(d, "op %u only waited, and is %s: %s", t->number,
				   op_result_name(op->result), text_of(&op->error));
		world_ended(d, t, op);
	} else {
		t->op = op_ref(op);
	}
}

/* What they ask for */

static struct track *add_track(struct sim_domain *d, unsigned int number)
{
	struct driver *v = d->driver;
	ptrdiff_t current = v->current ? v->current - v->tracks : -1;
	struct track *t;

	if (v->n_tracks == v->room) {
		v->room = v->room ? 2 * v->room : 16;
		v->tracks = reallocarray(v->tracks, v->room, sizeof(*t));
		assert(v->tracks);
	}
	v->current = current < 0 ? NULL : &v->tracks[current];
	t = &v->tracks[v->n_tracks++];
	*t = (struct track){ .number = number, .accepted_us = clock_us() };
	snprintf(t->id, sizeof(t->id), "%s-%u", d->name, number);
	return t;
}

/* As the daemon does it for a client's word. */
static int submit(struct sim_domain *d, const struct op_request *q, struct op **ret,
		  enum request_error *ret_error, char **ret_text)
{
	AS_DAEMON;

	return domain_submit(world_domain(d), q, ret, ret_error, ret_text);
}

struct track *world_ask(struct sim_domain *d, const struct op_request *request, unsigned int number)
{
	struct op_request q = *request;
	enum request_error error;
	struct track *t;
	char *text = NULL;
	struct op *op;

	snprintf(q.id, sizeof(q.id), "%s-%u", d->name, number);
	if (!world_domain(d)) {
		sim_log(d, "op %u: there is no such domain", number);
		return NULL;
	}
	if (submit(d, &q, &op, &error, &text) < 0) {
		sim_log(d, "op %u is denied: %s", number, text ? text : "?");
		if (text)
			client_on_denied(d, error, text);
		else
			sim_breach(d, "op %u is denied without a word", number);
		free(text);
		return NULL;
	}
	sim_log(d, "op %u is accepted", number);
	client_on_accepted(d);
	t = add_track(d, number);
	t->request = q;
	t->op = op;
	d->world->result->operations++;
	return t;
}

/* What they do */

enum { OTHERS = 500000 }; /* the numbers of their operations */

static struct op_request other_request(const struct item *i, unsigned int n)
{
	struct rng r = rng_of(i->arg, n);
	struct op_request q = { .goal = OP_GOAL_COUNT, .standby = -1, .foreign = true };

	q.count = rng_range(&r, 1, SIM_SLOTS - 2);
	if (rng_chance(&r, 20))
		q.standby = (int)rng_below(&r, 3);
	q.policy = rng_chance(&r, 50) ? OP_POLICY_ALL : OP_POLICY_BEST_EFFORT;
	return q;
}

static struct track *ask(struct sim_domain *d, const struct op_request *q)
{
	if (!world_domain(d))
		return NULL;
	return world_ask(d, q, OTHERS + d->driver->n_others++);
}

/* Some wait for it and some do not. */
void others_ask(struct sim_domain *d, const struct item *i)
{
	for (unsigned int n = 0; n < 1 + i->arg % 3; n++) {
		struct op_request q = other_request(i, n);
		struct track *t = ask(d, &q);

		if (t && (i->arg >> n & 64))
			t->op = op_unref(t->op);
	}
}

void others_ask_and_kill(struct sim_domain *d, const struct item *i)
{
	others_ask(d, i);
	world_kill(d->world, i->span_us);
}

void queue_fills(struct sim_domain *d, const struct item *i)
{
	for (unsigned int n = 0; world_domain(d); n++) {
		struct op_request q = other_request(i, n);

		if (!ask(d, &q))
			return;
		if (n > OP_QUEUE_MAX) {
			sim_breach(d, "more than %d may wait", OP_QUEUE_MAX);
			return;
		}
	}
}

void queued_too_long(struct sim_domain *d, const struct item *i)
{
	struct op_request q = other_request(i, 0);

	q.timeout_ms = 1 + i->arg % 200;
	(void)ask(d, &q);
}

static struct track *find_number(struct sim_domain *d, unsigned int number)
{
	for (unsigned int t = d->driver->n_tracks; t-- > 0;)
		if (d->driver->tracks[t].number == number)
			return &d->driver->tracks[t];
	return NULL;
}

/* What waits leaves the queue by that, at once. */
static void cancel(struct sim_domain *d, uint64_t number)
{
	struct track *t = find_number(d, (unsigned int)number);
	struct op *op = world_domain(d) ? manager_find_op(d->world->manager, t->id) : NULL;
	bool waits = op && !op->ended && !op->running;

	if (!op)
		return;
	disturbed_cancel(d, t, op, false);
	(void)domain_cancel(op);
	if (waits && (t->end != TRACK_ENDED || t->result != OP_CANCELLED))
		sim_breach(d, "op %u waited, was cancelled, and is %s", t->number,
			   t->end == TRACK_ENDED ? op_result_name(t->result) : "still there");
}

void queued_is_cancelled(struct sim_domain *d, const struct item *i)
{
	struct op_request q = other_request(i, 0);
	struct track *t = ask(d, &q);

	if (!t)
		return;
	if (i->arg & 64)
		cancel(d, t->number);
	else
		sim_later(d, i->span_us, cancel, t->number);
}

static void leave(struct sim_domain *d, uint64_t number)
{
	struct track *t = find_number(d, (unsigned int)number);

	t->op = op_unref(t->op);
}

void queued_client_goes(struct sim_domain *d, const struct item *i)
{
	struct op_request q = other_request(i, 0);
	struct track *t = ask(d, &q);

	if (t)
		sim_later(d, i->span_us, leave, t->number);
}

/* One of the last four, where the daemon has it still. */
static struct track *some_known(struct sim_domain *d, const struct item *i)
{
	struct driver *v = d->driver;
	unsigned int back = 1 + i->arg % 4;
	struct track *t = v->n_tracks >= back ? &v->tracks[v->n_tracks - back] : v->current;

	return t && world_domain(d) && manager_find_op(d->world->manager, t->id) ? t : NULL;
}

void id_is_repeated(struct sim_domain *d, const struct item *i)
{
	struct track *t = some_known(d, i);
	enum request_error error;
	char *text = NULL;
	struct op *op;

	if (!t)
		return;
	if (domain_submit(world_domain(d), &t->request, &op, &error, &text) < 0) {
		sim_breach(d, "op %u is asked for again and denied: %s", t->number, text);
		free(text);
		return;
	}
	if (op != manager_find_op(d->world->manager, t->id))
		sim_breach(d, "op %u is asked for again and becomes another", t->number);
	else if (op->ended && !t->twice && op->result != t->result)
		sim_breach(d, "op %u was %s, and is %s when asked for again", t->number,
			   op_result_name(t->result), op_result_name(op->result));
	op_unref(op);
}

void id_is_taken(struct sim_domain *d, const struct item *i)
{
	struct track *t = some_known(d, i);
	enum request_error error = REQUEST_ERRORS;
	struct op_request q;
	char *text = NULL;
	struct op *op;

	if (!t)
		return;
	q = t->request;
	if (i->arg & 64)
		q.timeout_ms += 1000;
	else
		q.foreign = !q.foreign;
	if (domain_submit(world_domain(d), &q, &op, &error, &text) == 0) {
		sim_breach(d, "op %u is taken for another", t->number);
		op_unref(op);
	} else if (error != ERR_CONFLICT || !strstr(text, t->id)) {
		sim_breach(d, "op %u is another, which is not said: %s", t->number, text);
	}
	free(text);
}
