/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_ADVICE_H
#define DAEMON_ADVICE_H

#include "daemon/persist.h"

enum { ADVICE_MAX = 8, ADVICE_TEXT = 160, ADVICE_VCPUS_MAX = 4096 };

/* What the configuration of a libvirt domain lacks, and what else is to be seen in its XML; made by
 * the libvirt module. */

enum advice_topic {
	ADVICE_MACHINE,
	ADVICE_CHANNEL,
	ADVICE_ACPI,
	ADVICE_MAXIMUM,
	ADVICE_BOOT_VCPUS
};

struct advice_line {
	enum advice_topic topic;
	char text[ADVICE_TEXT];
};

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
	struct advice_line changes[ADVICE_MAX], obstacles[ADVICE_MAX];
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

enum { SIGHT_TEXT = 128, SIGHT_OWNERS_MAX = 16 };

/**
 * struct sight - of the running domain, or of its configuration where it does not run
 * @maximum, @present: vCPUs
 * @smm: as struct xml_domain has it; @acpi: it is there
 * @unsupported: what is not supported in its machine, "" nothing; as @label
 * @label_model, @label: of the first <seclabel> that is SELinux's or AppArmor's, "" none
 * @owners: XML namespaces of what others keep in <metadata>; like @label printable ASCII, '?' for
 *          the rest
 * @libvirt: version of libvirtd, "" unknown; not from the XML
 */
struct sight {
	unsigned int maximum, present;
	bool smm, acpi;
	char unsupported[SIGHT_TEXT];
	char label_model[16], label[SIGHT_TEXT];
	size_t n_owners;
	char owners[SIGHT_OWNERS_MAX][SIGHT_TEXT];
	char libvirt[32];
};

/**
 * sight_parse() - read virDomainGetXMLDesc()'s text; PURE
 *
 * Source: libvirt formatdomain, "General metadata" and "Security label".
 * Return: 0; -EPROTO not such a text; -ENOMEM.
 */
int sight_parse(const char *text, size_t len, struct sight *ret);

/* Called once, on the loop. @domain: as struct persist_answer says; @advice: NULL where that has an
 * @rc or the domain no configuration; its @xml is NULL where the domain was defined anew; @sight:
 * NULL where there is an @rc. All are borrowed. */
typedef void (*advise_done_fn)(void *arg, const struct persist_answer *domain,
			       const struct advice *advice, const struct sight *sight);

#endif
