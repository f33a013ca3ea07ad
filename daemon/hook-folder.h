/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HOOK_FOLDER_H
#define DAEMON_HOOK_FOLDER_H

#include "daemon/config.h"
#include "daemon/hook.h"

enum { HOOKS_MAX = 32 };

/* @dir: where they are */
struct hook_list {
	char dir[CONFIG_FOLDER_MAX + 1];
	unsigned int n;
	char names[HOOKS_MAX][HOOK_NAME_MAX + 1];
};

/**
 * hook_folder_scan() - the hooks that may be run, sorted by name
 * @root: descriptor of the folder where @dir begins; AT_FDCWD: that is /
 * @warn: told, in a sentence, of what is left out and why; NULL nobody
 *
 * A folder that is not there has none, nor has one that others may write.
 *
 * Context: opens and reads folders of the local file system.
 *
 * Return: 0; -errno: there may be hooks, and nobody knows.
 */
int hook_folder_scan(int root, const char *dir, struct hook_list *ret,
		     void (*warn)(void *ctx, const char *sentence), void *ctx);

#endif
