/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A run: the daemon's manager between simulated domains, clients who ask for the script's
 * operations, and faults that strike when an operation comes to their phase. When all operations
 * are over everything is healed, the domains come to rest, are looked at, and have to do two more
 * operations without any fault.
 *
 * The daemon dies by its manager being freed between two turns of the loop: nothing is said to
 * anybody, its sockets close. Whatever it must know afterwards it has to find in the domains and
 * in its folders.
 */
#include "tests/sim/world.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/vcpu.h"
#include "tests/sim/shortage.h"
#include "tests/sim/store.h"

#include <assert.h>
#include <errno.h>
#include <ftw.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SAMPLE_US = 1000000,
	SETTLE_US = 500000000,
	HEAL_US = 20000000,
	START_US = 3000000,
	DRILLS = 3,
	RESTART_US = 100000,
};

/* For log_write(), which the daemon calls without a pointer of ours. */
static struct world *the_world;

void log_write(const struct log_head *head, const char *format, ...)
{
	va_list ap;
	AS_SIMULATION;

	/* What an agent floods it with would bury the rest. */
	if (!the_world || !the_world->log || strstr(format, "agent: %s"))
		return;
	fprintf(the_world->log, "%llu.%06llu daemon: ", (unsigned long long)clock_us() / 1000000,
		(unsigned long long)clock_us() % 1000000);
	if (head->domain)
		fprintf(the_world->log, "%s: ", head->domain);
	va_start(ap, format);
	vfprintf(the_world->log, format, ap);
	va_end(ap);
	fputc('\n', the_world->log);
}

void kvm_limits_read(struct kvm_limits *ret)
{
	*ret = (struct kvm_limits){ .available = true, .max_vcpus = 1024, .max_vcpu_id = 4096 };
}

/* The daemon */

static struct domain_config *make_domain_config(const struct sim_domain *d)
{
	struct domain_config *c = calloc(1, sizeof(*c));

	assert(c);
	snprintf(c->name, sizeof(c->name), "%s", d->name);
	c->qmp = strdup(d->m.wire.path);
	c->agent = strdup(d->a.wire.path);
	c->foreign = d->kind % 3 == 2 ? FOREIGN_ONLINE : FOREIGN_DEFAULT;
	c->one_by_one = d->kind % 5 == 3 ? ONE_BY_ONE_YES : ONE_BY_ONE_AUTO;
	c->has_place = d->threads;
	if (d->threads)
		cpulist_set(&c->place, (unsigned int)sched_getcpu());
	assert(c->qmp && c->agent);
	return c;
}

struct config *world_config(const struct world *w)
{
	struct config *c = calloc(1, sizeof(*c));

	assert(c);
	c->deadlines = (struct deadlines){
		.qmp_reply_ms = 5000,
		.guest_present_ms = 10000,
		.eject_soft_ms = 5000,
		.eject_hard_ms = 30000,
		.agent_ping_ms = 1000,
		.agent_wait_ms = 10000,
		.operation_ms = OPERATION_US / 1000,
	};
	c->runtime_dir = w->folder;
	c->domains = calloc(w->n + 1, sizeof(*c->domains));
	assert(c->domains);
	for (unsigned int i = 0; i < w->n; i++)
		c->domains[c->n_domains++] = make_domain_config(&w->domains[i]);
	return c;
}

static void on_bus(void *ctx, const struct event *e)
{
	AS_SIMULATION;

	checker_on_event(ctx, e);
}

static void find_lost_operations(struct world *w);

static void start_daemon(void *arg)
{
	struct world *w = arg;
	int r = manager_new(&w->manager, w->event, world_config(w));

	w->other_config = false;
	assert(r == 0);
	w->listener = event_listen(w->manager->bus, on_bus, w);
	assert(w->listener);
	find_lost_operations(w);
	/* Once more, inside its recovery. */
	if (w->kills_due)
		clock_arm(&w->again, rng_below(&w->domains[0].rng, 20000));
}

static void kill_again(void *arg)
{
	struct world *w = arg;

	w->kills_due--;
	world_kill(w, 10000);
}

/* What this daemon had told and could not write, and what it could not read, is the next one's. */
static void forget_unwritten(const struct sim_domain *d, struct track *t)
{
	bool is_open = t->end == TRACK_OPEN;
	bool is_told = t->end == TRACK_ENDED && !(t->unwritten && t->written == store_written(d));

	if (is_open || is_told)
		return;
	t->again = true;
	t->end = TRACK_OPEN;
	t->ends = 0;
}

