/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The daemon remembers single points of time: a step was entered, a step was left. A Chrome trace
 * wants spans. The points are sorted by time and gone through once; a point of entry opens a span
 * for its process, vCPU and step, the next point of leaving with the same three closes it.
 *
 * The daemon's memory is a ring and operations may still run, so either end can be missing. What is
 * not closed by the end is closed at the last point; an end without a beginning becomes a span of
 * no length. Both are marked, so that no one reads a duration out of them.
 *
 * Processes: 1 the host's steps, 2 the guest agent's, 3 the guest kernel's own. Threads: the vCPUs.
 * Guest times were converted to the host's clock by the daemon; how far they may be off is in the
 * args as error_us.
 */
#include "daemon/ctl/trace.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/step.h"
#include "daemon/ctl/value.h"
#include "daemon/json-in.h"
#include "proto/ladder.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct point {
	struct step step;
	json_object *source; /* borrowed */
	int64_t t_us;
	size_t order;
	enum trace_pid pid;
	int id; /* state, or the kernel's step */
	bool enter;
	bool used; /* entry: its span is closed */
};

struct trace {
	struct point *points;
	size_t n;
	int64_t first_us;
	int64_t last_us;
	json_object *events;
	size_t n_spans;
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

	if (step_parse(o, &p.step) < 0 || json_in_int(o, "t_us", 0, INT64_MAX, &p.t_us) < 0)
		return -EINVAL;
	p.pid = pid_of(&p.step);
	p.id = p.step.kernel ? p.step.kstep : p.step.state;
	p.enter = p.step.kernel ? p.step.kenter : p.step.enter;
	*ret = p;
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	if (x->t_us != y->t_us)
		return x->t_us < y->t_us ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int read_points(json_object *steps, struct trace *t)
{
	size_t n = value_count(steps);

	t->points = calloc(n ? n : 1, sizeof(*t->points));
	if (!t->points)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (parse_point(value_at(steps, i), i, &t->points[t->n]) == 0)
			t->n++;
	qsort(t->points, t->n, sizeof(*t->points), by_time);
	if (t->n > 0) {
		t->first_us = t->points[0].t_us;
		t->last_us = t->points[t->n - 1].t_us;
	}
	return 0;
}

static void add_int(json_object *o, const char *key, int64_t n)
{
	json_object_object_add(o, key, json_object_new_int64(n));
}

static void add_string(json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

/* What is known of a span; the point of leaving knows more than that of entry. */
static json_object *make_args(const struct point *p)
{
	json_object *args = json_object_new_object();
	const char *op = value_string(p->source, "op", NULL);

	add_int(args, "rc", p->step.kernel ? p->step.krc : p->step.rc);
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

/* @mark: an argument that says what is wrong with the span, or NULL */
static void add_span(struct trace *t, const struct point *p, int64_t from_us, int64_t to_us,
		     const char *mark)
{
	json_object *o = json_object_new_object(), *args = make_args(p);
	char name[STEP_NAME_MAX + 16];

	snprintf(name, sizeof(name), "%s",
		 p->step.kernel && *p->step.kname ? p->step.kname : p->step.name);
	if (p->step.kernel && !*p->step.kname)
		snprintf(name, sizeof(name), "kernel %d", p->id);
	if (mark)
		json_object_object_add(args, mark, json_object_new_boolean(true));
	add_string(o, "name", name);
	add_string(o, "cat", p->step.kernel ? "kernel" : p->step.startup ? "startup" : "teardown");
	add_string(o, "ph", "X");
	add_int(o, "ts", from_us - t->first_us);
	add_int(o, "dur", to_us - from_us);
	add_int(o, "pid", p->pid);
	add_int(o, "tid", p->step.vcpu);
	json_object_object_add(o, "args", args);
	json_object_array_add(t->events, o);
	t->n_spans++;
}

static bool is_same_step(const struct point *a, const struct point *b)
{
	return a->pid == b->pid && a->step.vcpu == b->step.vcpu && a->id == b->id;
}

/* The last open entry of the step that @end leaves or enters again, or NULL. */
static struct point *find_open(struct trace *t, size_t end)
{
	for (size_t i = end; i-- > 0;)
		if (t->points[i].enter && is_same_step(&t->points[i], &t->points[end]))
			return t->points[i].used ? NULL : &t->points[i];
	return NULL;
}

static void add_spans(struct trace *t)
{
	for (size_t i = 0; i < t->n; i++) {
		struct point *p = &t->points[i], *open = find_open(t, i);

		if (open) {
			open->used = true;
			add_span(t, p->enter ? open : p, open->t_us, p->t_us,
				 p->enter ? "unfinished" : NULL);
		} else if (!p->enter) {
			add_span(t, p, p->t_us, p->t_us, "truncated");
		}
	}
	for (size_t i = 0; i < t->n; i++)
		if (t->points[i].enter && !t->points[i].used)
			add_span(t, &t->points[i], t->points[i].t_us, t->last_us, "unfinished");
}

static void add_name(struct trace *t, const char *kind, int pid, int tid, const char *name)
{
	json_object *o = json_object_new_object(), *args = json_object_new_object();

	add_string(o, "name", kind);
	add_string(o, "ph", "M");
	add_int(o, "pid", pid);
	if (tid >= 0)
		add_int(o, "tid", tid);
	add_string(args, "name", name);
	json_object_object_add(o, "args", args);
	json_object_array_add(t->events, o);
}

static bool has_named(const struct trace *t, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (t->points[k].pid == t->points[i].pid &&
		    t->points[k].step.vcpu == t->points[i].step.vcpu)
			return true;
	return false;
}

static void add_names(struct trace *t)
{
	add_name(t, "process_name", TRACE_HOST, -1, "host");
	add_name(t, "process_name", TRACE_AGENT, -1, "guest agent");
	add_name(t, "process_name", TRACE_KERNEL, -1, "guest kernel");
	for (size_t i = 0; i < t->n; i++) {
		char name[24];

		if (has_named(t, i))
			continue;
		snprintf(name, sizeof(name), "vcpu %d", t->points[i].step.vcpu);
		add_name(t, "thread_name", t->points[i].pid, t->points[i].step.vcpu, name);
	}
}

int trace_build(json_object *steps, json_object **ret, size_t *ret_events)
{
	struct trace t = { 0 };
	json_object *o;
	int r = read_points(steps, &t);

	if (r < 0)
		return r;
	o = json_object_new_object();
	t.events = json_object_new_array();
	if (!o || !t.events) {
		json_object_put(o);
		json_object_put(t.events);
		free(t.points);
		return -ENOMEM;
	}
	add_names(&t);
	add_spans(&t);
	json_object_object_add(o, "traceEvents", t.events);
	add_string(o, "displayTimeUnit", "ms");
	free(t.points);
	*ret = o;
	*ret_events = t.n_spans;
	return 0;
}
