/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * What is asked of libvirt, one blocking function each. None keeps anything: a domain is looked up
 * by its UUID each time, so no handle can outlive what it stands for.
 *
 * Only the public API changes a domain. libvirt's monitor command call would show the OST log and
 * QEMU's own table of slots, but it taints the domain, and it is not used.
 *
 * A timeout has two meanings in libvirt under one code: the guest was asked and has not let go in
 * 5 s, or libvirt could not even begin because another call holds the domain. Only the first
 * leaves something pending in the guest; they are told apart by the text, and where that is not
 * known the first is assumed, which is never wrong about the guest for long: the table decides.
 *
 * A domain's XML is behind that hold as well in newer libvirt (11.3; not yet in 9.0), so while an
 * unplug waits for the guest it would be told after 5 s only. The list of vCPUs is not.
 */
#include "daemon/hv-libvirt-call.h"
#include <errno.h>
#include <libvirt/virterror.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	int code;
	int rc;
} errors[] = {
	{ VIR_ERR_NO_DOMAIN, -ENOENT },
	{ VIR_ERR_NO_CONNECT, -ECONNRESET },
	{ VIR_ERR_INVALID_CONN, -ECONNRESET },
	{ VIR_ERR_RPC, -ECONNRESET },
	{ VIR_ERR_OPERATION_TIMEOUT, -ETIMEDOUT },
	{ VIR_ERR_OPERATION_UNSUPPORTED, -EOPNOTSUPP },
	{ VIR_ERR_NO_SUPPORT, -EOPNOTSUPP },
	{ VIR_ERR_CONFIG_UNSUPPORTED, -EOPNOTSUPP },
	{ VIR_ERR_ACCESS_DENIED, -EPERM },
	{ VIR_ERR_OPERATION_DENIED, -EPERM },
	{ VIR_ERR_AUTH_FAILED, -EPERM },
	{ VIR_ERR_NO_MEMORY, -ENOMEM },
};

/* One line, printable. */
static void clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

static bool is_lock_timeout(const char *text)
{
	return strstr(text, "state change lock") || strstr(text, "acquire state");
}

void call_format_version(unsigned long version, char *buf, size_t size)
{
	snprintf(buf, size, "%lu.%lu.%lu", version / 1000000, version / 1000 % 1000,
		 version % 1000);
}

int call_error(char text[static CALL_TEXT_MAX])
{
	const virError *e = virGetLastError();
	int rc = -EIO;

	snprintf(text, CALL_TEXT_MAX, "%s", e && e->message ? e->message : "unknown error");
	clean(text);
	for (size_t i = 0; e && i < sizeof(errors) / sizeof(*errors); i++)
		if (errors[i].code == e->code)
			rc = errors[i].rc;
	/* Where the connection broke under a call, the RPC layer says so by other codes as well. */
	if (e && (e->domain == VIR_FROM_RPC || e->domain == VIR_FROM_STREAMS))
		rc = -ECONNRESET;
	if (rc == -ETIMEDOUT && is_lock_timeout(text))
		rc = -EBUSY;
	return rc;
}

struct snapshot *snapshot_free(struct snapshot *s)
{
	if (!s)
		return NULL;
	xml_domain_done(&s->xml);
	free(s);
	return NULL;
}

static enum hv_status status_of(int state, int reason)
{
	switch (state) {
	case VIR_DOMAIN_RUNNING:
	case VIR_DOMAIN_BLOCKED:
		return HV_RUNNING;
	case VIR_DOMAIN_PAUSED:
		return reason == VIR_DOMAIN_PAUSED_MIGRATION || reason == VIR_DOMAIN_PAUSED_SAVE ||
				       reason == VIR_DOMAIN_PAUSED_POSTCOPY ||
				       reason == VIR_DOMAIN_PAUSED_POSTCOPY_FAILED
			       ? HV_MIGRATING
			       : HV_PAUSED;
	case VIR_DOMAIN_SHUTDOWN:
	case VIR_DOMAIN_SHUTOFF:
	case VIR_DOMAIN_CRASHED:
		return HV_SHUT_DOWN;
	}
	return HV_PAUSED;
}

static uint64_t next_seq(void)
{
	static atomic_uint_fast64_t last;

	return atomic_fetch_add(&last, 1) + 1;
}

