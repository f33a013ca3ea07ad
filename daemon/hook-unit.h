/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HOOK_UNIT_H
#define DAEMON_HOOK_UNIT_H

#include "daemon/hook.h"
#include "proto/msg.h"

/*
 * Hooks as units of their own: the service manager listens (vcpuhp-hook.socket) and starts a unit for each
 * connection, whose program (hook-main.c) runs the hook. No right to start units is needed for that, which
 * would be as good as being root. One message there: the words and two descriptors; one back: how it ended.
 * Whoever leaves the connection first has given up, and the unit goes.
 */

enum { HOOK_UNIT_MESSAGE_MAX = 512 };

/**
 * struct hook_order - what the program in the unit is told
 * @input, @output: the hook's, owned
 */
struct hook_order {
	char name[HOOK_NAME_MAX + 1];
	char domain[128];
	enum hook_event event;
	char op[MSG_OP_MAX + 1];
	int input, output;
};

/* Where it listens, as vcpuhpd.service says; NULL: hooks are children. Borrowed. */
const char *hook_unit_socket(void);

/* Return: the connection; -errno; -ENOENT and -ECONNREFUSED: nobody listens; -EACCES: not for this user. */
int hook_unit_send(const char *socket, const struct hook_call *call, int input, int output);
/* How it ended; a connection that ended without a word is HOOK_LOST. */
void hook_unit_receive(int fd, struct hook_outcome *ret);

/* The other side. Return: 0 or -errno. */
int hook_unit_accept(int fd, struct hook_order *ret);
int hook_unit_reply(int fd, const struct hook_outcome *o);

#endif
