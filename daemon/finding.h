/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_FINDING_H
#define DAEMON_FINDING_H

#include <stdbool.h>
#include <stddef.h>

/* What `vcpuhpctl doctor` tells: a list of findings, made by the daemon, or by vcpuhpctl itself
 * where there is no daemon to ask. */

enum severity {
	SEVERITY_OK,
	SEVERITY_NOTE,    /* good to know */
	SEVERITY_WARNING, /* works, but not all that may be expected */
	SEVERITY_ERROR,   /* stands between here and a working setvcpus */
	SEVERITIES
};

const char *severity_name(enum severity s); /* "warning" */

enum { FINDING_TEXT = 480 };

/**
 * struct finding - one of them
 * @check: what was looked at, static
 * @text: what was found, a sentence
 * @advice: what to do about it, "" nothing
 */
struct finding {
	const char *check;
	enum severity severity;
	char text[FINDING_TEXT];
	char advice[FINDING_TEXT];
};

/**
 * struct findings - in the order in which they are to be read; all 0 is an empty list
 * @no_memory: one or more are missing
 */
struct findings {
	struct finding *v;
	size_t n;
	bool no_memory;
};

void findings_done(struct findings *f);
/* One more; @check borrowed for ever. */
void findings_add(struct findings *f, const char *check, enum severity severity, const char *format,
		  ...) __attribute__((format(printf, 4, 5)));
/* What to do about the last one. */
void findings_advise(struct findings *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The first of the worst, NULL in an empty list. */
const struct finding *findings_worst(const struct findings *f);

#endif
