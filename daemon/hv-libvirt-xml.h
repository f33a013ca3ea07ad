/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HV_LIBVIRT_XML_H
#define DAEMON_HV_LIBVIRT_XML_H

#include <stdbool.h>
#include <stddef.h>

enum { XML_VCPUS_MAX = 4096 };

/* A <vcpu> of <vcpus>. */
struct xml_vcpu {
	bool enabled, hotpluggable;
};

/**
 * struct xml_domain - what is read of a running domain's XML
 * @agent: path of the channel's unix socket, NULL: it has no such channel
 * @supported: else @why says what is not
 * @pflash: firmware in pflash; @smm: SMM is on, or the loader is secure
 * @listed: there is a <vcpus>
 * @vcpus: @maximum of them, by vCPU id
 */
struct xml_domain {
	char *name;
	char *agent;
	bool supported;
	char why[128];
	bool kvm, pflash, smm;
	char machine[64];
	unsigned int maximum;
	bool listed;
	struct xml_vcpu *vcpus;
};

/**
 * xml_domain_parse() - read virDomainGetXMLDesc()'s text
 * @ret: filled; xml_domain_done()
 *
 * Source: libvirt formatdomain. Without <vcpus>, as it is until a call has moved a vCPU, the first
 * current= vCPUs are enabled and it is not known which of them can be unplugged.
 * Return: 0; -EPROTO not such a text; -ENOMEM.
 */
int xml_domain_parse(const char *text, size_t len, struct xml_domain *ret);
void xml_domain_done(struct xml_domain *d);

#endif
