/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
/*
 * Theory of operation
 *
 * A domain from the outside in: is it there and running, is QEMU reached, has it the channel, does
 * the agent answer, can the guest's kernel do it, is there room, who may ask. Each step says one
 * thing, also where it is well, so that what was looked at is to be seen. What cannot be told since
 * an earlier step fails is left out.
 *
 * A domain is one that vcpuhpd manages (a QMP domain, or a running one of libvirt's with the
 * channel), or one that only libvirt knows. Of the first the running VM counts, and its persistent
 * configuration only for the next start; of the second there is only what libvirt says.
 */
#include "daemon/diagnose.h"
#include <string.h>

#define CHANNEL "org.vcpuhp.agent.0"

static const struct advice_line *find_line(const struct advice_line *lines, size_t n,
					   enum advice_topic topic)
{
	for (size_t i = 0; i < n; i++)
		if (lines[i].topic == topic)
			return &lines[i];
	return NULL;
}

/* What its configuration is to get, or why it cannot be; NULL nothing. */
static const struct advice_line *find_change(const struct diagnose_domain *d, enum advice_topic t)
{
	return d->advice ? find_line(d->advice->changes, d->advice->n_changes, t) : NULL;
}

static const struct advice_line *find_obstacle(const struct diagnose_domain *d, enum advice_topic t)
{
	return d->advice ? find_line(d->advice->obstacles, d->advice->n_obstacles, t) : NULL;
}

static bool is_libvirt(const struct diagnose_domain *d)
{
	return strcmp(d->hypervisor, "libvirt") == 0;
}

static void add_machine(const char *why, struct findings *f)
{
	findings_add(f, "machine", SEVERITY_ERROR, "its machine is not supported: %s", why);
	findings_advise(f, "vCPUs are changed on x86, machines q35 and pc, one vCPU to a slot "
			   "(threads=1)");
}

static void diagnose_status(const struct diagnose_domain *d, struct findings *f)
{
	const char *name = d->name, *resume = is_libvirt(d) ? "virsh resume" : "QMP's cont:";

	switch (d->status) {
	case HV_RUNNING:
		findings_add(f, "domain", SEVERITY_OK, "%s runs", name);
		break;
	case HV_PAUSED:
		findings_add(f, "domain", SEVERITY_ERROR,
			     "%s is paused, and a change is refused until it runs", name);
		findings_advise(f, "%s %s", resume, name);
		break;
	case HV_MIGRATING:
		findings_add(f, "domain", SEVERITY_ERROR,
			     "%s migrates, and a change is refused until that is over", name);
		findings_advise(f, "wait for its end");
		break;
	case HV_CONNECTING:
	case HV_SHUT_DOWN:
		findings_add(f, "domain", SEVERITY_ERROR, "%s has shut down", name);
		findings_advise(f, "start it again");
		break;
	}
	if (d->unsupported)
		add_machine(d->unsupported, f);
}

/* Return: whether QEMU is reached. */
static bool diagnose_hypervisor(const struct diagnose_host *h, const struct diagnose_domain *d,
				struct findings *f)
{
	const char *why = d->why_detached ? d->why_detached : "not yet";

	if (d->attached && (!is_libvirt(d) || h->libvirt_up)) {
		findings_add(f, "hypervisor", SEVERITY_OK, "QEMU is reached %s%s",
			     is_libvirt(d) ? "by libvirt" : "at ",
			     is_libvirt(d) ? "" : d->qmp.path);
		return true;
	}
	if (!is_libvirt(d)) {
		diagnose_socket(
			h, &d->qmp, "hypervisor", "QEMU is not reached at", why,
			"start QEMU with -qmp unix:PATH,server=on,wait=off, or correct QMP= "
			"of the domain in vcpuhpd.conf",
			f);
		return false;
	}
	findings_add(f, "hypervisor", SEVERITY_ERROR, "libvirt is not reached: %s",
		     *h->libvirt_why ? h->libvirt_why : why);
	findings_advise(f, "vcpuhpctl doctor, without a domain, tells more");
	return false;
}

static void diagnose_label(const struct diagnose_domain *d, struct findings *f)
{
	if (d->sight && *d->sight->label)
		findings_add(f, "security", SEVERITY_OK, "QEMU runs under %s as %s",
			     d->sight->label_model, d->sight->label);
}

