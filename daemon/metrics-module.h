/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_METRICS_MODULE_H
#define DAEMON_METRICS_MODULE_H

#include "daemon/metrics-text.h"
#include <systemd/sd-event.h>

/*
 * The border between the daemon and its module that speaks HTTP (metrics-http.c), a shared object that
 * is loaded only where the configuration has MetricsListen=, since libmicrohttpd brings a library for
 * TLS with it. All of it runs on the daemon's loop, and none of it blocks.
 */

enum { METRICS_MODULE_ABI = 1 };

#define METRICS_MODULE_SYMBOL "vcpuhp_metrics_module"

struct metrics_http;

/* The text of now, malloc'ed and taken; NULL out of memory. */
typedef char *(*metrics_make_fn)(void *ctx, enum metrics_format format, size_t *ret_len);

/**
 * struct metrics_module - what the shared object exports under METRICS_MODULE_SYMBOL
 * @open: serve on @fd, a listening stream socket that does not block; taken if 0 is returned
 * @close: what is under way is broken off. Return: NULL
 */
struct metrics_module {
	unsigned int abi;
	int (*open)(struct metrics_http **ret, sd_event *event, int fd, metrics_make_fn make,
		    void *ctx);
	struct metrics_http *(*close)(struct metrics_http *h);
};

#endif
