/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HOOK_QUEUE_H
#define DAEMON_HOOK_QUEUE_H

#include "daemon/hook.h"
#include "proto/msg.h"
#include <sys/queue.h>

/*
 * What the hooks of one domain are still to be told. It is bounded: of progress and drift the oldest
 * gives way, of one vCPU's drift and of load only the newest waits. Results are all told; where more wait
 * than clients can make by accident the oldest is lost all the same, rather than the daemon's memory.
 */

enum { HOOK_PROGRESS_MAX = 256, HOOK_DRIFT_MAX = 64, HOOK_RESULTS_MAX = 1024 };

/**
 * struct hook_news - one call of each hook
 * @op: the operation's id, "" none
 * @vcpu: DRIFT: whose, -1 none
 * @text: JSON, owned; of progress the steps with commas between them
 * @dropped: PROGRESS and DRIFT: how many before it were not told
 */
struct hook_news {
	TAILQ_ENTRY(hook_news) entry;
	enum hook_event event;
	char op[MSG_OP_MAX + 1];
	int vcpu;
	unsigned int dropped;
	char text[];
};

TAILQ_HEAD(hook_news_list, hook_news);

struct hook_queue {
	struct hook_news_list list;
	unsigned int n[HOOK_EVENTS], dropped[HOOK_EVENTS];
};

void hook_queue_init(struct hook_queue *q);
void hook_queue_done(struct hook_queue *q);

static inline bool hook_is_result(enum hook_event e)
{
	return e == HOOK_DONE || e == HOOK_FAILED;
}

/* @op: NULL none; @vcpu: -1 none. Return: 0, 1 an older one gave way, -ENOMEM. */
int hook_queue_put(struct hook_queue *q, enum hook_event event, const char *op, int vcpu,
		   const char *text);

/* The next, with all progress of the same operation that waits behind it; free() it. @results: only results,
 * and the progress before them. NULL none. */
struct hook_news *hook_queue_take(struct hook_queue *q, bool results);

#endif
