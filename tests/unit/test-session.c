/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/session.h"

enum { H = 0xaaaa, A = 0xbbbb, A2 = 0xcccc };

/* One side's dialogue: what it hears, what it makes of it. */
static const struct {
	const char *what;
	uint64_t session, peer;
	bool changed, reply, up, established;
} dialogue[] = {
	{ "a stranger that knows nobody", A, 0, true, true, false, false },
	{ "the same, knowing us now", A, H, false, false, true, true },
	{ "the same again", A, H, false, false, false, true },
	{ "no session at all", 0, H, false, false, false, true },
	{ "it has forgotten us", A, 0, false, true, false, false },
	{ "it names another", A, 99, false, true, false, false },
	{ "it knows us again", A, H, false, false, true, true },
	{ "a new one that knows us already", A2, H, true, true, true, true },
	{ "the former one again", A, 0, true, true, false, false },
};

static void what_each_hello_means(void **ctx)
{
	struct session s;

	session_init(&s, H);
	for (size_t i = 0; i < sizeof(dialogue) / sizeof(dialogue[0]); i++) {
		struct session_verdict v =
			session_on_hello(&s, dialogue[i].session, dialogue[i].peer);

		assert_int_equal(v.changed, dialogue[i].changed);
		assert_int_equal(v.reply, dialogue[i].reply);
		assert_int_equal(v.up, dialogue[i].up);
		assert_int_equal(s.established, dialogue[i].established);
	}
}

static void both_sides_hold_the_same_key(void **ctx)
{
	struct session h, a;

	session_init(&h, H);
	session_init(&a, A);
	(void)session_on_hello(&h, A, 0);
	(void)session_on_hello(&a, H, A);
	assert_int_equal(session_key(&h), session_key(&a));
	(void)session_on_hello(&h, A2, 0);
	assert_int_not_equal(session_key(&h), session_key(&a));
}

/*
 * Two sides and the HELLOs under way between them, played in every order, with a restart of either
 * side at every point: it always settles with both established and equal keys, in few frames.
 */
enum { WAY_MAX = 16, DEPTH_MAX = 24 };

struct hello {
	uint64_t session, peer;
};

struct way {
	struct hello hellos[WAY_MAX];
	int n;
};

struct world {
	struct session side[2];
	struct way to[2]; /* what each side will hear, in order */
	uint64_t next;
	int restarts;
	int depth;
};

static void say(struct world *w, int from)
{
	struct way *way = &w->to[!from];

	assert_true(way->n < WAY_MAX);
	way->hellos[way->n++] = (struct hello){ w->side[from].mine, w->side[from].peer };
}

static void start(struct world *w, int side)
{
	session_init(&w->side[side], w->next++);
	say(w, side);
}

static void hear(struct world *w, int side)
{
	struct hello h = w->to[side].hellos[0];

	w->to[side].n--;
	memmove(w->to[side].hellos, w->to[side].hellos + 1,
		(size_t)w->to[side].n * sizeof(w->to[side].hellos[0]));
	if (session_on_hello(&w->side[side], h.session, h.peer).reply)
		say(w, side);
}

static void explore(const struct world *w)
{
	assert_true(w->depth < DEPTH_MAX);
	if (w->to[0].n == 0 && w->to[1].n == 0) {
		assert_true(w->side[0].established && w->side[1].established);
		assert_int_equal(session_key(&w->side[0]), session_key(&w->side[1]));
	}
	for (int side = 0; side < 2; side++) {
		struct world next = *w;

		next.depth++;
		if (w->to[side].n > 0) {
			hear(&next, side);
			explore(&next);
		}
		if (w->restarts > 0) {
			next = *w;
			next.depth++;
			next.restarts--;
			start(&next, side);
			explore(&next);
		}
	}
}

static void every_order_of_hellos_settles(void **ctx)
{
	struct world w = { .next = 1, .restarts = 2 };

	start(&w, 0);
	start(&w, 1);
	explore(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_each_hello_means),
		cmocka_unit_test(both_sides_hold_the_same_key),
		cmocka_unit_test(every_order_of_hellos_settles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
