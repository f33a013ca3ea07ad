/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_CALLBACK_FILE_H
#define AGENT_CALLBACK_FILE_H

#include <stdbool.h>

/* What callback.c and callback-run.c share: the way to a callback program, checked. */

/* "NN-name": two digits, a dash, letters, digits and "._+-"; at most CALLBACK_NAME_MAX. */
bool callback_is_name(const char *name);

/* Return: an O_PATH descriptor of @dir below @root, every folder on the way checked, or -errno. */
int callback_open_folder(int root, const char *dir);

/* Return: a descriptor of the program, checked, O_CLOEXEC, or -EINVAL (name), -EPERM, -errno. */
int callback_open_program(int folder, const char *name);

#endif
