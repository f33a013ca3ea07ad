/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The daemon remembers single points of time: a step was entered, a step was left. A Chrome trace
 * wants spans, and those of one track, which is a vCPU on one side, must lie one behind the other or
 * one in the other: what overlaps otherwise is dropped by who draws it. So each track is gone
 * through with a stack of what is open, and what is closed lies within what is below it.
 *
 * On the host and with the agent a vCPU does one step at a time, and their points come in the order
 * in which they happened; their times may be out of it by as much as the clocks were corrected in
 * between, and are put right by that order. The steps of the guest kernel's ladder come in any order
 * and are sorted by time; they stand in one another where one CPU waits for the other.
 *
 * Several of the kernel's points may have the same microsecond. Perfetto draws what has no length
 * beneath what else is there then, as if the one had called the other. So the points of a track are
 * at least a nanosecond apart, which keeps their order and moves none of them to be seen.
 *
 * The daemon's memory is a ring and operations may still run, so either end can be missing. What is
 * not left ends where that track enters the next step, or leaves the one around it, or with the last
 * point of all; an end without a beginning becomes a span of no length. Both are marked, so that no
 * one reads a duration out of them.
 *
 * Processes: 1 the host's steps, 2 the guest agent's, 3 the guest kernel's own. Threads: the vCPUs,
 * each with an id of its own among all processes: Perfetto takes a thread 0 for one that is not named,
 * and draws what it did on the process's main thread, whose id is that of the process. So neither may
 * be a vCPU's.
 *
 * Guest times were converted to the host's clock by the daemon; how far they may be off is in the
 * args as error_us.
 */
#include "daemon/ctl/trace.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/step.h"
#include "daemon/ctl/value.h"
#include "daemon/json-in.h"
#include "proto/cpulist.h"
#include "proto/ladder.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_MAX = 16 };

_Static_assert((int)CPULIST_MAX <= (int)TRACE_TIDS, "a thread is of one process");

struct point {
	struct step step;
	json_object *source; /* borrowed */
	int64_t t_ns;
	size_t order;
	enum trace_pid pid;
	int id; /* state, or the kernel's step */
	bool enter;
};

/* @mark: what is wrong with it, or NULL */
struct span {
	const struct point *point;
	int64_t from_ns, to_ns;
	const char *mark;
	size_t order;
};

struct trace {
	struct point *points;
	size_t n;
	int64_t first_ns;
	int64_t last_ns;
	struct span *spans;
	size_t n_spans;
	const struct point *open[OPEN_MAX];
	size_t n_open;
	json_object *events;
};

static enum trace_pid pid_of(const struct step *s)
{
	if (s->kernel)
		return TRACE_KERNEL;
	return ladder_side(s->state) == CPUHP_SIDE_HOST ? TRACE_HOST : TRACE_AGENT;
}

static int parse_point(json_object *o, size_t order, struct point *ret)
{
	struct point p = { .source = o, .order = order };
	int64_t t_us;

	if (step_parse(o, &p.step) < 0 || json_in_int(o, "t_us", 0, INT64_MAX / 2000, &t_us) < 0)
		return -EINVAL;
	p.t_ns = t_us * 1000;
	p.pid = pid_of(&p.step);
	p.id = p.step.kernel ? p.step.kstep : p.step.state;
	p.enter = p.step.kernel ? p.step.kenter : p.step.enter;
	*ret = p;
	return 0;
}

static bool is_same_track(const struct point *a, const struct point *b)
{
	return a->pid == b->pid && a->step.vcpu == b->step.vcpu;
}

