/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
/*
 * Theory of operation
 *
 * What a change would have to do with: the vCPUs there are and can be, what may be unplugged, what
 * firmware and KVM say; and what else in guest and host has a hand in them.
 *
 * Room is an error only where nothing can be moved, neither up nor down.
 */
#include "daemon/diagnose.h"
#include <stdio.h>
#include <string.h>

static bool is_libvirt(const struct diagnose_domain *d)
{
	return strcmp(d->hypervisor, "libvirt") == 0;
}

static const struct advice_line *find_line(const struct diagnose_domain *d, bool obstacle,
					   enum advice_topic topic)
{
	const struct advice_line *lines = NULL;
	size_t n = 0;

	if (d->advice) {
		lines = obstacle ? d->advice->obstacles : d->advice->changes;
		n = obstacle ? d->advice->n_obstacles : d->advice->n_changes;
	}
	for (size_t i = 0; i < n; i++)
		if (lines[i].topic == topic)
			return &lines[i];
	return NULL;
}

static void advise_room(const struct diagnose_domain *d, struct findings *f)
{
	const struct diagnose_vcpus *v = &d->vcpus;

	if (v->ceiling && v->present >= v->ceiling && v->present < v->maximum)
		findings_advise(f, "raise MaxVcpus= of [Domain %s] in vcpuhpd.conf", d->name);
	else if (is_libvirt(d))
		findings_advise(f,
				"vcpuhpctl domain-xml %s --maxvcpus N --apply, and a fresh start",
				d->name);
	else
		findings_advise(f, "start QEMU with room: -smp 1,maxcpus=N");
}

static void diagnose_room(const struct diagnose_domain *d, struct findings *f)
{
	const struct diagnose_vcpus *v = &d->vcpus;
	bool below = v->ceiling && v->ceiling < v->maximum;
	unsigned int most = below ? v->ceiling : v->maximum;
	char count[96];

	snprintf(count, sizeof(count), "%u of %u vCPUs are plugged%s%s", v->present, most,
		 below ? " (MaxVcpus=)" : "", v->standby > 0 ? ", some at standby" : "");
	if (v->present < most) {
		findings_add(f, "maximum", SEVERITY_OK, "%s: there is room for %u more", count,
			     most - v->present);
		return;
	}
	if (v->standby > 0)
		findings_add(f, "maximum", SEVERITY_NOTE, "%s: only these can still come online",
			     count);
	else if (v->removable)
		findings_add(f, "maximum", SEVERITY_WARNING,
			     "%s: there is room for no more, only a way down", count);
	else
		findings_add(f, "maximum", SEVERITY_ERROR,
			     "%s: there is room for no more, and none can be taken away", count);
	advise_room(d, f);
}

/* Of a domain that vcpuhpd does not manage there is what libvirt says. */
static void diagnose_configured_room(const struct diagnose_domain *d, struct findings *f)
{
	const struct advice_line *obstacle = find_line(d, true, ADVICE_MAXIMUM);

	if (obstacle) {
		findings_add(f, "maximum", SEVERITY_ERROR, "in its configuration %s",
			     obstacle->text);
		advise_room(d, f);
	} else if (d->sight) {
		findings_add(f, "maximum", SEVERITY_OK, "%u of %u vCPUs", d->sight->present,
			     d->sight->maximum);
	}
}

static void diagnose_next_start(const struct diagnose_domain *d, struct findings *f)
{
	const struct persist_domain *p = d->persist;

	if (p && p->persistent && p->running && d->sight && p->maximum != d->sight->maximum)
		findings_add(f, "configuration", SEVERITY_NOTE,
			     "the maximum is %u now, and %u from its next start", d->sight->maximum,
			     p->maximum);
}

