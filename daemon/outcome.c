/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/outcome.h"
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

struct outcome {
	const char *name;
	enum exit_code exit;
};

static const struct outcome results[OP_RESULTS] = {
	[OP_DONE] = { "done", EXIT_AS_ASKED },
	[OP_PARTIAL] = { "partial", EXIT_PARTIAL },
	[OP_FAILED] = { "failed", EXIT_FAILED },
	[OP_REFUSED] = { "refused", EXIT_REFUSED },
	[OP_PENDING] = { "pending", EXIT_PENDING },
	[OP_ACCEPTED] = { "accepted", EXIT_AS_ASKED },
	[OP_CANCELLED] = { "cancelled", EXIT_FAILED },
	[OP_STUCK] = { "stuck", EXIT_STUCK },
	[OP_BUSY] = { "busy", EXIT_BUSY },
	[OP_CONFLICT] = { "conflict", EXIT_BUSY },
	[OP_NO_AGENT] = { "no-agent", EXIT_NO_AGENT },
	[OP_VM_GONE] = { "vm-gone", EXIT_VM_GONE },
};

static const char *const vcpu_results[VCPU_RESULTS] = {
	[VCPU_OK] = "ok",           [VCPU_FAILED] = "failed",   [VCPU_ROLLED_BACK] = "rolled-back",
	[VCPU_REFUSED] = "refused", [VCPU_PENDING] = "pending", [VCPU_SKIPPED] = "skipped",
	[VCPU_GONE] = "gone",
};

static const struct outcome errors[REQUEST_ERRORS] = {
	[ERR_INVALID_ARGUMENT] = { "InvalidArgument", EXIT_USAGE },
	[ERR_REFUSED] = { "Refused", EXIT_REFUSED },
	[ERR_TIMED_OUT] = { "TimedOut", EXIT_PENDING },
	[ERR_NO_AGENT] = { "NoAgent", EXIT_NO_AGENT },
	[ERR_PERMISSION] = { "PermissionDenied", EXIT_PERMISSION },
	[ERR_BUSY] = { "Busy", EXIT_BUSY },
	[ERR_CONFLICT] = { "Conflict", EXIT_BUSY },
	[ERR_NO_SUCH_DOMAIN] = { "NoSuchDomain", EXIT_NOT_FOUND },
	[ERR_NO_SUCH_VCPU] = { "NoSuchVcpu", EXIT_NOT_FOUND },
	[ERR_NO_SUCH_OPERATION] = { "NoSuchOperation", EXIT_NOT_FOUND },
	[ERR_VM_GONE] = { "VmGone", EXIT_VM_GONE },
	[ERR_INTERNAL] = { "Internal", EXIT_FAILED },
};

const char *op_result_name(enum op_result r)
{
	assert(r < OP_RESULTS);
	return results[r].name;
}

enum exit_code op_result_exit(enum op_result r)
{
	assert(r < OP_RESULTS);
	return results[r].exit;
}

static int find(const struct outcome *table, int n, const char *word)
{
	for (int i = 0; word && i < n; i++)
		if (strcmp(table[i].name, word) == 0)
			return i;
	return -EINVAL;
}

int op_result_find(const char *word)
{
	return find(results, OP_RESULTS, word);
}

const char *vcpu_result_name(enum vcpu_result r)
{
	assert(r < VCPU_RESULTS);
	return vcpu_results[r];
}

const char *request_error_name(enum request_error e)
{
	assert(e < REQUEST_ERRORS);
	return errors[e].name;
}

enum exit_code request_error_exit(enum request_error e)
{
	assert(e < REQUEST_ERRORS);
	return errors[e].exit;
}

int request_error_find(const char *name)
{
	return find(errors, REQUEST_ERRORS, name);
}

const char *exit_code_meaning(enum exit_code c)
{
	switch (c) {
	case EXIT_AS_ASKED:
		return "as asked; at-least met; with --no-wait: accepted";
	case EXIT_FAILED:
		return "failed and rolled back, or cancelled";
	case EXIT_USAGE:
		return "usage";
	case EXIT_PARTIAL:
		return "partial: best effort reached some of the vCPUs, or the configuration was not changed";
	case EXIT_REFUSED:
		return "refused by the guest, a limit, a policy or a hook";
	case EXIT_PENDING:
		return "the deadline passed and something is still pending";
	case EXIT_NO_AGENT:
		return "no agent; nothing was sent to QEMU";
	case EXIT_PERMISSION:
		return "permission denied";
	case EXIT_BUSY:
		return "busy, or in conflict with another operation";
	case EXIT_NO_DAEMON:
		return "the daemon cannot be reached";
	case EXIT_NOT_FOUND:
		return "no such domain, vCPU or operation";
	case EXIT_VM_GONE:
		return "the VM is gone";
	case EXIT_STUCK:
		return "failed and the rollback is incomplete";
	case EXIT_INTERRUPTED:
		return "interrupted; the operation goes on";
	}
	return NULL;
}

bool outcome_repeats_code(const char *reason, const char *code)
{
	static const char killed_by[] = "killed by ";
	size_t n = sizeof(killed_by) - 1;

	return strstr(code, reason) ||
	       (strncmp(reason, killed_by, n) == 0 && strcmp(reason + n, code) == 0);
}
