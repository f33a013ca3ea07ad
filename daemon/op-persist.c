/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The part of an operation that changes the persistent configuration besides the running domain.
 *
 * First it is only looked at: what is wrong there refuses the operation before anything is done.
 * It is changed as the last thing, when everything else ended as asked, while the operation still
 * runs: so its result tells both, whoever waits for it, and the domain's next operation comes after
 * both. What fails then cannot take the running domain's part back; the result is partial and says
 * so. Sent, it cannot be recalled either: a cancel comes too late, and past the deadline it is
 * pending. Where an earlier change is still with libvirt it waits for that (persist-gate.c), and is
 * not made where the operation ends before.
 */
#include "daemon/op-run.h"
#include "daemon/persist-gate.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/**
 * struct waiting - libvirt has been asked, or is when the change's turn has come
 * @op: counted; it may have ended when the answer comes
 * @gate: of a change
 * @phase: of its run, in which the answer is waited for
 */
struct waiting {
	struct op *op;
	enum run_phase phase;
	struct persist_gate *gate;
	void (*then)(struct op_run *run, const struct persist_answer *a);
};

static void waiting_free(struct waiting *w)
{
	op_unref(w->op);
	free(w);
}

static void on_answer(void *arg, const struct persist_answer *a)
{
	struct waiting *w = arg;
	struct op_run *run = w->op->run;

	if (run && run->waiting == w)
		run->waiting = NULL;
	if (run && run->phase == w->phase)
		w->then(run, a);
	waiting_free(w);
}

static int ask(struct op_run *run, const struct persist_change *change,
	       void (*then)(struct op_run *run, const struct persist_answer *a))
{
	const char *uuid = run->domain->config->uuid;
	struct manager *m = run->domain->manager;
	struct waiting *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	*w = (struct waiting){ .op = op_ref(run->op), .phase = run->phase, .then = then };
	if (change)
		r = persist_gate_ask(&w->gate, m, uuid, run->op->domain_name, change,
				     run->op->request.uid, run->op, on_answer, w);
	else
		r = m->libvirt_persist(m->discovery, uuid, NULL, on_answer, w);
	if (r < 0)
		waiting_free(w);
	else
		run->waiting = w;
	return r;
}

static void note(struct op *op, const struct persist_domain *d)
{
	op->persist->present = (int)d->present;
	op->persist->maximum = (int)d->maximum;
}

static enum op_result result_of(enum request_error error)
{
	if (error == ERR_BUSY)
		return OP_BUSY;
	if (error == ERR_NO_SUCH_DOMAIN)
		return OP_VM_GONE;
	return error == ERR_INTERNAL ? OP_FAILED : OP_REFUSED;
}

/* Nothing has been done yet, and nothing will be. */
static void end_denied(struct op_run *run, const struct persist_denial *denial)
{
	struct op *op = run->op;

	op->denied = denial->error != ERR_REFUSED;
	op->denial = denial->error;
	op->refused_by = denial->by;
	text_set(&op->error, "%s", denial->text);
	op_end(op, result_of(denial->error));
}

static void on_looked(struct op_run *run, const struct persist_answer *a)
{
	const struct domain_config *config = run->domain->config;
	struct persist_change change;
	struct persist_denial denial;
	int r;

	op_request_persist(&run->op->request, &change);
	if (a->rc) {
		persist_explain(a, config->name, false, &denial);
		end_denied(run, &denial);
	} else if (persist_is_denied(&a->domain, &change, config->max_vcpus, &denial)) {
		end_denied(run, &denial);
	} else {
		note(run->op, &a->domain);
		r = op_run_admit(run);
		if (r < 0)
			op_end_unbegun(run->op, r);
	}
}

int op_persist_look(struct op_run *run)
{
	run->phase = RUN_LOOK;
	return ask(run, NULL, on_looked);
}

static void end_half_done(struct op *op, enum persist_result result, enum op_result end,
			  const char *why)
{
	op->persist->result = result;
	op->persist->present = op->persist->maximum = -1;
	snprintf(op->persist->error, sizeof(op->persist->error), "%s", why);
	text_set(&op->error, "the running domain has what was asked; %s", why);
	op_end(op, end);
}

static void on_changed(struct op_run *run, const struct persist_answer *a)
{
	struct op *op = run->op;
	struct persist_denial denial;

	if (a->rc) {
		persist_explain(a, op->domain_name, true, &denial);
		end_half_done(op,
			      a->rc == -ECONNRESET || a->rc == -ESTALE ? PERSIST_UNKNOWN
								       : PERSIST_FAILED,
			      OP_PARTIAL, denial.text);
		return;
	}
	op->persist->result = PERSIST_DONE;
	note(op, &a->domain);
	op_end(op, OP_DONE);
}

void op_persist_begin(struct op_run *run)
{
	struct persist_change change;

	op_request_persist(&run->op->request, &change);
	run->phase = RUN_PERSIST;
	run->op->persist->result = PERSIST_UNKNOWN;
	if (ask(run, &change, on_changed) < 0)
		end_half_done(run->op, PERSIST_FAILED, OP_PARTIAL,
			      "no memory was left to change its persistent configuration");
}

/* True: libvirt was not asked, and will not be. */
static bool withdraw(struct op_run *run)
{
	struct waiting *w = run->waiting;

	if (!w || !w->gate || !persist_gate_cancel(w->gate))
		return false;
	run->waiting = NULL;
	waiting_free(w);
	return true;
}

void op_persist_drop(struct op_run *run)
{
	if (withdraw(run))
		run->op->persist->result = PERSIST_SKIPPED;
}

void op_persist_stop(struct op_run *run, int rc)
{
	struct op *op = run->op;

	if (run->phase == RUN_LOOK) {
		text_set(&op->error, "%s",
			 rc == -ECANCELED ? "cancelled before anything was changed"
					  : "libvirt has not told the persistent configuration in "
					    "time; nothing was changed");
		op_end(op, rc == -ECANCELED ? OP_CANCELLED : OP_FAILED);
	} else if (rc == -ECANCELED && withdraw(run)) {
		end_half_done(op, PERSIST_SKIPPED, OP_PARTIAL,
			      "the persistent configuration was left as it is: the operation was "
			      "cancelled");
	} else if (rc == -ETIMEDOUT && withdraw(run)) {
		end_half_done(op, PERSIST_FAILED, OP_PARTIAL,
			      "libvirt has not answered an earlier change of its persistent "
			      "configuration yet, so that was not changed");
	} else if (rc == -ETIMEDOUT) {
		end_half_done(op, PERSIST_UNKNOWN, OP_PENDING,
			      "libvirt has not answered yet, and may still change the persistent "
			      "configuration");
	}
}
