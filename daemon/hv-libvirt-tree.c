/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Walking a domain's XML by hand. libvirt writes the text, so it is trusted to be well meant, not to
 * be small: libxml2's own limits hold, and who reads a number of things bounds it.
 *
 * No network, no external entity, no error on standard error.
 */
#include "daemon/hv-libvirt-tree.h"
#include <errno.h>
#include <libxml/parser.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

xmlDoc *tree_parse(const char *text, size_t len)
{
	if (len > INT32_MAX)
		return NULL;
	return xmlReadMemory(text, (int)len, "domain.xml", NULL,
			     XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
				     XML_PARSE_NOBLANKS);
}

bool tree_is_named(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

xmlNode *tree_find_child(const xmlNode *parent, const xmlNode *after, const char *name)
{
	xmlNode *node = after ? after->next : parent ? parent->children : NULL;

	while (node && !tree_is_named(node, name))
		node = node->next;
	return node;
}

const char *tree_attribute(const xmlNode *node, const char *name)
{
	const xmlAttr *a = node ? node->properties : NULL;

	while (a && strcmp((const char *)a->name, name) != 0)
		a = a->next;
	return a && a->children && a->children->content ? (const char *)a->children->content : NULL;
}

bool tree_has(const xmlNode *node, const char *name, const char *value)
{
	const char *got = tree_attribute(node, name);

	return got && strcmp(got, value) == 0;
}

const char *tree_text_of(const xmlNode *node)
{
	const xmlNode *text = node ? node->children : NULL;

	return text && text->type == XML_TEXT_NODE && text->content ? (const char *)text->content
								    : "";
}

int tree_number(const char *text, unsigned int max, unsigned int *ret)
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
