/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_METRICS_H
#define DAEMON_METRICS_H

#include "daemon/domain.h"

/**
 * metrics_format() - everything countable, as OpenMetrics 1.0 text
 * @m: read only; nothing is asked of QEMU or of the guest
 *
 * Return: malloc'ed text that ends with "# EOF", for the caller to free; NULL out of memory.
 */
char *metrics_format(const struct manager *m);

#endif
