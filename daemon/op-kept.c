/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
/*
 * What an operation keeps beside numbers: sentences, times and names. The last results of every domain stay for its
 * life, so each takes as much memory as it has to tell.
 */
#include "daemon/op.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static_assert(CPUHP_STATES <= 64, "a bit for each state");

static bool has_taken(const struct op_vcpu *e, int state)
{
	return e->steps & UINT64_C(1) << state;
}

/* Where the time of @state stands, or is to stand. */
static unsigned int place_of(const struct op_vcpu *e, int state)
{
	return (unsigned int)__builtin_popcountll(e->steps & ((UINT64_C(1) << state) - 1));
}

/* False: no memory was left. */
static bool make_place(struct op_vcpu *e, int state)
{
	unsigned int n = (unsigned int)__builtin_popcountll(e->steps), at = place_of(e, state);
	uint32_t *more = realloc(e->step_us, (n + 1) * sizeof(*more));

	if (!more)
		return false;
	memmove(more + at + 1, more + at, (n - at) * sizeof(*more));
	e->step_us = more;
	e->steps |= UINT64_C(1) << state;
	return true;
}

void op_vcpu_keep_step(struct op_vcpu *e, int state, uint64_t us)
{
	if (has_taken(e, state) || make_place(e, state))
		e->step_us[place_of(e, state)] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

int64_t op_vcpu_step_us(const struct op_vcpu *e, int state)
{
	return has_taken(e, state) ? (int64_t)e->step_us[place_of(e, state)] : -1;
}

void op_vcpu_keep_failed(struct op_vcpu *e, int state, const char *name)
{
	free(e->failed_callback);
	e->failed_at = state;
	e->failed_callback = ladder_is_dyn(state) ? strdup(name) : NULL;
}

const char *op_vcpu_failed_name(const struct op_vcpu *e)
{
	return e->failed_callback ? e->failed_callback : ladder_name(e->failed_at);
}

void op_vcpu_done(struct op_vcpu *e)
{
	free(e->failed_callback);
	free(e->step_us);
	text_done(&e->error);
}

int op_keep_callback(struct op *o, int state, const char *name)
{
	struct op_callback *more;
	char *copy;

	if (op_find_callback(o, state))
		return 0;
	more = realloc(o->callbacks, (o->n_callbacks + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	o->callbacks = more;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	more[o->n_callbacks++] = (struct op_callback){ .state = state, .name = copy };
	return 0;
}

const char *op_find_callback(const struct op *o, int state)
{
	for (unsigned int i = 0; i < o->n_callbacks; i++)
		if (o->callbacks[i].state == state)
			return o->callbacks[i].name;
	return NULL;
}

void op_done(struct op *o)
{
	for (unsigned int i = 0; i < o->n_vcpus; i++)
		op_vcpu_done(&o->vcpus[i]);
	free(o->vcpus);
	for (unsigned int i = 0; i < o->n_callbacks; i++)
		free(o->callbacks[i].name);
	free(o->callbacks);
	free(o->persist);
	free(o->record);
	text_done(&o->error);
	text_done(&o->warning);
}
