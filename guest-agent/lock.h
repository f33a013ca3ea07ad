/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_LOCK_H
#define AGENT_LOCK_H

#define LOCK_PATH "run/vcpuhp-agent/lock"

/**
 * lock_take() - become the one agent of this guest
 * @root: descriptor of the root folder
 *
 * Makes its folders where they are missing, /run too: a bare initial ramdisk has none.
 *
 * The port is such a lock too, but it may be missing for a while. This one is let go by the death
 * of the agent, whatever its children are stuck in: they do not hold it.
 *
 * Return: a descriptor to keep, -EAGAIN while another agent is at work, or -errno.
 */
int lock_take(int root);

#endif
