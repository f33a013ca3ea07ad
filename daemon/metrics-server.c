/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/metrics-server.h"
#include "daemon/config-value.h"
#include "daemon/log.h"
#include "daemon/metrics-module.h"
#include "daemon/metrics.h"
#include "daemon/module.h"
#include "daemon/socket.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * Operations are what the daemon is for, and metrics are not: where they cannot be served (the address
 * is in use, the sandbox permits no network, the module is not installed) it says so and goes on. A
 * reload asks again; where nothing has changed and it is served, nothing is done.
 */

/* @listen: where it is served, as configured, owned; NULL nowhere */
struct metrics_server {
	struct manager *manager;
	const char *group;
	const struct metrics_module *module;
	struct metrics_http *http;
	struct control_socket socket;
	char *listen;
};

int metrics_server_new(struct metrics_server **ret, struct manager *m, const char *group)
{
	struct metrics_server *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->manager = m;
	s->group = group;
	s->socket.fd = -1;
	*ret = s;
	return 0;
}

static void stop(struct metrics_server *s)
{
	/* Its name first, so that nobody comes who would not be answered. */
	control_socket_done(&s->socket);
	if (s->http)
		s->http = s->module->close(s->http);
	free(s->listen);
	s->listen = NULL;
}

struct metrics_server *metrics_server_free(struct metrics_server *s)
{
	if (s)
		stop(s);
	free(s);
	return NULL;
}

static char *make(void *ctx, enum metrics_format format, size_t *ret_len)
{
	const struct metrics_server *s = ctx;

	return metrics_format(s->manager, format, ret_len);
}

static int load(struct metrics_server *s)
{
	const void *module;
	char *why = NULL;
	int r;

	if (s->module)
		return 0;
	r = module_load("vcpuhp-metrics.so", METRICS_MODULE_SYMBOL, METRICS_MODULE_ABI, &module,
			&why);
	if (r < 0)
		log_line(
			LOG_ERR,
			"MetricsListen= is configured, but the module for it cannot be loaded: %s; it "
			"is built where libmicrohttpd's development files are",
			why ? why : strerror(-r));
	else
		s->module = module;
	free(why);
	return r;
}

static int bind_loopback(int fd, unsigned int port, bool v6)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
				    .sin6_port = htons((uint16_t)port),
				    .sin6_addr = in6addr_loopback };
	const void *address = v6 ? (const void *)&in6 : (const void *)&in;
	socklen_t len = v6 ? sizeof(in6) : sizeof(in);
	int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, address, len) < 0 || listen(fd, SOMAXCONN) < 0)
		return -errno;
	return 0;
}

static int open_loopback(const char *where, struct control_socket *ret)
{
	bool v6;
	unsigned int port = config_loopback_port(where, &v6);
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r;

	if (fd < 0)
		return -errno;
	r = bind_loopback(fd, port, v6);
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret = (struct control_socket){ .fd = fd, .group_set = true };
	return 0;
}

static const char *advice(int r, bool path)
{
	if (!path && (r == -EAFNOSUPPORT || r == -EPERM))
		return "; the service permits no network: see METRICS in vcpuhpd(8), or give a path";
	if (path && (r == -EROFS || r == -EACCES || r == -ENOENT))
		return "; the service can make sockets in its runtime folder, /run/vcpuhp, alone";
	return "";
}

static int open_socket(struct metrics_server *s, const char *where)
{
	bool path = *where == '/';
	int r;

	if (path)
		r = control_socket_open(where, s->group, &s->socket);
	else
		r = open_loopback(where, &s->socket);
	if (r < 0)
		log_line(
			LOG_ERR,
			"metrics are not served: cannot listen on %s: %s%s; it is tried again when the "
			"configuration is read again",
			where, r == -EADDRINUSE ? "another program does" : strerror(-r),
			advice(r, path));
	else if (!s->socket.group_set)
		log_line(LOG_WARNING,
			 "%s: open to its owner only: there is no group %s, or it is not ours "
			 "to give",
			 where, s->group);
	return r;
}

static void start(struct metrics_server *s, const char *where)
{
	int r;

	if (load(s) < 0 || open_socket(s, where) < 0)
		return;
	s->listen = strdup(where);
	r = s->listen ? s->module->open(&s->http, s->manager->event, s->socket.fd, make, s)
		      : -ENOMEM;
	if (r < 0) {
		log_line(LOG_ERR, "metrics are not served on %s: %s", where, strerror(-r));
		stop(s);
		return;
	}
	s->socket.fd = -1;
	log_line(LOG_INFO, "metrics are served on %s", where);
}

void metrics_server_follow(struct metrics_server *s)
{
	const char *where = s->manager->config->metrics_listen;

	if (s->http && where && strcmp(where, s->listen) == 0)
		return;
	if (s->http)
		log_line(LOG_INFO, "metrics are not served on %s any more", s->listen);
	stop(s);
	if (where)
		start(s, where);
}
