/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

enum { CONFIG_CPUSETS_MAX = 16, CONFIG_PATH_MAX = 256 };

enum expedite_mode { EXPEDITE_AUTO, EXPEDITE_YES, EXPEDITE_NO };
enum irq_policy { IRQ_OFF, IRQ_SPREAD };

/**
 * struct agent_config - /etc/vcpuhp/vcpuhp-agent.conf, "[Agent]" with Key=Value lines
 * @port: Port=, device path or virtio port name
 * @callbacks: Callbacks=, folder
 * @expedite: Expedite=auto|yes|no
 * @irq: Irq=off|spread
 * @cpusets: Cpuset=, repeated: group paths relative to the cgroup mount ("system.slice"),
 *           each widened by a new CPU; no "..", no leading slash
 * @n_cpusets: how many
 */
struct agent_config {
	char port[CONFIG_PATH_MAX];
	char callbacks[CONFIG_PATH_MAX];
	enum expedite_mode expedite;
	enum irq_policy irq;
	char cpusets[CONFIG_CPUSETS_MAX][CONFIG_PATH_MAX];
	size_t n_cpusets;
};

/**
 * struct agent_config_key - a key, for the reader and the manual page's check
 * @fallback: what holds without it; "" none
 */
struct agent_config_key {
	const char *name;
	const char *fallback;
};

/* The keys in the order of the manual page; NULL behind the last. */
const struct agent_config_key *agent_config_key_at(size_t i);

void agent_config_defaults(struct agent_config *c);

/**
 * agent_config_parse() - read the text of a configuration file; PURE
 * @text: borrowed, not NUL-terminated, @len bytes
 * @ret_line: on error the line it is on
 * @ret_why: on error a static sentence
 *
 * Unknown keys and sections and bad values are errors. @c is untouched on error.
 *
 * Return: 0 or -EINVAL.
 */
int agent_config_parse(struct agent_config *c, const char *text, size_t len, unsigned int *ret_line,
		       const char **ret_why);

#endif
