/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_VARLINK_H
#define DAEMON_VARLINK_H

#include "daemon/auth.h"
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

/*
 * A small Varlink server: NUL-terminated JSON objects over a stream socket, one table of methods
 * for each interface. It knows nothing of vCPUs.
 */

enum {
	VARLINK_REQUEST_MAX = 64 * 1024,   /* bytes of a request, without its NUL */
	VARLINK_REQUEST_DEPTH = 16,        /* brackets open at once in a request */
	VARLINK_REQUEST_STRUCTURAL = 1024, /* {}[],: of a request */
	VARLINK_QUEUE_MAX = 256 * 1024,    /* bytes a client may leave unread */
	VARLINK_CONNECTIONS_MAX = 64,
	VARLINK_ROOT_RESERVE = 8, /* of those, only for uid 0 */
	VARLINK_PER_UID_MAX = 8,  /* but for uid 0 */
	VARLINK_PARAMS_MAX = 16,
};

enum varlink_type { VARLINK_BOOL, VARLINK_INT, VARLINK_STRING };

/**
 * struct varlink_param - one parameter a method takes
 * @name: NULL ends the table
 * @optional: may be missing or null
 * @min, @max: range of an integer; @max: greatest length in bytes of a string
 */
struct varlink_param {
	const char *name;
	enum varlink_type type;
	bool optional;
	int64_t min, max;
};

/* The error of org.varlink.service for who did not set "more" (varlink.org/Service). */
#define VARLINK_EXPECTED_MORE "org.varlink.service.ExpectedMore"

struct varlink_call;

/**
 * struct varlink_method - one row of an interface
 * @name: without the interface; NULL ends the table
 * @class: who may call it; interpreted by the interface's admit()
 * @needs_more: only answers callers that set "more"
 * @params: what it takes; NULL nothing. All were checked when @handler is called
 * @handler: answers @call, now or later, exactly once
 */
struct varlink_method {
	const char *name;
	enum auth_class class;
	bool needs_more;
	const struct varlink_param *params;
	void (*handler)(void *ctx, struct varlink_call *call);
};

/**
 * struct varlink_interface - what a server offers under one name
 * @description: its definition in the Varlink language
 * @methods: ended by a row without a name
 * @range_error: full name of the error (text, parameter) for values out of range
 * @admit: NULL all; false: the call was answered with an error
 * @ctx: given to @admit and the handlers
 */
struct varlink_interface {
	const char *name;
	const char *description;
	const struct varlink_method *methods;
	const char *range_error;
	bool (*admit)(void *ctx, struct varlink_call *call);
	void *ctx;
};

/**
 * struct varlink_vendor - the answer to GetInfo, and the error for one connection too many
 * @busy_error: full name of an error (text)
 */
struct varlink_vendor {
	const char *vendor, *product, *version, *url;
	const char *busy_error;
};

struct varlink_server;

/**
 * varlink_server_new() - a server without a socket yet
 * @interfaces: NULL-terminated; borrowed like @vendor for the server's life. org.varlink.service
 *              is added
 *
 * Return: 0 or -errno.
 */
int varlink_server_new(struct varlink_server **ret, sd_event *event,
		       const struct varlink_vendor *vendor,
		       const struct varlink_interface *const *interfaces);

/* Drops all connections; callers that still wait see their gone function called. Returns NULL. */
struct varlink_server *varlink_server_free(struct varlink_server *s);

/* Accept connections from a listening, non-blocking socket; @fd is taken if 0 is returned. */
int varlink_server_listen(struct varlink_server *s, int fd);

/**
 * varlink_server_add() - serve one connected stream socket
 * @fd: taken, always
 *
 * Return: 0, -EUSERS: too many connections (the peer was told), or -errno.
 */
int varlink_server_add(struct varlink_server *s, int fd);

unsigned int varlink_server_connections(const struct varlink_server *s);

/* The five below are valid until the call is answered. */
const struct varlink_method *varlink_call_method(const struct varlink_call *c);
const struct auth_peer *varlink_call_peer(const struct varlink_call *c);
/* Borrowed; NULL without parameters. */
json_object *varlink_call_params(const struct varlink_call *c);
bool varlink_call_more(const struct varlink_call *c);

/* Bytes of earlier answers that the client has not read. */
size_t varlink_call_queued(const struct varlink_call *c);

/* A checked parameter, or @missing where the caller did not give it. Strings are borrowed. */
const char *varlink_call_str(const struct varlink_call *c, const char *name, const char *missing);
int64_t varlink_call_int(const struct varlink_call *c, const char *name, int64_t missing);
bool varlink_call_bool(const struct varlink_call *c, const char *name, bool missing);

/**
 * varlink_call_on_gone() - be told that the client left before its answer
 * @fn: called at most once, never from inside a function of this header other than
 *      varlink_server_free(); @c is invalid when it returns. NULL takes it back
 */
void varlink_call_on_gone(struct varlink_call *c, void (*fn)(void *ctx), void *ctx);

/**
 * varlink_call_on_room() - be told when the client has read all there is
 * @fn: called once, from the event loop, also where nothing is unread now; it may answer, and ask
 *      for the next time. Never after the gone function
 *
 * For an answer in parts, each made when the one before it has been read: however long it is as a
 * whole, the client costs one part.
 */
void varlink_call_on_room(struct varlink_call *c, void (*fn)(void *ctx), void *ctx);

/* One of several answers ("continues"); @params is taken. The call remains, even if the client
 * turns out to be too slow: then its gone function follows from the event loop. */
void varlink_notify(struct varlink_call *c, json_object *params);

/**
 * varlink_notice_new() - an answer that is sent more than once, each time with other values in it
 *
 * Most of what a short answer costs are the tables of its objects.
 *
 * @params: taken; it lives as long as the notice does, and may be changed meanwhile
 * Return: json_object_put() it; NULL out of memory.
 */
json_object *varlink_notice_new(json_object *params);

/* varlink_notify() with @notice as it is now; it stays the caller's. NULL fails the connection. */
void varlink_notify_again(struct varlink_call *c, json_object *notice);

/* The one, or last, answer; @params is taken, NULL stands for {}. @c is invalid afterwards. */
void varlink_reply(struct varlink_call *c, json_object *params);

/* An error as the last answer. @error: its full name, borrowed. */
void varlink_fail(struct varlink_call *c, const char *error, json_object *params);

#endif
