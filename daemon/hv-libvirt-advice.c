/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
/*
 * Theory of operation
 *
 * One function for each thing a domain needs looks for it in the tree and puts it there where it is
 * missing, with a sentence for each change. What cannot be put right without knowing more than the
 * XML tells (a topology that the maximum does not fit, NUMA cells with their lists of CPUs, a channel
 * of another kind) is an obstacle and left alone: half of such a change would be a domain that does
 * not start.
 *
 * Memory that libxml2 does not get shows as a node that is not there; each is looked at once, and
 * the whole advice fails.
 */
#include "daemon/advice.h"
#include "daemon/hv-libvirt-tree.h"
#include "daemon/hv-libvirt-xml.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct advising {
	struct advice *advice;
	xmlNode *root;
	unsigned int maximum, current, highest;
	bool no_memory;
};

__attribute__((format(printf, 4, 0))) static void put(struct advice_line *to, size_t *n,
						      enum advice_topic topic, const char *format,
						      va_list args)
{
	if (*n == ADVICE_MAX)
		return;
	to[*n].topic = topic;
	vsnprintf(to[(*n)++].text, ADVICE_TEXT, format, args);
}

__attribute__((format(printf, 3, 4))) static void changed(struct advising *a,
							  enum advice_topic topic,
							  const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put(a->advice->changes, &a->advice->n_changes, topic, format, args);
	va_end(args);
}

__attribute__((format(printf, 3, 4))) static void obstacle(struct advising *a,
							   enum advice_topic topic,
							   const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put(a->advice->obstacles, &a->advice->n_obstacles, topic, format, args);
	va_end(args);
}

static xmlNode *add_child(struct advising *a, xmlNode *parent, const char *name)
{
	xmlNode *node = parent ? xmlNewChild(parent, NULL, (const xmlChar *)name, NULL) : NULL;

	a->no_memory |= !node;
	return node;
}

static xmlNode *need_child(struct advising *a, xmlNode *parent, const char *name)
{
	xmlNode *node = tree_find_child(parent, NULL, name);

	return node ? node : add_child(a, parent, name);
}

static void set(struct advising *a, xmlNode *node, const char *name, const char *value)
{
	if (node)
		a->no_memory |= !xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)value);
}

static void set_number(struct advising *a, xmlNode *node, const char *name, unsigned int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	set(a, node, name, text);
}

static void advise_channel(struct advising *a)
{
	xmlNode *devices = need_child(a, a->root, "devices"), *channel = NULL, *target;

	while (devices && (channel = tree_find_child(devices, channel, "channel"))) {
		target = tree_find_child(channel, NULL, "target");
		if (!tree_has(target, "name", AGENT_CHANNEL))
			continue;
		if (!tree_has(channel, "type", "unix") || !tree_has(target, "type", "virtio"))
			obstacle(a, ADVICE_CHANNEL,
				 "its channel " AGENT_CHANNEL
				 " is not of type unix with a virtio target, as it must be");
		return;
	}
	channel = add_child(a, devices, "channel");
	set(a, channel, "type", "unix");
	target = add_child(a, channel, "target");
	set(a, target, "type", "virtio");
	set(a, target, "name", AGENT_CHANNEL);
	changed(a, ADVICE_CHANNEL,
		"the channel " AGENT_CHANNEL ", by which vcpuhpd speaks to the agent");
}

static void advise_acpi(struct advising *a)
{
	xmlNode *features = need_child(a, a->root, "features");

	if (tree_find_child(features, NULL, "acpi"))
		return;
	add_child(a, features, "acpi");
	changed(a, ADVICE_ACPI, "ACPI, without which no vCPU can be plugged");
}

/* @total: threads, cores and the like in one socket. Return: whether there is a topology. */
static bool socket_size(const xmlNode *topology, unsigned int *total)
{
	static const char *const names[] = { "threads", "cores", "clusters", "dies" };
	unsigned int n;

	*total = 1;
	for (size_t i = 0; topology && i < sizeof(names) / sizeof(names[0]); i++)
		if (*total <= XML_VCPUS_MAX &&
		    tree_number(tree_attribute(topology, names[i]), XML_VCPUS_MAX, &n) == 0 && n)
			*total *= n;
	return topology;
}

/* Return: whether the machine can be made to have that many. */
static bool fit_topology(struct advising *a, unsigned int maximum)
{
	xmlNode *cpu = tree_find_child(a->root, NULL, "cpu");
	xmlNode *topology = tree_find_child(cpu, NULL, "topology");
	unsigned int total;

	if (tree_find_child(cpu, NULL, "numa")) {
		obstacle(a, ADVICE_MAXIMUM,
			 "it has NUMA cells: their lists of CPUs and the maximum have to be "
			 "changed together, by hand");
		return false;
	}
	if (!socket_size(topology, &total))
		return true;
	if (maximum % total) {
		obstacle(a, ADVICE_MAXIMUM,
			 "a socket of its topology has %u vCPUs, of which %u is no multiple", total,
			 maximum);
		return false;
	}
	set_number(a, topology, "sockets", maximum / total);
	return true;
}

