/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HV_LIBVIRT_TREE_H
#define DAEMON_HV_LIBVIRT_TREE_H

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

#define AGENT_CHANNEL "org.vcpuhp.agent.0"

/* Return: xmlFreeDoc(); NULL no XML, or out of memory. */
xmlDoc *tree_parse(const char *text, size_t len);

/* Whether it is an element of that name. */
bool tree_is_named(const xmlNode *node, const char *name);

/* The next child called @name behind @after, or the first. */
xmlNode *tree_find_child(const xmlNode *parent, const xmlNode *after, const char *name);

/* An attribute's value, or NULL; borrowed from the tree. @node: NULL has none. */
const char *tree_attribute(const xmlNode *node, const char *name);

/* Whether the attribute is there with that value. */
bool tree_has(const xmlNode *node, const char *name, const char *value);

/* An element's text, or ""; borrowed from the tree. */
const char *tree_text_of(const xmlNode *node);

/* Decimal digits alone, NULL none. Return: 0, or -EPROTO, also for more than @max. */
int tree_number(const char *text, unsigned int max, unsigned int *ret);

#endif
