/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_OPTIONS_H
#define AGENT_OPTIONS_H

#include "guest-agent/agent-config.h"
#include <stdbool.h>

/**
 * struct options - the command line, borrowed from argv; NULL not given
 */
struct options {
	const char *port;
	const char *callbacks;
	const char *config;
	const char *root;
	bool allow_faults;
};

/* Return: 0, 1 when --help or --version was answered, -EINVAL with the reason said. */
int options_parse(struct options *o, int argc, char **argv);

/**
 * options_configure() - the configuration: its defaults, the file and its drop-ins, the options
 * @root: descriptor of the root folder
 *
 * Reads FILE and the .conf files of the folder FILE.d in the order of their names. Only the default file may be missing.
 *
 * Return: 0 or -errno with the reason said.
 */
int options_configure(const struct options *o, int root, struct agent_config *ret);

#endif