static int read_xml(virDomainPtr dom, struct snapshot *s, char text[static CALL_TEXT_MAX])
{
	char *xml = virDomainGetXMLDesc(dom, 0);
	int r;

	if (!xml)
		return call_error(text);
	r = xml_domain_parse(xml, strlen(xml), &s->xml);
	s->whole = r == 0;
	free(xml);
	if (r < 0)
		snprintf(text, CALL_TEXT_MAX, "its XML cannot be read: %s", strerror(-r));
	/* Of one that has ended meanwhile libvirt gives the persistent configuration. */
	if (r == 0 && virDomainIsActive(dom) == 0) {
		snprintf(text, CALL_TEXT_MAX, "the domain is not running");
		r = -ENOENT;
	}
	return r;
}

/* No maps of CPUs are asked for: those of a thread that has just ended would be an error. */
static int read_vcpus(virDomainPtr dom, unsigned int maximum, struct snapshot *s,
		      char text[static CALL_TEXT_MAX])
{
	virVcpuInfo *list = calloc(maximum, sizeof(*list));
	int n;

	s->xml.vcpus = calloc(maximum, sizeof(*s->xml.vcpus));
	if (!list || !s->xml.vcpus) {
		free(list);
		return -ENOMEM;
	}
	s->xml.maximum = maximum;
	n = virDomainGetVcpus(dom, list, (int)maximum, NULL, 0);
	for (int i = 0; i < n; i++)
		if (list[i].number < maximum)
			s->xml.vcpus[list[i].number].enabled = true;
	free(list);
	return n < 0 ? call_error(text) : 0;
}

/* Not every driver has the list, nor QEMU's where all vCPUs are one thread. */
static int read_vcpus_or_xml(virDomainPtr dom, unsigned int maximum, struct snapshot *s,
			     char text[static CALL_TEXT_MAX])
{
	int r = read_vcpus(dom, maximum, s, text);

	if (r == 0 || r == -ECONNRESET)
		return r;
	xml_domain_done(&s->xml);
	return read_xml(dom, s, text);
}

/* @maximum: 0 the whole XML. */
static int read_snapshot(virDomainPtr dom, unsigned int maximum, struct snapshot *s,
			 char text[static CALL_TEXT_MAX])
{
	unsigned int id;
	int state, reason;

	s->seq = next_seq();
	if (virDomainGetUUIDString(dom, s->uuid) < 0)
		return call_error(text);
	id = virDomainGetID(dom);
	if (id == (unsigned int)-1) {
		snprintf(text, CALL_TEXT_MAX, "the domain is not running");
		return -ENOENT;
	}
	s->id = (int)id;
	if (virDomainGetState(dom, &state, &reason, 0) < 0)
		return call_error(text);
	s->status = status_of(state, reason);
	return maximum ? read_vcpus_or_xml(dom, maximum, s, text) : read_xml(dom, s, text);
}

/* Source: libvirt-domain.h, virDomainJobOperation. The others leave the vCPUs alone. */
static bool is_moving(int operation)
{
	return operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN ||
	       operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT ||
	       operation == VIR_DOMAIN_JOB_OPERATION_SAVE ||
	       operation == VIR_DOMAIN_JOB_OPERATION_RESTORE ||
	       operation == VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_REVERT;
}

/* Where a driver knows of no jobs, nothing is known of them; that is no failure. */
static int read_jobs(virDomainPtr dom, struct snapshot *s, char text[static CALL_TEXT_MAX])
{
	virTypedParameterPtr params = NULL;
	int n = 0, type = VIR_DOMAIN_JOB_NONE, operation = 0, r;

	if (virDomainGetJobStats(dom, &type, &params, &n, 0) < 0) {
		r = call_error(text);
		return r == -EBUSY || r == -ECONNRESET ? r : 0;
	}
	s->jobs_known = true;
	if (type != VIR_DOMAIN_JOB_NONE &&
	    virTypedParamsGetInt(params, n, VIR_DOMAIN_JOB_OPERATION, &operation) == 1)
		s->migrating = is_moving(operation);
	virTypedParamsFree(params, n);
	return 0;
}

/*
 * To ask for jobs waits for whoever holds the domain. That may be a libvirtd that was just started
 * and has not asked QEMU yet which vCPUs there are, and another run of it may have begun meanwhile:
 * so it is looked up and read again.
 */