static void diagnose_boot_vcpus(const struct diagnose_domain *d, struct findings *f)
{
	const struct diagnose_vcpus *v = &d->vcpus;
	const struct advice_line *change = find_line(d, false, ADVICE_BOOT_VCPUS);

	if (d->managed && v->fixed == 0) {
		findings_add(f, "boot-vcpus", SEVERITY_OK, "all but vCPU 0 can be unplugged");
		return;
	}
	if (d->managed)
		findings_add(
			f, "boot-vcpus", SEVERITY_WARNING,
			"%u vCPUs that are there from the start cannot be unplugged: fewer than "
			"%u are refused",
			v->fixed, v->fixed + 1);
	else if (change)
		findings_add(f, "boot-vcpus", SEVERITY_WARNING,
			     "some vCPUs that its configuration starts with cannot be unplugged");
	else
		return;
	if (is_libvirt(d))
		findings_advise(f, "vcpuhpctl domain-xml %s --apply, and a fresh start", d->name);
	else
		findings_advise(f, "start QEMU with -smp 1,maxcpus=N and plug the others");
}

static void diagnose_firmware(const struct diagnose_domain *d, struct findings *f)
{
	bool smm = d->attached ? d->facts.smm == HV_SMM_ON : d->sight && d->sight->smm;

	if (d->managed ? d->one_by_one : smm)
		findings_add(f, "firmware", SEVERITY_NOTE,
			     "vCPUs are plugged one by one, each when the firmware has answered "
			     "(%s): slower, and nothing else",
			     smm               ? "SMM or a secure loader"
			     : d->facts.pflash ? "firmware in pflash"
					       : "OneByOne=");
	else
		findings_add(f, "firmware", SEVERITY_OK,
			     "nothing that asks for one vCPU at a time");
}

static void diagnose_limits(const struct diagnose_host *h, const struct diagnose_domain *d,
			    struct findings *f)
{
	const struct kvm_limits *k = &h->kvm;
	unsigned int maximum = d->vcpus.maximum;

	if (!d->attached)
		return;
	if (!d->facts.kvm)
		findings_add(f, "kvm", SEVERITY_NOTE,
			     "it runs without KVM (%s): deadlines are six times as long",
			     d->facts.accel);
	else if (!k->available)
		findings_add(f, "kvm", SEVERITY_NOTE,
			     "KVM's limits are not known, vcpuhpd cannot ask: %s", k->why);
	else if (maximum > k->max_vcpus)
		findings_add(f, "kvm", SEVERITY_WARNING,
			     "KVM runs up to %u vCPUs in a VM here: more are refused, though the "
			     "maximum is %u",
			     k->max_vcpus, maximum);
	else if (maximum > k->nr_vcpus)
		findings_add(f, "kvm", SEVERITY_NOTE,
			     "KVM recommends no more than %u vCPUs here, the maximum is %u",
			     k->nr_vcpus, maximum);
	else
		findings_add(f, "kvm", SEVERITY_OK, "the maximum of %u is within KVM's limits",
			     maximum);
}

void diagnose_vcpus(const struct diagnose_host *h, const struct diagnose_domain *d,
		    struct findings *f)
{
	if (d->vcpus.maximum)
		diagnose_room(d, f);
	else
		diagnose_configured_room(d, f);
	diagnose_next_start(d, f);
	diagnose_boot_vcpus(d, f);
	diagnose_firmware(d, f);
	diagnose_limits(h, d, f);
}

/* Whose namespace in <metadata> it is. */
static const struct {
	const char *prefix, *name; /* NULL: it only remembers something there */
} owners[] = {
	{ "http://openstack.org/xmlns/libvirt/nova", "OpenStack Nova" },
	{ "http://ovirt.org/vm", "oVirt" },
	{ "http://kubevirt.io", "KubeVirt" },
	{ "http://libosinfo.org/", NULL },
	{ "https://libosinfo.org/", NULL },
	{ "https://wiki.gnome.org/Apps/Boxes", NULL },
};

/* Return: its place in owners[], or -1. */
static int find_owner(const char *namespace)
{
	for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++)
		if (strncmp(namespace, owners[i].prefix, strlen(owners[i].prefix)) == 0)
			return (int)i;
	return -1;
}

