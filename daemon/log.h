/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdbool.h>
#include <syslog.h>

/**
 * log_line() - one line to standard error, which is the journal's own stream in service
 * @priority: LOG_ERR, ...; LOG_DEBUG lines are dropped unless VCPUHP_DEBUG is set
 *
 * Where standard error is the journal (JOURNAL_STREAM is set, by systemd or by log_to_journal())
 * the line carries its priority as "<N>". Control characters become '?'; a line is cut at 1 KiB.
 *
 * Context: any thread; one write(2) a line.
 */
void log_line(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Send standard error to the journal, if one is there. Return: whether it goes there now and went
 * elsewhere before. */
bool log_to_journal(void);

#endif
