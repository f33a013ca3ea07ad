/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The few facts of a domain's live XML that are needed here: every element is a child of a known
 * one, and what is not known is passed over.
 */
#include "daemon/hv-libvirt-xml.h"
#include "daemon/hv-libvirt-tree.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_vcpus(const xmlNode *root, struct xml_domain *d)
{
	const xmlNode *vcpu = tree_find_child(root, NULL, "vcpu"), *one = NULL;
	const xmlNode *vcpus = tree_find_child(root, NULL, "vcpus");
	unsigned int current, id;

	if (tree_number(tree_text_of(vcpu), XML_VCPUS_MAX, &d->maximum) < 0 || d->maximum == 0)
		return -EPROTO;
	if (tree_number(tree_attribute(vcpu, "current"), d->maximum, &current) < 0)
		current = d->maximum;
	d->vcpus = calloc(d->maximum, sizeof(*d->vcpus));
	if (!d->vcpus)
		return -ENOMEM;
	d->listed = vcpus != NULL;
	for (id = 0; !vcpus && id < current; id++)
		d->vcpus[id].enabled = true;
	while (vcpus && (one = tree_find_child(vcpus, one, "vcpu"))) {
		if (tree_number(tree_attribute(one, "id"), d->maximum - 1, &id) < 0)
			return -EPROTO;
		d->vcpus[id] = (struct xml_vcpu){
			.enabled = tree_has(one, "enabled", "yes"),
			.hotpluggable = tree_has(one, "hotpluggable", "yes"),
		};
	}
	return 0;
}

static void unsupported(struct xml_domain *d, const char *why)
{
	d->supported = false;
	snprintf(d->why, sizeof(d->why), "%s", why);
}

static void read_machine(const xmlNode *root, struct xml_domain *d)
{
	const xmlNode *os = tree_find_child(root, NULL, "os");
	const xmlNode *features = tree_find_child(root, NULL, "features");
	const xmlNode *type = tree_find_child(os, NULL, "type"),
		      *loader = tree_find_child(os, NULL, "loader");
	const xmlNode *smm = tree_find_child(features, NULL, "smm");
	const char *arch = tree_attribute(type, "arch"), *machine = tree_attribute(type, "machine");

	d->kvm = tree_has(root, "type", "kvm");
	d->pflash = tree_has(loader, "type", "pflash") || tree_has(os, "firmware", "efi");
	d->smm = tree_has(loader, "secure", "yes") || (smm && !tree_has(smm, "state", "off"));
	snprintf(d->machine, sizeof(d->machine), "%s", machine ? machine : "");
	d->supported = true;
	if (!d->kvm && !tree_has(root, "type", "qemu"))
		unsupported(d, "only QEMU's domains are supported");
	else if (!arch || (strcmp(arch, "x86_64") != 0 && strcmp(arch, "i686") != 0))
		unsupported(d, "only x86 machines are supported");
}

static int set(char **field, const char *text)
{
	*field = strdup(text);
	return *field ? 0 : -ENOMEM;
}

static int read_channel(const xmlNode *root, struct xml_domain *d)
{
	const xmlNode *devices = tree_find_child(root, NULL, "devices"), *channel = NULL;

	while (devices && (channel = tree_find_child(devices, channel, "channel"))) {
		const xmlNode *target = tree_find_child(channel, NULL, "target");
		const char *path = tree_attribute(tree_find_child(channel, NULL, "source"), "path");

		if (tree_has(channel, "type", "unix") && path && *path == '/' &&
		    tree_has(target, "type", "virtio") && tree_has(target, "name", AGENT_CHANNEL))
			return set(&d->agent, path);
	}
	return 0;
}

static int read_domain(const xmlNode *root, struct xml_domain *d)
{
	const char *name;
	int r;

	if (!root || !tree_is_named(root, "domain"))
		return -EPROTO;
	name = tree_text_of(tree_find_child(root, NULL, "name"));
	if (!*name)
		return -EPROTO;
	read_machine(root, d);
	r = set(&d->name, name);
	if (r == 0)
		r = read_channel(root, d);
	return r == 0 ? read_vcpus(root, d) : r;
}

int xml_domain_parse(const char *text, size_t len, struct xml_domain *ret)
{
	struct xml_domain d = { 0 };
	xmlDoc *doc;
	int r;

	doc = tree_parse(text, len);
	if (!doc)
		return -EPROTO;
	r = read_domain(xmlDocGetRootElement(doc), &d);
	xmlFreeDoc(doc);
	if (r < 0) {
		xml_domain_done(&d);
		return r;
	}
	*ret = d;
	return 0;
}

void xml_domain_done(struct xml_domain *d)
{
	free(d->name);
	free(d->agent);
	free(d->vcpus);
	*d = (struct xml_domain){ 0 };
}
