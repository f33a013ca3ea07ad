/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_LOG_BUDGET_H
#define DAEMON_LOG_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct log_budget - the lines that one peer can cause: 10 a minute; all zero is unused
 * @since_us: when the minute began
 * @lines: wanted in it, with that about the minute before
 */
struct log_budget {
	uint64_t since_us;
	unsigned int lines;
};

/**
 * log_may() - may one more line be written?
 * @now_us: of a monotonic clock
 * @domain: or NULL
 * @about: for two lines, each one of the ten of its minute: that more are left out from here on, and,
 *         before the first of a later minute, how many were
 *
 * What is left out of the journal is lost to it alone: events and info have budgets of their own.
 */
bool log_may(struct log_budget *b, uint64_t now_us, const char *domain, const char *about);

#endif
