/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A worker is forked ahead and waits. Given a walk it binds itself to the CPU, says where it runs,
 * and walks on by itself with the common walker, its rollback included, through the states of the worker's side
 * and no other: at the first call that is control's it hands the walk back, so it never goes below
 * ap:threads. It reports each call as it enters and leaves it, and one completion with the number
 * of the hand-over. When its socket ends it leaves: that is parking.
 *
 * Its CPU's row in the record of this boot is the worker's while it walks. A call is noted there
 * before it begins, and a callback program's process group, so that whoever finds the worker dead,
 * control or the next agent, knows what is in doubt and what is left of it: the program dies with
 * the worker, what it has started does not.
 *
 * What it reports is held back as long as what follows takes no time, since each message wakes
 * control up beside it. Steps say before they wait (step_waits()), and a callback always may: then
 * all is told. That a call is over is noted with the next call's beginning. A step that is
 * configured to do nothing is neither noted nor a moment for orders.
 *
 * Each call is checked to have run on the CPU, by the worker itself and for a program by what the
 * kernel says of it; otherwise it has failed with -EXDEV, whatever it returned (R1). The late
 * teardown for a CPU that was taken away is neither bound nor checked.
 *
 * A call has the ladder's deadline times the factor of the kick; callback programs are killed at
 * it here, other calls by control, which kills the worker. A walk that is called back ends the
 * callback program under way; every other call is short and waited for.
 */
#include "guest-agent/worker.h"
#include "guest-agent/callback.h"
#include "guest-agent/cleanup.h"
#include "guest-agent/pages.h"
#include "guest-agent/steps.h"
#include "guest-agent/sysfs.h"
#include "guest-agent/text.h"
#include "proto/ladder.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LEFTOVER_MS = 1000, LEFTOVER_POLL_MS = 5 };

/*
 * struct worker_self
 * @h: the walk
 * @out: the report being made
 * @held: reports that go with the next one
 * @told: control knows the result of this call already
 * @noted: the record says that a call is under way
 * @bound: it has proved itself
 * @cancel_rc: to be aborted with this, 0 no
 */
struct worker_self {
	const struct worker_place *place;
	struct verify_kit verify;
	struct handover h;
	struct worker_message out;
	struct worker_message held[WORKER_PACK_MAX];
	size_t n_held;
	bool told;
	bool noted;
	bool bound;
	int cancel_rc;
};

typedef int (*worker_fn)(struct worker_self *w, const struct walk_call *call);

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void say_held(void *ctx)
{
	struct worker_self *w = ctx;
	size_t n = w->n_held;

	w->n_held = 0;
	/* Nobody to tell: control is gone, and this process goes with it. */
	if (n && worker_send_pack(w->place->fd, w->held, n) < 0)
		_exit(1);
}

/* What follows says something else, or that it waits. */
static void tell_with_next(struct worker_self *w, enum worker_message_type type)
{
	w->out.type = type;
	w->out.number = w->h.number;
	w->out.time_ns = clock_ns();
	w->held[w->n_held++] = w->out;
	if (w->n_held == WORKER_PACK_MAX)
		say_held(w);
}

static void tell(struct worker_self *w, enum worker_message_type type)
{
	tell_with_next(w, type);
	say_held(w);
}

static int run_step(struct worker_self *w, int (*step)(struct step_env *env))
{
	struct step_env env = {
		.root = w->place->root,
		.config = w->place->config,
		.cpu = w->h.cpu,
		.verify = &w->verify,
		.waits = say_held,
		.ctx = w,
	};
	int r = step(&env);

	text_copy(w->out.text, sizeof(w->out.text), env.text);
	return r;
}

static int verify(struct worker_self *w, const struct walk_call *call)
{
	return run_step(w, step_verify);
}

static int cpuset(struct worker_self *w, const struct walk_call *call)
{
	return run_step(w, call->startup ? step_cpuset_widen : step_cpuset_narrow);
}

static int irq(struct worker_self *w, const struct walk_call *call)
{
	return run_step(w, call->startup ? step_irq_spread : step_irq_away);
}

/* A callback's time: its own, and no more than is left for all; a rollback gets its own. */
static int callback_time(const struct worker_self *w, const struct walk_call *call,
			 unsigned int *ret_ms)
{
	const struct cpuhp_step *step = ladder_step(call->state);
	uint64_t ms = (uint64_t)w->h.slow * (call->startup ? step->startup_ms : step->teardown_ms);
	uint64_t now = clock_ns() / 1000000u;

	if (w->h.deadline_ms && !call->rollback) {
		if (now >= w->h.deadline_ms)
			return -ETIMEDOUT;
		if (ms > w->h.deadline_ms - now)
			ms = w->h.deadline_ms - now;
	}
	*ret_ms = (unsigned int)ms;
	return 0;
}

/* A failure without words of its own. */
static void explain(struct worker_self *w, int rc)
{
	if (rc == 0 || w->out.text[0])
		return;
	if (rc > 0)
		snprintf(w->out.text, sizeof(w->out.text), "exit status %d", rc);
	else
		text_copy(w->out.text, sizeof(w->out.text), strerror(-rc));
}

