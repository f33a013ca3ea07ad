/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A timer of the daemon's is a deferred source of the real sd-event, kept off, and an entry in the
 * heap here. When the entry's time comes clock_jump() turns the source on, and sd-event dispatches
 * it in the order and with the priority it would have given to a timer. So all that is replaced is
 * when a timer becomes pending.
 *
 * Timers are told apart from sd-event's other sources by a table of their pointers, since the
 * daemon turns all of them on and off by the same calls.
 */
#include "tests/sim/clock.h"
#include "tests/sim/shortage.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <systemd/sd-event.h>
#include <time.h>

enum { BUCKETS = 4096 };

/* A timer of the daemon's. @fired: its source is on, and has not been dispatched yet. */
struct daemon_timer {
	struct clock_timer t;
	struct daemon_timer *next;
	sd_event_source *source;
	sd_event_time_handler_t fn;
	void *userdata;
	uint64_t when_us;
	int enabled;
	bool fired;
};

/* Called by the daemon without a pointer of ours: this cannot be passed in. */
static struct {
	uint64_t now_us;
	int64_t wall_us;
	uint64_t seq;
	struct clock_timer **heap;
	size_t n, room;
	struct daemon_timer *buckets[BUCKETS];
	size_t n_sources;
} the_clock;

static bool is_before(const struct clock_timer *a, const struct clock_timer *b)
{
	return a->when_us != b->when_us ? a->when_us < b->when_us : a->seq < b->seq;
}

static void put(size_t at, struct clock_timer *t)
{
	the_clock.heap[at - 1] = t;
	t->at = at;
}

static void sift_up(size_t at, struct clock_timer *t)
{
	for (; at > 1 && is_before(t, the_clock.heap[at / 2 - 1]); at /= 2)
		put(at, the_clock.heap[at / 2 - 1]);
	put(at, t);
}

static void sift_down(size_t at, struct clock_timer *t)
{
	for (size_t child; (child = 2 * at) <= the_clock.n; at = child) {
		if (child < the_clock.n &&
		    is_before(the_clock.heap[child], the_clock.heap[child - 1]))
			child++;
		if (!is_before(the_clock.heap[child - 1], t))
			break;
		put(at, the_clock.heap[child - 1]);
	}
	put(at, t);
}

void clock_begin(void)
{
	assert(the_clock.n == 0 && the_clock.n_sources == 0);
	/* Not 0: the daemon takes that for "never". */
	the_clock.now_us = 1000000000;
	the_clock.wall_us = INT64_C(1700000000000000);
	the_clock.seq = 0;
}

void clock_end(void)
{
	assert(the_clock.n == 0 && the_clock.n_sources == 0);
	free(the_clock.heap);
	the_clock.heap = NULL;
	the_clock.room = 0;
}

uint64_t clock_us(void)
{
	return the_clock.now_us;
}

void clock_set_wall(int64_t by_us)
{
	the_clock.wall_us += by_us;
}

void clock_init(struct clock_timer *t, void (*fn)(void *arg), void *arg)
{
	*t = (struct clock_timer){ .fn = fn, .arg = arg };
}

void clock_disarm(struct clock_timer *t)
{
	size_t at = t->at;
	struct clock_timer *last;

	if (!at)
		return;
	t->at = 0;
	last = the_clock.heap[--the_clock.n];
	if (last == t)
		return;
	if (at > 1 && is_before(last, the_clock.heap[at / 2 - 1]))
		sift_up(at, last);
	else
		sift_down(at, last);
}

static void arm_at(struct clock_timer *t, uint64_t when_us)
{
	AS_SIMULATION;

	clock_disarm(t);
	if (the_clock.n == the_clock.room) {
		the_clock.room = the_clock.room ? 2 * the_clock.room : 1024;
		the_clock.heap = reallocarray(the_clock.heap, the_clock.room, sizeof(t));
		assert(the_clock.heap);
	}
	t->when_us = when_us;
	t->seq = the_clock.seq++;
	sift_up(++the_clock.n, t);
}

void clock_arm(struct clock_timer *t, uint64_t after_us)
{
	arm_at(t, the_clock.now_us + after_us);
}

bool clock_jump(void)
{
	struct clock_timer *t = the_clock.n ? the_clock.heap[0] : NULL;

	if (!t || t->when_us == UINT64_MAX)
		return false;
	clock_disarm(t);
	if (t->when_us > the_clock.now_us)
		the_clock.now_us = t->when_us;
	t->fn(t->arg);
	return true;
}

uint64_t clock_next_us(void)
{
	return the_clock.n ? the_clock.heap[0]->when_us : UINT64_MAX;
}

void clock_advance(uint64_t to_us)
{
	while (clock_next_us() <= to_us)
		clock_jump();
	if (to_us > the_clock.now_us)
		the_clock.now_us = to_us;
}

size_t clock_sources(void)
{
	return the_clock.n_sources;
}

/* What the daemon calls */

int __real_sd_event_source_set_enabled(sd_event_source *s, int enabled);
int __real_sd_event_source_get_enabled(sd_event_source *s, int *ret);
sd_event_source *__real_sd_event_source_disable_unref(sd_event_source *s);
int __wrap_sd_event_add_time(sd_event *e, sd_event_source **ret, clockid_t clock, uint64_t usec,
			     uint64_t accuracy, sd_event_time_handler_t fn, void *userdata);
int __wrap_sd_event_add_time_relative(sd_event *e, sd_event_source **ret, clockid_t clock,
				      uint64_t usec, uint64_t accuracy, sd_event_time_handler_t fn,
				      void *userdata);
