/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * What all commands share: asking the daemon and saying why there is no answer. The connection is
 * made with the first call and kept, so a command that needs two calls has one connection.
 *
 * Every way to end without a result goes through ctl_fail(): a sentence on stderr, and with -o json
 * an error object on stdout as well, since a program that reads stdout must find the reason there.
 * It returns the exit code, which the callers hand up unchanged; so each failure is printed once.
 *
 * Names of errors and their exit codes come from the daemon's own table (outcome.c). Three names
 * are not in it, because no daemon sends them: "NoDaemon" (not reachable), "BadReply" (it is, and
 * makes no sense) and whatever unknown name a newer daemon has, which exits 1.
 */
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/value.h"
#include "daemon/json-in.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

/* Longer than a configured domain may be waited for: this only ends waiting for a stopped daemon. */
enum { REPLY_TIMEOUT_S = 180, SENTENCE_MAX = 1024 };

#define INTERFACE "io.vcpuhp.Manager."
#define SERVICE "org.varlink.service."

void ctl_add_string(json_object *o, const char *key, const char *text)
{
	if (text)
		json_object_object_add(o, key, json_object_new_string(text));
}

void ctl_add_int(json_object *o, const char *key, int64_t n)
{
	json_object_object_add(o, key, json_object_new_int64(n));
}

void ctl_add_bool(json_object *o, const char *key, bool b)
{
	json_object_object_add(o, key, json_object_new_boolean(b));
}

json_object *ctl_parameters(const char *key, const char *text)
{
	json_object *o = json_object_new_object();

	ctl_add_string(o, key, text);
	return o;
}

static void print_error_json(const char *code, const char *text)
{
	_cleanup_json_ json_object *line = json_object_new_object();
	json_object *error = json_object_new_object();

	ctl_add_string(error, "code", code);
	ctl_add_string(error, "text", text);
	json_object_object_add(line, "error", error);
	output_json(stdout, line);
}

int ctl_fail(const struct ctl *c, enum exit_code exit, const char *code, const char *format, ...)
{
	char text[SENTENCE_MAX], clean[SENTENCE_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	fflush(stdout);
	fprintf(stderr, "vcpuhpctl: %s\n", output_clean(text, clean, sizeof(clean)));
	if (c->command->json)
		print_error_json(code, clean);
	return (int)exit;
}

int ctl_bad_reply(const struct ctl *c, const char *what)
{
	return ctl_fail(c, EXIT_NO_DAEMON, "BadReply", "the daemon's reply makes no sense: %s",
			what);
}

int ctl_signal_exit(int signal)
{
	return signal == SIGINT ? EXIT_INTERRUPTED : 128 + signal;
}

int ctl_connect_failed(const struct ctl *c, int rc)
{
	const char *path = c->command->socket;

	switch (-rc) {
	case ENOENT:
	case ECONNREFUSED:
		return ctl_fail(c, EXIT_NO_DAEMON, "NoDaemon",
				"cannot reach the daemon at %s: %s; is vcpuhpd running?", path,
				strerror(-rc));
	case EACCES:
	case EPERM:
		return ctl_fail(c, EXIT_PERMISSION, request_error_name(ERR_PERMISSION),
				"cannot reach the daemon at %s: %s; are you in group vcpuhp?", path,
				strerror(-rc));
	case EAGAIN:
		return ctl_fail(c, EXIT_NO_DAEMON, "NoDaemon",
				"cannot reach the daemon at %s: it does not take the connection",
				path);
	default:
		return ctl_fail(c, EXIT_NO_DAEMON, "NoDaemon", "cannot reach the daemon at %s: %s",
				path, strerror(-rc));
	}
}

static int connection_lost(const struct ctl *c, int rc)
{
	const char *path = c->command->socket;

	if (rc == -EBADMSG)
		return ctl_bad_reply(c, "no Varlink message");
	if (rc == -ECONNRESET)
		return ctl_fail(c, EXIT_NO_DAEMON, "NoDaemon",
				"the daemon at %s closed the connection", path);
	return ctl_fail(c, EXIT_NO_DAEMON, "NoDaemon", "lost the daemon at %s: %s", path,
			strerror(-rc));
}

/* What a Varlink service says of a call it does not know or understand. */
static int service_error(const struct ctl *c, const char *name, json_object *parameters)
{
	if (strcmp(name, "InvalidParameter") == 0)
		return ctl_fail(c, EXIT_USAGE, request_error_name(ERR_INVALID_ARGUMENT),
				"the daemon does not accept the parameter %s",
				value_string(parameters, "parameter", "?"));
	if (strcmp(name, "PermissionDenied") == 0)
		return ctl_fail(c, EXIT_PERMISSION, request_error_name(ERR_PERMISSION),
				"permission denied");
	return ctl_fail(c, EXIT_FAILED, request_error_name(ERR_INTERNAL),
			"the daemon does not know this request (%s)", name);
}

static int error_reply(const struct ctl *c, const struct client_reply *reply)
{
	const char *name = reply->error, *text;
	int e;

	if (strncmp(name, SERVICE, strlen(SERVICE)) == 0)
		return service_error(c, name + strlen(SERVICE), reply->parameters);
	if (strncmp(name, INTERFACE, strlen(INTERFACE)) == 0)
		name += strlen(INTERFACE);
	text = value_string(reply->parameters, "text", "");
	e = request_error_find(name);
	return ctl_fail(c, e < 0 ? EXIT_FAILED : request_error_exit((enum request_error)e), name,
			"%s", *text ? text : name);
}

int ctl_connect(struct ctl *c)
{
	return c->client ? 0 : client_open(c->command->socket, &c->client);
}

int ctl_send(struct ctl *c, const char *method, json_object *parameters, bool more)
{
	int r = ctl_connect(c);

	if (r < 0) {
		json_object_put(parameters);
		return ctl_connect_failed(c, r);
	}
	r = client_call(c->client, method, parameters, more);
	return r < 0 ? connection_lost(c, r) : 0;
}

int ctl_next(struct ctl *c, uint64_t until_us, struct client_reply *ret, int *ret_signal,
	     int *ret_exit)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	int r = client_next(c->client, until_us, &reply, ret_signal);

	if (r < 0) {
		*ret_exit = connection_lost(c, r);
		return -EIO;
	}
	if (r != CLIENT_REPLY)
		return r;
	if (reply.error) {
		*ret_exit = error_reply(c, &reply);
		return -EIO;
	}
	*ret = reply;
	reply = (struct client_reply){ 0 };
	return CLIENT_REPLY;
}