/* One manager may have several namespaces. */
static bool is_told(const struct sight *s, size_t n)
{
	int owner = find_owner(s->owners[n]);

	for (size_t i = 0; i < n && owner >= 0; i++)
		if (find_owner(s->owners[i]) == owner)
			return true;
	return false;
}

static void diagnose_owner(const char *namespace, struct findings *f)
{
	int owner = find_owner(namespace);

	if (owner < 0) {
		findings_add(f, "owner", SEVERITY_NOTE,
			     "another program keeps something in the domain's metadata (%s): where "
			     "it counts vCPUs, it does not learn of changes here",
			     namespace);
	} else if (owners[owner].name) {
		findings_add(f, "owner", SEVERITY_WARNING,
			     "the domain is %s's: it does not learn of vCPUs that change here, and "
			     "its accounting, quota and placement stay as they were",
			     owners[owner].name);
		findings_advise(f,
				"change the size there where it can be done, or keep within what "
				"was accounted for");
	}
}

static void diagnose_drift(const struct diagnose_domain *d, struct findings *f)
{
	const struct diagnose_vcpus *v = &d->vcpus;

	if (!d->agent.up)
		return;
	if (v->drifting == 0) {
		findings_add(f, "drift", SEVERITY_OK, "every vCPU is as it was asked for");
		return;
	}
	findings_add(f, "drift", SEVERITY_WARNING, "%u vCPUs are not as asked for; vCPU %u: %s",
		     v->drifting, v->drift_vcpu, v->drift);
	findings_advise(f,
			"vcpuhpctl info %s shows each; somebody else moves vCPUs: a udev rule of "
			"the guest, a person, virsh",
			d->name);
}

static void diagnose_udev(const struct msg_hello *hello, struct findings *f)
{
	if (!(hello->features & MSG_FEATURE_OTHERS)) {
		findings_add(f, "udev", SEVERITY_NOTE,
			     "the agent does not tell whether a udev rule brings CPUs online");
		findings_advise(f, "in the guest: grep -rl 'SUBSYSTEM==\"cpu\"' /etc/udev/rules.d "
				   "/usr/lib/udev/rules.d");
	} else if (hello->features & MSG_FEATURE_UDEV_ONLINES) {
		findings_add(
			f, "udev", SEVERITY_NOTE,
			"the guest has a udev rule that brings new CPUs online, where its other "
			"conditions hold: that does no harm, but it may do so to one that is "
			"to rest at standby, too, which is parked again");
		findings_advise(f, "to have them at standby without that, mask the rule in the "
				   "guest's /etc/udev/rules.d");
	} else {
		findings_add(
			f, "udev", SEVERITY_OK,
			"no udev rule of the guest brought CPUs online when the agent started");
	}
}

static void diagnose_irqbalance(const struct msg_hello *hello, struct findings *f)
{
	if (!(hello->features & MSG_FEATURE_OTHERS)) {
		findings_add(f, "irqbalance", SEVERITY_NOTE,
			     "the agent does not tell whether irqbalance runs");
		findings_advise(f, "in the guest: systemctl status irqbalance");
	} else if (hello->features & MSG_FEATURE_IRQBALANCE) {
		findings_add(
			f, "irqbalance", SEVERITY_NOTE,
			"irqbalance runs in the guest: it spreads interrupts, and ap:irq leaves "
			"them to it");
	} else {
		findings_add(f, "irqbalance", SEVERITY_OK,
			     "irqbalance did not run in the guest when the agent connected");
	}
}

void diagnose_others(const struct diagnose_domain *d, struct findings *f)
{
	diagnose_drift(d, f);
	if (d->agent.hello) {
		diagnose_udev(d->agent.hello, f);
		diagnose_irqbalance(d->agent.hello, f);
	}
	for (size_t i = 0; d->sight && i < d->sight->n_owners; i++)
		if (!is_told(d->sight, i))
			diagnose_owner(d->sight->owners[i], f);
}
