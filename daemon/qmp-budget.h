/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_QMP_BUDGET_H
#define DAEMON_QMP_BUDGET_H

#include "daemon/bucket.h"
#include <stdbool.h>
#include <stddef.h>

/**
 * struct qmp_budget - how much of what QEMU says unasked is read
 * @tokens: 250 a second, 1000 saved up; an event costs one, and one more for each KiB
 * @missed: events were passed over since this was last looked at
 *
 * A guest makes events as fast as it can write a register. Replies cost nothing: there are as many
 * as commands.
 */
struct qmp_budget {
	struct bucket tokens;
	bool missed;
};

/**
 * enum qmp_verdict - what is to become of a line
 * @QMP_READ: read it
 * @QMP_PASS_OVER: an event that there are no tokens for; noted in @missed
 * @QMP_WAIT: leave it where it is until qmp_budget_when()
 */
enum qmp_verdict { QMP_READ, QMP_PASS_OVER, QMP_WAIT };

void qmp_budget_init(struct qmp_budget *b, uint64_t now_us);

/* No tokens are left: who goes on reading at once would do nothing else. */
bool qmp_budget_is_spent(struct qmp_budget *b, uint64_t now_us);

enum qmp_verdict qmp_budget_judge(struct qmp_budget *b, const char *line, size_t len);

/* A line of this length was an event. */
void qmp_budget_pay(struct qmp_budget *b, size_t len);

/* When a line that has to wait can be read. */
uint64_t qmp_budget_when(const struct qmp_budget *b);

#endif