static void advise_maximum(struct advising *a, unsigned int wanted)
{
	xmlNode *vcpu = tree_find_child(a->root, NULL, "vcpu");
	unsigned int old = a->maximum;
	char text[16];

	if (wanted == 0 && a->current == a->maximum)
		obstacle(a, ADVICE_MAXIMUM,
			 "all of its vCPUs (%u) are there from the start, and there is room for "
			 "no more",
			 a->maximum);
	if (wanted == 0 || wanted == a->maximum)
		return;
	if (wanted < a->current) {
		obstacle(a, ADVICE_MAXIMUM, "it starts with %u vCPUs, more than a maximum of %u",
			 a->current, wanted);
		return;
	}
	if (wanted <= a->highest) {
		obstacle(a, ADVICE_MAXIMUM,
			 "its vCPU %u is enabled, which a maximum of %u would not have", a->highest,
			 wanted);
		return;
	}
	if (!fit_topology(a, wanted))
		return;
	snprintf(text, sizeof(text), "%u", wanted);
	xmlNodeSetContent(vcpu, (const xmlChar *)text);
	set_number(a, vcpu, "current", a->current);
	a->maximum = wanted;
	changed(a, ADVICE_MAXIMUM, "a maximum of %u vCPUs instead of %u", wanted, old);
}

/* By id, XML_VCPUS_MAX of them; a list may be as long as that. Return: free(); NULL out of memory. */
static xmlNode **index_vcpus(const xmlNode *vcpus)
{
	xmlNode **all = calloc(XML_VCPUS_MAX, sizeof(xmlNode *)), *one = NULL;
	unsigned int id;

	while (all && vcpus && (one = tree_find_child(vcpus, one, "vcpu")))
		if (tree_number(tree_attribute(one, "id"), XML_VCPUS_MAX - 1, &id) == 0)
			all[id] = one;
	return all;
}

/* @one: NULL there is none yet. Return: whether it was one that could not be unplugged. */
static bool advise_vcpu(struct advising *a, xmlNode *vcpus, xmlNode *one, unsigned int id,
			bool listed)
{
	bool enabled = one ? tree_has(one, "enabled", "yes") : !listed && id < a->current;
	bool fixed = enabled && id > 0 && !tree_has(one, "hotpluggable", "yes");

	if (one && !fixed)
		return false;
	if (!one)
		one = add_child(a, vcpus, "vcpu");
	set_number(a, one, "id", id);
	set(a, one, "enabled", enabled ? "yes" : "no");
	set(a, one, "hotpluggable", id > 0 ? "yes" : "no");
	return fixed;
}

/* What is beyond a smaller maximum goes, the rest can be unplugged. Return: how many could not. */
static unsigned int advise_each(struct advising *a, xmlNode *vcpus, bool listed)
{
	xmlNode **all = index_vcpus(vcpus);
	unsigned int fixed = 0;

	a->no_memory |= !all;
	for (unsigned int id = 0; id < XML_VCPUS_MAX && !a->no_memory; id++) {
		if (id < a->maximum) {
			fixed += advise_vcpu(a, vcpus, all[id], id, listed);
		} else if (all[id]) {
			xmlUnlinkNode(all[id]);
			xmlFreeNode(all[id]);
		}
	}
	free(all);
	return fixed;
}

static void advise_vcpus(struct advising *a)
{
	xmlNode *vcpus = tree_find_child(a->root, NULL, "vcpus");
	bool listed = vcpus;
	unsigned int fixed;

	if (!listed && a->current < 2)
		return;
	if (!listed) {
		vcpus = xmlNewNode(NULL, (const xmlChar *)"vcpus");
		a->no_memory |= !vcpus;
		/* libvirt takes it anywhere; here people look for it. */
		if (vcpus)
			xmlAddNextSibling(tree_find_child(a->root, NULL, "vcpu"), vcpus);
	}
	fixed = advise_each(a, vcpus, listed);
	if (fixed)
		changed(a, ADVICE_BOOT_VCPUS,
			"%u of the vCPUs it starts with can be unplugged, as they could not",
			fixed);
}

static int advise(struct advising *a, xmlDoc *doc, unsigned int maximum)
{
	xmlChar *text = NULL;
	int len = 0;

	advise_channel(a);
	advise_acpi(a);
	advise_maximum(a, maximum);
	a->advice->denied = maximum && a->maximum != maximum;
	advise_vcpus(a);
	if (!a->no_memory)
		xmlDocDumpFormatMemory(doc, &text, &len, 1);
	if (!text)
		return -ENOMEM;
	a->advice->xml = strdup((const char *)text);
	xmlFree(text);
	return a->advice->xml ? 0 : -ENOMEM;
}

int advice_make(const char *text, size_t len, unsigned int maximum, struct advice *ret)
{
	struct xml_domain d;
	struct advising a = { .advice = ret };
	xmlDoc *doc;
	int r;

	*ret = (struct advice){ 0 };
	r = xml_domain_parse(text, len, &d);
	if (r < 0)
		return r;
	a.maximum = d.maximum;
	for (unsigned int i = 0; i < d.maximum; i++) {
		a.current += d.vcpus[i].enabled;
		a.highest = d.vcpus[i].enabled ? i : a.highest;
	}
	if (!d.supported)
		obstacle(&a, ADVICE_MACHINE, "%s", d.why);
	xml_domain_done(&d);
	doc = tree_parse(text, len);
	if (!doc)
		return -ENOMEM;
	a.root = xmlDocGetRootElement(doc);
	r = advise(&a, doc, maximum);
	xmlFreeDoc(doc);
	return r;
}

void advice_done(struct advice *a)
{
	free(a->xml);
	*a = (struct advice){ 0 };
}