static void take_order(struct worker_self *w, const struct worker_message *m)
{
	if (m->type == WORKER_ARM) {
		w->h.fail_state = m->fail_state;
		w->h.fail_rc = m->fail_rc;
	} else if (m->type == WORKER_CANCEL && m->number == w->h.number) {
		w->cancel_rc = m->rc;
	}
}

/* A walk that is on its way back, or has something in doubt, goes on as it is. */
static bool is_called_back(const struct worker_self *w)
{
	return w->cancel_rc && !w->h.unknown && !w->h.walk.done && !w->h.walk.rolling_back;
}

/* While a callback runs. The end of the socket is for after it. */
static int on_order(void *ctx)
{
	struct worker_self *w = ctx;
	struct worker_message m;
	int r = worker_recv(w->place->fd, &m, MSG_DONTWAIT);

	if (r == -EAGAIN)
		return 0;
	if (r <= 0)
		return 1;
	take_order(w, &m);
	return is_called_back(w) ? w->cancel_rc : 0;
}

static void note(const struct worker_self *w, const struct walk_call *call,
		 const struct process_group *group)
{
	struct bootrec_row row = {
		.group = group ? *group : (struct process_group){ 0 },
		.state = (uint8_t)(w->h.only ? w->h.rest : w->h.walk.state),
		.under_way = (uint8_t)(call ? call->state : 0),
		.under_way_startup = call && call->startup,
		.standby_wish = w->h.standby_wish,
		.dyn_done = w->h.dyn_done,
		.kick = w->h.kick,
	};

	/* Without a record the walk is as good; only a killed agent would know less. */
	(void)bootrec_store(&w->place->record, w->h.cpu, &row);
}

/* In the program's process: whoever comes after this worker can end it and what it has started. */
static void note_group(void *ctx)
{
	const struct worker_self *w = ctx;
	struct process_group group;

	if (process_group_own(&group) == 0)
		note(w, &w->out.call, &group);
}

static int callback(struct worker_self *w, const struct walk_call *call)
{
	int i = call->state - CPUHP_AP_DYN;
	struct callback_call c = {
		.root = w->place->root,
		.dir = w->place->config->callbacks,
		.name = w->place->names[i],
		.startup = call->startup,
		.cpu = w->h.cpu,
		.state = call->state,
		.op = w->h.op,
		.late = w->h.late,
		.kept = call->startup ? 0 : w->place->program_fds[i],
		.on_start = note_group,
		.orders = w->place->fd,
		.on_order = on_order,
		.ctx = w,
	};
	struct callback_result result;
	int r = callback_time(w, call, &c.deadline_ms);

	if (r < 0)
		return r;
	say_held(w);
	callback_run(&c, &result);
	text_copy(w->out.text, sizeof(w->out.text), result.text);
	/* Its number alone could be an exit status as well. */
	if (result.signal && !result.text[0])
		snprintf(w->out.text, sizeof(w->out.text), "killed by signal %d", result.signal);
	w->out.ran_on = w->place->seam->program_cpu(w->h.cpu, result.ran_on);
	return result.rc;
}

/* All CPUs are in one announcement, so only control writes it. */
static int announce(struct worker_self *w, const struct walk_call *call)
{
	struct worker_message m;

	if (w->out.ran_on != w->h.cpu && !w->h.late)
		return -EXDEV;
	tell(w, WORKER_ASK);
	w->told = true;
	for (;;) {
		int r = worker_recv(w->place->fd, &m, 0);

		if (r <= 0)
			_exit(r < 0);
		if (m.type == WORKER_ANSWER)
			return m.rc;
		take_order(w, &m);
	}
}

static const struct {
	worker_fn startup;
	worker_fn teardown;
} operations[CPUHP_STATES] = {
	[CPUHP_AP_VERIFY] = { verify, NULL },
	[CPUHP_AP_CPUSET] = { cpuset, cpuset },
	[CPUHP_AP_IRQ] = { irq, irq },
	[CPUHP_AP_DYN... CPUHP_AP_DYN_END] = { callback, callback },
	[CPUHP_AP_ACTIVE] = { announce, announce },
};

static bool is_armed(struct worker_self *w, int state)
{
	if (!w->h.fail_rc || w->h.fail_state != state)
		return false;
	w->out.rc = w->h.fail_rc;
	w->out.injected = true;
	w->h.fail_rc = 0;
	snprintf(w->out.text, sizeof(w->out.text), "injected failure");
	return true;
}

static int run_operation(struct worker_self *w, const struct walk_call *call)
{
	worker_fn fn =
		call->startup ? operations[call->state].startup : operations[call->state].teardown;
	int rc;

	if (is_armed(w, call->state))
		return w->out.rc;
	rc = fn ? fn(w, call) : -ENOSYS;
	if ((rc == 0 || rc == -EXDEV) && !w->h.late && w->out.ran_on != w->h.cpu) {
		rc = -EXDEV;
		snprintf(w->out.text, sizeof(w->out.text), "ran on cpu %d instead of cpu %d",
			 w->out.ran_on, w->h.cpu);
	}
	explain(w, rc);
	return rc;
}

