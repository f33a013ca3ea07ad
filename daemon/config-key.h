/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CONFIG_KEY_H
#define DAEMON_CONFIG_KEY_H

#include "daemon/config.h"

/**
 * struct config_key - a key of vcpuhpd.conf, for the reader, the manual page and its check
 * @section: "Daemon", "Libvirt" or "Domain" (of [Domain NAME])
 * @type: what a value looks like, as the manual page writes it
 * @fallback: what holds without the key; "" none
 * @help: one sentence
 */
struct config_key {
	const char *section;
	const char *name;
	const char *type;
	const char *fallback;
	const char *help;
};

/* The keys in the order of the manual page; NULL behind the last. */
const struct config_key *config_key_at(size_t i);

/**
 * config_parse() - what config_load() does with texts instead of files, for tests and fuzzing
 * @names, @texts, @lens: @n of them, read in this order
 *
 * Return: 0 or -errno, as config_load().
 */
int config_parse(const char *const *names, const char *const *texts, const size_t *lens, size_t n,
		 struct config **ret, char **ret_error);

#endif