static void lose_daemon(struct sim_domain *d)
{
	struct driver *v = d->driver;

	undisturbed_over(d);
	for (unsigned int t = 0; t < v->n_tracks; t++) {
		v->tracks[t].op = op_unref(v->tracks[t].op);
		forget_unwritten(d, &v->tracks[t]);
	}
	/* What the next one has to end once more is among those that it meets. */
	disturbed_again(d, true);
	d->watch->running[0] = '\0';
	agent_met_anew(d);
	store_await_daemon(d);
}

void world_kill(struct world *w, uint64_t after_us)
{
	if (!w->manager)
		return;
	sim_log(&w->domains[0], "THE DAEMON IS KILLED");
	clock_disarm(&w->again);
	w->listener = event_unlisten(w->listener);
	for (unsigned int i = 0; i < w->n; i++)
		lose_daemon(&w->domains[i]);
	w->manager = manager_free(w->manager);
	clock_arm(&w->start, after_us);
}

struct domain *world_domain(const struct sim_domain *d)
{
	return d->world->manager ? manager_find(d->world->manager, d->name) : NULL;
}

/* Clients */

static const struct item *next_operation(const struct sim_domain *d)
{
	const struct script *s = d->world->script;
	struct driver *v = d->driver;

	for (; v->at < s->n; v->at++)
		if (s->items[v->at].domain == d->number && s->items[v->at].kind == ITEM_OPERATION)
			return &s->items[v->at];
	return NULL;
}

static void go_on(struct sim_domain *d)
{
	const struct item *i = d->world->healed ? NULL : next_operation(d);

	d->driver->current = NULL;
	d->driver->done = !i;
	if (i)
		clock_arm(&d->driver->next, i->gap_us);
}

/* The faults that belong to the operation at @at follow it. Return: the next of them, or NULL. */
static const struct item *next_fault(const struct sim_domain *d, size_t *at)
{
	const struct script *s = d->world->script;

	for (++*at; *at < s->n && s->items[*at].kind == ITEM_FAULT; ++*at)
		if (s->items[*at].number == d->driver->current_number)
			return &s->items[*at];
	return NULL;
}

static bool has_short_deadline(const struct sim_domain *d, size_t at)
{
	const struct item *i;

	while ((i = next_fault(d, &at)))
		if (fault_kinds[i->fault].flags & FAULT_TIMEOUT)
			return true;
	return false;
}

/* Return: whether it was accepted. */
static bool submit(struct sim_domain *d, const struct op_request *request, unsigned int number)
{
	struct track *t = world_ask(d, request, number);

	if (t)
		d->driver->current = t;
	return t;
}

static void on_next(void *arg)
{
	struct sim_domain *d = arg;
	struct driver *v = d->driver;
	const struct item *i = next_operation(d);
	struct op_request q;

	if (!d->world->manager) {
		clock_arm(&v->next, 100000);
		return;
	}
	assert(i);
	v->current_at = v->at++;
	v->current_number = i->number;
	q = i->request;
	if (has_short_deadline(d, v->current_at))
		q.timeout_ms = 5000;
	shortage_open();
	if (!submit(d, &q, i->number)) {
		go_on(d);
		return;
	}
	sim_phase(d, PHASE_SUBMIT, SIM_NO_SLOT);
	sim_phase(d, PHASE_DOWN_SUBMIT, SIM_NO_SLOT);
}

void world_ended(struct sim_domain *d, struct track *t, const struct op *op)
{
	t->end = TRACK_ENDED;
	/* What a client was told first is what he has. */
	t->twice = t->ended_us;
	if (!t->twice) {
		t->result = op->result;
		t->ended_us = clock_us();
	}
	snprintf(t->why, sizeof(t->why), "%s", text_of(&op->error));
	t->op = op_unref(t->op);
	if (t->twice && t->result != op->result)
		sim_log(d, "op %u was told as %s", t->number, op_result_name(t->result));
	t->again = false;
	t->unwritten = store_is_behind(d);
	t->written = store_written(d);
	sim_log(d, "op %u: %s%s%s", t->number, op_result_name(op->result),
		text_is_set(&op->error) ? ": " : "", text_of(&op->error));
	if (t == d->driver->current)
		go_on(d);
}