/* Return: whether the agent can be spoken to at all. */
static bool diagnose_port(const struct diagnose_host *h, const struct diagnose_domain *d,
			  struct findings *f)
{
	const struct diagnose_socket *s = &d->agent_socket;

	if (s->connected || d->agent.up) {
		findings_add(f, "channel", SEVERITY_OK, CHANNEL " is open at %s",
			     s->path ? s->path : "?");
		return true;
	}
	diagnose_socket(h, s, "channel", "the agent's channel at", d->agent.why,
			is_libvirt(d) ? "QEMU makes it when it starts: start the domain again"
				      : "start QEMU with -chardev socket,id=vcpuhp,path=PATH,"
					"server=on,wait=off -device virtserialport,chardev=vcpuhp,"
					"name=" CHANNEL ",id=vcpuhp-port, or correct Agent= in "
					"vcpuhpd.conf",
			f);
	return false;
}

static void advise_start(struct findings *f)
{
	findings_advise(
		f, "in the guest: systemctl status vcpuhp-agent, or start vcpuhp-agent by hand; it "
		   "needs /dev/virtio-ports/" CHANNEL " (the module virtio_console)");
}

static void add_agent_up(const struct diagnose_agent *a, struct findings *f)
{
	long long heard_s = (long long)(a->heard_ms / 1000);

	if (a->silent) {
		findings_add(
			f, "agent", SEVERITY_ERROR,
			"the agent did not answer when it was asked last, and was last heard %lld s ago: it "
			"has gone, or the guest hangs",
			heard_s);
		advise_start(f);
	} else if (a->heard_ms < 0) {
		findings_add(f, "agent", SEVERITY_OK, "the agent is connected");
	} else {
		findings_add(
			f, "agent", SEVERITY_OK,
			"the agent is connected and has answered; last heard %lld s ago, asked "
			"again before each change",
			heard_s);
	}
}

static void diagnose_agent(const struct diagnose_domain *d, struct findings *f)
{
	const struct diagnose_agent *a = &d->agent;

	if (a->up) {
		add_agent_up(a, f);
		return;
	}
	findings_add(f, "agent", SEVERITY_ERROR, "no agent in the guest: %s%s%s", a->why,
		     a->hello ? "; there was one, of version " : "",
		     a->hello ? a->hello->version : "");
	if (strstr(a->why, "another version"))
		findings_advise(f,
				"install the vcpuhp-agent of vcpuhpd's own version in the guest");
	else
		advise_start(f);
}

static void diagnose_kernel(const struct diagnose_domain *d, struct findings *f)
{
	const struct msg_hello *hello = d->agent.hello;
	const char *as_heard = d->agent.up ? "" : ", as it was last heard";

	if (!hello) {
		findings_add(f, "guest-kernel", SEVERITY_NOTE,
			     "whether the guest's kernel can hotplug CPUs is not known without an "
			     "agent");
		findings_advise(f, "in the guest: ls /sys/firmware/acpi, and "
				   "/sys/devices/system/cpu/possible must be more than present");
	} else if (!(hello->features & MSG_FEATURE_HOTPLUG)) {
		findings_add(
			f, "guest-kernel", SEVERITY_ERROR,
			"the guest's kernel %s cannot hotplug CPUs: ACPI is off, or it is built "
			"without%s",
			hello->kernel, as_heard);
		findings_advise(f, "boot the guest without acpi=off and with a kernel that has "
				   "CONFIG_HOTPLUG_CPU and CONFIG_ACPI_HOTPLUG_CPU");
	} else if (d->vcpus.maximum > hello->possible) {
		findings_add(f, "guest-kernel", SEVERITY_WARNING,
			     "the guest's kernel has room for %u CPUs, fewer than the maximum of "
			     "%u%s",
			     hello->possible, d->vcpus.maximum, as_heard);
		findings_advise(f, "look for nr_cpus=, maxcpus= or possible_cpus= on the guest's "
				   "kernel command line");
	} else {
		findings_add(f, "guest-kernel", SEVERITY_OK,
			     "the guest's kernel %s can hotplug CPUs and has room for %u%s",
			     hello->kernel, hello->possible, as_heard);
	}
}

