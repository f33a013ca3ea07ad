/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_QMP_INTERNAL_H
#define DAEMON_QMP_INTERNAL_H

#include "daemon/qmp.h"
#include <stdint.h>
#include <sys/socket.h>

/* Shared by qmp.c (the connection), qmp-command.c and qmp-socket.c only. */

/* The text of a command. @args: taken in any case. Return: returned to the caller, or NULL. */
json_object *qmp_command_new(enum qmp_command command, int64_t id, json_object *args);

/* Connect, without blocking. Return: the descriptor or -errno. */
int qmp_socket_connect(const char *path);

/* Who listens there; all zero unknown. */
struct ucred qmp_socket_peer(int fd);

#endif
