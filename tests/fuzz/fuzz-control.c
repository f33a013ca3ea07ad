/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any byte stream on the control socket, served by the real methods over a domain that only
 * pretends: every answer is one JSON object with its NUL, and the answers do not depend on how the
 * stream is cut.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/api.h"
#include "daemon/json-in.h"
#include "proto/frame.h"
#include "tests/unit/fake-domain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ANSWER_MAX = 1 << 20 };

struct run {
	sd_event *event;
	struct fake fake;
	struct api *api;
	struct varlink_server *server;
	int fd;
	char *answer; /* the one being received */
	size_t len, answers;
	uint32_t crc; /* of all bytes received */
};

static void check_answer(const char *text, size_t len)
{
	static const struct json_in_limits limits = { ANSWER_MAX, JSON_IN_DEPTH,
						      JSON_IN_STRUCTURAL };
	json_object *o;

	if (json_in_parse(text, len, &limits, &o, NULL) < 0)
		abort();
	json_object_put(o);
}

static void take_answers(struct run *r)
{
	for (;;) {
		ssize_t n = recv(r->fd, r->answer + r->len, ANSWER_MAX - r->len, MSG_DONTWAIT);
		char *end;

		if (n <= 0)
			return;
		r->crc = crc32c(r->crc, r->answer + r->len, (size_t)n);
		r->len += (size_t)n;
		while ((end = memchr(r->answer, '\0', r->len))) {
			size_t used = (size_t)(end - r->answer) + 1;

			check_answer(r->answer, used - 1);
			memmove(r->answer, r->answer + used, r->len - used);
			r->len -= used;
			r->answers++;
		}
		if (r->len == ANSWER_MAX)
			abort();
	}
}

static void pump(struct run *r)
{
	while (sd_event_run(r->event, 0) > 0)
		take_answers(r);
	take_answers(r);
}

static void open_run(struct run *r)
{
	const struct varlink_interface *interfaces[2] = { NULL };
	int ends[2];

	memset(r, 0, sizeof(*r));
	r->answer = malloc(ANSWER_MAX);
	if (!r->answer || sd_event_new(&r->event) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		abort();
	fake_init(&r->fake, r->event);
	if (api_new(&r->api, &r->fake.manager, geteuid()) < 0)
		abort();
	interfaces[0] = api_interface(r->api);
	if (varlink_server_new(&r->server, r->event, api_vendor(), interfaces) < 0 ||
	    varlink_server_add(r->server, ends[0]) < 0)
		abort();
	r->fd = ends[1];
}

static void close_run(struct run *r)
{
	close(r->fd);
	pump(r);
	if (varlink_server_connections(r->server) != 0)
		abort();
	varlink_server_free(r->server);
	api_free(r->api);
	fake_done(&r->fake);
	sd_event_unref(r->event);
	free(r->answer);
}

static void serve(struct run *r, const uint8_t *data, size_t size, size_t piece)
{
	open_run(r);
	for (size_t at = 0; at < size;) {
		size_t n = size - at < piece ? size - at : piece;
		ssize_t sent = send(r->fd, data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent > 0)
			at += (size_t)sent;
		pump(r);
		/* Closed, or a call that waits has filled what a client may send ahead. */
		if (sent < 0 && send(r->fd, data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
		at += sent < 0 ? n : 0;
	}
	pump(r);
	close_run(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run whole, pieces;

	serve(&whole, data, size, size ? size : 1);
	serve(&pieces, data, size, size < 256 ? 1 : 997);
	if (whole.answers != pieces.answers || whole.crc != pieces.crc)
		abort();
	return 0;
}
