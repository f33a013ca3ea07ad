/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a domain is reached, and the daemon itself. */
#include "diagnose-bench.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void older_agent(struct facts *f)
{
	strcpy(f->hello.version, "0.0.9");
}

static void lose_qemu(struct facts *f, int rc, const char *at)
{
	f->domain.attached = false;
	f->domain.why_detached = "cannot connect";
	f->domain.qmp.connected = false;
	f->domain.qmp.look.rc = rc;
	snprintf(f->domain.qmp.look.at, PATH_LOOK_MAX, "%s", at);
}

static void no_qmp_socket(struct facts *f)
{
	lose_qemu(f, -ENOENT, "/run/web1.qmp");
}

static void qmp_is_anothers(struct facts *f)
{
	lose_qemu(f, 0, "");
	f->domain.why_detached = "another QMP client holds the socket";
}

static void qmp_keeps_out(struct facts *f)
{
	lose_qemu(f, -EACCES, "/run/qemu");
	f->domain.qmp.look.mode = 0750;
	f->domain.qmp.look.uid = 64055;
	f->domain.qmp.look.gid = 109;
}

static void lose_agent(struct facts *f, const char *why, bool connected)
{
	f->domain.agent = (struct diagnose_agent){ .why = why, .heard_ms = -1 };
	f->domain.agent_socket.connected = connected;
}

static void no_agent(struct facts *f)
{
	lose_agent(f, "no agent has answered", true);
}

static void agent_left(struct facts *f)
{
	lose_agent(f, "no agent has answered", true);
	f->domain.agent.hello = &f->hello;
}

static void agent_silent(struct facts *f)
{
	f->domain.agent.silent = true;
}

static void other_protocol(struct facts *f)
{
	lose_agent(f, "the agent speaks another version of the protocol", true);
}

static void agent_socket_busy(struct facts *f)
{
	lose_agent(f, "the agent's socket is busy", false);
}

static void agent_socket_missing(struct facts *f)
{
	lose_agent(f, "the agent's socket is not there", false);
	f->domain.agent_socket.look = (struct path_look){ .rc = -ENOENT, .at = "/run/channel" };
}

static void agent_socket_no_socket(struct facts *f)
{
	lose_agent(f, "nobody listens on the agent's socket", false);
	f->domain.agent_socket.look =
		(struct path_look){ .rc = -ENOTSOCK, .at = "/run/web1.agent" };
}

static void mac_denies(struct facts *f)
{
	lose_agent(f, "no permission for the agent's socket", false);
	f->domain.agent_socket.look = (struct path_look){ .rc = -EACCES,
							  .at = "/run/web1.agent",
							  .permits = true,
							  .label = "svirt_image_t:s0:c1" };
}

/* AppArmor has its say when the socket is connected to, not when it is looked at. */
static void connecting_is_denied(struct facts *f)
{
	lose_agent(f, "no permission for the agent's socket", false);
	f->host.mac = (struct mac_look){ .apparmor = true, .own = "vcpuhpd (enforce)" };
}

static void qmp_connecting_is_denied(struct facts *f)
{
	lose_qemu(f, 0, "");
	f->domain.why_detached = "cannot connect to /run/web1.qmp: Permission denied";
}

static void selinux_denies(struct facts *f)
{
	mac_denies(f);
	f->host.mac = (struct mac_look){ .selinux = true, .enforcing = true, .own = "init_t" };
}

static void apparmor_denies(struct facts *f)
{
	mac_denies(f);
	f->host.mac = (struct mac_look){ .apparmor = true, .own = "vcpuhpd (enforce)" };
}

static void qmp_itself_keeps_out(struct facts *f)
{
	qmp_keeps_out(f);
	strcpy(f->domain.qmp.look.at, "/run/web1.qmp");
}

static void qmp_is_hidden(struct facts *f)
{
	lose_qemu(f, -EACCES, "/run/link");
	f->domain.qmp.look.hidden = true;
}

static void labelled(struct facts *f)
{
	strcpy(f->sight.label_model, "selinux");
	strcpy(f->sight.label, "svirt_t:s0:c1,c2");
}

static void runs_without_acpi(struct facts *f)
{
	no_agent(f);
	f->sight.acpi = false;
}

static void nowhere_acpi(struct facts *f)
{
	runs_without_acpi(f);
	f->advice.changes[f->advice.n_changes++].topic = ADVICE_ACPI;
}

static void transient_without_acpi(struct facts *f)
{
	runs_without_acpi(f);
	f->persist.persistent = false;
	f->domain.advice = NULL;
}

static void acpi_off(struct facts *f)
{
	f->hello.features = 0;
}

static void few_possible(struct facts *f)
{
	f->hello.possible = 4;
}

static void paused(struct facts *f)
{
	f->domain.status = HV_PAUSED;
}

static void migrates(struct facts *f)
{
	f->domain.status = HV_MIGRATING;
}

static void shut_down(struct facts *f)
{
	f->domain.status = HV_SHUT_DOWN;
}

static void unsupported(struct facts *f)
{
	f->domain.unsupported = "slots of two vCPUs";
}

