/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
/* What the daemon itself has and lacks, and what keeps it from a socket. */
#include "daemon/diagnose.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void diagnose_versions(const struct diagnose_host *h, const struct diagnose_domain *d,
		       struct findings *f)
{
	const struct msg_hello *agent = d ? d->agent.hello : NULL;
	const char *qemu = d && d->attached ? d->facts.version : "";
	const char *libvirt = d && d->sight ? d->sight->libvirt : "";
	char host[128], guest[192] = "no agent heard";

	snprintf(host, sizeof(host), "vcpuhpd %s%s%s%s%s", h->version, *qemu ? ", QEMU " : "", qemu,
		 *libvirt ? ", libvirt " : "", libvirt);
	if (!d) {
		findings_add(f, "daemon", SEVERITY_OK, "%s, up %" PRIu64 " s, %u domains", host,
			     h->uptime_ms / 1000, h->domains);
		return;
	}
	if (agent)
		snprintf(guest, sizeof(guest), "agent %s (protocol up to %u), guest kernel %s",
			 agent->version, agent->version_max, agent->kernel);
	if (agent && strcmp(agent->version, h->version) != 0) {
		findings_add(f, "versions", SEVERITY_NOTE,
			     "%s; %s: the agent is of another version", host, guest);
		findings_advise(f, "they work together as long as the agent connects; bring the "
				   "older one up to date when that suits");
		return;
	}
	findings_add(f, "versions", SEVERITY_OK, "%s; %s", host, guest);
}

void diagnose_permission(const struct diagnose_host *h, const char *domain, struct findings *f)
{
	const char *of = domain ? domain : "domains";

	if (h->may_change) {
		findings_add(f, "permission", SEVERITY_OK, "uid %u may change %s", h->uid, of);
		return;
	}
	findings_add(f, "permission", SEVERITY_ERROR, "uid %u may look but not change %s%s", h->uid,
		     of,
		     !h->operators   ? ": there is no Operators= in vcpuhpd.conf"
		     : h->restricted ? ": it takes a group of Operators= and to be in Allow="
				     : ": it takes a group of Operators=");
	if (!h->operators)
		findings_advise(f,
				"put Operators=GROUP under [Daemon] in "
				"/etc/vcpuhp/vcpuhpd.conf and start vcpuhpd again, or ask as root");
	else
		findings_advise(f,
				"vcpuhpctl host shows Operators=; join such a group%s and log in "
				"again, or ask as root",
				h->restricted ? " and have yourself named in the domain's Allow="
					      : "");
}

/* Mode and owners permit it. */
static void advise_mac(const struct diagnose_host *h, const struct path_look *look,
		       struct findings *f)
{
	if (h->mac.selinux)
		findings_advise(f,
				"its mode permits it, so SELinux (%s) denies it: vcpuhpd is %s, "
				"the socket %s; see: ausearch -m avc -ts recent",
				h->mac.enforcing ? "enforcing" : "permissive",
				*h->mac.own ? h->mac.own : "?", *look->label ? look->label : "?");
	else if (h->mac.apparmor)
		findings_advise(f,
				"its mode permits it, so AppArmor denies it (vcpuhpd is %s); see: "
				"journalctl -k -g apparmor=.DENIED.",
				*h->mac.own ? h->mac.own : "?");
	else
		findings_advise(f, "its mode permits it: look at the security modules of this "
				   "host, and at the unit of vcpuhpd (ProtectSystem=, "
				   "InaccessiblePaths=)");
}

/* A look finds nothing, yet connecting fails. */
static void explain_refusal(const struct diagnose_host *h, const struct path_look *look,
			    const char *why, struct findings *f)
{
	/* Of the kernel's own words and of link-io.c's. */
	if (strstr(why, "ermission"))
		advise_mac(h, look, f);
	else
		findings_advise(f, "QEMU must listen there (server=on), and nobody else be "
				   "connected: it takes one client");
}

