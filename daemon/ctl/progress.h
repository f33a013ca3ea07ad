/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_PROGRESS_H
#define DAEMON_CTL_PROGRESS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/* The progress of one operation, shown while it happens. Times are client_now_us(). */
struct progress;

enum progress_mode {
	PROGRESS_NONE,
	PROGRESS_JSON,  /* objects on stdout */
	PROGRESS_PLAIN, /* a line on stderr for each step that was left */
	PROGRESS_LIVE   /* a line on stderr for each vCPU, redrawn in place */
};

/* What suits the options and the terminal. */
enum progress_mode progress_choose(bool json, bool quiet);

/* Return: NULL when out of memory. */
struct progress *progress_new(enum progress_mode mode);
struct progress *progress_free(struct progress *p);

/* Take a progress object of the daemon; one that makes no sense is not shown. */
void progress_take(struct progress *p, json_object *o, uint64_t now_us);

/* A sentence of the daemon's about what it waits for, on stderr; not with PROGRESS_NONE. */
void progress_say(struct progress *p, const char *sentence);

/* When progress_redraw() is due: UINT64_MAX where nothing ticks. */
uint64_t progress_due_us(const struct progress *p, uint64_t now_us);
void progress_redraw(struct progress *p, uint64_t now_us);

/* The last drawing, with what became of each vCPU. @result is NULL where it is not known. */
void progress_end(struct progress *p, json_object *result, uint64_t now_us);

static inline void progress_freep(struct progress **p)
{
	progress_free(*p);
}
#define _cleanup_progress_ __attribute__((cleanup(progress_freep)))

#endif
