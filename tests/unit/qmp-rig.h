/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_QMP_RIG_H
#define TESTS_QMP_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/qmp-msg.h"
#include "daemon/qmp.h"

enum { TURNS = 1000, TURN_US = 5000 };

struct rig {
	sd_event *event;
	struct qmp *qmp;
	int peer;
	char sent[65536]; /* by the client, not looked at yet */
	size_t n_sent;
	char trace[4096];
	bool close_in_callback;
	bool in_call;
	bool counts; /* events, which may be more than the trace has room for */
	unsigned int events, caught_up;
};

/* A client whose QEMU is the test, on the other end of a socket pair in the client's own loop. */
void on_reply(void *arg, int rc, json_object *value, const char *text);
void rig_init(struct rig *rig, unsigned int reply_ms);
void rig_done(struct rig *rig);
void turn(struct rig *rig);
void expect_sent(struct rig *rig, const char *text);
void expect_trace(struct rig *rig, const char *text);
void say(struct rig *rig, const char *data, size_t len);
void ask(struct rig *rig, const char *name);

/*
 * Play a dialogue. A line of it is
 *   < TEXT   QEMU sends TEXT and a newline      - TEXT   QEMU sends TEXT alone
 *   g        QEMU greets
 *   > TEXT   the client must have sent TEXT     ! close  QEMU leaves
 *   ? NAME   the client sends a command         ! fail   the client ends it: "enough"
 *   = TEXT   what the handlers and callbacks were called with since the last such line
 */
void play(struct rig *rig, const char *const *lines);

/* Negotiated. */
#define UP                                                                                      \
	"g ", "> {\"execute\":\"qmp_capabilities\",\"id\":1}", "< {\"return\": {}, \"id\": 1}", \
		"= ready 7.2.22"

#endif
