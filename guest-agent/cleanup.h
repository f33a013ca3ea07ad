/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_CLEANUP_H
#define AGENT_CLEANUP_H

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

/* Destructors for the cleanup attribute; a descriptor of -1 and NULL are passed over. */
static inline void close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* For what outlives the variable: its cleanup then finds nothing to close. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void close_folder(DIR **d)
{
	if (*d)
		closedir(*d);
}

static inline void free_text(char **p)
{
	free(*p);
}

#define AUTO_CLOSE __attribute__((cleanup(close_fd)))
#define AUTO_CLOSEDIR __attribute__((cleanup(close_folder)))
#define AUTO_FREE __attribute__((cleanup(free_text)))

#endif