static void no_kvm(struct facts *f)
{
	f->host.kvm = (struct kvm_limits){ .why = "Permission denied" };
}

static void no_operators(struct facts *f)
{
	f->host.may_change = f->host.operators = false;
	f->host.uid = 1000;
}

static void not_allowed(struct facts *f)
{
	f->host.may_change = false;
	f->host.restricted = true;
	f->host.uid = 1000;
}

static void libvirt_lost(struct facts *f)
{
	f->host.libvirt_up = false;
	f->host.libvirt_why = "libvirtd ended the connection";
	f->domain.libvirt_said = "libvirtd cannot be reached";
	f->domain.persist = NULL;
	f->domain.advice = NULL;
	f->domain.sight = NULL;
}

static void unmanage(struct facts *f)
{
	f->domain = (struct diagnose_domain){ .name = "web1",
					      .hypervisor = "libvirt",
					      .persist = &f->persist,
					      .advice = &f->advice,
					      .sight = &f->sight };
}

static void unknown_and_libvirt_lost(struct facts *f)
{
	unmanage(f);
	libvirt_lost(f);
}

static const struct row rows[] = {
	{ "all is well", false, nothing, "agent", SEVERITY_OK, "last heard 3 s ago", "" },
	{ "all is well on libvirt", true, nothing, "versions", SEVERITY_OK,
	  "vcpuhpd 0.1.0, QEMU 7.2.0, libvirt 9.0.0; agent 0.1.0", "" },
	{ "an older agent", false, older_agent, "versions", SEVERITY_NOTE, "agent 0.0.9",
	  "bring the older one up to date" },
	{ "no QMP socket", false, no_qmp_socket, "hypervisor", SEVERITY_ERROR,
	  "/run/web1.qmp is not there", "-qmp unix:PATH" },
	{ "and then nothing is said of the guest", false, no_qmp_socket, "agent", SEVERITY_OK, "",
	  "" },
	{ "but who may change it is", false, no_qmp_socket, "permission", SEVERITY_OK, "may change",
	  "" },
	{ "another QMP client", false, qmp_is_anothers, "hypervisor", SEVERITY_ERROR,
	  "another QMP client holds the socket", "it takes one client" },
	{ "a folder that keeps the daemon out", false, qmp_keeps_out, "hypervisor", SEVERITY_ERROR,
	  "/run/qemu (uid 64055, gid 109, mode 0750) keeps vcpuhpd out, which runs as uid 990",
	  "setfacl -m u:990:x /run/qemu," },
	{ "a socket that does", false, qmp_itself_keeps_out, "hypervisor", SEVERITY_ERROR,
	  "/run/web1.qmp (uid 64055", "setfacl -m u:990:rw /run/web1.qmp," },
	{ "a link to where the daemon may not go", false, qmp_is_hidden, "hypervisor",
	  SEVERITY_ERROR, "which runs as uid 990, gid 980, may not look at /run/link",
	  "namei -l /run/link" },
	{ "no agent", true, no_agent, "agent", SEVERITY_ERROR, "no agent has answered",
	  "systemctl status vcpuhp-agent" },
	{ "then the guest's kernel is not known", true, no_agent, "guest-kernel", SEVERITY_NOTE,
	  "not known without an agent", "/sys/firmware/acpi" },
	{ "an agent that left", true, agent_left, "agent", SEVERITY_ERROR,
	  "there was one, of version 0.1.0", "in the guest" },
	{ "what it said still counts", true, agent_left, "guest-kernel", SEVERITY_OK,
	  "as it was last heard", "" },
	{ "an agent that is connected and does not answer", true, agent_silent, "agent",
	  SEVERITY_ERROR, "did not answer when it was asked last, and was last heard 3 s ago",
	  "systemctl status vcpuhp-agent" },
	{ "another protocol", true, other_protocol, "agent", SEVERITY_ERROR, "another version",
	  "vcpuhpd's own version" },
	{ "another client on the agent's socket", false, agent_socket_busy, "channel",
	  SEVERITY_ERROR, "is busy", "one client" },
	{ "no such socket on QMP", false, agent_socket_missing, "channel", SEVERITY_ERROR,
	  "/run/channel is not there", "name=org.vcpuhp.agent.0" },
	{ "no such socket on libvirt", true, agent_socket_missing, "channel", SEVERITY_ERROR,
	  "/run/channel is not there", "start the domain again" },
	{ "a file that is no socket", false, agent_socket_no_socket, "channel", SEVERITY_ERROR,
	  "is no socket", "virtserialport" },
	{ "SELinux", true, selinux_denies, "channel", SEVERITY_ERROR, "keeps vcpuhpd out",
	  "SELinux (enforcing) denies it: vcpuhpd is init_t, the socket svirt_image_t:s0:c1" },
	{ "AppArmor", true, apparmor_denies, "channel", SEVERITY_ERROR, "keeps vcpuhpd out",
	  "AppArmor denies it (vcpuhpd is vcpuhpd (enforce))" },
	{ "neither, and yet", true, mac_denies, "channel", SEVERITY_ERROR, "keeps vcpuhpd out",
	  "the unit of vcpuhpd" },
	{ "AppArmor, when connecting", true, connecting_is_denied, "channel", SEVERITY_ERROR,
	  "no permission", "AppArmor denies it" },
	{ "and on QMP", false, qmp_connecting_is_denied, "hypervisor", SEVERITY_ERROR,
	  "Permission denied", "security modules" },
	{ "QEMU's label", true, labelled, "security", SEVERITY_OK, "under selinux as svirt_t", "" },
	{ "no label", true, nothing, "security", SEVERITY_OK, "", "" },
	{ "no <acpi/>, and no agent yet", true, runs_without_acpi, "acpi", SEVERITY_ERROR,
	  "it runs without ACPI", "has it already: shut it down" },
	{ "no <acpi/> in its configuration either", true, nowhere_acpi, "acpi", SEVERITY_ERROR,
	  "it runs without ACPI", "domain-xml web1 --apply, and a fresh start" },
	{ "no <acpi/>, and transient", true, transient_without_acpi, "acpi", SEVERITY_ERROR,
	  "it runs without ACPI", "make it anew" },
	{ "acpi=off", false, acpi_off, "guest-kernel", SEVERITY_ERROR, "ACPI is off",
	  "without acpi=off" },
	{ "nr_cpus=", false, few_possible, "guest-kernel", SEVERITY_WARNING,
	  "room for 4 CPUs, fewer than the maximum of 8", "nr_cpus=" },
	{ "paused on QMP", false, paused, "domain", SEVERITY_ERROR, "web1 is paused", "cont" },
	{ "paused on libvirt", true, paused, "domain", SEVERITY_ERROR, "web1 is paused",
	  "virsh resume web1" },
	{ "migrates", true, migrates, "domain", SEVERITY_ERROR, "migrates", "wait" },
	{ "has shut down", true, shut_down, "domain", SEVERITY_ERROR, "has shut down", "start" },
	{ "another machine", false, unsupported, "machine", SEVERITY_ERROR, "slots of two vCPUs",
	  "q35" },
	{ "no Operators=", false, no_operators, "permission", SEVERITY_ERROR,
	  "uid 1000 may look but not change web1: there is no Operators=", "Operators=GROUP" },
	{ "not in Allow=", false, not_allowed, "permission", SEVERITY_ERROR,
	  "Allow=", "named in the domain's Allow=" },
	{ "libvirtd is away", true, libvirt_lost, "hypervisor", SEVERITY_ERROR,
	  "libvirtd ended the connection", "vcpuhpctl doctor" },
	{ "and was asked", true, libvirt_lost, "libvirt", SEVERITY_WARNING,
	  "libvirtd cannot be reached", "vcpuhpctl doctor" },
	{ "nobody's, and libvirtd is away", true, unknown_and_libvirt_lost, "libvirt",
	  SEVERITY_ERROR, "libvirtd cannot be reached", "vcpuhpctl doctor" },
};

