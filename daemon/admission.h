/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_ADMISSION_H
#define DAEMON_ADMISSION_H

#include "daemon/domain.h"

/*
 * What a request waits for before it can be carried out, and what it is refused for meanwhile. An
 * operation goes through it before it moves anything, a dry run to its end, and the arming of a
 * failure as far as it needs to.
 */

enum admission_needs {
	ADMISSION_QEMU,   /* QEMU, and with it the slots */
	ADMISSION_AGENT,  /* and the agent's table */
	ADMISSION_CHANGE, /* and a VM that can be changed now, a live agent, and a plan */
	ADMISSION_VET, /* the same, of an operation that has been accepted and is to be judged first */
	ADMISSION_MOVE, /* the same, and the plan will be carried out: a word of it to the agent */
};

/* What is waited for. */
enum admission_phase {
	ADMISSION_ATTACH,
	ADMISSION_TABLE,
	ADMISSION_PONG,
	ADMISSION_MUTE, /* for QEMU, to tell whether an agent that did not answer can take part at all */
	ADMISSION_REST, /* of what the agent is at work on by itself */
	ADMISSION_PLAN,
};

/**
 * struct verdict - how an admission ended
 * @result: OP_ACCEPTED all is there; else what an operation would end as
 * @denied: the request itself cannot be, which only shows now: it is answered with @denial
 * @refused_by: as in struct plan, NULL where nothing was refused
 * @text: a sentence, "" where accepted
 * @plan: from ADMISSION_CHANGE on: what is to be moved, or why not; borrowed, NULL none
 */
struct verdict {
	enum op_result result;
	bool denied;
	enum request_error denial;
	const char *refused_by;
	char text[OP_TEXT_MAX];
	const struct plan *plan;
};

/* Called once, from the event loop or from inside admission_expire() and admission_end_all(). The
 * admission is over and may be freed or started again. */
typedef void (*admission_done_fn)(void *ctx, const struct verdict *v);

/**
 * struct admission - one under way; its owner gives it room and looks at nothing but @phase
 * @request: borrowed; NULL below ADMISSION_CHANGE
 * @status_asked: QEMU was asked whether the domain runs: as the domain's of that number; 0 it was not
 * @done: NULL over
 * @next: of the domain's
 */
struct admission {
	struct domain *domain;
	enum admission_needs needs;
	const struct op_request *request;
	enum admission_phase phase;
	unsigned int status_asked;
	sd_event_source *look;
	sd_event_source *agent_wait;
	sd_event_source *deadline;
	admission_done_fn done;
	void *ctx;
	struct admission *next;
};

/**
 * admission_start() - begin to wait
 * @a: over, or all 0; stays the caller's
 * @timeout_ms: 0 the caller has a deadline of its own
 *
 * Return: 0 or -errno.
 */
int admission_start(struct admission *a, struct domain *d, enum admission_needs needs,
		    const struct op_request *request, unsigned int timeout_ms,
		    admission_done_fn done, void *ctx);

/* Without a word; nothing where it is over. */
void admission_drop(struct admission *a);

/* The deadline has passed: end with what is missing. */
void admission_expire(struct admission *a);

/* Something changed that one of the domain's may have waited for. */
void admission_poke(struct domain *d);

/* Those that wait for the agent's own work to end ask again whether it is alive. True: there are such, and its
 * word of that end may be lost. */
bool admission_doubt(struct domain *d);

/* End all of the domain's. */
void admission_end_all(struct domain *d, enum op_result result, const char *why);

/**
 * admission_check() - what can be told of a request with what is known by now
 * @ret_error, @text: set on an error
 *
 * Before QEMU is there any vCPU may exist, and before the agent has told its table any callback.
 *
 * Return: 0 or -EINVAL.
 */
int admission_check(const struct domain *d, const struct op_request *r,
		    enum request_error *ret_error, char text[OP_TEXT_MAX]);

/* Who refuses by that error. */
const char *admission_denier(enum request_error error);

#endif
