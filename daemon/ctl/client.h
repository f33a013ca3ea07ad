/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_CLIENT_H
#define DAEMON_CTL_CLIENT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/* One Varlink connection to the daemon, and the signals that may come while it is waited for. */
struct client;

/*
 * What one reply may cost. The longest that the daemon has is an operation over 4096 vCPUs, each
 * with a time in every state, callbacks under their longest names, and a guest's worst sentence.
 */
enum { CLIENT_REPLY_MAX = 32 << 20, CLIENT_STRUCTURAL_MAX = 1 << 20 };

/**
 * struct client_reply - one message of the daemon; client_reply_done() frees it
 * @parameters: borrowed from @root; NULL if there are none
 * @error: the error's full name, borrowed from @root; NULL for a reply
 * @continues: more replies to the same call follow
 */
struct client_reply {
	json_object *root;
	json_object *parameters;
	const char *error;
	bool continues;
};

enum client_next { CLIENT_REPLY, CLIENT_TIMEOUT, CLIENT_SIGNAL };

/**
 * client_open() - connect
 * @path: of the socket, borrowed
 *
 * From here on SIGINT, SIGTERM and SIGHUP (where they are not ignored) and SIGWINCH are blocked and
 * come out of client_next().
 *
 * Return: 0 or -errno of socket or connect.
 */
int client_open(const char *path, struct client **ret);
struct client *client_free(struct client *c);

/**
 * client_call() - send a call; its replies are read with client_next()
 * @method: without the interface's name
 * @parameters: taken
 * @more: ask for many replies
 *
 * Return: 0 or -errno.
 */
int client_call(struct client *c, const char *method, json_object *parameters, bool more);

/**
 * client_next() - wait for a reply, a deadline or a signal
 * @until_us: of client_now_us(), UINT64_MAX for none
 * @ret: set for CLIENT_REPLY
 * @ret_signal: set for CLIENT_SIGNAL
 *
 * Return: enum client_next; -ECONNRESET the daemon closed the connection, -EBADMSG it sent
 * something that is no Varlink reply or too long, or another -errno.
 */
int client_next(struct client *c, uint64_t until_us, struct client_reply *ret, int *ret_signal);

void client_reply_done(struct client_reply *r);

/* CLOCK_MONOTONIC. */
uint64_t client_now_us(void);

#define _cleanup_client_reply_ __attribute__((cleanup(client_reply_done)))

#endif
