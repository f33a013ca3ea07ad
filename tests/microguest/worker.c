/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "proto/ladder.h"
#include "tests/microguest/guest.h"
#include "tests/microguest/machine.h"
#include <errno.h>
#include <stddef.h>

extern struct guest the_guest;
/* Called by start.S on an added vCPU. */
void ap_main(void);

enum { TIMER_US = 200, BOOT_APIC = 0 };

static struct call calls[CALLS];
static volatile uint32_t called, calls_taken;

static int count(struct cpu *c, bool startup, const char **ret_text)
{
	c->worker.counted += startup ? 1 : (uint32_t)-1;
	return 0;
}

static int keep_log(struct cpu *c, bool startup, const char **ret_text)
{
	*ret_text = startup ? "begins" : "ends";
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct cpu *c, bool startup, const char **ret_text);
} callbacks[] = {
	{ "10-count", count },
	{ "20-log", keep_log },
};

enum { CALLBACKS = sizeof(callbacks) / sizeof(callbacks[0]) };

const char *worker_callback(int state)
{
	int i = state - CPUHP_AP_DYN;

	return i >= 0 && i < CALLBACKS ? callbacks[i].name : NULL;
}

static uint32_t dyn_bit(int state)
{
	int i = state - CPUHP_AP_DYN;

	return i >= 0 && i < CALLBACKS ? UINT32_C(1) << i : 0;
}

bool run_has(void *run, int state, bool startup)
{
	const struct run *r = run;

	if (r->skip && ladder_step(state)->skip_rollback)
		return false;
	if (ladder_is_dyn(state))
		return worker_callback(state) && startup != !!(r->dyn_done & dyn_bit(state));
	switch (state) {
	case CPUHP_AP_ONLINE:
	case CPUHP_AP_THREADS:
	case CPUHP_AP_ACTIVE:
		return true;
	case CPUHP_AP_VERIFY:
		return startup;
	default:
		return false;
	}
}

bool run_peek(const struct run *r, struct walk_call *call)
{
	struct run copy = *r;

	return walk_next(&copy.walk, run_has, &copy, call);
}

void run_result(struct run *r, const struct walk_call *call, int rc)
{
	if (rc == 0)
		r->dyn_done ^= dyn_bit(call->state);
	walk_result(&r->walk, rc);
}

/* Wherever this runs: the guest's number of the CPU with this vCPU's APIC. */
static uint16_t here(const struct guest *g)
{
	uint32_t id = apic_id();

	for (unsigned int slot = 1; slot < g->slots; slot++)
		if (g->cpus[slot].present && g->cpus[slot].apic == id)
			return g->cpus[slot].number;
	return id == g->cpus[0].apic ? 0 : MSG_NO_CPU;
}

static bool is_moment(const volatile struct moment *m, const struct cpu *c,
		      const struct walk_call *call)
{
	return m->state && m->state == call->state && m->startup == call->startup &&
	       (m->cpu == c->number || m->cpu == NOBODY);
}

bool worker_hangs(const struct guest *g, const struct cpu *c, const struct walk_call *call)
{
	return is_moment(&g->behaviour.hang, c, call);
}

int worker_failure(const struct guest *g, struct cpu *c, const struct walk_call *call)
{
	struct run *r = &c->run;
	int rc = r->armed_rc;

	if (rc && r->armed == call->state) {
		r->armed_rc = 0;
		return rc;
	}
	return is_moment(&g->behaviour.fail, c, call) ? g->behaviour.fail.rc : 0;
}

static void note(const struct guest *g, struct cpu *c, const struct walk_call *call, uint8_t flags,
		 int rc, const char *text)
{
	struct worker *w = &c->worker;

	while (w->noted - w->taken == NOTES)
		__asm__ volatile("pause");
	w->notes[w->noted % NOTES] = (struct note){
		.time_ns = now_ns(),
		.rc = rc,
		.ran_on = here(g),
		.state = (uint8_t)call->state,
		.flags = (uint8_t)(flags | (call->startup ? RECORD_STEP_STARTUP : 0) |
				   (call->rollback ? RECORD_STEP_ROLLBACK : 0)),
		.text = text,
	};
	barrier();
	w->noted++;
	machine_wake(BOOT_APIC);
}

