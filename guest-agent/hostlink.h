/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_HOSTLINK_H
#define AGENT_HOSTLINK_H

#include "guest-agent/agent.h"

/* What is spoken over the port. */

void hostlink_init(struct agent *a);
void hostlink_done(struct agent *a);

/* Open the port where it is not open; upon a uevent, and by time (@retry_ms). */
void hostlink_try_open(struct agent *a);

/* The port has something to read or room to write. */
void hostlink_on_port(struct agent *a);

/* Read requests. */
void hostlink_take(struct agent *a);
/* Send what is due. Return: whether there is more to read or to send now. */
bool hostlink_put(struct agent *a);

/* Answer a request: at once, or with what follows. */
void hostlink_answer(struct agent *a, int type, const void *msg);
void hostlink_answer_later(struct agent *a, int type, const void *msg);

/* A step of ours: dropped only where the queue is full. */
void hostlink_report(struct agent *a, const struct record *r);

/* A step of the kernel or a log line: dropped early where the host does not read. */
void hostlink_progress(struct agent *a, const struct record *r);

/* Whether the host has left so much unread that progress would be dropped. */
bool hostlink_is_behind(const struct agent *a);

/* What was reported so far goes at the next turn, however little it is. */
void hostlink_flush(struct agent *a);

/* Say HELLO once more: a feature came up. */
void hostlink_hello_again(struct agent *a);

#endif
