/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_VET_H
#define DAEMON_VET_H

#include <stdbool.h>

struct op;
struct plan;
struct vetting;

/* NULL: nobody objects; else who and why, a sentence, borrowed. Called once, from the event loop, and
 * never inside vet_ops.start(). */
typedef void (*vet_done_fn)(void *arg, const char *objection);

/**
 * struct vet_ops - whoever is asked before an operation begins (hooks.c), as the engine sees him
 * @is_due: is there anybody to ask now?
 * @start: ask about @o, which would do @plan; both borrowed for the call, @arg until @done or
 *	drop(). Return: 0 with *@ret; -errno, and the operation is not to begin.
 * @drop: the answer is not wanted any more
 */
struct vet_ops {
	bool (*is_due)(void *ctx);
	int (*start)(void *ctx, const struct op *o, const struct plan *plan, vet_done_fn done,
		     void *arg, struct vetting **ret);
	void (*drop)(struct vetting *v);
};

#endif
