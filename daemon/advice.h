/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_ADVICE_H
#define DAEMON_ADVICE_H

#include "daemon/persist.h"

enum { ADVICE_MAX = 8, ADVICE_TEXT = 160, ADVICE_VCPUS_MAX = 4096 };

/* What the configuration of a libvirt domain lacks, made by the libvirt module. */

/**
 * struct advice - what a domain's configuration lacks
 * @xml: the configuration with all changes made, owned
 * @changes: what was changed, a sentence each
 * @obstacles: what is in the way besides and only its owner can decide, a sentence each
 * @denied: the maximum that was asked for cannot be had, as the last of them says
 */
struct advice {
	char *xml;
	size_t n_changes, n_obstacles;
	bool denied;
	char changes[ADVICE_MAX][ADVICE_TEXT];
	char obstacles[ADVICE_MAX][ADVICE_TEXT];
};

/**
 * advice_make() - what has to be in a domain's XML for vcpuhp to work; PURE
 * @text: of virDomainGetXMLDesc(), the persistent configuration
 * @maximum: vCPUs it is to be able to have, at most ADVICE_VCPUS_MAX; 0 as many as now
 * @ret: filled; advice_done()
 *
 * The channel org.vcpuhp.agent.0, ACPI, the maximum (the topology grows by sockets), and that all
 * vCPUs but the first can be unplugged. What is there already stays as it is.
 *
 * Source: libvirt formatdomain, "CPU Allocation" and "Channel".
 * Return: 0; -EPROTO no domain's XML; -ENOMEM.
 */
int advice_make(const char *text, size_t len, unsigned int maximum, struct advice *ret);
void advice_done(struct advice *a);

/* Called once, on the loop. @domain: as struct persist_answer says; @advice: NULL where that has an
 * @rc or the domain no configuration; its @xml is NULL where the domain was defined anew. Both are
 * borrowed. */
typedef void (*advise_done_fn)(void *arg, const struct persist_answer *domain,
			       const struct advice *advice);

#endif
