/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/advice.h"
#include "daemon/hv-libvirt-tree.h"
#include "daemon/hv-libvirt-xml.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Whoever defines the domain writes it, and terminals are to show it. */
static void put(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text);
	for (; *to; to++)
		if ((unsigned char)*to < ' ' || (unsigned char)*to > '~')
			*to = '?';
}

static void take_domain(const struct xml_domain *d, struct sight *s)
{
	s->maximum = d->maximum;
	for (unsigned int i = 0; i < d->maximum; i++)
		s->present += d->vcpus[i].enabled;
	s->smm = d->smm;
	if (!d->supported)
		put(s->unsupported, sizeof(s->unsupported), d->why);
}

/* DAC's says who owns files; the others' may deny what modes permit. */
static void read_label(const xmlNode *root, struct sight *s)
{
	const xmlNode *one = NULL;

	while (!*s->label_model && (one = tree_find_child(root, one, "seclabel"))) {
		const char *text = tree_text_of(tree_find_child(one, NULL, "label"));

		if (!tree_has(one, "model", "selinux") && !tree_has(one, "model", "apparmor"))
			continue;
		put(s->label_model, sizeof(s->label_model), tree_attribute(one, "model"));
		put(s->label, sizeof(s->label), text);
	}
}

static bool has_owner(const struct sight *s, const char *name)
{
	for (size_t i = 0; i < s->n_owners; i++)
		if (strcmp(s->owners[i], name) == 0)
			return true;
	return false;
}

static void read_owners(const xmlNode *root, struct sight *s)
{
	const xmlNode *metadata = tree_find_child(root, NULL, "metadata");
	const xmlNode *one = metadata ? metadata->children : NULL;

	for (; one && s->n_owners < SIGHT_OWNERS_MAX; one = one->next) {
		const xmlNs *ns = one->type == XML_ELEMENT_NODE ? one->ns : NULL;
		char *name = s->owners[s->n_owners];

		if (!ns || !ns->href)
			continue;
		put(name, SIGHT_TEXT, (const char *)ns->href);
		s->n_owners += !has_owner(s, name);
	}
}

int sight_parse(const char *text, size_t len, struct sight *ret)
{
	struct xml_domain d;
	const xmlNode *root;
	xmlDoc *doc;
	int r;

	*ret = (struct sight){ 0 };
	r = xml_domain_parse(text, len, &d);
	if (r < 0)
		return r;
	take_domain(&d, ret);
	xml_domain_done(&d);
	doc = tree_parse(text, len);
	if (!doc)
		return -ENOMEM;
	root = xmlDocGetRootElement(doc);
	ret->acpi = tree_find_child(tree_find_child(root, NULL, "features"), NULL, "acpi");
	read_label(root, ret);
	read_owners(root, ret);
	xmlFreeDoc(doc);
	return 0;
}
