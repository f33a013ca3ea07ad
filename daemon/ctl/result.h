/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_RESULT_H
#define DAEMON_CTL_RESULT_H

#include "daemon/ctl/ctl.h"

/* A result object of the daemon, on stdout. */

/* How the program exits for it; a word that is unknown here is a bad reply (said on stderr). */
int result_exit(const struct ctl *c, json_object *result);

/* In one line, and a line for each vCPU that is not ok; or as JSON. */
void result_print(struct ctl *c, json_object *result);

/* The same with a table of all its vCPUs. */
void result_print_all(struct ctl *c, json_object *result);

/* A dry run's plan and refusals. Return: the exit code. */
int result_print_plan(const struct ctl *c, json_object *reply);

#endif