/* The next reply to what was sent, within REPLY_TIMEOUT_S. Return: an exit code. */
static int await(struct ctl *c, struct client_reply *ret)
{
	uint64_t until_us = client_now_us() + (uint64_t)REPLY_TIMEOUT_S * 1000000;
	int signal = 0, exit_code = 0, r = CLIENT_SIGNAL;

	while (r == CLIENT_SIGNAL) {
		r = ctl_next(c, until_us, ret, &signal, &exit_code);
		if (r == CLIENT_SIGNAL && signal != SIGWINCH)
			return ctl_signal_exit(signal);
	}
	if (r == CLIENT_TIMEOUT)
		return ctl_fail(c, EXIT_NO_DAEMON, "NoDaemon", "the daemon at %s does not answer",
				c->command->socket);
	return r < 0 ? exit_code : 0;
}

int ctl_ask(struct ctl *c, const char *method, json_object *parameters, struct client_reply *ret)
{
	int exit_code = ctl_send(c, method, parameters, false);

	return exit_code ? exit_code : await(c, ret);
}

int ctl_ask_parts(struct ctl *c, const char *method, json_object *parameters,
		  int (*take)(void *ctx, json_object *parameters), void *ctx)
{
	int exit_code = ctl_send(c, method, parameters, true);
	bool goes_on = true;

	while (!exit_code && goes_on) {
		_cleanup_client_reply_ struct client_reply reply = { 0 };

		exit_code = await(c, &reply);
		goes_on = reply.continues;
		if (!exit_code)
			exit_code = take(ctx, reply.parameters);
	}
	return exit_code;
}

static int next_quietly(struct ctl *c, uint64_t until_us, struct client_reply *ret)
{
	int signal, r;

	do
		r = client_next(c->client, until_us, ret, &signal);
	while (r == CLIENT_SIGNAL);
	if (r == CLIENT_TIMEOUT)
		return -ETIMEDOUT;
	if (r != CLIENT_REPLY || !ret->error)
		return r;
	client_reply_done(ret);
	return -ENOENT;
}

static uint64_t after_ms(unsigned int ms)
{
	return client_now_us() + (uint64_t)ms * 1000;
}

int ctl_ask_quietly(struct ctl *c, const char *method, json_object *parameters, unsigned int ms,
		    struct client_reply *ret)
{
	uint64_t until_us = after_ms(ms);
	int r = client_call(c->client, method, parameters, false);

	return r < 0 ? r : next_quietly(c, until_us, ret);
}

int ctl_ask_parts_quietly(struct ctl *c, const char *method, json_object *parameters,
			  unsigned int ms, int (*take)(void *ctx, json_object *parameters),
			  void *ctx)
{
	uint64_t until_us = after_ms(ms);
	int r = client_call(c->client, method, parameters, true);
	bool goes_on = true;

	while (r == 0 && goes_on) {
		_cleanup_client_reply_ struct client_reply reply = { 0 };

		r = next_quietly(c, until_us, &reply);
		goes_on = reply.continues;
		if (r == 0)
			r = take(ctx, reply.parameters);
	}
	return r;
}
