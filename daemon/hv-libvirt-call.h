/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HV_LIBVIRT_CALL_H
#define DAEMON_HV_LIBVIRT_CALL_H

#include "daemon/hv-libvirt-xml.h"
#include "daemon/hv.h"
#include <libvirt/libvirt.h>

/*
 * libvirt's calls, each blocking, for a thread of hv-libvirt-work.c; libvirt's errors are
 * translated here and nowhere else, their texts kept.
 *
 * Return, where nothing else is said: 0; -ECONNRESET the connection is lost; -ENOENT there is no
 * such running domain; -EEXIST it is as asked for already; -EPERM libvirt does not permit it;
 * -EBUSY another call holds the domain; -ETIMEDOUT the guest has not answered in libvirt's time;
 * -EOPNOTSUPP; -EIO all else. On an error @text has libvirt's sentence.
 */

enum { CALL_TEXT_MAX = 256, CALL_UUID_SIZE = VIR_UUID_STRING_BUFLEN };

/**
 * struct snapshot - a running domain at one moment
 * @seq: when the reading began, among all readings of the process: a later one is no older
 * @status: without a migration that goes out, which libvirt calls running
 * @jobs_known: they were asked for, and @migrating: a job of libvirt's moves or saves the domain
 * @whole: all of @xml was read; else only @maximum, and of @vcpus which are enabled
 */
struct snapshot {
	uint64_t seq;
	char uuid[CALL_UUID_SIZE];
	int id;
	enum hv_status status;
	bool jobs_known, migrating, whole;
	struct xml_domain xml;
};

/* The UUIDs of running domains; @list: free(). */
struct running {
	char (*list)[CALL_UUID_SIZE];
	size_t n;
};

struct snapshot *snapshot_free(struct snapshot *s);

/*
 * A whole one, and its jobs where it has the channel. That waits for whoever holds the domain, and
 * fails with -EBUSY where it is not let go for long (30 s in libvirt: a QEMU that hangs). So it is
 * done once, where a domain is found, on a thread that nobody waits for; events tell of later jobs.
 */
int call_snapshot(virConnectPtr conn, const char *uuid, struct snapshot **ret,
		  char text[static CALL_TEXT_MAX]);
/*
 * What can change while a domain of @maximum vCPUs runs, without waiting for whoever holds it. It
 * is whole, and may have waited, where libvirt has no list of vCPUs.
 */
int call_vcpus(virConnectPtr conn, const char *uuid, unsigned int maximum, struct snapshot **ret,
	       char text[static CALL_TEXT_MAX]);
/* All running domains. None is read, so none can keep the others waiting. */
int call_list(virConnectPtr conn, struct running *ret, char text[static CALL_TEXT_MAX]);

/**
 * call_set_vcpu() - plug or unplug
 *
 * Blocks while the guest is asked: an unplug up to 5 s, also where the guest has refused at once.
 */
int call_set_vcpu(virConnectPtr conn, const char *uuid, unsigned int vcpu, bool on,
		  char text[static CALL_TEXT_MAX]);

/**
 * call_pin() - pin a vCPU's thread
 * @cpus: host CPUs
 * @before: NULL, or filled with what it was allowed before
 */
int call_pin(virConnectPtr conn, const char *uuid, unsigned int vcpu, const struct cpulist *cpus,
	     struct cpulist *before, char text[static CALL_TEXT_MAX]);

/* "9.0.0" of libvirt's 9000000. */
void call_format_version(unsigned long version, char *buf, size_t size);

/* libvirt's last error on this thread. */
int call_error(char text[static CALL_TEXT_MAX]);

#endif
