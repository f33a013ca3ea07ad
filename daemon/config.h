/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include "proto/cpulist.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONFIG_NAME_MAX = 64, CONFIG_UUID_MAX = 36, CONFIG_FOLDER_MAX = 255 };

/*
 * Theory of a reload: a configuration never changes; another one takes its place. Who works by one
 * holds it (config_ref()) until his work is done.
 */

enum foreign_mode { FOREIGN_DEFAULT, FOREIGN_ONLINE, FOREIGN_LEAVE };
/* LoadIntervalSec=; @set: it was given, 0 as well. */
struct load_interval {
	bool set;
	unsigned int ms;
};

enum one_by_one { ONE_BY_ONE_AUTO, ONE_BY_ONE_YES, ONE_BY_ONE_NO };

/**
 * struct domain_config - a [Domain NAME] section, or one made by Attach, or of libvirt's
 * @name: [A-Za-z0-9._+-]{1,64}
 * @uuid: libvirt's, of a domain found there; "" else
 * @qmp: QMP=, path of the QMP socket; NULL: the section is about a domain of libvirt's
 * @agent: Agent=, path of the socket of port org.vcpuhp.agent.0; NULL: libvirt will say
 * @max_vcpus: MaxVcpus=, policy ceiling on present vCPUs; 0 none
 * @has_place, @place: Place=none|CPULIST, host CPUs that vCPU threads are pinned to
 * @foreign: Foreign=online|leave
 * @one_by_one: OneByOne=auto|yes|no
 * @load_interval: LoadIntervalSec=, how often the guest's load is wanted; not set: [Daemon]'s
 * @allow: Allow=, users and groups ("user", "@group") that may change it besides operators; a
 *         name alone is a user's. NULL-terminated, NULL for none
 */
struct domain_config {
	char name[CONFIG_NAME_MAX + 1];
	char uuid[CONFIG_UUID_MAX + 1];
	char *qmp;
	char *agent;
	unsigned int max_vcpus;
	bool has_place;
	struct cpulist place;
	enum foreign_mode foreign;
	enum one_by_one one_by_one;
	struct load_interval load_interval;
	char **allow;
};

/**
 * struct deadlines - milliseconds; [Daemon] keys of the same meaning, see config.c's table
 *
 * All but @agent_wait_ms are multiplied by 6 on a domain that is not KVM-accelerated.
 */
struct deadlines {
	unsigned int qmp_reply_ms;     /* QmpReplySec=5 */
	unsigned int guest_present_ms; /* GuestPresentSec=10 */
	unsigned int eject_soft_ms;    /* EjectSec=5 */
	unsigned int eject_hard_ms;    /* EjectMaxSec=30 */
	unsigned int agent_ping_ms;    /* AgentPingSec=1 */
	unsigned int agent_wait_ms;    /* AgentWaitSec=10 */
	unsigned int operation_ms;     /* OperationSec=120 */
};

/**
 * struct config - everything read from FILE and FILE.d; read-only afterwards
 * @allow_fault_injection: AllowFaultInjection=
 * @operators: Operators=, groups that may change domains ("group" or "@group"); NULL-terminated,
 *             NULL for none
 * @metrics_listen: MetricsListen=, where metrics are served over HTTP; NULL nowhere
 * @load_interval: LoadIntervalSec=, 0 never
 * @libvirt: there is a [Libvirt] section; @libvirt_uri its URI=
 * @hook_dir: HookDirectory=, NULL none; @hook_timeout_ms: HookTimeout=
 * @domains: NULL-terminated array, each owned
 * @runtime_dir: where what is to be done is kept; main()'s, borrowed; NULL nowhere
 * @refs: who hold it besides its first owner
 */
struct config {
	bool allow_fault_injection;
	char **operators;
	char *metrics_listen;
	bool libvirt;
	char *libvirt_uri;
	struct deadlines deadlines;
	struct load_interval load_interval;
	char *hook_dir;
	unsigned int hook_timeout_ms;
	struct domain_config **domains;
	size_t n_domains;
	const char *runtime_dir;
	unsigned int refs;
};

/**
 * config_load() - read FILE and FILE.d/NAME.conf in the order of their names
 * @path: the file; NULL for /etc/vcpuhp/vcpuhpd.conf, which may be missing
 * @ret: returned to the caller, config_free()
 * @ret_error: on error a malloc'ed sentence "FILE:LINE: ...", for the caller to free; NULL: there
 *             was no memory for it
 *
 * Return: 0 or -errno.
 */
int config_load(const char *path, struct config **ret, char **ret_error);
struct config *config_free(struct config *c); /* the last one does; returns NULL */
static inline struct config *config_ref(struct config *c)
{
	c->refs++;
	return c;
}

struct domain_config *domain_config_free(struct domain_config *d);
/* A copy of its own. NULL when out of memory. */
struct domain_config *domain_config_copy(const struct domain_config *d);
/* Have two domains a socket in common? Each takes one client, so they would fight for it. */
bool domain_config_share_socket(const struct domain_config *a, const struct domain_config *b);
bool config_is_name(const char *s); /* [A-Za-z0-9._+-]{1,64} */

#endif
