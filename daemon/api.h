/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_API_H
#define DAEMON_API_H

#include "daemon/domain.h"
#include "daemon/varlink.h"

struct api;

/**
 * api_new() - io.vcpuhp.Manager over a manager
 * @m: borrowed, must outlive the result and all calls that wait
 * @daemon_uid: counts as administrator besides uid 0
 *
 * Resolves the names of Operators= and Allow=; unknown ones are logged.
 *
 * Return: 0 or -ENOMEM.
 */
int api_new(struct api **ret, struct manager *m, uid_t daemon_uid);

/**
 * api_reload() - manager_reload(), and the names of that configuration
 * @config: taken, but on an error
 *
 * The names are looked up here and now, as at the start. Who asks from then on is judged by them.
 *
 * Return: 0 or -ENOMEM: nothing has changed.
 */
int api_reload(struct api *a, struct config *config);

/* After the server is gone: calls that wait belong to it. Returns NULL. */
struct api *api_free(struct api *a);

/* The interface to offer, and who answers; borrowed. */
const struct varlink_interface *api_interface(const struct api *a);
const struct varlink_vendor *api_vendor(void);

#endif
