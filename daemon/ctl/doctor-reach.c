/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/ctl/doctor.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CHECK "daemon"
#define START \
	"start it, or name its socket with -S or VCPUHP_SOCKET: systemctl start vcpuhpd (journalctl -u vcpuhpd tells why it ended)"

static void explain_denial(const struct reach *r, struct findings *f)
{
	const struct path_look *look = &r->look;
	const char *at = *look->at ? look->at : r->path;

	if (look->hidden) {
		findings_add(
			f, CHECK, SEVERITY_ERROR,
			"no permission for the daemon's socket %s: you, uid %u, may not look at "
			"%s",
			r->path, r->uid, at);
		findings_advise(f,
				"namei -l %s: a link in it leads to where you may not go, or a "
				"security module denies it; or ask as root",
				at);
		return;
	}
	findings_add(
		f, CHECK, SEVERITY_ERROR,
		"no permission for the daemon's socket %s: %s belongs to %s:%s with mode %04o, "
		"and you are uid %u",
		r->path, at, *r->user ? r->user : "?", *r->group ? r->group : "?",
		(unsigned int)look->mode, r->uid);
	if (look->permits)
		findings_advise(f,
				"its mode permits it, so SELinux, AppArmor or the like denies it; "
				"see: ausearch -m avc -ts recent, journalctl -k -g apparmor=");
	else if (look->mode & (strcmp(at, r->path) == 0 ? 020 : 010))
		findings_advise(f,
				"join the group %s (usermod -aG %s USER) and log in again, or ask "
				"as root",
				r->group, r->group);
	else
		findings_advise(f,
				"ask as root, or let the group vcpuhp in: chgrp vcpuhp %s && chmod "
				"%s %s",
				at, strcmp(at, r->path) == 0 ? "0660" : "0710", at);
}

void reach_explain(const struct reach *r, struct findings *f)
{
	const struct path_look *look = &r->look;

	switch (-r->rc) {
	case ENOENT:
		findings_add(
			f, CHECK, SEVERITY_ERROR,
			"the daemon's socket %s is not there (%s is missing): vcpuhpd does not "
			"run, or has another --socket",
			r->path, *look->at ? look->at : r->path);
		findings_advise(f, START);
		break;
	case ECONNREFUSED:
		findings_add(
			f, CHECK, SEVERITY_ERROR,
			look->rc == -ENOTSOCK
				? "%s is no socket"
				: "nothing listens on the daemon's socket %s: vcpuhpd has ended",
			r->path);
		findings_advise(f, START);
		break;
	case EACCES:
	case EPERM:
		explain_denial(r, f);
		break;
	case EAGAIN:
		findings_add(
			f, CHECK, SEVERITY_ERROR,
			"the daemon does not take connections at %s: it is stopped, or has its "
			"hands full",
			r->path);
		findings_advise(f, "systemctl status vcpuhpd");
		break;
	default:
		findings_add(f, CHECK, SEVERITY_ERROR, "the daemon is not reached at %s: %s",
			     r->path, strerror(-r->rc));
		findings_advise(f, START);
		break;
	}
}
