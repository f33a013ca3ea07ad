/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_UNIT_API_BENCH_H
#define TESTS_UNIT_API_BENCH_H

#include "daemon/api.h"
#include "fake-domain.h"
#include "varlink-bench.h"

/* io.vcpuhp.Manager over a real socket and a domain that only pretends, with one client, @fd. */
struct bench {
	struct varlink_bench varlink;
	struct fake fake;
	struct api *api;
	int fd;
};

enum { DAEMON_UID = 54321 };

/* cmocka's fixtures; *state is the struct bench. */
int api_bench_setup(void **state);
int api_bench_teardown(void **state);

/* @params: the members of the object. */
void send_call(struct bench *b, const char *method, const char *params, bool more);
/* The next message, "" for none yet; valid until the next. */
const char *receive(struct bench *b);
void assert_part(const char *text, const char *part);

#endif
