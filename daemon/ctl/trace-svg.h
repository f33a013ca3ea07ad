/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_TRACE_SVG_H
#define DAEMON_CTL_TRACE_SVG_H

#include <json-c/json.h>
#include <stddef.h>

/**
 * trace_svg() - a Chrome trace as a picture
 * @trace: of trace_build(); borrowed
 * @domain: its name, for the title
 * @ret: an SVG document, the caller's to free; @ret_len its length
 *
 * One panel an operation, each with a time axis of its own; in it each vCPU with three lanes: host,
 * guest agent, guest kernel. Below them the times of its steps in words, since most are too short
 * for a name to stand in them. A viewer that shows titles tells all that is known of a span.
 *
 * Return: 0 or -ENOMEM.
 */
int trace_svg(json_object *trace, const char *domain, char **ret, size_t *ret_len);

#endif
