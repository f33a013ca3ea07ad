/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_CONFIG_LOAD_H
#define AGENT_CONFIG_LOAD_H

#include "guest-agent/agent-config.h"

/**
 * config_load() - the defaults, then @file, then the .conf files of the folder FILE.d by their names
 * @root: descriptor of the root folder
 * @must_exist: whether a missing @file is an error
 *
 * Return: 0, or -errno with the reason said on stderr.
 */
int config_load(struct agent_config *c, int root, const char *file, bool must_exist);

#endif
