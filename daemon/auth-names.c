/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/auth.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

static int add_group(struct auth_names *n, const char *name)
{
	const struct group *g = getgrnam(name);
	gid_t *more;

	if (!g)
		return -ENOENT;
	more = reallocarray(n->gids, n->n_gids + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	n->gids = more;
	n->gids[n->n_gids++] = g->gr_gid;
	return 0;
}

static int add_user(struct auth_names *n, const char *name)
{
	const struct passwd *p = getpwnam(name);
	uid_t *more;

	if (!p)
		return -ENOENT;
	more = reallocarray(n->uids, n->n_uids + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	n->uids = more;
	n->uids[n->n_uids++] = p->pw_uid;
	return 0;
}

static int add_name(struct auth_names *n, const char *name, bool groups_only)
{
	if (name[0] == '@')
		return add_group(n, name + 1);
	return groups_only ? add_group(n, name) : add_user(n, name);
}

int auth_names_resolve(char *const *names, bool groups_only, struct auth_names *ret,
		       void (*unknown)(void *ctx, const char *name), void *ctx)
{
	struct auth_names n = { 0 };

	for (; names && *names; names++) {
		int r = add_name(&n, *names, groups_only);

		if (r == -ENOENT && unknown)
			unknown(ctx, *names);
		if (r == -ENOMEM) {
			auth_names_done(&n);
			return r;
		}
	}
	*ret = n;
	return 0;
}

void auth_names_done(struct auth_names *n)
{
	free(n->uids);
	free(n->gids);
	*n = (struct auth_names){ 0 };
}
