/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HV_LIBVIRT_POOL_H
#define DAEMON_HV_LIBVIRT_POOL_H

#include "daemon/hv-libvirt-call.h"

/*
 * Connections for changes, one for each that is under way. libvirt's client lets threads share a
 * connection, but before 10.2 it can lose the wakeup of the second: its request is then sent only
 * when the first one's reply comes, for an unplug 5 s later. And libvirtd serves only five requests
 * of a connection at once. So no two threads share one: the reading thread has its own
 * (hv-libvirt-conn.c), and each change takes one from here.
 */
struct pool;

/* @uri: borrowed, must outlive the pool. NULL: out of memory. */
struct pool *pool_new(const char *uri);

/* All that were taken have been given back. NULL is fine. Context: a thread. */
void pool_free(struct pool *p);

/*
 * Have one, an idle one that is alive or a new one; the caller's until pool_give().
 *
 * Context: a thread; may talk to libvirtd.
 * Return: as hv-libvirt-call.h.
 */
int pool_take(struct pool *p, virConnectPtr *ret, char text[static CALL_TEXT_MAX]);
void pool_give(struct pool *p, virConnectPtr conn);

/* Open a connection, with keepalive: a dead peer is found in 20 s. */
int pool_connect(const char *uri, virConnectPtr *ret, char text[static CALL_TEXT_MAX]);

#endif
