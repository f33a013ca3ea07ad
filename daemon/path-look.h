/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_PATH_LOOK_H
#define DAEMON_PATH_LOOK_H

#include "daemon/auth.h"
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

enum { PATH_LOOK_MAX = 128, PATH_LABEL_MAX = 128 };

/**
 * struct path_look - what keeps this process from a unix socket
 * @rc: 0 nothing that a look can tell; -ENOENT, -EACCES, -ENOTSOCK or another -errno
 * @at: the folder or file where that is, "" where @rc is 0
 * @mode, @uid, @gid: of @at, where it is there
 * @hidden: @at may not even be looked at, so these are not known
 * @permits: these permit what is denied, so it is SELinux, AppArmor or the like
 * @label: SELinux's of the socket, "" none or not to be had
 */
struct path_look {
	int rc;
	char at[PATH_LOOK_MAX];
	mode_t mode;
	uid_t uid;
	gid_t gid;
	bool hidden, permits;
	char label[PATH_LABEL_MAX];
};

/**
 * path_look() - without connecting: the sockets here take one client
 * @path: absolute, of a unix socket
 */
void path_look(const char *path, struct path_look *ret);

/* Do mode and owner permit @who all of @want (R_OK, W_OK, X_OK)? PURE. */
bool path_permits(mode_t mode, uid_t uid, gid_t gid, int want, const struct auth_peer *who);

/**
 * struct mac_look - what besides modes may deny this process something
 * @selinux: it is there, and @enforcing or not; @apparmor: it is on
 * @own: the context or profile of this process, "" unknown
 */
struct mac_look {
	bool selinux, enforcing, apparmor;
	char own[PATH_LABEL_MAX];
};

void mac_look(struct mac_look *ret);

#endif
