/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The few facts of a domain's live XML that are needed here, found by walking the tree by hand:
 * every element is a child of a known one, and what is not known is passed over. libvirt writes
 * the text, so it is trusted to be well meant, not to be small: libxml2's own limits hold, and the
 * number of vCPUs is bounded here.
 *
 * No network, no external entity, no error on standard error.
 */
#include "daemon/hv-libvirt-xml.h"
#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGENT_CHANNEL "org.vcpuhp.agent.0"

static bool is_named(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

/* The next child called @name behind @after, or the first. */
static xmlNode *find_child(const xmlNode *parent, const xmlNode *after, const char *name)
{
	xmlNode *node = after ? after->next : parent ? parent->children : NULL;

	while (node && !is_named(node, name))
		node = node->next;
	return node;
}

/* An attribute's value, or NULL; borrowed from the tree. */
static const char *attribute(const xmlNode *node, const char *name)
{
	const xmlAttr *a = node ? node->properties : NULL;

	while (a && strcmp((const char *)a->name, name) != 0)
		a = a->next;
	return a && a->children && a->children->content ? (const char *)a->children->content : NULL;
}

static bool is_attribute(const xmlNode *node, const char *name, const char *value)
{
	const char *got = attribute(node, name);

	return got && strcmp(got, value) == 0;
}

static const char *text_of(const xmlNode *node)
{
	const xmlNode *text = node ? node->children : NULL;

	return text && text->type == XML_TEXT_NODE && text->content ? (const char *)text->content
								    : "";
}

static int parse_number(const char *text, unsigned int max, unsigned int *ret)
{
	size_t len = text ? strspn(text, "0123456789") : 0;
	unsigned long v;

	if (len == 0 || len > 9 || text[len])
		return -EPROTO;
	v = strtoul(text, NULL, 10);
	if (v > max)
		return -EPROTO;
	*ret = (unsigned int)v;
	return 0;
}

static int read_vcpus(const xmlNode *root, struct xml_domain *d)
{
	const xmlNode *vcpu = find_child(root, NULL, "vcpu"), *one = NULL;
	const xmlNode *vcpus = find_child(root, NULL, "vcpus");
	unsigned int current, id;

	if (parse_number(text_of(vcpu), XML_VCPUS_MAX, &d->maximum) < 0 || d->maximum == 0)
		return -EPROTO;
	if (parse_number(attribute(vcpu, "current"), d->maximum, &current) < 0)
		current = d->maximum;
	d->vcpus = calloc(d->maximum, sizeof(*d->vcpus));
	if (!d->vcpus)
		return -ENOMEM;
	d->listed = vcpus != NULL;
	for (id = 0; !vcpus && id < current; id++)
		d->vcpus[id].enabled = true;
	while (vcpus && (one = find_child(vcpus, one, "vcpu"))) {
		if (parse_number(attribute(one, "id"), d->maximum - 1, &id) < 0)
			return -EPROTO;
		d->vcpus[id] = (struct xml_vcpu){
			.enabled = is_attribute(one, "enabled", "yes"),
			.hotpluggable = is_attribute(one, "hotpluggable", "yes"),
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
	const xmlNode *os = find_child(root, NULL, "os");
	const xmlNode *features = find_child(root, NULL, "features");
	const xmlNode *type = find_child(os, NULL, "type"),
		      *loader = find_child(os, NULL, "loader");
	const xmlNode *smm = find_child(features, NULL, "smm");
	const char *arch = attribute(type, "arch"), *machine = attribute(type, "machine");

	d->kvm = is_attribute(root, "type", "kvm");
	d->pflash = is_attribute(loader, "type", "pflash") || is_attribute(os, "firmware", "efi");
	d->smm = is_attribute(loader, "secure", "yes") ||
		 (smm && !is_attribute(smm, "state", "off"));
	snprintf(d->machine, sizeof(d->machine), "%s", machine ? machine : "");
	d->supported = true;
	if (!d->kvm && !is_attribute(root, "type", "qemu"))
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
	const xmlNode *devices = find_child(root, NULL, "devices"), *channel = NULL;

	while (devices && (channel = find_child(devices, channel, "channel"))) {
		const xmlNode *target = find_child(channel, NULL, "target");
		const char *path = attribute(find_child(channel, NULL, "source"), "path");

		if (is_attribute(channel, "type", "unix") && path && *path == '/' &&
		    is_attribute(target, "type", "virtio") &&
		    is_attribute(target, "name", AGENT_CHANNEL))
			return set(&d->agent, path);
	}
	return 0;
}

static int read_domain(const xmlNode *root, struct xml_domain *d)
{
	const char *name;
	int r;

	if (!root || !is_named(root, "domain"))
		return -EPROTO;
	name = text_of(find_child(root, NULL, "name"));
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

	if (len > INT32_MAX)
		return -EPROTO;
	doc = xmlReadMemory(text, (int)len, "domain.xml", NULL,
			    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
				    XML_PARSE_NOBLANKS);
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
