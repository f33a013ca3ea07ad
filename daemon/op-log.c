/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/domain-guest.h"
#include "daemon/log.h"
#include "daemon/op-run.h"
#include <stdio.h>
#include <string.h>

/* What the log says of an operation: one line as it ends, and one where its plan has a warning. */

enum { ERRORS_MAX = 1200 };

static const char *format_count(int n, char buf[16])
{
	if (n < 0)
		return "-";
	snprintf(buf, 16, "%d", n);
	return buf;
}

/* A guest can have operations of our own accord made, and fail, as often as it likes. */
static bool may_log(const struct op *o)
{
	return !o->request.own || (o->domain && domain_guest_may_log(o->domain));
}

/* ": one; another", as far as there is room. */
static void join_errors(const struct op *o, char buf[ERRORS_MAX])
{
	size_t len = (size_t)snprintf(buf, ERRORS_MAX, "%s%s", text_is_set(&o->error) ? ": " : "",
				      text_of(&o->error));

	for (unsigned int i = 0; i < o->n_vcpus && len < ERRORS_MAX; i++) {
		const char *error = text_of(&o->vcpus[i].error);

		if (*error && !strstr(buf, error))
			len += (size_t)snprintf(buf + len, ERRORS_MAX - len, "; %s", error);
	}
}

static void add_vcpus(const struct op *o, struct journal_fields *f)
{
	char name[MSG_NAME_MAX + 16];

	for (unsigned int i = 0; i < o->n_vcpus; i++) {
		const struct op_vcpu *e = &o->vcpus[i];

		journal_field(f, "VCPUHP_VCPU", "%u", e->vcpu);
		journal_field(f, "VCPUHP_STATE", "%s",
			      domain_state_name(o->domain, e->state, name, sizeof(name)));
		if (e->failed_at >= 0)
			journal_field(f, "VCPUHP_FAILED_AT", "%s", op_vcpu_failed_name(e));
	}
}

static enum journal_message message_of(enum op_result r)
{
	switch (r) {
	case OP_DONE:
		return JOURNAL_OPERATION_DONE;
	case OP_PARTIAL:
		return JOURNAL_OPERATION_PARTIAL;
	case OP_REFUSED:
	case OP_BUSY:
	case OP_CONFLICT:
		return JOURNAL_OPERATION_REFUSED;
	case OP_PENDING:
		return JOURNAL_OPERATION_PENDING;
	case OP_CANCELLED:
		return JOURNAL_OPERATION_CANCELLED;
	case OP_STUCK:
		return JOURNAL_OPERATION_STUCK;
	case OP_NO_AGENT:
		return JOURNAL_OPERATION_NO_AGENT;
	case OP_VM_GONE:
		return JOURNAL_OPERATION_VM_GONE;
	case OP_FAILED:
	case OP_ACCEPTED:
	case OP_RESULTS:
		break;
	}
	return JOURNAL_OPERATION_FAILED;
}

void op_log_end(const struct op *o)
{
	char online[16], standby[16], present[16], errors[ERRORS_MAX];
	struct journal_fields f;

	if (!may_log(o))
		return;
	journal_fields_init(&f);
	journal_field(&f, "VCPUHP_OP", "%s", o->id);
	journal_field(&f, "VCPUHP_RESULT", "%s", op_result_name(o->result));
	if (o->refused_by)
		journal_field(&f, "VCPUHP_REFUSED_BY", "%s", o->refused_by);
	add_vcpus(o, &f);
	join_errors(o, errors);
	log_outcome(message_of(o->result), o->domain_name, &f,
		    "operation %s: %s: %s online, %s standby, %s present%s", o->id,
		    op_result_name(o->result), format_count(o->counts.online, online),
		    format_count(o->counts.standby, standby),
		    format_count(o->counts.present, present), errors);
}

void op_log_warning(const struct op *o)
{
	struct journal_fields f;

	journal_fields_init(&f);
	journal_field(&f, "VCPUHP_OP", "%s", o->id);
	log_outcome(JOURNAL_OPERATION_WARNED, o->domain_name, &f, "operation %s: %s", o->id,
		    text_of(&o->warning));
}
