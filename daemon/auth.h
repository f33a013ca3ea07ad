/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_AUTH_H
#define DAEMON_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * enum auth_class - what a method needs
 * @AUTH_READ: whoever may open the socket
 * @AUTH_CHANGE: uid 0, the daemon's uid; or who is in an Operators= group and, where the domain
 *               has Allow=, named there as well
 * @AUTH_ADMIN: uid 0 or the daemon's uid
 */
enum auth_class { AUTH_READ, AUTH_CHANGE, AUTH_ADMIN };

/**
 * struct auth_peer - who is at the other end, as the kernel says
 * @gid: its primary group
 * @groups: @n_groups supplementary ones, borrowed
 */
struct auth_peer {
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	size_t n_groups;
};

/**
 * struct auth_names - Operators= or Allow=, resolved
 */
struct auth_names {
	uid_t *uids;
	size_t n_uids;
	gid_t *gids;
	size_t n_gids;
};

/**
 * auth_allows() - the decision; PURE
 * @daemon_uid: the daemon's own
 * @operators: Operators=; NULL none
 * @allow: Allow= of the domain concerned; NULL it has none, or no domain is concerned
 */
bool auth_allows(enum auth_class class, const struct auth_peer *peer, uid_t daemon_uid,
		 const struct auth_names *operators, const struct auth_names *allow);

/**
 * auth_names_resolve() - look names up once, so that no request waits for a directory service
 * @names: NULL-terminated or NULL; "user" and "@group", or only groups (an "@" may be missing)
 *         where @groups_only
 * @ret: returned, auth_names_done()
 * @unknown: called with each name that this system does not know; it permits nobody
 *
 * Return: 0 or -ENOMEM.
 */
int auth_names_resolve(char *const *names, bool groups_only, struct auth_names *ret,
		       void (*unknown)(void *ctx, const char *name), void *ctx);
void auth_names_done(struct auth_names *n);

#endif