/* Only libvirt tells of it without an agent; of the running domain where it runs. */
static void diagnose_acpi(const struct diagnose_domain *d, struct findings *f)
{
	if (!d->sight || d->sight->acpi)
		return;
	findings_add(f, "acpi", SEVERITY_ERROR,
		     "it %s without ACPI, so its guest does not see the vCPUs that are plugged",
		     d->persist->running ? "runs" : "is configured");
	if (!d->persist->persistent)
		findings_advise(f, "it is a transient domain: make it anew with <acpi/> among its "
				   "<features>");
	else if (find_change(d, ADVICE_ACPI))
		findings_advise(f, "vcpuhpctl domain-xml %s --apply, and a fresh start", d->name);
	else
		findings_advise(f, "its configuration has it already: shut it down and start it "
				   "again");
}

static void diagnose_managed(const struct diagnose_host *h, const struct diagnose_domain *d,
			     struct findings *f)
{
	if (!diagnose_hypervisor(h, d, f) && !d->attached) {
		diagnose_permission(h, d->name, f);
		return;
	}
	diagnose_status(d, f);
	if (diagnose_port(h, d, f))
		diagnose_agent(d, f);
	diagnose_label(d, f);
	diagnose_acpi(d, f);
	diagnose_kernel(d, f);
	diagnose_vcpus(h, d, f);
	diagnose_permission(h, d->name, f);
	diagnose_others(d, f);
}

static void diagnose_missing_channel(const struct diagnose_domain *d, struct findings *f)
{
	const struct advice_line *obstacle = find_obstacle(d, ADVICE_CHANNEL);

	if (obstacle) {
		findings_add(f, "channel", SEVERITY_ERROR, "%s", obstacle->text);
		findings_advise(f, "correct it by hand: virsh edit %s", d->name);
		return;
	}
	if (d->persist->running ? d->persist->channel : !find_change(d, ADVICE_CHANNEL)) {
		findings_add(f, "channel", SEVERITY_OK, "%s " CHANNEL,
			     d->persist->running ? "it has" : "its configuration has");
		return;
	}
	findings_add(f, "channel", SEVERITY_ERROR,
		     "it has no channel " CHANNEL ", so vcpuhpd cannot speak to an agent in it");
	if (!d->persist->persistent)
		findings_advise(f, "it is a transient domain: make it anew with the channel");
	else if (find_change(d, ADVICE_CHANNEL))
		findings_advise(f, "vcpuhpctl domain-xml %s --apply, then %s", d->name,
				d->persist->running ? "shut it down and start it again"
						    : "start it");
	else
		findings_advise(f, "its configuration has it already: shut it down and start it "
				   "again");
}

static void diagnose_unmanaged(const struct diagnose_host *h, const struct diagnose_domain *d,
			       struct findings *f)
{
	const struct persist_domain *p = d->persist;

	if (!p->running) {
		findings_add(f, "domain", SEVERITY_ERROR,
			     "%s is shut off: only its configuration can be changed (--config)",
			     d->name);
		findings_advise(f, "virsh start %s", d->name);
	} else if (p->channel) {
		findings_add(f, "domain", SEVERITY_ERROR,
			     "%s runs with the channel, but vcpuhpd has not taken it up yet",
			     d->name);
		findings_advise(f, "ask again in a moment; else look at vcpuhpd's log");
	} else {
		findings_add(f, "domain", SEVERITY_OK, "%s runs", d->name);
	}
	diagnose_missing_channel(d, f);
	if (d->sight && *d->sight->unsupported)
		add_machine(d->sight->unsupported, f);
	diagnose_acpi(d, f);
	diagnose_vcpus(h, d, f);
	diagnose_permission(h, d->name, f);
	diagnose_others(d, f);
}

void diagnose_domain(const struct diagnose_host *h, const struct diagnose_domain *d,
		     struct findings *f)
{
	diagnose_versions(h, d, f);
	if (d->libvirt_said) {
		findings_add(f, "libvirt", d->managed ? SEVERITY_WARNING : SEVERITY_ERROR,
			     "libvirt could not be asked about its configuration: %s",
			     d->libvirt_said);
		findings_advise(f, "vcpuhpctl doctor, without a domain, tells how libvirt is "
				   "reached");
	}
	if (d->managed)
		diagnose_managed(h, d, f);
	else if (d->persist)
		diagnose_unmanaged(h, d, f);
}
