/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Every message of a worker is held against control's own copy of the walk: a call entered must be
 * the walker's next one, an exit must answer it, a completion must carry the number of the
 * hand-over and leave nothing that is the worker's to do. Anything else is a worker that has gone
 * wrong; it is killed, and its death is handled like any other (control_on_worker_gone()).
 *
 * A worker is judged by silence as well: the call it reported last has the ladder's deadline and a
 * grace, in which the worker itself ends a callback that is late; calls that take no time it reports
 * together with the next that may.
 */
#include "guest-agent/crew.h"
#include "guest-agent/announced.h"
#include "guest-agent/child.h"
#include "guest-agent/control.h"
#include "guest-agent/cputable.h"
#include "guest-agent/spares.h"
#include "guest-agent/worker.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { SILENCE_MS = 5000 };

static void expect_within(struct cpu *c, unsigned int ms)
{
	c->job.step_deadline_ms = now_ms() + (uint64_t)ms * c->job.h.slow + CONTROL_GRACE_MS;
}

void crew_dismiss(struct cpu *c)
{
	c->worker.leaving = true;
	child_hang_up(&c->worker.fd);
	if (c->job.kind)
		expect_within(c, ladder_step(CPUHP_AP_THREADS)->teardown_ms);
}

bool crew_is_idle(const struct cpu *c)
{
	return c->worker.pid && !c->worker.leaving;
}

void crew_dismiss_idle(struct cpu *c)
{
	if (crew_is_idle(c))
		crew_dismiss(c);
}

int crew_hand_over(struct agent *a, struct cpu *c, const struct handover *given)
{
	struct worker_message m = { .type = WORKER_WALK, .number = given->number, .h = *given };
	bool is_new = c->worker.pid == 0;
	int r = is_new ? spares_take(a, &c->worker) : 0;

	if (r < 0)
		return r;
	/*
	 * The worker binds itself and answers for it. Bound already while it sleeps it wakes up on its
	 * CPU and need not be moved there, which takes longer than all the rest of ap:threads.
	 */
	if (!c->worker.ready && !given->late)
		(void)a->seam->bind(c->worker.pid, c->cpu);
	expect_within(c, ladder_step(CPUHP_AP_THREADS)->startup_ms);
	/* One that takes nothing is dying: its death is what counts. */
	if (worker_send(c->worker.fd, &m) < 0)
		crew_kill(a, c, -EIO, "it takes no walk");
	/* It is at work meanwhile. */
	else if (is_new && agent_watch(a, c->worker.fd, EPOLLIN, SOURCE_WORKER, c->cpu) < 0)
		crew_kill(a, c, -EIO, "it cannot be watched");
	return 0;
}

static void send_order(struct cpu *c, struct worker_message *m)
{
	m->number = c->job.h.number;
	/* One that cannot be told any more is about to be buried. */
	if (c->worker.fd >= 0)
		(void)worker_send(c->worker.fd, m);
}

void crew_cancel(struct cpu *c, int rc)
{
	struct worker_message m = { .type = WORKER_CANCEL, .rc = rc };

	send_order(c, &m);
}

void crew_arm(struct cpu *c)
{
	struct worker_message m = {
		.type = WORKER_ARM,
		.fail_state = c->fail_state,
		.fail_rc = c->fail_rc,
	};

	send_order(c, &m);
}

bool crew_is_dying(const struct cpu *c)
{
	return c->worker.pid > 0 && c->worker.kill_rc;
}

void crew_kill(struct agent *a, struct cpu *c, int rc, const char *why)
{
	if (c->worker.pid <= 0 || crew_is_dying(c))
		return;
	agent_log(a, "cpu%d: worker %d killed: %s", c->cpu, (int)c->worker.pid, why);
	c->worker.kill_rc = rc;
	c->job.step_deadline_ms = now_ms() + CONTROL_GRACE_MS;
	kill(c->worker.pid, SIGKILL);
	/* It may take long to die, and what it has said besides would wake the loop all that time. */
	child_hang_up(&c->worker.fd);
}

static bool same_call(const struct walk_call *x, const struct walk_call *y)
{
	return x->state == y->state && x->startup == y->startup && x->rollback == y->rollback;
}

static bool on_enter(struct agent *a, struct cpu *c, const struct worker_message *m)
{
	const struct cpuhp_step *step;
	struct job *j = &c->job;
	struct walk_call call;

	if (!j->at_worker || j->in_step || !handover_is_workers(&j->h) ||
	    !handover_next(&j->h, &call) || !same_call(&call, &m->call))
		return false;
	step = ladder_step(call.state);
	expect_within(c, call.startup ? step->startup_ms : step->teardown_ms);
	control_enter(a, c, &call, m->time_ns, m->ran_on);
	return true;
}

static bool on_exit_step(struct agent *a, struct cpu *c, struct worker_message *m)
{
	struct job *j = &c->job;

	if (!j->at_worker || !j->in_step || !same_call(&j->call, &m->call))
		return false;
	if (m->injected)
		c->fail_rc = c->fail_state = 0;
	/* A worker that let a step pass which ran elsewhere is not to be believed in anything. */
	if (m->rc == 0 && m->ran_on != c->cpu && !j->h.late)
		return false;
	control_leave(a, c, m->rc, m->ran_on, m->time_ns, m->text);
	expect_within(c, SILENCE_MS);
	return true;
}

