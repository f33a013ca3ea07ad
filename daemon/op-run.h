/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_OP_RUN_H
#define DAEMON_OP_RUN_H

#include "daemon/admission.h"
#include "daemon/hostwalk.h"

/*
 * The engine: takes a running operation through its phases. RUN_LOOK, where the persistent
 * configuration is to be changed as well, RUN_ADMIT and RUN_VET only wait and change nothing; RUN_RESUME
 * waits for QEMU to go on with what an earlier daemon has begun (op-resume.c); RUN_CLIMB moves
 * every vCPU but takes nothing away from QEMU; RUN_SETTLE removes what is to be removed, or undoes;
 * RUN_PERSIST changes the configuration.
 */
enum run_phase {
	RUN_LOOK,
	RUN_ADMIT,
	RUN_VET,
	RUN_RESUME,
	RUN_CLIMB,
	RUN_SETTLE,
	RUN_PERSIST,
	RUN_OVER
};

/**
 * struct move - one vCPU of a running operation
 * @goal: where the walk under way, or the next one, takes it; @at: where the last one left it
 * @todo: a walk to @goal is to be started; @started: one was; @walking: it is under way
 * @undoing: the walk takes it back to where it came from
 * @failed: a step of its own failed; @refused: that was a teardown
 * @called_back: its walk was stopped because of another's failure, a cancel or the deadline
 * @pending, @stuck, @gone: as in the results
 * @resumed: begun by an earlier daemon, whose kick the agent may still be at
 * @owned: its device was this daemon's kind's when the move was made
 * @asked: that one has sent device_del, and no walk of this daemon's has taken that over yet
 */
struct move {
	struct vcpu *v;
	struct op_vcpu *entry;
	int goal, at;
	bool todo, started, walking, undoing;
	bool failed, refused, called_back, pending, stuck, gone, resumed, owned, asked;
};

struct waiting;
struct op_resume;

struct op_run {
	struct op *op;
	struct domain *domain;
	enum run_phase phase;
	struct admission admission;
	struct move *moves;
	unsigned int n_moves;
	int stop_rc;       /* -ECANCELED, -ETIMEDOUT: the operation is being stopped */
	bool planned_anew; /* the count was missed once, and what was left has been planned again */
	bool vetted;       /* nobody objects, or nobody is to be asked */
	sd_event_source *give_up; /* what cannot be undone without an agent */
	sd_event_source *next;    /* a look at what can go on, from the loop */
	uint32_t kick_base;       /* the highest kick number before its first */
	struct op_resume *resume; /* op-resume.c: what an earlier daemon has begun, NULL not */
	struct waiting *waiting;  /* op-persist.c: what libvirt has been asked for it */
	struct vetting *vetting;  /* op-vet.c: hooks have been asked, NULL not */
};

/* Begin; the domain's running operation is @op. Return: 0 or -errno. */
int op_run_start(struct op *op);

/* Of run->next. */
int op_run_on_next(sd_event_source *s, void *userdata);

/* op-new.c: op->run, which does nothing yet. Return: 0 or -errno; op_run_drop() frees it in either
 * case. */
int op_run_new(struct op *op);

/* Each tick: what the running operation waits for may have been said, and been lost. */
void op_run_doubt(struct domain *d);

/* Something changed that an operation or another request may have waited for. */
void op_run_poke(struct domain *d);

/* Look from the loop at what can go on: nobody is called back inside his own call. */
void op_run_look_again(struct op_run *run);

/* Stop it: -ECANCELED or -ETIMEDOUT. */
void op_run_stop(struct op *op, int rc);

/* The VM is gone, and with it what runs and what waits. */
void op_run_vm_gone(struct domain *d, const char *why);

/* Give up everything without a word (the daemon is stopping). */
void op_run_drop(struct op *op);

/* The persistent configuration is no obstacle: wait for what the moves need. */
int op_run_admit(struct op_run *run);

/* op-persist.c: look at the configuration, then admit or end. Return: 0 or -errno. */
int op_persist_look(struct op_run *run);
/* All else is done: change it, then end. */
void op_persist_begin(struct op_run *run);
/* -ECANCELED or -ETIMEDOUT, in RUN_LOOK or RUN_PERSIST. */
void op_persist_stop(struct op_run *run, int rc);
/* The operation ends: what waits for an earlier change is not made. */
void op_persist_drop(struct op_run *run);

/* op-vet.c: is anybody to be asked before it begins? Noted in run->vetted. */
void op_vet_look(struct op_run *run);
/* Ask; it is admitted once more when nobody objects, and ends where somebody does. */
void op_vet_begin(struct op_run *run, const struct plan *plan);
/* -ECANCELED or -ETIMEDOUT, in RUN_VET. */
void op_vet_stop(struct op_run *run, int rc);
/* The operation ends: the answer is not waited for. */
void op_vet_drop(struct op_run *run);

