/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_CTL_H
#define DAEMON_CTL_CTL_H

#include "daemon/ctl/client.h"
#include "daemon/ctl/command.h"
#include "daemon/outcome.h"

/**
 * struct ctl - one run of vcpuhpctl
 * @command: borrowed
 * @client: NULL until the first call
 */
struct ctl {
	const struct command *command;
	struct client *client;
};

/* Connect, where that has not been done, without a word about a failure. Return: 0 or -errno. */
int ctl_connect(struct ctl *c);

/* The sentence for it. Return: an exit code. */
int ctl_connect_failed(const struct ctl *c, int rc);

/*
 * Where these return an exit code, 0 is success; otherwise the sentence has been printed and the
 * code is what the program is to exit with.
 */

/**
 * ctl_fail() - say why there is no result
 * @code: the error's name in JSON
 *
 * Return: @exit.
 */
int ctl_fail(const struct ctl *c, enum exit_code exit, const char *code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Connect where that has not been done, and send; @parameters is taken. Return: an exit code. */
int ctl_send(struct ctl *c, const char *method, json_object *parameters, bool more);

/**
 * ctl_next() - the next reply to what was sent
 * @until_us: as of client_next()
 * @ret: set for CLIENT_REPLY, and then no error reply
 * @ret_signal: set for CLIENT_SIGNAL
 * @ret_exit: set where the return value is negative
 *
 * Return: enum client_next; -EIO for a broken connection or an error reply (printed).
 */
int ctl_next(struct ctl *c, uint64_t until_us, struct client_reply *ret, int *ret_signal,
	     int *ret_exit);

/**
 * ctl_ask() - one call, one reply
 * @parameters: taken; NULL for none
 * @ret: set on success; an object, never NULL
 *
 * Return: an exit code.
 */
int ctl_ask(struct ctl *c, const char *method, json_object *parameters, struct client_reply *ret);

/**
 * ctl_ask_parts() - one call that is answered in parts
 * @take: given the parameters of each reply (borrowed; an object, never NULL) and @ctx; returns an
 *        exit code, and the first that is not 0 ends it
 *
 * Return: an exit code.
 */
int ctl_ask_parts(struct ctl *c, const char *method, json_object *parameters,
		  int (*take)(void *ctx, json_object *parameters), void *ctx);

/* ctl_ask() without a word about failures, for what only makes a result nicer; within @ms. Return: 0 or
 * -errno; -ENOENT for an error of the daemon's. */
int ctl_ask_quietly(struct ctl *c, const char *method, json_object *parameters, unsigned int ms,
		    struct client_reply *ret);
/* ctl_ask_parts() likewise, all parts within @ms. */
int ctl_ask_parts_quietly(struct ctl *c, const char *method, json_object *parameters,
			  unsigned int ms, int (*take)(void *ctx, json_object *parameters),
			  void *ctx);

/* The exit code of a program that @signal ended. */
int ctl_signal_exit(int signal);

/* For replies that lack what they must have. Return: the exit code. */
int ctl_bad_reply(const struct ctl *c, const char *what);

/* Parameters: {"key": "text"}, the key left out where @text is NULL. */
json_object *ctl_parameters(const char *key, const char *text);
void ctl_add_string(json_object *o, const char *key, const char *text);
void ctl_add_int(json_object *o, const char *key, int64_t n);
void ctl_add_bool(json_object *o, const char *key, bool b);

#endif