static int wait_and_read(virDomainPtr dom, struct snapshot *s, char text[static CALL_TEXT_MAX])
{
	int r = read_jobs(dom, s, text);
	virDomainPtr again;

	if (r < 0)
		return r;
	again = virDomainLookupByUUIDString(virDomainGetConnect(dom), s->uuid);
	if (!again)
		return call_error(text);
	xml_domain_done(&s->xml);
	r = read_snapshot(again, 0, s, text);
	virDomainFree(again);
	return r;
}

static int new_snapshot(virDomainPtr dom, unsigned int maximum, struct snapshot **ret,
			char text[static CALL_TEXT_MAX])
{
	struct snapshot *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	r = read_snapshot(dom, maximum, s, text);
	if (r == 0 && maximum == 0 && s->xml.agent)
		r = wait_and_read(dom, s, text);
	if (r < 0) {
		snapshot_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

static int look_up_and_read(virConnectPtr conn, const char *uuid, unsigned int maximum,
			    struct snapshot **ret, char text[static CALL_TEXT_MAX])
{
	virDomainPtr dom = virDomainLookupByUUIDString(conn, uuid);
	int r;

	if (!dom)
		return call_error(text);
	r = new_snapshot(dom, maximum, ret, text);
	virDomainFree(dom);
	return r;
}

int call_snapshot(virConnectPtr conn, const char *uuid, struct snapshot **ret,
		  char text[static CALL_TEXT_MAX])
{
	return look_up_and_read(conn, uuid, 0, ret, text);
}

int call_vcpus(virConnectPtr conn, const char *uuid, unsigned int maximum, struct snapshot **ret,
	       char text[static CALL_TEXT_MAX])
{
	return look_up_and_read(conn, uuid, maximum, ret, text);
}

int call_list(virConnectPtr conn, struct running *ret, char text[static CALL_TEXT_MAX])
{
	virDomainPtr *doms = NULL;
	int n = virConnectListAllDomains(conn, &doms, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
	struct running s = { 0 };

	if (n < 0)
		return call_error(text);
	s.list = calloc((size_t)n + 1, sizeof(*s.list));
	for (int i = 0; i < n; i++) {
		if (s.list && virDomainGetUUIDString(doms[i], s.list[s.n]) == 0)
			s.n++;
		virDomainFree(doms[i]);
	}
	free(doms);
	if (!s.list)
		return -ENOMEM;
	*ret = s;
	return 0;
}

int call_set_vcpu(virConnectPtr conn, const char *uuid, unsigned int vcpu, bool on,
		  char text[static CALL_TEXT_MAX])
{
	virDomainPtr dom = virDomainLookupByUUIDString(conn, uuid);
	char map[16];
	int r = 0;

	if (!dom)
		return call_error(text);
	snprintf(map, sizeof(map), "%u", vcpu);
	if (virDomainSetVcpu(dom, map, on, VIR_DOMAIN_AFFECT_LIVE) < 0)
		r = call_error(text);
	virDomainFree(dom);
	return r;
}

static int get_pin(virDomainPtr dom, unsigned int vcpu, struct cpulist *ret)
{
	size_t size = (vcpu + 1) * sizeof(*ret);
	unsigned char *maps = calloc(1, size);
	int n;

	if (!maps)
		return -ENOMEM;
	n = virDomainGetVcpuPinInfo(dom, (int)vcpu + 1, maps, sizeof(*ret), VIR_DOMAIN_AFFECT_LIVE);
	if (n > (int)vcpu)
		memcpy(ret, maps + vcpu * sizeof(*ret), sizeof(*ret));
	free(maps);
	return n > (int)vcpu ? 0 : -EIO;
}

_Static_assert(sizeof(struct cpulist) * 8 == CPULIST_MAX, "libvirt's map is its bits");

int call_pin(virConnectPtr conn, const char *uuid, unsigned int vcpu, const struct cpulist *cpus,
	     struct cpulist *before, char text[static CALL_TEXT_MAX])
{
	virDomainPtr dom = virDomainLookupByUUIDString(conn, uuid);
	unsigned char map[sizeof(*cpus)];
	int r = 0;

	if (!dom)
		return call_error(text);
	memcpy(map, cpus, sizeof(map));
	if (before && get_pin(dom, vcpu, before) < 0)
		r = call_error(text);
	if (r == 0 &&
	    virDomainPinVcpuFlags(dom, vcpu, map, sizeof(map), VIR_DOMAIN_AFFECT_LIVE) < 0)
		r = call_error(text);
	virDomainFree(dom);
	return r;
}
