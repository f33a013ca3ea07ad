/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_DOCTOR_H
#define DAEMON_CTL_DOCTOR_H

#include "daemon/finding.h"
#include "daemon/path-look.h"

/**
 * struct reach - what is to be seen where the daemon could not be reached
 * @rc: of connecting
 * @look: at the socket's path
 * @uid: who tries; @user, @group: names of the owner and group of @look.at, "" unknown
 */
struct reach {
	const char *path;
	int rc;
	struct path_look look;
	uid_t uid;
	char user[64], group[64];
};

/* Why the daemon is not reached, and what to do; PURE. */
void reach_explain(const struct reach *r, struct findings *f);

#endif
