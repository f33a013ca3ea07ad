/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_METRICS_SERVER_H
#define DAEMON_METRICS_SERVER_H

#include "daemon/domain.h"

/* The metrics over HTTP, where MetricsListen= says. Owns the socket; the module speaks. */
struct metrics_server;

/**
 * metrics_server_new() - not listening yet
 * @m: borrowed
 * @group: who may open a Unix socket besides the owner; borrowed
 *
 * Return: 0 or -ENOMEM.
 */
int metrics_server_new(struct metrics_server **ret, struct manager *m, const char *group);
struct metrics_server *metrics_server_free(struct metrics_server *s);

/**
 * metrics_server_follow() - listen where the configuration in force says, and nowhere else
 *
 * What cannot be had is logged, and tried again by the next call; the daemon goes on without it.
 */
void metrics_server_follow(struct metrics_server *s);

#endif
