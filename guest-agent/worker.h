/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_WORKER_H
#define AGENT_WORKER_H

#include "guest-agent/agent-config.h"
#include "guest-agent/bootrec.h"
#include "guest-agent/handover.h"
#include "guest-agent/seam.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * The hotplug worker: a process bound to the CPU in transition. It lives for one job at most, so
 * the callbacks registered when it was forked are the ones of its walk. Both ends of its socket
 * are the same program, so the messages are plain structs.
 */
enum worker_message_type {
	WORKER_WALK = 1, /* control: walk on from here; the first one also says on which CPU */
	WORKER_READY,    /* it runs there, or rc and text say why not */
	WORKER_ENTER,    /* a call begins */
	WORKER_EXIT,     /* and is over */
	WORKER_ASK,    /* within 43: announce or withdraw this CPU; only control writes that file */
	WORKER_ANSWER, /* control: done, with rc */
	WORKER_CANCEL, /* control: fail between two steps, or in a callback, with rc */
	WORKER_ABORTED, /* that was done */
	WORKER_ARM,     /* control: another one-shot failure */
	WORKER_DONE,    /* the walk is handed back */
};

/**
 * struct worker_message
 * @number: of the hand-over
 * @call: ENTER and EXIT
 * @rc: result
 * @ran_on: CPU it ran on, -1 unknown
 * @time_ns: CLOCK_MONOTONIC
 * @injected: EXIT: the armed failure has fired
 * @fail_state, @fail_rc: ARM
 * @text: the reason, a warning, or a callback's last line
 * @h: WALK only, last so that other messages can be cut before it
 */
struct worker_message {
	enum worker_message_type type;
	uint32_t number;
	struct walk_call call;
	int rc;
	int ran_on;
	uint64_t time_ns;
	bool injected;
	int fail_state;
	int fail_rc;
	char text[MSG_TEXT_MAX + 1];
	struct handover h;
};

/* To the worker, which takes one at a time; the hand-over only travels with WALK. Return: 0 or -errno. */
int worker_send(int fd, const struct worker_message *m);

/* Return: 1, 0 at the end of the socket, -EAGAIN, -errno; -EBADMSG for a message cut short. */
int worker_recv(int fd, struct worker_message *m, int flags);

/* What a worker says at one go, since each costs both sides and the CPU that is on its way up. */
enum { WORKER_PACK_MAX = 10 };

/* From the worker: up to WORKER_PACK_MAX at once, in their order. Return: 0 or -errno. */
int worker_send_pack(int fd, struct worker_message *m, size_t n);

/* Return: how many, 0 at the end of the socket, -EAGAIN, -errno; -EBADMSG for a pack cut short. */
int worker_recv_pack(int fd, struct worker_message m[WORKER_PACK_MAX]);

/**
 * struct worker_place - what a worker is forked with
 * @fd: its socket
 * @names, @program_fds: the registered callbacks
 */
struct worker_place {
	int fd;
	int root;
	const struct agent_config *config;
	const struct seam *seam;
	struct bootrec record;
	const char (*names)[64];
	const int *program_fds;
};

/* Context: the worker process. */
__attribute__((noreturn)) void worker_main(const struct worker_place *place);

#endif
