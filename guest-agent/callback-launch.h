/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_CALLBACK_LAUNCH_H
#define AGENT_CALLBACK_LAUNCH_H

#include "guest-agent/callback.h"
#include <sys/types.h>

/**
 * struct launch - what the child needs of its own
 * @program: the checked descriptor to execute
 * @folder: the checked folder it is in
 * @root: the working folder
 * @output: writing end of the pipe its output goes to
 * @failure: writing end of the pipe an exec error goes to, as one int
 * @parent: the worker
 * @call: borrowed
 *
 * All words are made before the fork, so that the child makes system calls only, but for on_start:
 * the worker is a single thread.
 */
struct launch {
	int program;
	int folder;
	int root;
	int output;
	int failure;
	pid_t parent;
	const struct callback_call *call;
	bool is_script;
	char *argv[4];
	char *envp[5];
	char name[CALLBACK_NAME_MAX + 1];
	char way[16];
	char cpu[16];
	char path[64];
	char state[32];
	char op[128];
	char late[16];
};

/* Fill in the words and what kind of program it is; the descriptors are borrowed. */
void launch_init(struct launch *l, const struct callback_call *call, int folder, int program);

/* Be the program. Context: the child, right after the fork. */
__attribute__((noreturn)) void launch_exec(struct launch *l);

#endif