static int by_track(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->step.vcpu != y->step.vcpu)
		return x->step.vcpu < y->step.vcpu ? -1 : 1;
	if (x->pid == TRACE_KERNEL && x->t_ns != y->t_ns)
		return x->t_ns < y->t_ns ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int read_points(json_object *steps, struct trace *t)
{
	size_t n = value_count(steps);

	t->points = calloc(n ? n : 1, sizeof(*t->points));
	t->spans = calloc(n ? n : 1, sizeof(*t->spans));
	if (!t->points || !t->spans)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (parse_point(value_at(steps, i), i, &t->points[t->n]) == 0)
			t->n++;
	qsort(t->points, t->n, sizeof(*t->points), by_track);
	t->first_ns = t->n > 0 ? t->points[0].t_ns : 0;
	for (size_t i = 0; i < t->n; i++) {
		struct point *p = &t->points[i];

		if (i > 0 && is_same_track(p - 1, p) && p->t_ns <= p[-1].t_ns)
			p->t_ns = p[-1].t_ns + 1;
		t->first_ns = p->t_ns < t->first_ns ? p->t_ns : t->first_ns;
		t->last_ns = p->t_ns > t->last_ns ? p->t_ns : t->last_ns;
	}
	return 0;
}

static void add_int(json_object *o, const char *key, int64_t n)
{
	json_object_object_add(o, key, json_object_new_int64(n));
}

/* As the format wants it, in microseconds; a fraction where there is one. */
static void add_us(json_object *o, const char *key, int64_t ns)
{
	char text[32];

	if (ns % 1000 == 0) {
		add_int(o, key, ns / 1000);
		return;
	}
	snprintf(text, sizeof(text), "%" PRId64 ".%03d", ns / 1000, (int)(ns % 1000));
	json_object_object_add(o, key, json_object_new_double_s((double)ns / 1000, text));
}

static void add_string(json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static int tid_of(const struct point *p)
{
	return (int)p->pid * TRACE_TIDS + p->step.vcpu;
}

/* What is known of a span; the point of leaving knows more than that of entry. */
static json_object *make_args(const struct point *p)
{
	json_object *args = json_object_new_object();
	const char *op = value_string(p->source, "op", NULL);

	add_int(args, "vcpu", p->step.vcpu);
	add_int(args, "rc", p->step.kernel ? p->step.krc : p->step.rc);
	json_object_object_add(args, "cpu",
			       p->step.cpu >= 0 ? json_object_new_int(p->step.cpu) : NULL);
	json_object_object_add(args, "ran_on",
			       p->step.ran_on >= 0 ? json_object_new_int(p->step.ran_on) : NULL);
	json_object_object_add(args, "op", op ? json_object_new_string(op) : NULL);
	json_object_object_add(args, "rollback", json_object_new_boolean(p->step.rollback));
	add_int(args, "error_us", value_int(p->source, "error_us", 0));
	json_object_object_add(args, "startup", json_object_new_boolean(p->step.startup));
	if (p->step.late)
		json_object_object_add(args, "late", json_object_new_boolean(true));
	if (*p->step.text)
		add_string(args, "text", p->step.text);
	return args;
}

static void add_event(struct trace *t, const struct span *s)
{
	const struct point *p = s->point;
	json_object *o = json_object_new_object(), *args = make_args(p);
	char name[STEP_NAME_MAX + 16];

	snprintf(name, sizeof(name), "%s",
		 p->step.kernel && *p->step.kname ? p->step.kname : p->step.name);
	if (p->step.kernel && !*p->step.kname)
		snprintf(name, sizeof(name), "kernel %d", p->id);
	if (s->mark)
		json_object_object_add(args, s->mark, json_object_new_boolean(true));
	add_string(o, "name", name);
	add_string(o, "cat", p->step.kernel ? "kernel" : p->step.startup ? "startup" : "teardown");
	add_string(o, "ph", "X");
	add_us(o, "ts", s->from_ns - t->first_ns);
	add_us(o, "dur", s->to_ns - s->from_ns);
	add_int(o, "pid", p->pid);
	add_int(o, "tid", tid_of(p));
	json_object_object_add(o, "args", args);
	json_object_array_add(t->events, o);
}

static void add_span(struct trace *t, const struct point *p, int64_t from_ns, int64_t to_ns,
		     const char *mark)
{
	t->spans[t->n_spans] = (struct span){ p, from_ns, to_ns, mark, t->n_spans };
	t->n_spans++;
}

/* The uppermost @n that are open were not left by then. */
static void give_up(struct trace *t, size_t n, int64_t to_ns)
{
	for (; n > 0; n--) {
		const struct point *p = t->open[--t->n_open];

		add_span(t, p, p->t_ns, to_ns, "unfinished");
	}
}

/* How many are open above and with the step of @p; 0 it is not. */
static size_t depth_of(const struct trace *t, const struct point *p)
{
	for (size_t i = t->n_open; i-- > 0;)
		if (t->open[i]->id == p->id)
			return t->n_open - i;
	return 0;
}

static void enter(struct trace *t, const struct point *p)
{
	bool alone = p->pid != TRACE_KERNEL || t->n_open == OPEN_MAX;

	give_up(t, alone ? t->n_open : depth_of(t, p), p->t_ns);
	t->open[t->n_open++] = p;
}

static void leave(struct trace *t, const struct point *p)
{
	size_t depth = depth_of(t, p);

	if (depth == 0) {
		add_span(t, p, p->t_ns, p->t_ns, "truncated");
		return;
	}
	give_up(t, depth - 1, p->t_ns);
	add_span(t, p, t->open[--t->n_open]->t_ns, p->t_ns, NULL);
}

static int by_begin(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->from_ns != y->from_ns)
		return x->from_ns < y->from_ns ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void add_spans(struct trace *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct point *p = &t->points[i];

		if (i > 0 && !is_same_track(p - 1, p))
			give_up(t, t->n_open, t->last_ns);
		if (p->enter)
			enter(t, p);
		else
			leave(t, p);
	}
	give_up(t, t->n_open, t->last_ns);
	qsort(t->spans, t->n_spans, sizeof(*t->spans), by_begin);
	for (size_t i = 0; i < t->n_spans; i++)
		add_event(t, &t->spans[i]);
}

