/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/auth.h"

static bool is_in_group(const struct auth_peer *peer, gid_t gid)
{
	if (peer->gid == gid)
		return true;
	for (size_t i = 0; i < peer->n_groups; i++)
		if (peer->groups[i] == gid)
			return true;
	return false;
}

static bool is_named(const struct auth_peer *peer, const struct auth_names *names)
{
	if (!names)
		return false;
	for (size_t i = 0; i < names->n_uids; i++)
		if (names->uids[i] == peer->uid)
			return true;
	for (size_t i = 0; i < names->n_gids; i++)
		if (is_in_group(peer, names->gids[i]))
			return true;
	return false;
}

bool auth_allows(enum auth_class class, const struct auth_peer *peer, uid_t daemon_uid,
		 const struct auth_names *operators, const struct auth_names *allow)
{
	bool admin = peer->uid == 0 || peer->uid == daemon_uid;

	switch (class) {
	case AUTH_READ:
		return true;
	case AUTH_CHANGE:
		return admin || (is_named(peer, operators) && (!allow || is_named(peer, allow)));
	case AUTH_ADMIN:
		return admin;
	}
	return false;
}
