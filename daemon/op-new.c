/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An operation's birth and death; what happens between is op.c's and op-run.c's. */
#include "daemon/deferred.h"
#include "daemon/op-run.h"
#include "proto/frame.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

struct op *op_ref(struct op *o)
{
	o->refs++;
	return o;
}

struct op *op_unref(struct op *o)
{
	if (o && --o->refs == 0) {
		op_run_drop(o);
		sd_event_source_disable_unref(o->deadline);
		op_done(o);
		free(o);
	}
	return NULL;
}

bool op_is_same_request(const struct op_request *a, const struct op_request *b)
{
	return a->goal == b->goal && a->count == b->count && a->standby == b->standby &&
	       memcmp(&a->list, &b->list, sizeof(a->list)) == 0 && a->target == b->target &&
	       strcmp(a->callback, b->callback) == 0 && a->policy == b->policy &&
	       a->at_least == b->at_least && a->timeout_ms == b->timeout_ms &&
	       a->foreign == b->foreign && a->persist == b->persist;
}

static int make_id(char id[MSG_OP_MAX + 1])
{
	uint64_t r;

	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		return -EIO;
	snprintf(id, MSG_OP_MAX + 1, "%016llx", (unsigned long long)r);
	return 0;
}

static uint64_t realtime_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int make_persist(struct op *o)
{
	if (!o->request.persist)
		return 0;
	o->persist = malloc(sizeof(*o->persist));
	if (!o->persist)
		return -ENOMEM;
	*o->persist = PERSIST_OUTCOME_NONE;
	return 0;
}

int op_new(struct op **ret, struct domain *d, const struct op_request *request)
{
	struct op *o = calloc(1, sizeof(*o));
	int rc;

	if (!o)
		return -ENOMEM;
	o->refs = 1;
	o->domain = d;
	o->request = *request;
	o->result = OP_ACCEPTED;
	o->accepted_us = now_us();
	o->accepted_realtime_us = realtime_us();
	o->asked = request->goal == OP_GOAL_COUNT ? request->count : cpulist_count(&request->list);
	snprintf(o->domain_name, sizeof(o->domain_name), "%s", d->config->name);
	snprintf(o->id, sizeof(o->id), "%s", request->id);
	rc = *o->id ? 0 : make_id(o->id);
	if (!rc)
		rc = make_persist(o);
	o->tag = crc32c(0, o->id, strlen(o->id));
	if (rc) {
		op_unref(o);
		return rc;
	}
	*ret = o;
	return 0;
}

int op_run_new(struct op *op)
{
	struct op_run *run = calloc(1, sizeof(*run));

	if (!run)
		return -ENOMEM;
	*run = (struct op_run){ .op = op, .domain = op->domain };
	op->run = run;
	return deferred_new(&run->next, op->domain->manager->event, op_run_on_next, run);
}
