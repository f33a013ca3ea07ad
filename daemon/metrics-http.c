/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * libmicrohttpd speaks HTTP, without a thread of its own: its epoll descriptor is a source of the
 * daemon's loop. One path is served, one request to a connection, and the text is made while the
 * request is answered (metrics-page.c).
 *
 * Connections are accepted here and handed over: libmicrohttpd would spin where descriptors run out,
 * and its own timeouts know idle clients and no slow ones. A connection has ten seconds for all of it,
 * however busy it looks. With sixteen of them one goes when another comes: one that has not sent a
 * whole request, else one that takes nothing of its answer, else any; of those the oldest. So whoever
 * opens many, or reads slowly, takes the place of his own and not of a scraper that is being answered.
 * To end one its socket is shut down, which libmicrohttpd sees as a client that has gone. It never has
 * as many as its own limit: version 0.9.75 keeps a lock there.
 */
#include "daemon/metrics-accept.h"
#include "daemon/metrics-module.h"
#include "daemon/metrics-page.h"
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CLIENTS_MAX = 16,
	MEMORY_MAX = 8192, /* of a connection: what its headers may be, and more */
	DEADLINE_US = 10000000,
	RETRY_ACCEPT_US = 1000000,
	PIECE_MAX = 65536,  /* of an answer */
	PAUSE_US = 1000000, /* without a piece: then it takes nothing */
};

#define NEVER UINT64_MAX

/**
 * struct client - a connection
 * @fd: -1 it is free
 * @took_us: when it asked, or the library another piece of its answer; 0 it has not asked
 * @page: what it is answered with, a reference; NULL nothing, or what is always there
 */
struct client {
	struct metrics_http *http;
	int fd;
	uint64_t until_us, took_us;
	struct page *page;
	TAILQ_ENTRY(client) entry;
};

/**
 * struct metrics_http - see metrics-module.h
 * @accept: the listening socket; @retry: turns it on again after descriptors ran out, NULL unused
 * @io: the library's epoll; @timer: it has more to do, or a connection's time is up
 * @clients: in the order in which they came; @slots: where they are
 */
struct metrics_http {
	sd_event *event;
	struct MHD_Daemon *library;
	sd_event_source *accept, *retry, *io, *timer;
	struct page_maker pages;
	TAILQ_HEAD(, client) clients;
	unsigned int n_clients;
	struct client slots[CLIENTS_MAX];
};

static uint64_t now_of(const struct metrics_http *h)
{
	uint64_t now = 0;

	(void)sd_event_now(h->event, CLOCK_MONOTONIC, &now);
	return now;
}

/* Answers */

static struct MHD_Response *answer_new(const char *text)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(
		strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);

	if (r)
		MHD_add_response_header(r, "Content-Type", "text/plain; charset=utf-8");
	return r;
}

static ssize_t on_piece(void *ctx, uint64_t pos, char *buf, size_t max)
{
	struct client *c = ctx;
	size_t left = c->page->len - (size_t)pos, n = left < max ? left : max;

	memcpy(buf, c->page->text + pos, n);
	c->took_us = now_of(c->http);
	return (ssize_t)n;
}

/* NULL out of memory. */
static struct MHD_Response *answer_of_now(struct client *c, enum metrics_format format)
{
	struct MHD_Response *r;

	assert(!c->page);
	c->page = metrics_page_of_now(&c->http->pages, format, c->took_us);
	if (!c->page)
		return NULL;
	r = MHD_create_response_from_callback(c->page->len, PIECE_MAX, on_piece, c, NULL);
	if (r)
		MHD_add_response_header(r, "Content-Type", metrics_page_type(format));
	return r;
}

/* @r: taken; NULL: the connection is closed without a word. */
static enum MHD_Result answer(struct MHD_Connection *c, unsigned int status, struct MHD_Response *r)
{
	enum MHD_Result done;

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Connection", "close");
	done = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return done;
}

static enum MHD_Result refuse_method(struct MHD_Connection *c)
{
	struct MHD_Response *r = answer_new("only GET and HEAD\n");

	if (r)
		MHD_add_response_header(r, "Allow", "GET, HEAD");
	return answer(c, MHD_HTTP_METHOD_NOT_ALLOWED, r);
}

static struct client *client_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **request)
{
	struct client *c = client_of(connection);
	const char *accept;

	if (!c || c->took_us)
		return MHD_NO; /* there is one, and it has one request */
	c->took_us = now_of(c->http);
	if (strcmp(url, "/metrics") != 0)
		return answer(connection, MHD_HTTP_NOT_FOUND,
			      answer_new("only /metrics is here\n"));
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return refuse_method(connection);
	accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept");
	return answer(connection, MHD_HTTP_OK, answer_of_now(c, metrics_accept(accept)));
}

/* Connections */

static int socket_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

static struct client *find_free(struct metrics_http *h)
{
	for (unsigned int i = 0; i < CLIENTS_MAX; i++)
		if (h->slots[i].fd < 0)
			return &h->slots[i];
	return NULL;
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **socket_ctx,
			  enum MHD_ConnectionNotificationCode what)
{
	struct metrics_http *h = ctx;
	struct client *c;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		c = find_free(h);
		*socket_ctx = c;
		if (!c)
			return; /* there is one: see make_place() */
		c->fd = socket_of(connection);
		c->until_us = now_of(h) + DEADLINE_US;
		c->took_us = 0;
		TAILQ_INSERT_TAIL(&h->clients, c, entry);
		h->n_clients++;
	} else if (*socket_ctx) {
		c = *socket_ctx;
		TAILQ_REMOVE(&h->clients, c, entry);
		metrics_page_unref(c->page);
		c->page = NULL;
		c->fd = -1;
		h->n_clients--;
	}
}

