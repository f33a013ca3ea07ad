/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_MODULE_H
#define DAEMON_MODULE_H

/*
 * Parts of the daemon that bring large libraries with them are shared objects, loaded only where the
 * configuration asks for what they do.
 */

/**
 * module_load() - find one: beside the program (a build folder), else where it is installed
 * @file_name: as "vcpuhp-NAME.so"
 * @symbol: what it exports: a struct that begins with an unsigned int
 * @abi: which that has to be
 * @ret: static in the module, which stays loaded
 * @ret_why: on an error a sentence, malloc'ed; NULL out of memory
 *
 * Return: 0; -ENOENT it cannot be loaded; -EPROTO it is another version's.
 */
int module_load(const char *file_name, const char *symbol, unsigned int abi, const void **ret,
		char **ret_why);

#endif
