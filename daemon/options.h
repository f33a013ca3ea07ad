/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

/**
 * struct options - vcpuhpd's command line; all borrowed from argv or static
 * @config: --config, NULL for the standard file
 * @socket: --socket, NULL for "control" in the runtime folder
 */
struct options {
	const char *config;
	const char *socket;
	const char *runtime_dir;
	const char *state_dir;
	bool check_config;
	bool foreground;
	bool help;
	bool version;
};

/**
 * options_parse() - read the command line
 * @ret_why: on an error a static or argv's phrase for the message, with ret_word the word meant
 *
 * Return: 0 or -EINVAL.
 */
int options_parse(int argc, char **argv, struct options *ret, const char **ret_why,
		  const char **ret_word);

void options_print_help(FILE *f);

#endif
