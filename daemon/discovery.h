/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_DISCOVERY_H
#define DAEMON_DISCOVERY_H

#include "daemon/domain.h"

/*
 * libvirt's domains as the manager's: they come and go with what the libvirt module tells. Owns
 * the module's connection.
 */
struct discovery;

/**
 * discovery_new() - load the libvirt module and begin to connect
 * @m: borrowed, outlived by nothing here; must be freed before the discovery is
 * @ret: NULL where the configuration has no [Libvirt]
 *
 * Return: 0; -errno where the module cannot be had, which has been logged then.
 */
int discovery_new(struct discovery **ret, struct manager *m);
struct discovery *discovery_free(struct discovery *d);

#endif