/* This vCPU's own timer fires, and its clock is not behind that of the one that asked. */
static int verify(struct cpu *c, const char **ret_text)
{
	uint32_t shots = apic_timer_shots();
	uint64_t began = now_ns();

	apic_set_timer(TIMER_US);
	while (apic_timer_shots() == shots)
		machine_halt();
	apic_set_timer(0);
	if (began >= c->worker.asked_ns && now_ns() > began)
		return 0;
	*ret_text = "its TSC is behind the boot vCPU's";
	return -ETIME;
}

static void keep_call(const struct guest *g, const struct cpu *c, const struct walk_call *call)
{
	uint32_t at = __atomic_fetch_add(&called, 1, __ATOMIC_SEQ_CST);

	calls[at % CALLS] =
		(struct call){ worker_callback(call->state), c->number, here(g), call->startup };
}

bool worker_take_call(struct call *ret)
{
	if (called - calls_taken > CALLS)
		calls_taken = called - CALLS;
	if (calls_taken == called)
		return false;
	*ret = calls[calls_taken++ % CALLS];
	return true;
}

static int run_step(const struct guest *g, struct cpu *c, const struct walk_call *call,
		    const char **ret_text)
{
	int rc;

	*ret_text = "";
	while (worker_hangs(g, c, call))
		machine_halt();
	if (ladder_is_dyn(call->state))
		keep_call(g, c, call);
	rc = worker_failure(g, c, call);
	if (rc) {
		*ret_text = "it was told to fail";
		return rc;
	}
	if (ladder_is_dyn(call->state))
		return callbacks[call->state - CPUHP_AP_DYN].run(c, call->startup, ret_text);
	return call->state == CPUHP_AP_VERIFY ? verify(c, ret_text) : 0;
}

static void walk_here(const struct guest *g, struct cpu *c)
{
	struct run *r = &c->run;
	struct walk_call call;

	while (run_peek(r, &call) && ladder_side(call.state) == CPUHP_SIDE_WORKER) {
		const char *text;
		int rc = c->worker.cancel_rc;

		c->worker.cancel_rc = 0;
		if (rc && !r->walk.rolling_back) {
			walk_abort(&r->walk, rc);
			continue;
		}
		(void)walk_next(&r->walk, run_has, r, &call);
		note(g, c, &call, 0, 0, "");
		rc = run_step(g, c, &call, &text);
		/* The result first: who hears of the end may ask for more. */
		run_result(r, &call, rc);
		note(g, c, &call, RECORD_STEP_EXIT, rc, text);
	}
}

static struct cpu *own_cpu(struct guest *g)
{
	uint32_t id = apic_id();

	for_each_cpu (g, c)
		if (c->apic == id && c->slot)
			return c;
	return NULL;
}

void ap_main(void)
{
	struct guest *g = &the_guest;
	struct cpu *c = own_cpu(g);
	struct worker *w = &c->worker;
	uint32_t last;

	machine_join();
	last = w->answered;
	w->alive = true;
	machine_wake(BOOT_APIC);
	for (;;) {
		uint32_t order = w->order;

		if (order == last) {
			machine_halt();
			continue;
		}
		barrier();
		last = order;
		w->ran_on = here(g);
		if ((order & 3) == ORDER_WALK)
			walk_here(g, c);
		barrier();
		w->answered = order;
		machine_wake(BOOT_APIC);
		if ((order & 3) == ORDER_LEAVE)
			machine_park();
	}
}

/* An order's number is in its upper bits: the same twice is two orders. */
void worker_give(struct cpu *c, enum order order)
{
	struct worker *w = &c->worker;

	w->asked_ns = now_ns();
	barrier();
	w->order = ((w->order >> 2) + 1) << 2 | order;
	machine_wake(c->apic);
}

bool worker_has_answered(const struct cpu *c)
{
	bool answered = c->worker.answered == c->worker.order;

	barrier();
	return answered;
}
