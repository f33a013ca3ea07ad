/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_METRICS_ACCEPT_H
#define DAEMON_METRICS_ACCEPT_H

#include "daemon/metrics-text.h"

/**
 * metrics_accept() - which format a client prefers
 * @accept: its Accept header, NULL none
 *
 * Source: RFC 9110, 12.5.1: the most specific range counts, with its weight.
 *
 * Return: OpenMetrics, but where it would rather have text/plain.
 */
enum metrics_format metrics_accept(const char *accept);

#endif
