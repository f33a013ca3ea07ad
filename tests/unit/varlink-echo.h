/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_UNIT_VARLINK_ECHO_H
#define TESTS_UNIT_VARLINK_ECHO_H

#include "varlink-bench.h"

/* The interface "test.bench" for the server's tests: Echo(text, n, flag), Later, Stream, Big. */

/* What its handlers leave behind, and what they wait for. */
struct service {
	struct varlink_call *held; /* by Later and Stream */
	unsigned int gone, echoes;
	bool closed; /* admit() says no */
};

extern struct service service;

/* A bench that serves it, in *state. */
int varlink_echo_setup(void **state);
int varlink_echo_teardown(void **state);

#define INVALID(p)                                                                               \
	"{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"" p \
	"\"}}"
#define ECHO(text) "{\"parameters\":{\"text\":\"" text "\",\"n\":-1,\"flag\":true}}"
#define CALL_ECHO(text) "{\"method\":\"test.bench.Echo\",\"parameters\":{\"text\":\"" text "\"}}"
#define CALL(method) "{\"method\":\"test.bench." method "\"}"

#endif