int __wrap_sd_event_source_set_time(sd_event_source *s, uint64_t usec);
int __wrap_sd_event_source_set_time_relative(sd_event_source *s, uint64_t usec);
int __wrap_sd_event_source_get_time(sd_event_source *s, uint64_t *ret);
int __wrap_sd_event_source_set_enabled(sd_event_source *s, int enabled);
int __wrap_sd_event_source_get_enabled(sd_event_source *s, int *ret);
sd_event_source *__wrap_sd_event_source_disable_unref(sd_event_source *s);
int __wrap_sd_event_now(sd_event *e, clockid_t clock, uint64_t *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

static struct daemon_timer **bucket(const sd_event_source *s)
{
	return &the_clock.buckets[((uintptr_t)s >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 52];
}

static struct daemon_timer *find(const sd_event_source *s)
{
	struct daemon_timer *v = *bucket(s);

	while (v && v->source != s)
		v = v->next;
	return v;
}

static int on_dispatch(sd_event_source *s, void *userdata)
{
	struct daemon_timer *v = userdata;

	v->fired = false;
	v->enabled = SD_EVENT_OFF;
	/* It may be freed in there. */
	return v->fn(s, v->when_us, v->userdata);
}

static void on_due(void *arg)
{
	struct daemon_timer *v = arg;

	v->fired = true;
	(void)__real_sd_event_source_set_enabled(v->source, SD_EVENT_ONESHOT);
}

/* Neither pending nor, unless it is on, going to be. */
static void set_again(struct daemon_timer *v)
{
	if (v->fired)
		(void)__real_sd_event_source_set_enabled(v->source, SD_EVENT_OFF);
	v->fired = false;
	if (v->enabled == SD_EVENT_OFF)
		clock_disarm(&v->t);
	else
		arm_at(&v->t, v->when_us);
}

int __wrap_sd_event_add_time(sd_event *e, sd_event_source **ret, clockid_t clock, uint64_t usec,
			     uint64_t accuracy, sd_event_time_handler_t fn, void *userdata)
{
	struct daemon_timer *v = calloc(1, sizeof(*v));
	int r;

	assert(ret && clock == CLOCK_MONOTONIC);
	if (!v)
		return -ENOMEM;
	clock_init(&v->t, on_due, v);
	v->fn = fn;
	v->userdata = userdata;
	v->when_us = usec;
	v->enabled = SD_EVENT_ONESHOT;
	r = sd_event_add_defer(e, &v->source, on_dispatch, v);
	if (r < 0) {
		free(v);
		return r;
	}
	(void)__real_sd_event_source_set_enabled(v->source, SD_EVENT_OFF);
	v->next = *bucket(v->source);
	*bucket(v->source) = v;
	the_clock.n_sources++;
	arm_at(&v->t, usec);
	*ret = v->source;
	return r;
}

int __wrap_sd_event_add_time_relative(sd_event *e, sd_event_source **ret, clockid_t clock,
				      uint64_t usec, uint64_t accuracy, sd_event_time_handler_t fn,
				      void *userdata)
{
	return __wrap_sd_event_add_time(e, ret, clock, the_clock.now_us + usec, accuracy, fn,
					userdata);
}

int __wrap_sd_event_source_set_time(sd_event_source *s, uint64_t usec)
{
	struct daemon_timer *v = find(s);

	if (!v)
		return -EDOM;
	v->when_us = usec;
	set_again(v);
	return 0;
}

int __wrap_sd_event_source_set_time_relative(sd_event_source *s, uint64_t usec)
{
	return __wrap_sd_event_source_set_time(s, the_clock.now_us + usec);
}

int __wrap_sd_event_source_get_time(sd_event_source *s, uint64_t *ret)
{
	const struct daemon_timer *v = find(s);

	if (!v)
		return -EDOM;
	*ret = v->when_us;
	return 0;
}

int __wrap_sd_event_source_set_enabled(sd_event_source *s, int enabled)
{
	struct daemon_timer *v = s ? find(s) : NULL;

	if (!v)
		return __real_sd_event_source_set_enabled(s, enabled);
	/* As in sd-event: to turn on what is on already changes nothing. */
	if (v->enabled != enabled) {
		v->enabled = enabled;
		set_again(v);
	}
	return 0;
}

int __wrap_sd_event_source_get_enabled(sd_event_source *s, int *ret)
{
	const struct daemon_timer *v = find(s);

	if (!v)
		return __real_sd_event_source_get_enabled(s, ret);
	*ret = v->enabled;
	return v->enabled != SD_EVENT_OFF;
}

sd_event_source *__wrap_sd_event_source_disable_unref(sd_event_source *s)
{
	struct daemon_timer *v = s ? find(s) : NULL;

	if (v) {
		struct daemon_timer **at = bucket(s);

		while (*at != v)
			at = &(*at)->next;
		*at = v->next;
		clock_disarm(&v->t);
		the_clock.n_sources--;
		free(v);
	}
	return __real_sd_event_source_disable_unref(s);
}

int __wrap_sd_event_now(sd_event *e, clockid_t clock, uint64_t *ret)
{
	assert(clock == CLOCK_MONOTONIC);
	*ret = the_clock.now_us;
	return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	uint64_t us = the_clock.now_us;

	if (clock == CLOCK_REALTIME)
		us += (uint64_t)the_clock.wall_us;
	ret->tv_sec = (time_t)(us / 1000000);
	ret->tv_nsec = (long)(us % 1000000) * 1000;
	return 0;
}
