/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_CHILD_H
#define AGENT_CHILD_H

#include <stddef.h>
#include <sys/types.h>

/**
 * child_fork() - fork a helper of the agent with a socket to talk to it
 * @keep: descriptors it needs besides the standard ones, borrowed
 * @n: how many, at most CHILD_KEEP_MAX
 * @ret_fd: returned on both sides: its end of a SOCK_SEQPACKET pair, close-on-exec; ours is
 *          non-blocking, the helper's blocks
 *
 * The helper holds no other descriptor: neither the port nor the uevents, so whatever it gets
 * stuck in keeps nobody from taking the agent's place. It is killed when the agent dies, and has
 * default signals.
 *
 * Return: the pid on our side, 0 in the helper, -errno.
 */
enum { CHILD_KEEP_MAX = 40 };
pid_t child_fork(const int *keep, size_t n, int *ret_fd);

/* The helper's end is gone with it; ours is closed here. */
void child_hang_up(int *fd);

#endif
