/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/op-run.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool reached(const struct move *m)
{
	return !m->failed && !m->called_back && !m->pending && !m->stuck && !m->gone && !m->undoing;
}

bool op_policy_met(const struct op_run *run)
{
	unsigned int ok = 0;

	for (unsigned int i = 0; i < run->n_moves; i++)
		ok += reached(&run->moves[i]);
	switch (run->op->request.policy) {
	case OP_POLICY_ALL:
		return ok == run->n_moves;
	case OP_POLICY_AT_LEAST:
		return ok >= run->op->request.at_least || ok == run->n_moves;
	case OP_POLICY_BEST_EFFORT:
		return ok > 0 || run->n_moves == 0;
	}
	return false;
}

bool op_moves_all_reached(const struct op_run *run)
{
	for (unsigned int i = 0; i < run->n_moves; i++)
		if (!reached(&run->moves[i]))
			return false;
	return true;
}

enum vcpu_result move_judge(const struct move *m)
{
	if (m->gone)
		return VCPU_GONE;
	if (m->pending)
		return VCPU_PENDING;
	if (m->failed || m->stuck)
		return m->refused ? VCPU_REFUSED : VCPU_FAILED;
	if (m->undoing || m->called_back)
		return m->started ? VCPU_ROLLED_BACK : VCPU_SKIPPED;
	return VCPU_OK;
}

/* What made the operation fail. A refusal comes before a failure, as the exit codes have it. */
static enum op_result judge_failure(const struct op_run *run)
{
	for (unsigned int i = 0; i < run->n_moves; i++)
		if (run->moves[i].failed && run->moves[i].refused)
			return OP_REFUSED;
	return run->stop_rc == -ECANCELED ? OP_CANCELLED : OP_FAILED;
}

enum op_result op_judge(const struct op_run *run)
{
	bool stuck = false, pending = false, gone = false, called_back = false;
	unsigned int ok = 0;

	for (unsigned int i = 0; i < run->n_moves; i++) {
		const struct move *m = &run->moves[i];

		gone |= m->gone;
		stuck |= m->stuck;
		pending |= m->pending;
		called_back |= m->called_back;
		ok += reached(m);
	}
	if (gone)
		return OP_VM_GONE;
	if (stuck)
		return OP_STUCK;
	if (pending)
		return OP_PENDING;
	if (ok == run->n_moves)
		return OP_DONE;
	/* To stop it may have come too late for all of it. */
	if (!op_policy_met(run) || (run->stop_rc && called_back))
		return judge_failure(run);
	return run->op->request.policy == OP_POLICY_BEST_EFFORT ? OP_PARTIAL : OP_DONE;
}

const char *op_find_refuser(const struct op_run *run)
{
	for (unsigned int i = 0; i < run->n_moves; i++) {
		const struct op_vcpu *e = run->moves[i].entry;

		if (run->moves[i].refused)
			return e->failed_at == CPUHP_QEMU_DEVICE && e->rc != -EBUSY ? "policy"
										    : "guest";
	}
	return "guest";
}

static void describe_rc(int rc, char *buf, size_t size)
{
	/* The number may be the guest's invention. */
	const char *name = rc <= 0 && rc > -4096 ? strerrorname_np(-rc) : NULL;

	if (rc > 128)
		snprintf(buf, size, "signal %d", rc - 128);
	else if (rc > 0)
		snprintf(buf, size, "exit status %d", rc);
	else if (name)
		snprintf(buf, size, "%s (%s)", name, strerrordesc_np(-rc));
	else
		snprintf(buf, size, "error %d", rc);
}

/* The agent says "STATE: why"; our sentence names the state already. */
static const char *skip_name(const char *text, const char *name)
{
	size_t n = strlen(name);

	return strncmp(text, name, n) == 0 && strncmp(text + n, ": ", 2) == 0 ? text + n + 2 : text;
}

void op_vcpu_describe(struct op_vcpu *e, const struct domain *d, const struct hostwalk_outcome *o,
		      bool startup)
{
	char code[96], buf[MSG_NAME_MAX + 16];
	const char *name = domain_state_name(d, o->failed_at, buf, sizeof(buf));
	const char *text = skip_name(o->text, name);

	e->rc = o->rc;
	describe_rc(o->rc, code, sizeof(code));
	if (outcome_repeats_code(text, code))
		text = "";
	op_vcpu_keep_failed(e, o->failed_at, name);
	if (o->failed_at < 0)
		text_set(&e->error, "vcpu %u: %s", e->vcpu, *o->text ? o->text : code);
	else
		text_set(&e->error, "vcpu %u: %s %s failed with %s%s%s", e->vcpu, name,
			 startup ? "startup" : "teardown", code, *text ? ": " : "", text);
}
