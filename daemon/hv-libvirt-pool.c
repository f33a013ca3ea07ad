/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/hv-libvirt-pool.h"
#include "daemon/hv-libvirt-work.h"
#include <pthread.h>
#include <stdlib.h>

enum { KEEPALIVE_S = 5, KEEPALIVE_N = 3 };

struct pool {
	const char *uri;
	pthread_mutex_t lock;
	virConnectPtr idle[WORK_CHANGES_MAX];
	unsigned int n;
};

struct pool *pool_new(const char *uri)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->uri = uri;
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	while (p->n > 0)
		virConnectClose(p->idle[--p->n]);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

int pool_connect(const char *uri, virConnectPtr *ret, char text[static CALL_TEXT_MAX])
{
	virConnectPtr conn = virConnectOpen(uri);

	if (!conn)
		return call_error(text);
	/* A driver that needs none says so; that is no failure. */
	virConnectSetKeepAlive(conn, KEEPALIVE_S, KEEPALIVE_N);
	*ret = conn;
	return 0;
}

static virConnectPtr take_idle(struct pool *p)
{
	virConnectPtr conn;

	pthread_mutex_lock(&p->lock);
	conn = p->n > 0 ? p->idle[--p->n] : NULL;
	pthread_mutex_unlock(&p->lock);
	return conn;
}

int pool_take(struct pool *p, virConnectPtr *ret, char text[static CALL_TEXT_MAX])
{
	virConnectPtr conn;

	/* Those of a libvirtd that was restarted are dead. */
	while ((conn = take_idle(p))) {
		if (virConnectIsAlive(conn) == 1) {
			*ret = conn;
			return 0;
		}
		virConnectClose(conn);
	}
	return pool_connect(p->uri, ret, text);
}

void pool_give(struct pool *p, virConnectPtr conn)
{
	bool kept;

	pthread_mutex_lock(&p->lock);
	kept = p->n < WORK_CHANGES_MAX;
	if (kept)
		p->idle[p->n++] = conn;
	pthread_mutex_unlock(&p->lock);
	if (!kept)
		virConnectClose(conn);
}
