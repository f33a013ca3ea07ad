/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_OUTCOME_H
#define DAEMON_OUTCOME_H

#include <stdbool.h>

/*
 * What an operation, a vCPU of it or a request can end as: one table each, from which the daemon's
 * JSON, vcpuhpctl's exit codes, help texts and manual pages are made.
 */

enum op_result {
	OP_DONE,
	OP_PARTIAL,
	OP_FAILED,
	OP_REFUSED,
	OP_PENDING,
	OP_ACCEPTED,
	OP_CANCELLED,
	OP_STUCK,
	OP_BUSY,
	OP_CONFLICT,
	OP_NO_AGENT,
	OP_VM_GONE,
	OP_RESULTS
};

enum vcpu_result {
	VCPU_OK,
	VCPU_FAILED,
	VCPU_ROLLED_BACK,
	VCPU_REFUSED,
	VCPU_PENDING,
	VCPU_SKIPPED,
	VCPU_GONE,
	VCPU_RESULTS
};

enum exit_code {
	EXIT_AS_ASKED = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_PARTIAL = 3,
	EXIT_REFUSED = 4,
	EXIT_PENDING = 5,
	EXIT_NO_AGENT = 6,
	EXIT_PERMISSION = 7,
	EXIT_BUSY = 8,
	EXIT_NO_DAEMON = 9,
	EXIT_NOT_FOUND = 10,
	EXIT_VM_GONE = 11,
	EXIT_STUCK = 12,
	EXIT_INTERRUPTED = 130,
};

/* A request's error, before an operation exists. On the socket "io.vcpuhp.Manager.NAME". */
enum request_error {
	ERR_INVALID_ARGUMENT,  /* 2 */
	ERR_REFUSED,           /* 4 */
	ERR_TIMED_OUT,         /* 5: wait deadline */
	ERR_NO_AGENT,          /* 6 */
	ERR_PERMISSION,        /* 7 */
	ERR_BUSY,              /* 8 */
	ERR_CONFLICT,          /* 8 */
	ERR_NO_SUCH_DOMAIN,    /* 10 */
	ERR_NO_SUCH_VCPU,      /* 10 */
	ERR_NO_SUCH_OPERATION, /* 10 */
	ERR_VM_GONE,           /* 11 */
	ERR_INTERNAL,          /* 1 */
	REQUEST_ERRORS
};

const char *op_result_name(enum op_result r); /* "no-agent" */
enum exit_code op_result_exit(enum op_result r);
/* Return: the result, or -EINVAL for an unknown word. */
int op_result_find(const char *word);
const char *vcpu_result_name(enum vcpu_result r);     /* "rolled-back" */
const char *request_error_name(enum request_error e); /* "NoSuchDomain" */
enum exit_code request_error_exit(enum request_error e);
int request_error_find(const char *name);
const char *exit_code_meaning(enum exit_code c); /* one line for help and manual; NULL unknown */

/* Whether a reason only says the code beside it once more: "killed by signal 9" beside "signal 9". */
bool outcome_repeats_code(const char *reason, const char *code);

#endif
