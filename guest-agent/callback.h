/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_CALLBACK_H
#define AGENT_CALLBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CALLBACK_NAME_MAX = 63, CALLBACKS_MAX = 31, CALLBACK_TEXT_MAX = 255 };

/* The names found by one scan, ascending ("NN-name", NN two digits, name [A-Za-z0-9._-]+). */
struct callback_list {
	size_t n;
	char names[64][CALLBACK_NAME_MAX + 1];
};

/**
 * callback_scan() - list the callback folder
 * @root: descriptor of the root folder
 * @dir: folder below it, with or without leading slash
 * @warn: called for each entry that is refused (wrong name, owner, mode, not a regular file) with
 *        a sentence; entries that begin with '.' or end in '~' are passed silently
 *
 * A missing folder is an empty list. The folder and every parent must belong to root (or the
 * caller's uid) and not be writable by others, else -EPERM.
 *
 * Return: 0 or -errno.
 */
int callback_scan(int root, const char *dir, struct callback_list *ret,
		  void (*warn)(void *ctx, const char *sentence), void *ctx);

/**
 * struct callback_call - one invocation
 * @root, @dir, @name: which program
 * @startup: startup, else teardown
 * @cpu: the guest's CPU number; the caller's thread is already bound to it
 * @state: the dynamic state it stands at
 * @op: operation id, or "" (VCPUHP_OP)
 * @late: VCPUHP_LATE=1
 * @deadline_ms: 0 none
 * @kept: the program as it was checked and opened once, run where the folder has it no more;
 *        0 none
 * @on_start: called with @ctx in the program's own process, a group by then, before it begins;
 *            NULL nothing
 * @orders: descriptor listened to while it runs, 0 none
 * @on_order: called with @ctx when @orders is readable. Return: 0, -errno to end the program with
 *            that result, 1 to hear no more
 */
struct callback_call {
	int root;
	const char *dir;
	const char *name;
	bool startup;
	int cpu;
	int state;
	const char *op;
	bool late;
	unsigned int deadline_ms;
	int kept;
	void (*on_start)(void *ctx);
	int orders;
	int (*on_order)(void *ctx);
	void *ctx;
};

/**
 * struct callback_result
 * @rc: 0, the exit status (1..255), 128 + signal, or -errno (-ETIMEDOUT past the deadline,
 *      -EPERM owner or mode, -ENOENT, -ENOEXEC)
 * @signal: what it died of where @rc says so, else 0: a status above 128 looks the same
 * @ran_on: the CPU its process last ran on, -1 unknown
 * @text: the last non-empty line it printed (stdout or stderr), cleaned and cut; "" none
 */
struct callback_result {
	int rc;
	int signal;
	int ran_on;
	char text[CALLBACK_TEXT_MAX + 1];
};

/**
 * callback_run() - run one callback program and wait for it
 *
 * Opened, checked (regular, owner, mode) and executed by the same descriptor; a script by its name
 * in the checked folder, so that $0 ends in it ("/dev/fd/N" alone for one run from @kept). Own process group,
 * killed as a whole at the deadline and after exit; where an order ends it, SIGTERM comes first
 * and a second for it; stdin is /dev/null; clean environment
 * (PATH, VCPUHP_STATE, VCPUHP_OP, VCPUHP_LATE); output read on and dropped beyond 64 KiB; default
 * signals, PR_SET_PDEATHSIG.
 *
 * Context: the worker process (single-threaded); blocks.
 */
void callback_run(const struct callback_call *call, struct callback_result *ret);

#endif
