/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_METRICS_H
#define DAEMON_METRICS_H

#include "daemon/domain.h"
#include "daemon/metrics-text.h"

/**
 * metrics_format() - everything countable
 * @m: read only; nothing is asked of QEMU or of the guest
 * @ret_len: of the text, NULL nobody asks
 *
 * Return: malloc'ed text, for the caller to free; NULL out of memory.
 */
char *metrics_format(const struct manager *m, enum metrics_format format, size_t *ret_len);

/* The families, for the manual page and its check; NULL behind the last. */
const struct metrics_family *metrics_family_at(size_t i);

#endif