static void what_is_spoilt_is_found(void **state)
{
	assert_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void with_what_is_well_nothing_is_wrong(void **state)
{
	for (int libvirt = 0; libvirt < 2; libvirt++) {
		struct findings f = { 0 };
		struct facts facts;

		make_well(&facts, libvirt);
		diagnose_domain(&facts.host, &facts.domain, &f);
		assert_int_equal(findings_worst(&f)->severity, SEVERITY_OK);
		findings_done(&f);
	}
}

static void the_worst_is_the_first_of_the_worst(void **state)
{
	struct findings f = { 0 };

	assert_null(findings_worst(&f));
	findings_advise(&f, "of nothing");
	findings_add(&f, "a", SEVERITY_OK, "fine");
	findings_add(&f, "b", SEVERITY_WARNING, "first");
	findings_add(&f, "c", SEVERITY_WARNING, "second");
	assert_string_equal(findings_worst(&f)->text, "first");
	findings_done(&f);
}

static void of_the_daemon_itself(void **state)
{
	static const struct {
		const char *what;
		void (*spoil)(struct facts *f);
		const char *check;
		enum severity severity;
		const char *text;
	} own[] = {
		{ "well", nothing, "libvirt", SEVERITY_OK, "connected" },
		{ "libvirtd is away", libvirt_lost, "libvirt", SEVERITY_ERROR,
		  "not connected: libvirtd ended" },
		{ "no KVM", no_kvm, "kvm", SEVERITY_WARNING, "Permission denied" },
		{ "no Operators=", no_operators, "permission", SEVERITY_ERROR, "change domains" },
	};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		struct findings f = { 0 };
		const struct finding *found;
		struct facts facts;

		print_message("# %s\n", own[i].what);
		make_well(&facts, true);
		own[i].spoil(&facts);
		diagnose_host(&facts.host, &f);
		assert_int_equal(f.n, 4);
		found = find(&f, own[i].check);
		assert_non_null(found);
		assert_part(found->text, own[i].text);
		assert_int_equal(found->severity, own[i].severity);
		findings_done(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_spoilt_is_found),
		cmocka_unit_test(with_what_is_well_nothing_is_wrong),
		cmocka_unit_test(the_worst_is_the_first_of_the_worst),
		cmocka_unit_test(of_the_daemon_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