void world_lost(struct sim_domain *d, struct track *t)
{
	t->end = t->ended_us ? TRACK_ENDED : TRACK_LOST;
	t->again = false;
	sim_log(d, "op %u: nobody knows of it any more", t->number);
	if (t == d->driver->current)
		go_on(d);
}

static void find_lost_operations(struct world *w)
{
	for (unsigned int i = 0; i < w->n; i++) {
		struct sim_domain *d = &w->domains[i];

		for (unsigned int t = 0; t < d->driver->n_tracks; t++)
			if (d->driver->tracks[t].end == TRACK_OPEN)
				client_on_restart(d, &d->driver->tracks[t]);
	}
}

void world_cancel(struct sim_domain *d)
{
	struct track *t = d->driver->current;
	struct op *op = t && d->world->manager ? manager_find_op(d->world->manager, t->id) : NULL;

	if (!op)
		return;
	disturbed_cancel(d, t, op, t->undisturbed);
	(void)domain_cancel(op);
}

void world_client_goes(struct sim_domain *d)
{
	struct track *t = d->driver->current;

	if (t)
		t->op = op_unref(t->op);
}

/* Faults */

void world_moved(struct sim_domain *d, unsigned int slot)
{
	for (unsigned int t = 0; t < d->driver->n_tracks; t++)
		if (d->driver->tracks[t].end == TRACK_OPEN)
			d->driver->tracks[t].moved |= UINT32_C(1) << slot;
}

static void strike(struct sim_domain *d, uint64_t at)
{
	const struct item *i = &d->world->script->items[at];
	const struct fault_kind *k = &fault_kinds[i->fault];

	if (d->world->healed)
		return;
	sim_log(d, "FAULT: %s", k->name);
	d->world->result->faults++;
	d->watch->calm_us = clock_us();
	checker_watch(d);
	disturbed_again(d, false);
	k->strike(d, i);
	if (!(k->flags & FAULT_CLIENTS))
		undisturbed_over(d);
}

/* The one that runs is another client's: what happens is no moment of the driver's. */
static bool runs_another(const struct sim_domain *d)
{
	const struct domain *domain = world_domain(d);
	const struct op *op = domain ? domain->running : NULL;

	return op && !op->request.own && strcmp(op->id, d->driver->current->id) != 0;
}

void sim_phase(struct sim_domain *d, enum phase p, unsigned int slot)
{
	struct driver *v = d->driver;
	struct track *t = v ? v->current : NULL;
	size_t at = v ? v->current_at : 0;
	const struct item *i;
	unsigned int n;

	if (!t || d->world->healed || runs_another(d))
		return;
	n = t->hits[p]++;
	while ((i = next_fault(d, &at))) {
		if (i->phase != p || i->nth != n)
			continue;
		if (i->delay_us)
			sim_later(d, i->delay_us, strike, at);
		else
			strike(d, at);
	}
}

/* The end */

static bool all_at_rest(struct world *w)
{
	bool rest = w->manager;

	for (unsigned int i = 0; rest && i < w->n; i++)
		rest = w->drivers[i].done && !checker_unrest(&w->domains[i]);
	return rest;
}

/* All but the boot's leave, some come, and leave again. */
static struct op_request drill_request(const struct sim_domain *d, unsigned int drill)
{
	struct op_request q = { .goal = OP_GOAL_COUNT, .count = 5, .standby = 0, .foreign = true };

	if (drill == 1)
		return q;
	q = (struct op_request){ .goal = OP_GOAL_TARGET, .standby = -1, .foreign = true };
	for (unsigned int i = d->m.boot_cpus; i < SIM_SLOTS; i++)
		cpulist_set(&q.list, i);
	return q;
}

static void begin_drill(struct world *w)
{
	shortage_close();
	for (unsigned int i = 0; i < w->n && !w->over; i++) {
		struct sim_domain *d = &w->domains[i];
		struct op_request q = drill_request(d, w->drill);

		d->driver->done = false;
		if (!submit(d, &q, FIRST_DRILL + w->drill))
			sim_breach(d, "the last operations are not accepted");
	}
	w->drill++;
}

