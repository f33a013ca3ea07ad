/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is to be kept of an operation, so that the next daemon can go on with it (op-resume.c). */
#include "daemon/intent-domain.h"
#include "daemon/op-run.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a walk that goes back: its failure would be known only at its end. */
static void keep_failure(const struct move *m, struct intent_move *ret)
{
	struct op_vcpu e = { .vcpu = m->entry->vcpu };
	struct hostwalk_outcome o;

	if (m->failed || m->called_back || !m->walking || !hostwalk_is_going_back(m->v, &o))
		return;
	op_vcpu_describe(&e, m->v->domain, &o, !o.teardown);
	ret->failed = true;
	ret->refused = o.teardown;
	ret->failed_at = e.failed_at;
	ret->rc = e.rc;
	snprintf(ret->failed_name, sizeof(ret->failed_name), "%s", op_vcpu_failed_name(&e));
	snprintf(ret->error, sizeof(ret->error), "%s", text_of(&e.error));
	op_vcpu_done(&e);
}

static void keep_move(const struct move *m, const struct op_vcpu *e, struct intent_move *ret)
{
	*ret = (struct intent_move){ .vcpu = e->vcpu,
				     .from = e->from,
				     .to = e->to,
				     .goal = m ? m->goal : e->to,
				     .at = m ? m->at : e->state,
				     .cpu = e->cpu,
				     .state = e->state,
				     .ran_on = e->ran_on,
				     .result = e->result,
				     .failed_at = e->failed_at,
				     .rc = e->rc,
				     .rollback_failed_at = e->rollback_failed_at,
				     .rollback_rc = e->rollback_rc };
	snprintf(ret->failed_name, sizeof(ret->failed_name), "%s", op_vcpu_failed_name(e));
	snprintf(ret->error, sizeof(ret->error), "%s", text_of(&e->error));
	for (int s = 0; s < CPUHP_STATES; s++)
		ret->step_us[s] = (uint64_t)op_vcpu_step_us(e, s);
	if (!m)
		return;
	/* What waits for its turn is part of the operation all the same. */
	ret->started = m->started || m->todo;
	ret->undoing = m->undoing;
	ret->failed = m->failed;
	ret->refused = m->refused;
	ret->called_back = m->called_back;
	ret->pending = m->pending;
	ret->stuck = m->stuck;
	ret->gone = m->gone;
	ret->owned = m->owned;
	ret->asked = m->asked || hostwalk_is_leaving(m->v);
	keep_failure(m, ret);
}

static enum intent_stage stage_of(const struct op *o)
{
	if (o->ended)
		return INTENT_ENDED;
	if (!o->run || (o->run->phase != RUN_RESUME && o->run->phase < RUN_CLIMB))
		return INTENT_QUEUED;
	if (o->run->phase == RUN_RESUME)
		return op_resume_stage(o->run);
	return o->run->phase == RUN_CLIMB ? INTENT_CLIMBING : INTENT_SETTLING;
}

static int keep_moves(const struct op *o, struct intent_op *ret)
{
	const struct op_run *run = o->run;

	ret->n_moves = o->n_vcpus;
	ret->moves = calloc(o->n_vcpus ? o->n_vcpus : 1, sizeof(*ret->moves));
	if (!ret->moves)
		return -ENOMEM;
	for (unsigned int i = 0; i < o->n_vcpus; i++)
		if (run && run->phase == RUN_RESUME)
			ret->moves[i] = *op_resume_move(run, i);
		else
			keep_move(run ? &run->moves[i] : NULL, &o->vcpus[i], &ret->moves[i]);
	return 0;
}

int op_keep_intent(const struct op *o, struct intent_op *ret)
{
	*ret = (struct intent_op){ .stage = stage_of(o),
				   .request = o->request,
				   .accepted_us = o->accepted_us,
				   .accepted_realtime_us = o->accepted_realtime_us,
				   .ended_us = o->ended_us,
				   .stretched = o->stretched,
				   .denied = o->denied,
				   .denial = o->denial,
				   .result = o->result,
				   .refused_by = o->refused_by,
				   .persist = o->persist ? *o->persist : PERSIST_OUTCOME_NONE,
				   .counts = o->counts };
	snprintf(ret->id, sizeof(ret->id), "%s", o->id);
	snprintf(ret->error, sizeof(ret->error), "%s", text_of(&o->error));
	snprintf(ret->warning, sizeof(ret->warning), "%s", text_of(&o->warning));
	for (unsigned int i = 0; i < o->n_callbacks; i++)
		snprintf(ret->dyn_names[o->callbacks[i].state - CPUHP_AP_DYN],
			 sizeof(ret->dyn_names[0]), "%s", o->callbacks[i].name);
	if (o->deadline)
		sd_event_source_get_time(o->deadline, &ret->deadline_us);
	if (ret->stage == INTENT_QUEUED)
		return 0;
	if (o->run) {
		ret->planned_anew = o->run->planned_anew;
		ret->stop_rc = o->run->stop_rc;
		ret->kick_base = o->run->kick_base;
	}
	return keep_moves(o, ret);
}

int op_keep_ended(struct op *o)
{
	struct intent_op i;
	int r;

	if (o->record)
		return 0;
	r = op_keep_intent(o, &i);
	if (r == 0)
		r = intent_encode_op(&i, &o->record);
	free(i.moves);
	return r;
}

void op_forget_ended(struct op *o)
{
	free(o->record);
	o->record = NULL;
}
