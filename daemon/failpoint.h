/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_FAILPOINT_H
#define DAEMON_FAILPOINT_H

/**
 * failpoint() - a step of persistence or I/O that a test can make the last one, or make fail
 * @point: its name, as in "intent.write"
 *
 * failpoint.c's does nothing, and is all that a release build has; failpoint-test.c's does what the
 * environment says.
 *
 * Return: 0, or -errno with which the step is to fail; for points that cannot fail it is ignored.
 */
int failpoint(const char *point);

#endif