static void wait_for_rest(struct world *w)
{
	if (!all_at_rest(w)) {
		for (unsigned int i = 0; clock_us() > w->settle_us && i < w->n; i++) {
			const char *why = checker_unrest(&w->domains[i]);

			if (why || !w->drivers[i].done)
				sim_breach(&w->domains[i], "it does not come to rest: %s",
					   why ? why : "an operation is waited for");
		}
		return;
	}
	if (clock_us() < w->rest_us)
		return;
	checker_final(w);
	w->settle_us = clock_us() + SETTLE_US;
	if (w->over || !w->script->drill || w->drill == DRILLS)
		w->over = true;
	else
		begin_drill(w);
}

static void heal(struct world *w)
{
	w->healed = true;
	w->settle_us = clock_us() + SETTLE_US;
	w->rest_us = clock_us() + HEAL_US;
	reload_heal(w);
	for (unsigned int i = 0; i < w->n; i++)
		faults_heal(&w->domains[i]);
}

static void on_sample(void *arg)
{
	struct world *w = arg;
	bool done = true;

	clock_arm(&w->sample, SAMPLE_US);
	checker_sample(w);
	growth_look(w);
	for (unsigned int i = 0; i < w->n; i++)
		done &= w->drivers[i].done;
	if (w->healed)
		wait_for_rest(w);
	else if (done)
		heal(w);
}

/* Life */

static void make_domain(struct world *w, unsigned int n)
{
	struct sim_domain *d = &w->domains[n];

	*d = (struct sim_domain){ .world = w,
				  .event = w->event,
				  .number = n,
				  .kind = w->script->first_kind + n,
				  .rng = rng_of(w->script->seed, n),
				  .threads = w->script->threads,
				  .trusted = true };
	snprintf(d->name, sizeof(d->name), "web%u", n);
	LIST_INIT(&d->laters);
	machine_init(d, script_boot_cpus(d->kind), d->kind % 4 != 1);
	guest_init(d);
	agent_init(d);
	machine_start(d);
	guest_boot(d, 0);
	d->driver = &w->drivers[n];
	d->watch = &w->watches[n];
	clock_init(&d->driver->next, on_next, d);
	d->driver->done = !next_operation(d);
	if (!d->driver->done)
		clock_arm(&d->driver->next, START_US + rng_below(&d->rng, 500000));
}

/* A folder for the daemon's records, which outlive it. */
static void make_folder(struct world *w)
{
	snprintf(w->folder, sizeof(w->folder), "%s/vcpuhp-sim.XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(w->folder))
		abort();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void world_begin(struct world *w)
{
	int r = sd_event_new(&w->event);

	assert(r >= 0);
	make_folder(w);
	w->n = w->script->domains;
	w->domains = calloc(w->n, sizeof(*w->domains));
	w->drivers = calloc(w->n, sizeof(*w->drivers));
	w->watches = calloc(w->n, sizeof(*w->watches));
	assert(w->domains && w->drivers && w->watches);
	clock_init(&w->start, start_daemon, w);
	clock_init(&w->again, kill_again, w);
	clock_init(&w->sample, on_sample, w);
	clock_arm(&w->start, 0);
	clock_arm(&w->sample, SAMPLE_US);
	for (unsigned int i = 0; i < w->n; i++)
		make_domain(w, i);
}

static int turn(struct world *w)
{
	AS_DAEMON;

	return loop_turn(w->event, 0);
}

void world_run(struct world *w, const struct script *s, struct run_result *ret, FILE *log)
{
	*ret = (struct run_result){ 0 };
	*w = (struct world){ .script = s, .result = ret, .log = log };
	clock_begin();
	store_begin();
	wire_seed(s->seed);
	the_world = w;
	world_begin(w);
	while (!w->over) {
		int r = turn(w);

		if (r > 0)
			checker_turn(w);
		else if (r < 0)
			world_kill(w, RESTART_US); /* its loop ends, and it is started anew */
		else if (!clock_jump())
			break;
	}
	checker_count(w);
	if (w->over)
		growth_judge(w);
}

void world_done(struct world *w)
{
	w->over = true;
	world_kill(w, 0);
	clock_disarm(&w->start);
	clock_disarm(&w->again);
	clock_disarm(&w->sample);
	for (unsigned int i = 0; i < w->n; i++) {
		struct sim_domain *d = &w->domains[i];

		clock_disarm(&d->driver->next);
		sim_forget_laters(d);
		agent_done(d);
		guest_done(d);
		machine_done(d);
		free(d->driver->tracks);
	}
	free(w->domains);
	free(w->drivers);
	free(w->watches);
	sd_event_unref(w->event);
	(void)nftw(w->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	the_world = NULL;
}