/* What a process or (@tid not 0) a thread is called, and its place among the others. */
static void add_track(struct trace *t, int pid, int tid, const char *name)
{
	bool thread = tid != 0;

	for (int i = 0; i < 2; i++) {
		json_object *o = json_object_new_object(), *args = json_object_new_object();
		char kind[32];

		snprintf(kind, sizeof(kind), "%s_%s", thread ? "thread" : "process",
			 i == 0 ? "name" : "sort_index");
		add_string(o, "name", kind);
		add_string(o, "ph", "M");
		add_int(o, "pid", pid);
		if (thread)
			add_int(o, "tid", tid);
		if (i == 0)
			add_string(args, "name", name);
		else
			add_int(args, "sort_index", thread ? tid : pid);
		json_object_object_add(o, "args", args);
		json_object_array_add(t->events, o);
	}
}

static void add_tracks(struct trace *t)
{
	add_track(t, TRACE_HOST, 0, "host");
	add_track(t, TRACE_AGENT, 0, "guest agent");
	add_track(t, TRACE_KERNEL, 0, "guest kernel");
	for (size_t i = 0; i < t->n; i++) {
		const struct point *p = &t->points[i];
		char name[24];

		if (i > 0 && is_same_track(p - 1, p))
			continue;
		snprintf(name, sizeof(name), "vcpu %d", p->step.vcpu);
		add_track(t, p->pid, tid_of(p), name);
	}
}

static void trace_done(struct trace *t)
{
	free(t->points);
	free(t->spans);
	json_object_put(t->events);
}

int trace_build(json_object *steps, json_object **ret, size_t *ret_events)
{
	struct trace t = { .events = json_object_new_array() };
	json_object *o = json_object_new_object();
	int r = o && t.events ? read_points(steps, &t) : -ENOMEM;

	if (r < 0) {
		json_object_put(o);
		trace_done(&t);
		return r;
	}
	add_tracks(&t);
	add_spans(&t);
	json_object_object_add(o, "traceEvents", json_object_get(t.events));
	add_string(o, "displayTimeUnit", "ms");
	*ret = o;
	*ret_events = t.n_spans;
	trace_done(&t);
	return 0;
}
