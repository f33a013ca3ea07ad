/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "proto/walk.h"

#include <assert.h>

#include "proto/ladder.h"

void walk_init(struct walk *w, int from, int target)
{
	assert(ladder_step(from) && ladder_step(target));
	*w = (struct walk){
		.from = from,
		.target = target,
		.state = from,
		.step = -1,
		.done = from == target,
		.failed_at = -1,
		.rollback_failed_at = -1,
	};
}

static int goal(const struct walk *w)
{
	return w->rolling_back ? w->from : w->target;
}

static bool goes_up(const struct walk *w)
{
	return w->state < goal(w);
}

static void advance(struct walk *w)
{
	w->state += goes_up(w) ? 1 : -1;
	w->done = w->state == goal(w);
}

bool walk_next(struct walk *w, walk_has_fn has, void *ctx, struct walk_call *call)
{
	assert(w->step < 0);
	for (; !w->done; advance(w)) {
		bool up = goes_up(w);
		int step = up ? w->state + 1 : w->state;

		if (w->rolling_back && ladder_step(step)->skip_rollback)
			continue;
		if (!has(ctx, step, up))
			continue;
		w->step = step;
		*call = (struct walk_call){ step, up, w->rolling_back };
		return true;
	}
	return false;
}

static void begin_rollback(struct walk *w, int rc)
{
	w->rc = rc;
	w->rolling_back = true;
	w->done = w->state == w->from;
}

/* A failed callback leaves @state alone: its startup did not happen, or its teardown did not. */
void walk_result(struct walk *w, int rc)
{
	int step = w->step;

	assert(step >= 0);
	w->step = -1;
	if (rc == 0) {
		advance(w);
	} else if (!w->rolling_back) {
		w->failed_at = step;
		begin_rollback(w, rc);
	} else {
		w->rollback_failed_at = step;
		w->rollback_rc = rc;
		w->done = true;
	}
}

void walk_abort(struct walk *w, int rc)
{
	assert(w->step < 0 && rc != 0);
	if (!w->done && !w->rolling_back)
		begin_rollback(w, rc);
}

bool walk_is_stuck(const struct walk *w)
{
	return w->done && w->rollback_failed_at >= 0;
}
