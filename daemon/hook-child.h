/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HOOK_CHILD_H
#define DAEMON_HOOK_CHILD_H

#include "daemon/hook.h"
#include "proto/msg.h"
#include <sys/types.h>

/**
 * struct hook_child - what the child needs, made before the fork
 * @path: of the program; @argv, @envp: as for execve()
 * @input, @output: become its standard input, and output and error; above 2
 * @daemon: the parent's id
 */
struct hook_child {
	const char *path;
	char *argv[4];
	char *envp[5];
	int input, output;
	pid_t daemon;
};

/* The words that a struct hook_child points at. */
struct hook_words {
	char path[4096];
	char op[sizeof("VCPUHP_OP=") + MSG_OP_MAX];
	char domain[128], event[32], search[64];
};

/* @op: "" none. @c: its @path, @argv and @envp are set. */
void hook_words_make(struct hook_words *w, struct hook_child *c, const struct hook_call *call);

/**
 * hook_child_be() - run the program and end as it ended
 *
 * The program runs in a process group with the caller's number, which the caller itself leaves. It outlives the
 * program for a moment, whatever is sent to the group, and never the daemon: when that dies, the group is
 * killed.
 *
 * Context: right after the fork, in the child; makes system calls only.
 */
__attribute__((noreturn)) void hook_child_be(const struct hook_child *c);

#endif