static void explain_denial(const struct diagnose_host *h, const struct diagnose_socket *s,
			   const char *check, const char *what, struct findings *f)
{
	const struct path_look *look = &s->look;

	if (look->hidden) {
		findings_add(f, check, SEVERITY_ERROR,
			     "%s %s: vcpuhpd, which runs as uid %u, gid %u, may not look at %s",
			     what, s->path, h->daemon_uid, h->daemon_gid, look->at);
		findings_advise(f,
				"namei -l %s: a link in it leads to where vcpuhpd may not go, or a "
				"security module denies it",
				look->at);
		return;
	}
	findings_add(f, check, SEVERITY_ERROR,
		     "%s %s: %s (uid %u, gid %u, mode %04o) keeps vcpuhpd out, which runs as uid "
		     "%u, gid %u",
		     what, s->path, look->at, look->uid, look->gid, (unsigned int)look->mode,
		     h->daemon_uid, h->daemon_gid);
	if (look->permits)
		advise_mac(h, look, f);
	else
		findings_advise(f,
				"let vcpuhpd's user in: setfacl -m u:%u:%s %s, or a group that has "
				"both",
				h->daemon_uid, strcmp(look->at, s->path) == 0 ? "rw" : "x",
				look->at);
}

void diagnose_socket(const struct diagnose_host *h, const struct diagnose_socket *s,
		     const char *check, const char *what, const char *why, const char *missing,
		     struct findings *f)
{
	const struct path_look *look = &s->look;
	const char *path = s->path ? s->path : "?";

	switch (-look->rc) {
	case 0:
		findings_add(f, check, SEVERITY_ERROR, "%s %s: %s", what, path, why);
		explain_refusal(h, look, why, f);
		break;
	case ENOENT:
		findings_add(f, check, SEVERITY_ERROR, "%s %s: %s is not there", what, path,
			     look->at);
		findings_advise(f, "%s", missing);
		break;
	case EACCES:
	case EPERM:
		explain_denial(h, s, check, what, f);
		break;
	case ENOTSOCK:
		findings_add(f, check, SEVERITY_ERROR, "%s %s is no socket", what, path);
		findings_advise(f, "%s", missing);
		break;
	default:
		findings_add(f, check, SEVERITY_ERROR, "%s %s: %s: %s", what, path, look->at,
			     strerror(-look->rc));
		findings_advise(f, "look at that path as root");
		break;
	}
}

static void diagnose_libvirt(const struct diagnose_host *h, struct findings *f)
{
	if (!h->libvirt) {
		findings_add(f, "libvirt", SEVERITY_NOTE,
			     "there is no [Libvirt] section in vcpuhpd.conf: libvirt's domains are "
			     "not looked for");
	} else if (h->libvirt_up) {
		findings_add(f, "libvirt", SEVERITY_OK, "connected");
	} else {
		findings_add(f, "libvirt", SEVERITY_ERROR, "not connected%s%s",
			     *h->libvirt_why ? ": " : " yet", h->libvirt_why);
		findings_advise(f,
				"libvirtd (or virtqemud) must run, and vcpuhpd's user, uid %u, be "
				"one that it lets in (group libvirt); see URI= of [Libvirt]",
				h->daemon_uid);
	}
}

static void diagnose_kvm(const struct diagnose_host *h, struct findings *f)
{
	if (h->kvm.available) {
		findings_add(f, "kvm", SEVERITY_OK,
			     "KVM runs up to %u vCPUs in a VM here, and recommends no more than %u",
			     h->kvm.max_vcpus, h->kvm.nr_vcpus);
		return;
	}
	findings_add(f, "kvm", SEVERITY_WARNING, "KVM's limits are not known: %s", h->kvm.why);
	findings_advise(f,
			"vcpuhpd needs no KVM for itself; put uid %u in group kvm to have a "
			"domain's maximum held against the limits",
			h->daemon_uid);
}

void diagnose_host(const struct diagnose_host *h, struct findings *f)
{
	diagnose_versions(h, NULL, f);
	diagnose_libvirt(h, f);
	diagnose_kvm(h, f);
	diagnose_permission(h, NULL, f);
}