static void note_end(struct worker_self *w)
{
	if (w->noted)
		note(w, NULL, NULL);
	w->noted = false;
}

static void run_call(struct worker_self *w, const struct walk_call *call)
{
	int here = w->place->seam->current_cpu(w->h.cpu);

	w->out = (struct worker_message){ .call = *call, .ran_on = here };
	w->told = false;
	if (!step_is_off(w->place->config, call->state)) {
		note(w, call, NULL);
		w->noted = true;
	}
	tell_with_next(w, WORKER_ENTER);
	w->out.rc = run_operation(w, call);
	w->out.call = *call;
	handover_result(&w->h, call, w->out.rc);
	if (!w->told)
		tell_with_next(w, WORKER_EXIT);
}

/* What control said meanwhile. */
static void take_orders(struct worker_self *w)
{
	struct worker_message m;
	int r;

	while ((r = worker_recv(w->place->fd, &m, MSG_DONTWAIT)) == 1)
		take_order(w, &m);
	if (r != -EAGAIN)
		_exit(r != 0);
	if (!is_called_back(w))
		return;
	walk_abort(&w->h.walk, w->cancel_rc);
	w->out = (struct worker_message){ .rc = w->cancel_rc, .ran_on = -1 };
	tell(w, WORKER_ABORTED);
}

/* What lives on of a callback must not meet its teardown; what does not die of SIGKILL is left. */
static void end_leftover(const struct process_group *g)
{
	const struct timespec pause = { .tv_nsec = LEFTOVER_POLL_MS * 1000000L };

	for (int ms = 0; ms < LEFTOVER_MS && process_group_kill(g); ms += LEFTOVER_POLL_MS)
		nanosleep(&pause, NULL);
}

static void walk_on(struct worker_self *w)
{
	struct walk_call call = { .state = CPUHP_AP_THREADS };

	end_leftover(&w->h.leftover);
	for (;;) {
		if (!step_is_off(w->place->config, call.state))
			take_orders(w);
		if (!handover_is_workers(&w->h))
			break;
		handover_next(&w->h, &call);
		run_call(w, &call);
	}
	note_end(w);
	w->out = (struct worker_message){ .ran_on = -1 };
	tell(w, WORKER_DONE);
}

/* The agent's own cpuset, as /proc/self/cgroup names it. */
static void name_cpuset(int root, char *buf, size_t size)
{
	char text[4096], *rest = text, *line;

	snprintf(buf, size, "unknown");
	if (sysfs_read(root, "proc/self/cgroup", text, sizeof(text)) < 0)
		return;
	while ((line = strsep(&rest, "\n"))) {
		char *path = strrchr(line, ':');

		if (path && (strstr(line, ":cpuset:") || strncmp(line, "0::", 3) == 0))
			snprintf(buf, size, "%s", path + 1);
		if (strstr(line, ":cpuset:"))
			return;
	}
}

static int prove(struct worker_self *w)
{
	const struct seam *seam = w->place->seam;
	char group[128];
	int r = w->h.late ? 0 : seam->bind(0, w->h.cpu);

	w->out = (struct worker_message){ .ran_on = seam->current_cpu(w->h.cpu) };
	if (r == -EINVAL) {
		name_cpuset(w->place->root, group, sizeof(group));
		snprintf(w->out.text, sizeof(w->out.text),
			 "cannot run on cpu %d: the agent's own cpuset %s leaves it out", w->h.cpu,
			 group);
	} else if (r < 0) {
		snprintf(w->out.text, sizeof(w->out.text), "cannot be bound to cpu %d: %s",
			 w->h.cpu, strerror(-r));
	} else if (!w->h.late && w->out.ran_on != w->h.cpu) {
		r = -EXDEV;
		snprintf(w->out.text, sizeof(w->out.text), "bound to cpu %d but runs on cpu %d",
			 w->h.cpu, w->out.ran_on);
	}
	return r;
}

static bool take_walk(struct worker_self *w, const struct worker_message *m)
{
	int rc;

	w->h = m->h;
	w->cancel_rc = 0;
	if (w->bound)
		return true;
	rc = prove(w);
	w->out.rc = rc;
	w->bound = rc == 0;
	tell_with_next(w, WORKER_READY);
	/* To end what is left of another's callback takes its time. */
	if (rc || w->h.leftover.id)
		say_held(w);
	return w->bound;
}

/* What a step takes of it: on a CPU that has just come the kernel looks long for the first free page. */
enum { STACK_SIZE = 32 << 10 };

/* A fork maps anew, page by page, what is used: now, and not on the new CPU. */
static void map_all(void)
{
	pages_map_text();
	pages_own_stack(STACK_SIZE);
	/* The vDSO. */
	(void)clock_ns();
}

void worker_main(const struct worker_place *place)
{
	struct worker_self w = { .place = place };
	struct worker_message m;

	map_all();
	step_verify_prepare(place->root, &w.verify);
	while (worker_recv(place->fd, &m, 0) == 1)
		if (m.type == WORKER_WALK && take_walk(&w, &m))
			walk_on(&w);
	_exit(0);
}
