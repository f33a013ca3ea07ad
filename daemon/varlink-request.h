/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_VARLINK_REQUEST_H
#define DAEMON_VARLINK_REQUEST_H

#include "daemon/varlink.h"

/**
 * struct varlink_request - one call as it came
 * @root: owned; everything below is borrowed from it
 * @method: "interface.Method"
 * @params: NULL none
 */
struct varlink_request {
	json_object *root;
	const char *method;
	json_object *params;
	bool more, oneway, upgrade;
};

/**
 * struct varlink_target - what a request asks for
 */
struct varlink_target {
	const struct varlink_interface *interface;
	const struct varlink_method *method;
};

/**
 * varlink_request_parse() - read one message
 * @text: without its NUL
 * @ret: returned, varlink_request_done()
 * @ret_reply: on -EBADMSG and -EINVAL the error to answer with, for the caller to free
 *
 * Return: 0; -EBADMSG: no such JSON, nothing that follows on the connection can be trusted;
 * -EINVAL: JSON, but no Varlink call; -ENOMEM.
 */
int varlink_request_parse(const char *text, size_t len, struct varlink_request *ret,
			  json_object **ret_reply);
void varlink_request_done(struct varlink_request *r);

/**
 * varlink_request_resolve() - find the method and check every parameter
 * @interfaces: NULL-terminated
 * @ret_reply: on an error what to answer with, for the caller to free
 *
 * Return: 0; -ENOENT unknown interface or method; -EINVAL unknown, missing or mistyped parameter,
 * "oneway" or "upgrade"; -ERANGE a value out of range; -ENOMEM.
 */
int varlink_request_resolve(const struct varlink_request *r,
			    const struct varlink_interface *const *interfaces,
			    struct varlink_target *ret, json_object **ret_reply);

/* {"error": NAME, "parameters": {KEY: VALUE}}; KEY NULL: without parameters. NULL: no memory. */
json_object *varlink_error_new(const char *name, const char *key, const char *value);

#endif
