/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told of a domain's vCPUs, of who else moves them, and of domains that only libvirt knows. */
#include "diagnose-bench.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void add_line(struct advice_line *to, size_t *n, enum advice_topic topic, const char *text)
{
	to[*n].topic = topic;
	snprintf(to[(*n)++].text, ADVICE_TEXT, "%s", text);
}

static void lacks(struct facts *f, enum advice_topic topic)
{
	add_line(f->advice.changes, &f->advice.n_changes, topic, "what is missing");
}

static void cannot_have(struct facts *f, enum advice_topic topic)
{
	add_line(f->advice.obstacles, &f->advice.n_obstacles, topic, "what is in the way");
}

static void full(struct facts *f)
{
	f->domain.vcpus.present = 8;
	f->domain.vcpus.removable = 7;
}

static void full_and_fixed(struct facts *f)
{
	f->domain.vcpus.present = 8;
	f->domain.vcpus.removable = 0;
	f->domain.vcpus.fixed = 7;
}

static void full_with_standby(struct facts *f)
{
	full(f);
	f->domain.vcpus.standby = 3;
}

static void at_the_ceiling(struct facts *f)
{
	f->domain.vcpus.ceiling = 2;
}

static void above_the_ceiling(struct facts *f)
{
	f->domain.vcpus.ceiling = 1;
}

static void ceiling_beyond(struct facts *f)
{
	f->domain.vcpus.ceiling = 9;
}

static void another_maximum_next(struct facts *f)
{
	f->persist.maximum = 16;
}

static void one_by_one(struct facts *f)
{
	f->domain.one_by_one = true;
	f->domain.facts.smm = HV_SMM_ON;
}

static void tcg(struct facts *f)
{
	f->domain.facts.kvm = false;
	strcpy(f->domain.facts.accel, "tcg");
}

static void beyond_kvm(struct facts *f)
{
	f->host.kvm.max_vcpus = 4;
}

static void beyond_recommended(struct facts *f)
{
	f->host.kvm.nr_vcpus = 2;
}

static void no_kvm(struct facts *f)
{
	f->host.kvm = (struct kvm_limits){ .why = "Permission denied" };
}

static void drifts(struct facts *f)
{
	f->domain.vcpus.drifting = 2;
	f->domain.vcpus.drift_vcpu = 3;
	f->domain.vcpus.drift = "the guest brought it up without being asked";
}

static void owned_by(struct facts *f, const char *namespace)
{
	snprintf(f->sight.owners[f->sight.n_owners++], SIGHT_TEXT, "%s", namespace);
}

static void novas(struct facts *f)
{
	owned_by(f, "http://libosinfo.org/xmlns/libvirt/domain/1.0");
	owned_by(f, "http://openstack.org/xmlns/libvirt/nova/1.1");
}

static void somebodys(struct facts *f)
{
	owned_by(f, "urn:example");
}

static void remembered(struct facts *f)
{
	owned_by(f, "http://libosinfo.org/xmlns/libvirt/domain/1.0");
}

static void unmanage(struct facts *f)
{
	f->domain = (struct diagnose_domain){ .name = "web1",
					      .hypervisor = "libvirt",
					      .persist = &f->persist,
					      .advice = &f->advice,
					      .sight = &f->sight };
}

static void shut_off(struct facts *f)
{
	unmanage(f);
	f->persist.running = f->persist.channel = false;
}

static void shut_off_without_all(struct facts *f)
{
	shut_off(f);
	lacks(f, ADVICE_CHANNEL);
	lacks(f, ADVICE_ACPI);
	f->sight.acpi = false;
	lacks(f, ADVICE_BOOT_VCPUS);
	cannot_have(f, ADVICE_MAXIMUM);
	strcpy(f->sight.unsupported, "what is in the way");
}

static void runs_without_channel(struct facts *f)
{
	unmanage(f);
	f->persist.channel = false;
	lacks(f, ADVICE_CHANNEL);
}

static void channel_from_next_start(struct facts *f)
{
	unmanage(f);
	f->persist.channel = false;
}

static void channel_of_another_kind(struct facts *f)
{
	unmanage(f);
	f->persist.channel = false;
	cannot_have(f, ADVICE_CHANNEL);
}