/*
 * The announcement is made here, so its result is known here first. Where nothing of the worker's
 * is left to do, the walk needs no word of it any more.
 */
static bool on_ask(struct agent *a, struct cpu *c, const struct worker_message *ask)
{
	struct worker_message m = { .type = WORKER_ANSWER };
	struct job *j = &c->job;

	if (!j->at_worker || !j->in_step || j->call.state != CPUHP_AP_ACTIVE ||
	    (ask->ran_on != c->cpu && !j->h.late))
		return false;
	c->active = j->call.startup;
	m.rc = announced_update(a);
	control_leave(a, c, m.rc, ask->ran_on, now_ns(), m.rc < 0 ? strerror(-m.rc) : "");
	if (handover_is_workers(&j->h)) {
		expect_within(c, SILENCE_MS);
		send_order(c, &m);
		return true;
	}
	j->at_worker = false;
	j->step_deadline_ms = 0;
	control_run(a, c);
	return true;
}

static bool on_aborted(struct agent *a, struct cpu *c, const struct worker_message *m)
{
	struct job *j = &c->job;

	if (!j->at_worker || j->in_step || !j->abort_rc || m->rc != j->abort_rc)
		return false;
	control_aborted(a, c);
	return true;
}

static bool on_done(struct agent *a, struct cpu *c)
{
	if (!c->job.at_worker || c->job.in_step || handover_is_workers(&c->job.h))
		return false;
	c->job.at_worker = false;
	c->job.step_deadline_ms = 0;
	control_run(a, c);
	return true;
}

static bool on_ready(struct agent *a, struct cpu *c, const struct worker_message *m)
{
	if (c->worker.ready || !c->job.at_worker)
		return false;
	c->worker.ready = m->rc == 0;
	if (c->worker.ready && !c->job.h.late)
		c->ran_on = m->ran_on;
	expect_within(c, SILENCE_MS);
	control_on_worker(a, c, m->rc, m->ran_on, m->time_ns, m->text);
	return true;
}

static bool on_message(struct agent *a, struct cpu *c, struct worker_message *m)
{
	/* R7: what belongs to an earlier hand-over is not this one's. */
	if (m->number != c->job.h.number)
		return false;
	switch (m->type) {
	case WORKER_READY:
		return on_ready(a, c, m);
	case WORKER_ENTER:
		return on_enter(a, c, m);
	case WORKER_EXIT:
		return on_exit_step(a, c, m);
	case WORKER_ASK:
		return on_ask(a, c, m);
	case WORKER_ABORTED:
		return on_aborted(a, c, m);
	case WORKER_DONE:
		return on_done(a, c);
	case WORKER_WALK:
	case WORKER_ANSWER:
	case WORKER_CANCEL:
	case WORKER_ARM:
		break;
	}
	return false;
}

/* Return: whether there may be more to hear of it. */
static bool hear(struct agent *a, struct cpu *c)
{
	struct worker_message m[WORKER_PACK_MAX];
	pid_t pid = c->worker.pid;
	int n;

	if (c->worker.fd < 0)
		return false;
	n = worker_recv_pack(c->worker.fd, m);
	if (n == -EAGAIN)
		return false;
	if (n == 0 || n == -ECONNRESET) {
		child_hang_up(&c->worker.fd);
		return false;
	}
	if (n < 0)
		crew_kill(a, c, -EIO, "it sent what is no message");
	/* The first may end its walk, and with that its time here. */
	for (int i = 0; i < n && c->worker.pid == pid && c->worker.fd >= 0; i++)
		if (!on_message(a, c, &m[i]))
			crew_kill(a, c, -EIO, "it reported what does not fit its walk");
	return true;
}

void crew_on_readable(struct agent *a, struct cpu *c)
{
	(void)hear(a, c);
}

/* Killed at once, as no worker may follow; the next one waits for its death. */
static void end_leftover(struct agent *a, struct cpu *c)
{
	struct bootrec_row row;

	if (bootrec_load(&a->record, c->cpu, &row) < 0 || !process_group_kill(&row.group))
		return;
	agent_log(a, "cpu%d: killed what a callback had left running", c->cpu);
	c->leftover = row.group;
}

void crew_end_leftovers(struct agent *a)
{
	for_each_cpu (a, c)
		end_leftover(a, c);
}

void crew_on_exit(struct agent *a, struct cpu *c, int status)
{
	int rc = -EIO;

	/* What it said before it died counts, and may end its walk and begin another. */
	while (hear(a, c))
		;
	child_hang_up(&c->worker.fd);
	if (WIFSIGNALED(status))
		rc = 128 + WTERMSIG(status);
	if (c->worker.kill_rc)
		rc = c->worker.kill_rc;
	c->worker = (struct worker){ .fd = -1 };
	if (c->job.at_worker)
		end_leftover(a, c);
	control_on_worker_gone(a, c, rc);
}