/* op-resume.c: the vCPUs are there: make its moves of what was remembered. False: not yet. */
bool op_resume_bind(struct op_run *run);
/* What an earlier daemon has begun was begun in another VM. What waits is for the one that is there. */
void op_resume_void(struct domain *d, const char *why);
/* It is stopped in RUN_RESUME. True: it has ended by that. */
bool op_resume_stop(struct op_run *run, int rc);
/* The VM is gone, or will not be seen in time, and its vCPUs end as @result. */
void op_resume_fail(struct op_run *run, enum vcpu_result result, const char *why);
/* A kick's result of this operation that an earlier daemon has sent. False: it is not. */
bool op_resume_on_done(struct domain *d, const struct record_done *r);
/* Ask the agent to give back what an earlier daemon has kicked. */
void op_resume_recall(struct op_run *run);
void op_resume_drop(struct op_run *run);
/* In RUN_RESUME: what was kept of it, by vCPU of the operation; borrowed. */
enum intent_stage op_resume_stage(const struct op_run *run);
const struct intent_move *op_resume_move(const struct op_run *run, unsigned int i);

/* Before the whole is judged: what is at rest takes over what is observed. */
void op_moves_look(struct op_run *run);

/* Whether a vCPU that came to its goal at standby or above is known not to be there any more. */
bool op_moves_are_off(const struct op_run *run);

/* Each such vCPU is noted as failed. Return: whether there is any. */
bool op_moves_note_lost(struct op_run *run);

/*
 * op-moves.c: a move for each line of the plan whose vCPU has none yet; without KVM that is none where
 * one has. Return: how many, or -ENOMEM.
 */
int op_moves_add(struct op_run *run, const struct plan *plan);
/* Those from the @n-th on cannot be written down, so they are not carried out. */
void op_moves_withdraw(struct op_run *run, unsigned int n);
/* Start what may start: removals the highest slot first, all else in the plan's order. Return:
 * whether any is under way or still to be started. */
bool op_moves_start(struct op_run *run);
/* op-settle.c: the climb is over: what is kept goes to its end, the rest back to where it was. */
void op_moves_settle(struct op_run *run);
/* How a walk of this move has ended: on with it. */
void op_moves_take(struct op_run *run, struct move *m, const struct hostwalk_outcome *o);
/* It cannot be taken any further, nor back. */
void op_move_stuck(struct move *m, const struct domain *d, const struct hostwalk_outcome *o);
/* Stop what can be stopped: because of a failure or a cancel (-ECANCELED), or the deadline. */
void op_moves_call_back(struct op_run *run, int rc);
/* Take back what rests, where nothing of the operation is kept any more. Return: whether there was any. */
bool op_moves_take_back(struct op_run *run);
/* Is there any walk to be started? */
bool op_moves_have_work(const struct op_run *run);
/* Is there anything to start from a state that only an agent could tell? */
bool op_moves_lack_agent(const struct op_run *run);
/* Leave that where it is, as stuck. */
void op_moves_give_up(struct op_run *run);
/* Of a daemon before this one: another has filled the slot of an add, and that is neither to be brought
 * up nor to be taken away. */
void op_moves_pass_over_filled(struct op_run *run);
/* The VM is gone, and the walks with it. */
void op_moves_gone(struct op_run *run);

/* op-judge.c, PURE over the moves: did the policy succeed, and what is the operation's result. */
bool op_policy_met(const struct op_run *run);
bool op_moves_all_reached(const struct op_run *run);
enum op_result op_judge(const struct op_run *run);
/* Who refused, where the operation is refused: the guest, or QEMU, which lets go of nothing as the
 * domain stands now. */
const char *op_find_refuser(const struct op_run *run);
/* A vCPU's own result. */
enum vcpu_result move_judge(const struct move *m);

/* Fill @entry's failure from a walk's outcome, with a sentence. */
void op_vcpu_describe(struct op_vcpu *entry, const struct domain *d,
		      const struct hostwalk_outcome *o, bool startup);

/* op-new.c: one that is not queued yet, with a reference for the caller. Return: 0 or -errno. */
int op_new(struct op **ret, struct domain *d, const struct op_request *request);
/* Whether an id that is used again asks for the same. */
bool op_is_same_request(const struct op_request *a, const struct op_request *b);

/* op.c: its deadline is at that time, also where that has passed. Return: 0 or -errno. */
int op_arm_deadline(struct op *op, uint64_t at_us);
/* Tell the listeners how it stands. */
void op_publish(struct op *op);

/* Its one line in the log as it ends, and one for its warning. */
void op_log_end(const struct op *o);
void op_log_warning(const struct op *o);
/* Keep it among the last results, with the caller's reference; the oldest makes room. */
void op_keep(struct domain *d, struct op *op);
/* The operation is over; the next one starts from the loop. */
void op_end(struct op *op, enum op_result result);
/* Its turn has come, and there was no memory to begin it, or the like. */
void op_end_unbegun(struct op *op, int rc);
/* The next of the queue, whose turn it is; of d->next. */
int op_on_next(sd_event_source *s, void *userdata);
/* End all that wait in the queue. */
void op_end_queued(struct domain *d, enum op_result result, const char *why);

#endif
