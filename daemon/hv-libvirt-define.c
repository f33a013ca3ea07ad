/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * What a domain's persistent configuration lacks, told with what else is to be seen of the domain, or
 * put there by defining the domain anew.
 * One request is one job on a change thread, as in hv-libvirt-persist.c: look the domain up, read
 * its XML, change that (hv-libvirt-advice.c), and define it where that is asked.
 *
 * What is defined is made of the XML with its secrets, since those that are not in it libvirt would
 * forget; so that XML is never given away, and what is given away is made of the XML without them.
 * Right before it is defined the XML is read again: where it is another now, somebody else has
 * changed it, and nothing is done.
 *
 * Anybody who may look makes work for the change threads, so no more than ADVISING_MAX of these are
 * under way.
 */
#include "daemon/hv-libvirt-internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ADVISING_MAX = 8 };

static unsigned int advising; /* the loop's */

/**
 * struct advise_job - a request on its way
 * @sent: libvirt was asked to define it
 */
struct advise_job {
	struct job job;
	struct pool *pool;
	char word[PERSIST_NAME_SIZE];
	unsigned int maximum;
	bool define, sent;
	advise_done_fn done;
	void *arg;
	struct persist_answer answer;
	struct advice advice;
	struct sight sight;
};

static int define_domain(virConnectPtr conn, struct advise_job *j)
{
	virDomainPtr dom;

	j->sent = true;
	dom = virDomainDefineXML(conn, j->advice.xml);
	free(j->advice.xml);
	j->advice.xml = NULL;
	if (!dom)
		return call_error(j->answer.text);
	virDomainFree(dom);
	return 0;
}

static int check_unchanged(virDomainPtr dom, const char *before, unsigned int flags,
			   char text[static CALL_TEXT_MAX])
{
	char *now = virDomainGetXMLDesc(dom, flags);
	bool same = now && strcmp(now, before) == 0;

	if (!now)
		return call_error(text);
	free(now);
	if (same)
		return 0;
	snprintf(text, CALL_TEXT_MAX, "somebody else has just changed it");
	return -EBUSY;
}

static int advise(virConnectPtr conn, virDomainPtr dom, struct advise_job *j)
{
	unsigned int flags = VIR_DOMAIN_XML_INACTIVE | (j->define ? VIR_DOMAIN_XML_SECURE : 0);
	char *xml = virDomainGetXMLDesc(dom, flags);
	int r;

	if (!xml)
		return call_error(j->answer.text);
	advice_done(&j->advice);
	r = advice_make(xml, strlen(xml), j->maximum, &j->advice);
	if (r < 0)
		snprintf(j->answer.text, sizeof(j->answer.text), "its XML cannot be read: %s",
			 strerror(-r));
	if (r == 0 && j->define)
		r = check_unchanged(dom, xml, flags, j->answer.text);
	free(xml);
	return r == 0 && j->define ? define_domain(conn, j) : r;
}

static int look(virConnectPtr conn, virDomainPtr dom, struct advise_job *j)
{
	char *xml = virDomainGetXMLDesc(dom, 0);
	unsigned long version;
	int r;

	if (!xml)
		return call_error(j->answer.text);
	r = sight_parse(xml, strlen(xml), &j->sight);
	free(xml);
	if (r < 0)
		snprintf(j->answer.text, sizeof(j->answer.text), "its XML cannot be read: %s",
			 strerror(-r));
	if (virConnectGetLibVersion(conn, &version) == 0)
		call_format_version(version, j->sight.libvirt, sizeof(j->sight.libvirt));
	return r;
}

static int ask(virConnectPtr conn, struct advise_job *j)
{
	virDomainPtr dom = lv_find_domain(conn, j->word);
	int r;

	if (!dom)
		return call_error(j->answer.text);
	r = lv_read_persistent(dom, &j->answer.domain, j->answer.text);
	if (r == 0)
		r = look(conn, dom, j);
	if (r == 0 && j->answer.domain.persistent)
		r = advise(conn, dom, j);
	virDomainFree(dom);
	return r;
}

static int ask_once(struct advise_job *j)
{
	virConnectPtr conn;
	int r = pool_take(j->pool, &conn, j->answer.text);

	if (r < 0)
		return r == -EPERM ? r : -ENOTCONN;
	r = ask(conn, j);
	pool_give(j->pool, conn);
	return r;
}

static void run_advise(struct job *job)
{
	struct advise_job *j = (struct advise_job *)(void *)job;

	j->answer.rc = job->ending ? -ENOTCONN : ask_once(j);
	if (j->answer.rc == -ECONNRESET && !j->sent)
		j->answer.rc = ask_once(j);
	if (j->answer.rc == 0)
		j->answer.text[0] = '\0';
}

static void finish_advise(struct job *job)
{
	struct advise_job *j = (struct advise_job *)(void *)job;
	bool has_advice = j->answer.rc == 0 && j->answer.domain.persistent;

	advising--;
	j->done(j->arg, &j->answer, has_advice ? &j->advice : NULL,
		j->answer.rc == 0 ? &j->sight : NULL);
	advice_done(&j->advice);
	free(j);
}

int lv_advise(struct libvirt *lv, const char *word, unsigned int maximum, bool define,
	      advise_done_fn done, void *arg)
{
	struct advise_job *j;
	int r;

	if (advising == ADVISING_MAX)
		return -EBUSY;
	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->job = (struct job){ .run = run_advise, .done = finish_advise };
	j->pool = lv->pool;
	snprintf(j->word, sizeof(j->word), "%s", word);
	j->maximum = maximum;
	j->define = define;
	j->done = done;
	j->arg = arg;
	r = work_submit(lv->work, LANE_CHANGE, &j->job);
	if (r < 0)
		free(j);
	else
		advising++;
	return r;
}
