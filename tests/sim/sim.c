/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of a simulated domain share: things done later, and bytes spoilt on their way. */
#include "tests/sim/sim.h"
#include "tests/sim/world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void run_later(void *arg)
{
	struct later *l = arg;

	LIST_REMOVE(l, link);
	if (l->bytes)
		l->say(l->d, l->bytes, l->n);
	else
		l->fn(l->d, l->arg);
	free(l->bytes);
	free(l);
}

static struct later *add_later(struct sim_domain *d, uint64_t after_us)
{
	struct later *l = calloc(1, sizeof(*l));

	assert(l);
	l->d = d;
	LIST_INSERT_HEAD(&d->laters, l, link);
	clock_init(&l->timer, run_later, l);
	clock_arm(&l->timer, after_us);
	return l;
}

void sim_later(struct sim_domain *d, uint64_t after_us,
	       void (*fn)(struct sim_domain *d, uint64_t arg), uint64_t arg)
{
	struct later *l = add_later(d, after_us);

	l->fn = fn;
	l->arg = arg;
}

static void say_later(struct sim_domain *d, uint64_t after_us, say_fn say, const void *bytes,
		      size_t n)
{
	struct later *l = add_later(d, after_us);

	l->say = say;
	l->n = n;
	l->bytes = malloc(n);
	assert(l->bytes);
	memcpy(l->bytes, bytes, n);
}

void sim_forget_laters(struct sim_domain *d)
{
	struct later *l;

	while ((l = LIST_FIRST(&d->laters))) {
		LIST_REMOVE(l, link);
		clock_disarm(&l->timer);
		free(l->bytes);
		free(l);
	}
}

static void hold(struct tampering *t, const void *bytes, size_t n)
{
	t->held = malloc(n);
	assert(t->held);
	memcpy(t->held, bytes, n);
	t->held_len = n;
}

static void let_go(struct sim_domain *d, struct tampering *t, say_fn say)
{
	uint8_t *held = t->held;

	t->held = NULL;
	if (held)
		say(d, held, t->held_len);
	free(held);
}

static void say_noise(struct sim_domain *d, const uint8_t *bytes, size_t n, say_fn say)
{
	uint8_t *copy = malloc(n);

	assert(copy);
	memcpy(copy, bytes, n);
	for (int i = 0; i < 3; i++)
		copy[rng_below(&d->rng, (unsigned int)n)] ^= (uint8_t)rng_range(&d->rng, 1, 255);
	say(d, copy, n);
	free(copy);
}

bool tamper(struct sim_domain *d, struct tampering *t, const void *bytes, size_t n, say_fn say,
	    void (*tear)(struct sim_domain *d))
{
	enum tamper how = t->left ? t->how : TAMPER_NONE;

	t->left -= how != TAMPER_NONE;
	switch (how) {
	case TAMPER_DROP:
		break;
	case TAMPER_LATE:
		say_later(d, t->late_us, say, bytes, n);
		break;
	case TAMPER_SWAP:
		if (!t->held) {
			hold(t, bytes, n);
			return true;
		}
		say(d, bytes, n);
		break;
	case TAMPER_TWICE:
		say(d, bytes, n);
		say(d, bytes, n);
		break;
	case TAMPER_TEAR:
		t->left = 0;
		say(d, bytes, n / 2);
		tear(d);
		return false;
	case TAMPER_NOISE:
		say_noise(d, bytes, n, say);
		break;
	case TAMPER_NONE:
		say(d, bytes, n);
		break;
	}
	let_go(d, t, say);
	return how != TAMPER_DROP && how != TAMPER_NOISE;
}

void tamper_done(struct tampering *t)
{
	free(t->held);
	t->held = NULL;
}

void sim_breach(struct sim_domain *d, const char *format, ...)
{
	struct run_result *r = d->world ? d->world->result : NULL;
	va_list ap;
	int at;

	/* A dialogue that is played to the QEMU alone may do what the daemon may not. */
	if (!r || r->breach[0])
		return;
	at = snprintf(r->breach, sizeof(r->breach),
		      "%llu.%06llu s: %s: ", (unsigned long long)clock_us() / 1000000,
		      (unsigned long long)clock_us() % 1000000, d->name);
	va_start(ap, format);
	vsnprintf(r->breach + at, sizeof(r->breach) - (size_t)at, format, ap);
	va_end(ap);
	sim_log(d, "BREACH: %s", r->breach);
	d->world->over = true;
}

void sim_log(struct sim_domain *d, const char *format, ...)
{
	va_list ap;

	if (!d->world || !d->world->log)
		return;
	fprintf(d->world->log, "%llu.%06llu %s: ", (unsigned long long)clock_us() / 1000000,
		(unsigned long long)clock_us() % 1000000, d->name);
	va_start(ap, format);
	vfprintf(d->world->log, format, ap);
	va_end(ap);
	fputc('\n', d->world->log);
}
