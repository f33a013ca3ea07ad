/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_SOCKET_H
#define DAEMON_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * struct control_socket - the listening socket and the name it has
 * @fd: owned until it is given away, -1 none
 * @path: to be removed by control_socket_done() if it is still this socket; "" when systemd's
 * @group_set: it belongs to the group and is open to it (0660), else only to its owner (0600)
 */
struct control_socket {
	int fd;
	char path[108];
	dev_t dev;
	ino_t ino;
	bool group_set;
};

/**
 * control_socket_open() - bind and listen
 * @path: its folder must exist; the socket of a dead daemon is replaced
 * @group: who may open it besides the owner
 * @ret: returned, control_socket_done()
 *
 * The name appears only when clients are accepted and the mode is right.
 *
 * Return: 0; -EADDRINUSE a daemon answers there; -EEXIST something else has the name;
 * -ENAMETOOLONG; -ENOENT no such folder; or another -errno.
 */
int control_socket_open(const char *path, const char *group, struct control_socket *ret);

/**
 * control_socket_inherit() - take the one systemd listens on
 *
 * Return: 1 taken, 0 none was passed, -EINVAL more than one or no listening stream socket.
 */
int control_socket_inherit(struct control_socket *ret);

void control_socket_done(struct control_socket *s);

/**
 * folder_make() - a folder of our own, mode 0700
 *
 * @ret_owner: whose it is, which need not be ours where it was there; NULL nobody asks
 *
 * An existing one is left as it is; parents are not made.
 *
 * Return: 0, -ENOTDIR something else has the name, or -errno.
 */
int folder_make(const char *path, uid_t *ret_owner);

/**
 * folder_lock() - keep other daemons away for as long as the descriptor is open
 *
 * Return: the descriptor (of PATH/lock); -EBUSY another daemon has it; or -errno.
 */
int folder_lock(const char *path);

#endif