/* What is to be done next, and when. */
static void settle(struct metrics_http *h)
{
	const struct client *oldest = TAILQ_FIRST(&h->clients);
	uint64_t at = oldest ? oldest->until_us : NEVER;
	MHD_UNSIGNED_LONG_LONG ms;

	/* Without timeouts of its own it only ever says "now". */
	if (MHD_get_timeout(h->library, &ms) == MHD_YES)
		at = 0;
	if (at != NEVER)
		sd_event_source_set_time(h->timer, at);
	sd_event_source_set_enabled(h->timer, at == NEVER ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static void run(struct metrics_http *h)
{
	(void)MHD_run(h->library);
	settle(h);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	run(ctx);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct metrics_http *h = ctx;
	uint64_t now = now_of(h);
	const struct client *c;

	TAILQ_FOREACH(c, &h->clients, entry)
	if (c->until_us <= now)
		(void)shutdown(c->fd, SHUT_RDWR);
	run(h);
	return 0;
}

enum worth { ASKS_NOTHING, TAKES_NOTHING, IS_ANSWERED };

static enum worth worth_of(const struct client *c, uint64_t now)
{
	if (c->took_us == 0)
		return ASKS_NOTHING;
	return now - c->took_us < PAUSE_US ? IS_ANSWERED : TAKES_NOTHING;
}

/* Of those that are worth least the oldest. */
static const struct client *find_least(const struct metrics_http *h)
{
	const struct client *c, *least = TAILQ_FIRST(&h->clients);
	uint64_t now = now_of(h);

	TAILQ_FOREACH(c, &h->clients, entry)
	if (worth_of(c, now) < worth_of(least, now))
		least = c;
	return least;
}

/* Return: whether there is one. */
static bool make_place(struct metrics_http *h)
{
	if (h->n_clients == CLIENTS_MAX) {
		(void)shutdown(find_least(h)->fd, SHUT_RDWR);
		run(h);
	}
	return h->n_clients < CLIENTS_MAX;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct metrics_http *h = ctx;

	return sd_event_source_set_enabled(h->accept, SD_EVENT_ON);
}

/* Out of descriptors or memory: the socket stays readable, so look away for a while. */
static int pause_accept(struct metrics_http *h)
{
	int r;

	h->retry = sd_event_source_disable_unref(h->retry);
	r = sd_event_add_time_relative(h->event, &h->retry, CLOCK_MONOTONIC, RETRY_ACCEPT_US, 0,
				       on_retry, h);
	if (r < 0)
		return 0; /* then it is looked at again at once */
	return sd_event_source_set_enabled(h->accept, SD_EVENT_OFF);
}

static int on_accept(sd_event_source *source, int listener, uint32_t revents, void *ctx)
{
	struct metrics_http *h = ctx;
	struct sockaddr_storage address = { 0 };
	socklen_t len = sizeof(address);
	int fd = accept4(listener, (struct sockaddr *)&address, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS
			       ? pause_accept(h)
			       : 0;
	if (!make_place(h)) {
		close(fd);
		return 0;
	}
	/* It has the descriptor now, also where it fails. */
	(void)MHD_add_connection(h->library, fd, (struct sockaddr *)&address, len);
	run(h);
	return 0;
}

/* Life */

static struct metrics_http *http_close(struct metrics_http *h)
{
	if (!h)
		return NULL;
	sd_event_source_disable_unref(h->accept);
	sd_event_source_disable_unref(h->retry);
	sd_event_source_disable_unref(h->io);
	sd_event_source_disable_unref(h->timer);
	if (h->library)
		MHD_stop_daemon(h->library);
	metrics_pages_done(&h->pages);
	sd_event_unref(h->event);
	free(h);
	return NULL;
}

static int start_library(struct metrics_http *h)
{
	h->library = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request, h,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CLIENTS_MAX + 1,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_END);
	return h->library ? 0 : -ENOMEM;
}

static int watch(struct metrics_http *h, int fd)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(h->library, MHD_DAEMON_INFO_EPOLL_FD);
	int r;

	if (!info)
		return -EOPNOTSUPP;
	r = sd_event_add_io(h->event, &h->io, info->epoll_fd, EPOLLIN, on_io, h);
	if (r < 0)
		return r;
	r = sd_event_add_time(h->event, &h->timer, CLOCK_MONOTONIC, 0, 1, on_timer, h);
	if (r < 0)
		return r;
	r = sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	if (r < 0)
		return r;
	return sd_event_add_io(h->event, &h->accept, fd, EPOLLIN, on_accept, h);
}

static int http_open(struct metrics_http **ret, sd_event *event, int fd, metrics_make_fn make,
		     void *ctx)
{
	struct metrics_http *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->event = sd_event_ref(event);
	metrics_pages_init(&h->pages, make, ctx, now_of(h));
	TAILQ_INIT(&h->clients);
	for (unsigned int i = 0; i < CLIENTS_MAX; i++)
		h->slots[i] = (struct client){ .http = h, .fd = -1 };
	r = start_library(h);
	if (r == 0)
		r = watch(h, fd);
	if (r < 0) {
		http_close(h);
		return r;
	}
	sd_event_source_set_io_fd_own(h->accept, true);
	*ret = h;
	return 0;
}

extern const struct metrics_module vcpuhp_metrics_module;

__attribute__((visibility("default"))) const struct metrics_module vcpuhp_metrics_module = {
	.abi = METRICS_MODULE_ABI,
	.open = http_open,
	.close = http_close,
};
