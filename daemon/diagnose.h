/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_DIAGNOSE_H
#define DAEMON_DIAGNOSE_H

#include "daemon/advice.h"
#include "daemon/finding.h"
#include "daemon/hv.h"
#include "daemon/kvm.h"
#include "daemon/path-look.h"
#include "proto/msg.h"

/*
 * What is missing between here and a working setvcpus, in plain words. Facts go in, findings come
 * out; who collects the facts (api-diagnose.c) decides nothing. All texts are borrowed.
 */

/**
 * struct diagnose_host - what is the same for every domain
 * @uid: who asks; @may_change: by Operators= and the domain's Allow=; @operators: there is an
 *       Operators=; @restricted: the domain has an Allow=
 * @daemon_uid: of vcpuhpd; @daemon_gid likewise
 * @libvirt: it is configured; @libvirt_up, @libvirt_why: as in struct manager
 */
struct diagnose_host {
	const char *version;
	uint64_t uptime_ms;
	unsigned int domains;
	uid_t uid;
	bool may_change, operators, restricted;
	uid_t daemon_uid;
	gid_t daemon_gid;
	bool libvirt, libvirt_up;
	const char *libvirt_why;
	struct kvm_limits kvm;
	struct mac_look mac;
};

/**
 * struct diagnose_socket - one that vcpuhpd has to open
 * @path: NULL unknown
 * @connected: it has
 * @look: why not, as far as a look tells
 */
struct diagnose_socket {
	const char *path;
	bool connected;
	struct path_look look;
};

/**
 * struct diagnose_agent - what is known of the agent, which is not asked
 * @up: it is connected and has told its CPUs; else @why
 * @hello: of the last agent heard of this VM, NULL none
 * @heard_ms: how long ago it said anything; -1 unknown
 * @silent: it did not answer when it was asked last
 */
struct diagnose_agent {
	bool up;
	const char *why;
	const struct msg_hello *hello;
	int64_t heard_ms;
	bool silent;
};

/**
 * struct diagnose_vcpus - of the running domain
 * @maximum: 0: nothing is known of them
 * @standby: -1 unknown
 * @fixed: present, not the first, and cannot be unplugged; @removable: can
 * @ceiling: MaxVcpus=, 0 none
 * @drifting: how many are not as asked; @drift: the sentence of the first, of vCPU @drift_vcpu
 */
struct diagnose_vcpus {
	unsigned int maximum, present, fixed, removable, ceiling, drifting, drift_vcpu;
	int standby;
	const char *drift;
};

/**
 * struct diagnose_domain - one domain
 * @managed: vcpuhpd has it, so what is not of libvirt's part is there
 * @hypervisor: "qemu" or "libvirt"
 * @attached: else @why_detached
 * @unsupported: what is not supported in its machine, NULL nothing
 * @qmp, @agent_socket: @qmp is not there on libvirt
 * @one_by_one: vCPUs are plugged one at a time
 * @persist: what libvirt says, NULL it was not or could not be asked, then @libvirt_said is its
 *           sentence, NULL it was not asked; @advice NULL: it has no configuration
 */
struct diagnose_domain {
	const char *name;
	bool managed;
	const char *hypervisor;
	bool attached;
	const char *why_detached;
	enum hv_status status;
	const char *unsupported;
	struct hv_facts facts;
	bool one_by_one;
	struct diagnose_socket qmp, agent_socket;
	struct diagnose_agent agent;
	struct diagnose_vcpus vcpus;
	const struct persist_domain *persist;
	const char *libvirt_said;
	const struct advice *advice;
	const struct sight *sight;
};

/* Both are PURE. @f: added to. */
void diagnose_host(const struct diagnose_host *h, struct findings *f);
void diagnose_domain(const struct diagnose_host *h, const struct diagnose_domain *d,
		     struct findings *f);

/* The parts of it in other files; PURE. */

/* May he change vCPUs at all, or those of @domain. */
void diagnose_permission(const struct diagnose_host *h, const char *domain, struct findings *f);
/* The versions of all that is known; @d may be NULL. */
void diagnose_versions(const struct diagnose_host *h, const struct diagnose_domain *d,
		       struct findings *f);
/*
 * A socket that cannot be opened, as an error of @check: "@what: @why", with where that is.
 * @missing: what to do where it is not there.
 */
void diagnose_socket(const struct diagnose_host *h, const struct diagnose_socket *s,
		     const char *check, const char *what, const char *why, const char *missing,
		     struct findings *f);
/* What moves vCPUs or counts them besides vcpuhpd. */
void diagnose_others(const struct diagnose_domain *d, struct findings *f);
/* Room, boot vCPUs and limits. */
void diagnose_vcpus(const struct diagnose_host *h, const struct diagnose_domain *d,
		    struct findings *f);

#endif
