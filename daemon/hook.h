/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HOOK_H
#define DAEMON_HOOK_H

#include <stdbool.h>
#include <stddef.h>

enum { HOOK_NAME_MAX = 64, HOOK_REASON_MAX = 120, HOOK_SENTENCE_MAX = 256 };

enum hook_event {
	HOOK_PREPARE, /* asked before an operation begins */
	HOOK_PROGRESS,
	HOOK_DONE,
	HOOK_FAILED,
	HOOK_DRIFT,
	HOOK_LOAD,
	HOOK_EVENTS
};

const char *hook_event_name(enum hook_event e); /* "prepare" "progress" ... */

/**
 * struct hook_outcome - how a hook's program ended
 * @how: HOOK_LOST: its unit has gone and did not say
 * @code: HOOK_EXITED its status; HOOK_KILLED the signal; HOOK_LATE ms that it had; HOOK_UNSTARTED -errno
 * @reason: the first line that it printed, printable, cut; "" none
 */
struct hook_outcome {
	enum { HOOK_EXITED, HOOK_KILLED, HOOK_LATE, HOOK_UNSTARTED, HOOK_LOST } how;
	int code;
	char reason[HOOK_REASON_MAX + 1];
};

/**
 * struct hook_call - what is run; borrowed for the call of hook_run_start()
 * @dir, @name: of the program, which has been checked
 * @op: the operation's id, "" none
 * @text: JSON, its standard input
 */
struct hook_call {
	const char *dir, *name, *domain, *op, *text;
	enum hook_event event;
	unsigned int timeout_ms;
};

static inline bool hook_is_fine(const struct hook_outcome *o)
{
	return o->how == HOOK_EXITED && o->code == 0;
}

/* 1 to HOOK_NAME_MAX letters, digits, _ and -, as run-parts has it. */
bool hook_is_name(const char *name);

/* The first line of @output that is not blank, with '?' for what is not printable. */
void hook_first_line(const char *output, size_t len, char ret[HOOK_REASON_MAX + 1]);

/* What an outcome that is not fine means. @asked: of a prepare hook, which has objected by it. */
void hook_explain(const char *name, bool asked, const struct hook_outcome *o,
		  char ret[HOOK_SENTENCE_MAX]);

#endif
