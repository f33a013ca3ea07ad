/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_JSON_BUILD_H
#define DAEMON_JSON_BUILD_H

#include <json-c/json.h>
#include <stddef.h>

/**
 * json_build() - json-c's objects from a text that has been checked
 * @text: an object and nothing before or behind it, as json_in_parse() has accepted it but for
 *	duplicate keys; anything else is read past its end
 * @ret: returned to the caller; untouched unless 0
 *
 * Return: 0, -EEXIST a key stands twice in one object, -ENOMEM.
 */
int json_build(const char *text, size_t len, json_object **ret);

#endif
