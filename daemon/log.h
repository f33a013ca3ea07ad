/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include "daemon/journal-fields.h"
#include "daemon/journal-message.h"
#include <stdbool.h>
#include <syslog.h>

/**
 * struct log_head - what a line is beside its sentence
 * @priority: LOG_ERR, ...
 * @message: the outcome that it tells of, or JOURNAL_NONE
 * @domain: its name, put before the sentence, or NULL
 * @fields: more for the journal, or NULL; borrowed
 * @last: the process ends with it: a line on standard error, also where that is the journal's, for of
 *        an entry the journal looks up whose it is, and finds nobody any more
 * @file, @function, @line: where in the sources
 */
struct log_head {
	int priority;
	bool last;
	enum journal_message message;
	const char *domain;
	const struct journal_fields *fields;
	const char *file, *function;
	int line;
};

/**
 * log_write() - one line to the log; by the macros below
 *
 * Where standard error is the journal's (JOURNAL_STREAM names it, by systemd or log_to_journal()) an
 * entry with fields: MESSAGE, PRIORITY, CODE_*, of an outcome MESSAGE_ID, of a domain VCPUHP_DOMAIN,
 * and @head->fields. Else, or where the journal does not take it, a line on standard error.
 *
 * LOG_DEBUG lines are dropped unless VCPUHP_DEBUG is set. Control characters become '?'; a sentence
 * is cut at 2 KiB.
 *
 * Context: any thread; one write(2) or sendmsg(2) a line.
 */
void log_write(const struct log_head *head, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define LOG_HERE .file = __FILE__, .function = __func__, .line = __LINE__

/* A line that is none of the outcomes. */
#define log_line(prio, ...) \
	log_write(&(struct log_head){ .priority = (prio), LOG_HERE }, __VA_ARGS__)

/* Why the process ends now. */
#define log_last(...) \
	log_write(&(struct log_head){ .priority = LOG_ERR, .last = true, LOG_HERE }, __VA_ARGS__)

/* One of a domain. */
#define log_domain(prio, name, ...) \
	log_write(&(struct log_head){ .priority = (prio), .domain = (name), LOG_HERE }, __VA_ARGS__)

/* An outcome; @name of a domain or NULL, @more fields or NULL. */
#define log_outcome(what, name, more, ...)                                             \
	log_write(&(struct log_head){ .priority = journal_message_def(what)->priority, \
				      .message = (what),                               \
				      .domain = (name),                                \
				      .fields = (more),                                \
				      LOG_HERE },                                      \
		  __VA_ARGS__)

/* Send standard error to the journal, if one is there. Return: whether it goes there now and went
 * elsewhere before. */
bool log_to_journal(void);

#endif
