/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_WATCH_H
#define DAEMON_CTL_WATCH_H

#include "daemon/ctl/ctl.h"

/**
 * watch_operation() - send a call about an operation and follow it to its end
 * @method: SetVcpus, SetTarget or GetOperation
 * @parameters: taken
 * @op: its id, for what is said when the waiting ends early; borrowed
 *
 * Shows progress, prints the result (or the plan). A signal ends the waiting, not the operation.
 *
 * Return: the exit code.
 */
int watch_operation(struct ctl *c, const char *method, json_object *parameters, const char *op);

#endif
