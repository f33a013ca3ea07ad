/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_PERSIST_H
#define DAEMON_PERSIST_H

#include "daemon/outcome.h"
#include "proto/cpulist.h"
#include <stdbool.h>

/*
 * The persistent configuration of a libvirt domain: what its next start begins with. It exists
 * beside the running domain, or without one, and is changed only where a client asks for that.
 * libvirt holds it; here is what the daemon knows of it for the length of a request, and what a
 * request is refused for before libvirt is asked to change anything.
 */

enum { PERSIST_NAME_SIZE = 256, PERSIST_UUID_SIZE = 37, PERSIST_TEXT_MAX = 256 };

enum persist_kind {
	PERSIST_NOTHING, /* only look */
	PERSIST_COUNT,
	PERSIST_ENABLE,
	PERSIST_DISABLE
};

/**
 * struct persist_change - what the configuration is to have
 * @count: of PERSIST_COUNT; which vCPUs those are is libvirt's choice
 * @list: of the other two
 */
struct persist_change {
	enum persist_kind kind;
	unsigned int count;
	struct cpulist list;
};

/**
 * struct persist_domain - a domain, running or not, and its configuration
 * @name: as libvirt says, any bytes
 * @running: @channel: with the channel org.vcpuhp.agent.0
 * @persistent: it has a configuration; else what follows is 0
 * @enabled: @present of @maximum vCPUs
 */
struct persist_domain {
	char name[PERSIST_NAME_SIZE];
	char uuid[PERSIST_UUID_SIZE];
	bool running, channel;
	bool persistent;
	unsigned int maximum, present;
	struct cpulist enabled;
};

/**
 * struct persist_answer - what came of asking libvirt
 * @rc: 0; -ENOENT there is no such domain; -ENOTCONN libvirtd cannot be reached, nothing was
 *      changed; -ECONNRESET it was lost under the call, and nobody knows; -ESTALE it was changed,
 *      but cannot be read again; -EBUSY another call holds the domain; -EPERM libvirt does not permit it; -ENOMEM; else libvirt refuses
 * @text: libvirt's sentence, "" none
 * @domain: as it is now, where @rc is 0
 */
struct persist_answer {
	int rc;
	char text[PERSIST_TEXT_MAX];
	struct persist_domain domain;
};

/* Called once, on the loop; @a is borrowed. */
typedef void (*persist_done_fn)(void *arg, const struct persist_answer *a);

/**
 * struct persist_denial - why a request cannot be
 * @by: of ERR_REFUSED: as in struct plan; else NULL
 */
struct persist_denial {
	enum request_error error;
	const char *by;
	char text[2 * PERSIST_TEXT_MAX];
};

/* The three below are PURE. */

/* How many vCPUs the configuration has once it is changed. */
unsigned int persist_after(const struct persist_domain *d, const struct persist_change *c);

/**
 * persist_is_denied() - is the change refused, whatever libvirt would say?
 * @ceiling: MaxVcpus=, 0 none
 */
bool persist_is_denied(const struct persist_domain *d, const struct persist_change *c,
		       unsigned int ceiling, struct persist_denial *ret);

/**
 * persist_explain() - an answer whose @rc is not 0
 * @word: as the domain was named
 * @changing: it was to be changed, not only looked at
 */
void persist_explain(const struct persist_answer *a, const char *word, bool changing,
		     struct persist_denial *ret);

/*
 * What became of the configuration in an operation that changes it besides the running domain.
 */
enum persist_result {
	PERSIST_SKIPPED, /* left as it is: the operation has not come so far, or never does */
	PERSIST_DONE,
	PERSIST_FAILED,
	PERSIST_UNKNOWN, /* libvirt has not answered */
	PERSIST_RESULTS
};

const char *persist_result_name(enum persist_result r); /* "done" */

/**
 * struct persist_outcome - that, for users
 * @present, @maximum: of the configuration, as last read; -1 unknown
 * @error: a sentence, "" none
 */
struct persist_outcome {
	enum persist_result result;
	int present, maximum;
	char error[2 * PERSIST_TEXT_MAX];
};

#define PERSIST_OUTCOME_NONE ((struct persist_outcome){ .present = -1, .maximum = -1 })

#endif
