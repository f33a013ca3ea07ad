/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The persistent configuration of any domain that libvirt has, for the daemon: by name, id or
 * UUID, running or shut off, with the channel or without, so nothing here knows struct hv_lv.
 *
 * One request is one job on a change thread: look the domain up, change it where that is asked,
 * read what is there then. A change waits in libvirt for whoever holds the domain, as an unplug
 * does; that is its own lock, and the thread is this request's own.
 *
 * A connection of the pool may be one that libvirtd has closed in this moment. As long as nothing
 * was asked to change, another one is tried once: that libvirtd cannot be reached is said only when
 * a fresh connection fails. A change under which the connection broke is not tried again: whoever
 * asked must learn that nobody knows.
 */
#include "daemon/hv-libvirt-internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_DIGITS_MAX = 9 };

/**
 * struct persist_job - a request on its way
 * @sent: libvirt was asked to change it
 */
struct persist_job {
	struct job job;
	struct pool *pool;
	char word[PERSIST_NAME_SIZE];
	struct persist_change change;
	bool sent;
	persist_done_fn done;
	void *arg;
	struct persist_answer answer;
};

virDomainPtr lv_find_domain(virConnectPtr conn, const char *word)
{
	size_t digits = strspn(word, "0123456789");
	virDomainPtr dom = NULL;

	if (digits > 0 && !word[digits] && digits <= ID_DIGITS_MAX)
		dom = virDomainLookupByID(conn, (int)strtol(word, NULL, 10));
	if (!dom && strlen(word) == PERSIST_UUID_SIZE - 1)
		dom = virDomainLookupByUUIDString(conn, word);
	return dom ? dom : virDomainLookupByName(conn, word);
}

static int read_xml(virDomainPtr dom, unsigned int flags, struct xml_domain *ret,
		    char text[static CALL_TEXT_MAX])
{
	char *xml = virDomainGetXMLDesc(dom, flags);
	int r;

	if (!xml)
		return call_error(text);
	r = xml_domain_parse(xml, strlen(xml), ret);
	free(xml);
	if (r < 0)
		snprintf(text, CALL_TEXT_MAX, "its XML cannot be read: %s", strerror(-r));
	return r;
}

static void take_vcpus(struct persist_domain *d, const struct xml_domain *xml)
{
	d->maximum = xml->maximum;
	for (unsigned int i = 0; i < xml->maximum && i < CPULIST_MAX; i++)
		if (xml->vcpus[i].enabled)
			cpulist_set(&d->enabled, i);
	d->present = cpulist_count(&d->enabled);
}

static int read_running(virDomainPtr dom, struct persist_domain *d, char text[static CALL_TEXT_MAX])
{
	struct xml_domain xml = { 0 };
	int active = virDomainIsActive(dom), r;

	if (active < 0)
		return call_error(text);
	d->running = active;
	if (!active)
		return 0;
	r = read_xml(dom, 0, &xml, text);
	d->channel = r == 0 && xml.agent;
	xml_domain_done(&xml);
	return r;
}

int lv_read_persistent(virDomainPtr dom, struct persist_domain *d, char text[static CALL_TEXT_MAX])
{
	struct xml_domain xml = { 0 };
	const char *name = virDomainGetName(dom);
	int persistent = virDomainIsPersistent(dom), r;

	*d = (struct persist_domain){ 0 };
	if (persistent < 0 || virDomainGetUUIDString(dom, d->uuid) < 0)
		return call_error(text);
	snprintf(d->name, sizeof(d->name), "%s", name ? name : d->uuid);
	d->persistent = persistent;
	r = read_running(dom, d, text);
	if (r < 0 || !persistent)
		return r;
	r = read_xml(dom, VIR_DOMAIN_XML_INACTIVE, &xml, text);
	if (r == 0)
		take_vcpus(d, &xml);
	xml_domain_done(&xml);
	return r;
}

static int set_list(virDomainPtr dom, const struct persist_change *c)
{
	char *list = malloc(CPULIST_TEXT_MAX);
	int r = -1;

	if (!list)
		return -1;
	if (cpulist_format(&c->list, list, CPULIST_TEXT_MAX) > 0)
		r = virDomainSetVcpu(dom, list, c->kind == PERSIST_ENABLE,
				     VIR_DOMAIN_AFFECT_CONFIG);
	free(list);
	return r;
}

static int change(virDomainPtr dom, struct persist_job *p)
{
	const struct persist_change *c = &p->change;
	int r;

	if (c->kind == PERSIST_NOTHING)
		return 0;
	p->sent = true;
	r = c->kind == PERSIST_COUNT
		    ? virDomainSetVcpusFlags(dom, c->count, VIR_DOMAIN_AFFECT_CONFIG)
		    : set_list(dom, c);
	return r < 0 ? call_error(p->answer.text) : 0;
}

static int ask(virConnectPtr conn, struct persist_job *p)
{
	virDomainPtr dom = lv_find_domain(conn, p->word);
	bool is_changed;
	int r;

	if (!dom)
		return call_error(p->answer.text);
	r = change(dom, p);
	is_changed = r == 0 && p->sent;
	if (r == 0)
		r = lv_read_persistent(dom, &p->answer.domain, p->answer.text);
	if (r < 0 && r != -ECONNRESET && is_changed)
		r = -ESTALE;
	virDomainFree(dom);
	return r;
}

static int ask_once(struct persist_job *p)
{
	virConnectPtr conn;
	int r = pool_take(p->pool, &conn, p->answer.text);

	if (r < 0)
		return r == -EPERM ? r : -ENOTCONN;
	r = ask(conn, p);
	pool_give(p->pool, conn);
	return r;
}

static void run_persist(struct job *job)
{
	struct persist_job *p = (struct persist_job *)(void *)job;

	p->answer.rc = job->ending ? -ENOTCONN : ask_once(p);
	if (p->answer.rc == -ECONNRESET && !p->sent)
		p->answer.rc = ask_once(p);
	if (p->answer.rc == 0)
		p->answer.text[0] = '\0';
}

static void persist_done(struct job *job)
{
	struct persist_job *p = (struct persist_job *)(void *)job;

	p->done(p->arg, &p->answer);
	free(p);
}

_Static_assert((int)PERSIST_TEXT_MAX == (int)CALL_TEXT_MAX, "libvirt's sentence is handed on");
_Static_assert((int)PERSIST_UUID_SIZE == (int)CALL_UUID_SIZE, "libvirt writes it");

int lv_persist(struct libvirt *lv, const char *word, const struct persist_change *change,
	       persist_done_fn done, void *arg)
{
	struct persist_job *p = calloc(1, sizeof(*p));
	int r = p ? 0 : -ENOMEM;

	if (lv->ending)
		r = -ENOTCONN;
	if (!p || r < 0) {
		free(p);
		return r;
	}
	p->job = (struct job){ .run = run_persist, .done = persist_done };
	p->pool = lv->pool;
	snprintf(p->word, sizeof(p->word), "%s", word);
	if (change)
		p->change = *change;
	p->done = done;
	p->arg = arg;
	r = work_submit(lv->work, LANE_CHANGE, &p->job);
	if (r < 0)
		free(p);
	return r;
}