static void transient(struct facts *f)
{
	unmanage(f);
	f->persist.channel = f->persist.persistent = false;
	f->domain.advice = NULL;
}

static void transient_of_another_machine(struct facts *f)
{
	transient(f);
	strcpy(f->sight.unsupported, "slots of two vCPUs");
}

static void not_taken_up(struct facts *f)
{
	unmanage(f);
}

static void udev_onlines(struct facts *f)
{
	f->hello.features |= MSG_FEATURE_UDEV_ONLINES;
}

static void irqbalance(struct facts *f)
{
	f->hello.features |= MSG_FEATURE_IRQBALANCE;
}

static void agent_does_not_tell(struct facts *f)
{
	f->hello.features = MSG_FEATURE_HOTPLUG;
}

static void no_agent_heard(struct facts *f)
{
	f->domain.agent = (struct diagnose_agent){ .why = "no agent has answered", .heard_ms = -1 };
}

static const struct row rows[] = {
	{ "no udev rule", false, nothing, "udev", SEVERITY_OK, "no udev rule", "" },
	{ "a udev rule", false, udev_onlines, "udev", SEVERITY_NOTE,
	  "brings new CPUs online, where its other conditions hold", "mask the rule" },
	{ "an agent that does not look for one", false, agent_does_not_tell, "udev", SEVERITY_NOTE,
	  "does not tell", "in the guest: grep" },
	{ "no irqbalance", false, nothing, "irqbalance", SEVERITY_OK, "did not run", "" },
	{ "irqbalance", false, irqbalance, "irqbalance", SEVERITY_NOTE, "ap:irq leaves them", "" },
	{ "an agent that does not look for it", false, agent_does_not_tell, "irqbalance",
	  SEVERITY_NOTE, "does not tell", "systemctl status irqbalance" },
	{ "of neither without an agent", false, no_agent_heard, "udev", SEVERITY_OK, "", "" },
	{ "room", false, nothing, "maximum", SEVERITY_OK,
	  "2 of 8 vCPUs are plugged: there is room "
	  "for 6 more",
	  "" },
	{ "no room", false, full, "maximum", SEVERITY_WARNING, "only a way down",
	  "-smp 1,maxcpus=N" },
	{ "no room on libvirt", true, full, "maximum", SEVERITY_WARNING, "only a way down",
	  "domain-xml web1 --maxvcpus N --apply" },
	{ "no room and no way down", false, full_and_fixed, "maximum", SEVERITY_ERROR,
	  "none can be taken away", "-smp" },
	{ "no room but standby", false, full_with_standby, "maximum", SEVERITY_NOTE,
	  "some at standby: only these", "-smp" },
	{ "at MaxVcpus=", true, at_the_ceiling, "maximum", SEVERITY_WARNING,
	  "2 of 2 vCPUs are plugged (MaxVcpus=)", "raise MaxVcpus= of [Domain web1]" },
	{ "above MaxVcpus=", true, above_the_ceiling, "maximum", SEVERITY_WARNING,
	  "2 of 1 vCPUs are plugged (MaxVcpus=)", "raise MaxVcpus=" },
	{ "MaxVcpus= above the maximum", true, ceiling_beyond, "maximum", SEVERITY_OK,
	  "2 of 8 vCPUs are plugged: there", "" },
	{ "more from the next start", true, another_maximum_next, "configuration", SEVERITY_NOTE,
	  "8 now, and 16 from its next start", "" },
	{ "boot vCPUs that can go", true, nothing, "boot-vcpus", SEVERITY_OK, "all but vCPU 0",
	  "" },
	{ "boot vCPUs that stay, on QMP", false, full_and_fixed, "boot-vcpus", SEVERITY_WARNING,
	  "fewer than 8 are refused", "-smp 1" },
	{ "boot vCPUs that stay, on libvirt", true, full_and_fixed, "boot-vcpus", SEVERITY_WARNING,
	  "fewer than 8 are refused", "domain-xml web1 --apply" },
	{ "firmware with SMM", true, one_by_one, "firmware", SEVERITY_NOTE,
	  "SMM or a secure loader", "" },
	{ "no such firmware", true, nothing, "firmware", SEVERITY_OK, "nothing", "" },
	{ "TCG", false, tcg, "kvm", SEVERITY_NOTE, "without KVM (tcg)", "" },
	{ "beyond KVM's maximum", false, beyond_kvm, "kvm", SEVERITY_WARNING, "up to 4 vCPUs", "" },
	{ "beyond what KVM recommends", false, beyond_recommended, "kvm", SEVERITY_NOTE,
	  "no more than 2 vCPUs here, the maximum is 8", "" },
	{ "KVM cannot be asked", false, no_kvm, "kvm", SEVERITY_NOTE, "Permission denied", "" },
	{ "no drift", false, nothing, "drift", SEVERITY_OK, "as it was asked for", "" },
	{ "drift", false, drifts, "drift", SEVERITY_WARNING,
	  "2 vCPUs are not as asked for; vCPU 3: the guest brought it up", "udev rule" },
	{ "Nova's", true, novas, "owner", SEVERITY_WARNING, "OpenStack Nova's",
	  "change the size there" },
	{ "somebody's", true, somebodys, "owner", SEVERITY_NOTE, "(urn:example)", "" },
	{ "an installer's memory", true, remembered, "owner", SEVERITY_OK, "", "" },
	{ "shut off", true, shut_off, "domain", SEVERITY_ERROR, "web1 is shut off",
	  "virsh start web1" },
	{ "shut off, with the channel", true, shut_off, "channel", SEVERITY_OK,
	  "its configuration has", "" },
	{ "shut off, no channel", true, shut_off_without_all, "channel", SEVERITY_ERROR,
	  "it has no channel", "domain-xml web1 --apply, then start it" },
	{ "shut off, no ACPI", true, shut_off_without_all, "acpi", SEVERITY_ERROR,
	  "it is configured without ACPI", "--apply" },
	{ "shut off, no room", true, shut_off_without_all, "maximum", SEVERITY_ERROR,
	  "in its configuration what is in the way", "--maxvcpus N" },
	{ "shut off, boot vCPUs", true, shut_off_without_all, "boot-vcpus", SEVERITY_WARNING,
	  "its configuration starts with", "--apply" },
	{ "shut off, another machine", true, shut_off_without_all, "machine", SEVERITY_ERROR,
	  "what is in the way", "q35" },
	{ "shut off, nothing of the agent", true, shut_off, "agent", SEVERITY_OK, "", "" },
	{ "runs without the channel", true, runs_without_channel, "channel", SEVERITY_ERROR,
	  "it has no channel", "--apply, then shut it down and start it again" },
	{ "has the channel from the next start", true, channel_from_next_start, "channel",
	  SEVERITY_ERROR, "it has no channel", "has it already: shut it down" },
	{ "a channel of another kind", true, channel_of_another_kind, "channel", SEVERITY_ERROR,
	  "what is in the way", "virsh edit web1" },
	{ "transient", true, transient, "channel", SEVERITY_ERROR, "it has no channel",
	  "make it anew with the channel" },
	{ "transient, another machine", true, transient_of_another_machine, "machine",
	  SEVERITY_ERROR, "slots of two vCPUs", "q35" },
	{ "whose channel is there", true, not_taken_up, "channel", SEVERITY_OK, "it has org.vcpuhp",
	  "" },
	{ "not taken up yet", true, not_taken_up, "domain", SEVERITY_ERROR, "not taken it up yet",
	  "in a moment" },
};

static void what_is_spoilt_is_found(void **state)
{
	assert_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void a_manager_is_told_of_once(void **state)
{
	struct findings f = { 0 };
	struct facts facts;
	int told = 0;

	make_well(&facts, true);
	owned_by(&facts, "http://ovirt.org/vm/1.0");
	owned_by(&facts, "urn:example");
	owned_by(&facts, "http://ovirt.org/vm/tune/1.0");
	owned_by(&facts, "urn:another");
	diagnose_domain(&facts.host, &facts.domain, &f);
	for (size_t i = 0; i < f.n; i++)
		told += strcmp(f.v[i].check, "owner") == 0;
	assert_int_equal(told, 3);
	findings_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_spoilt_is_found),
		cmocka_unit_test(a_manager_is_told_of_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
