/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Before an operation begins, whoever is set to judge it is asked (vet.h): hooks of the host's.
 *
 * That is between two admissions. The first shows that nothing else refuses the operation, and makes the
 * plan that is shown; the second makes the one that counts, for much can happen while somebody thinks. What
 * was allowed is the goal. Meanwhile the operation holds its place, has changed nothing, and the guest was not
 * told of it: it can be cancelled, its deadline can pass, and a daemon that is killed leaves nothing of it.
 */
#include "daemon/op-run.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static void end_unbegun(struct op_run *run, enum op_result result, const char *by, const char *why)
{
	struct op *op = run->op;

	op->refused_by = by;
	text_set(&op->error, "%s", why);
	op_end(op, result);
}

static void on_answer(void *arg, const char *objection)
{
	struct op_run *run = arg;
	int r;

	run->vetting = NULL;
	if (objection) {
		end_unbegun(run, OP_REFUSED, "hook", objection);
		return;
	}
	run->vetted = true;
	r = op_run_admit(run);
	if (r < 0)
		op_end_unbegun(run->op, r);
}

void op_vet_look(struct op_run *run)
{
	const struct manager *m = run->domain->manager;

	if (!run->vetted)
		run->vetted = !m->vet || !m->vet->is_due(m->vet_ctx);
}

void op_vet_begin(struct op_run *run, const struct plan *plan)
{
	const struct manager *m = run->domain->manager;
	char why[OP_TEXT_MAX];
	int r;

	run->phase = RUN_VET;
	r = m->vet->start(m->vet_ctx, run->op, plan, on_answer, run, &run->vetting);
	if (r == 0)
		return;
	snprintf(why, sizeof(why), "the hooks of this host cannot be asked: %s", strerror(-r));
	end_unbegun(run, OP_REFUSED, "hook", why);
}

void op_vet_drop(struct op_run *run)
{
	if (run->vetting)
		run->domain->manager->vet->drop(run->vetting);
	run->vetting = NULL;
}

void op_vet_stop(struct op_run *run, int rc)
{
	op_vet_drop(run);
	if (rc == -ECANCELED)
		end_unbegun(run, OP_CANCELLED, NULL, "cancelled before anything was changed");
	else
		end_unbegun(run, OP_FAILED, NULL,
			    "the operation's deadline passed while a prepare hook of this host was "
			    "deciding; nothing was changed");
}
