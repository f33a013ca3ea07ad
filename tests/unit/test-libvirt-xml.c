/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/hv-libvirt-xml.h"

#define HEAD "<domain type='kvm' id='3'><name>web1</name>"
#define OS "<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>"
#define CHANNEL(type, target, name, source) \
	"<channel type='" type "'>" source "<target type='" target "' name='" name "'/></channel>"
#define SOURCE "<source mode='bind' path='/run/web1.agent'/>"
#define VCPU "<vcpu placement='static' current='2'>4</vcpu>"

static struct xml_domain parse_good(const char *text)
{
	struct xml_domain d;

	assert_int_equal(xml_domain_parse(text, strlen(text), &d), 0);
	return d;
}

static void a_running_domain_is_read(void **state)
{
	struct xml_domain d = parse_good(
		HEAD VCPU
		"<vcpus>"
		"<vcpu id='0' enabled='yes' hotpluggable='no' order='1'/>"
		"<vcpu id='1' enabled='no' hotpluggable='yes'/>"
		"<vcpu id='2' enabled='yes' hotpluggable='yes' order='2'/>"
		"<vcpu id='3' enabled='no' hotpluggable='yes'/>"
		"</vcpus>" OS "<devices>" CHANNEL("unix", "virtio", "org.qemu.guest_agent.0",
						  "<source path='/run/ga'/>")
			CHANNEL("unix", "virtio", "org.vcpuhp.agent.0", SOURCE) "</devices>"
										"</domain>");
	static const char wanted[] = "y.Y.";

	assert_string_equal(d.name, "web1");
	assert_string_equal(d.agent, "/run/web1.agent");
	assert_string_equal(d.machine, "pc-q35-7.2");
	assert_true(d.supported && d.kvm);
	assert_false(d.pflash || d.smm);
	assert_int_equal(d.maximum, 4);
	for (unsigned int i = 0; i < d.maximum; i++) {
		assert_int_equal(d.vcpus[i].enabled, wanted[i] != '.');
		assert_int_equal(d.vcpus[i].hotpluggable, i > 0);
	}
	xml_domain_done(&d);
}

/* As libvirt writes it until a vCPU is moved. */
static void without_a_list_the_first_are_enabled_and_stay(void **state)
{
	struct xml_domain d = parse_good(HEAD VCPU OS "</domain>");

	assert_int_equal(d.maximum, 4);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(d.vcpus[i].enabled, i < 2);
		assert_false(d.vcpus[i].hotpluggable);
	}
	assert_null(d.agent);
	xml_domain_done(&d);
	d = parse_good(HEAD "<vcpu>3</vcpu>" OS "</domain>");
	assert_int_equal(d.maximum, 3);
	assert_true(d.vcpus[2].enabled);
	xml_domain_done(&d);
}

static void only_the_channel_of_that_name_and_kind_counts(void **state)
{
	static const char *const none[] = {
		CHANNEL("pty", "virtio", "org.vcpuhp.agent.0", SOURCE),
		CHANNEL("unix", "guestfwd", "org.vcpuhp.agent.0", SOURCE),
		CHANNEL("unix", "virtio", "org.vcpuhp.agent.1", SOURCE),
		CHANNEL("unix", "virtio", "org.vcpuhp.agent.0", ""),
		CHANNEL("unix", "virtio", "org.vcpuhp.agent.0", "<source path='relative'/>"),
		"<serial type='unix'>" SOURCE "</serial>",
	};
	char text[1024];

	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		struct xml_domain d;

		snprintf(text, sizeof(text), HEAD VCPU OS "<devices>%s</devices></domain>",
			 none[i]);
		d = parse_good(text);
		assert_null(d.agent);
		xml_domain_done(&d);
	}
}

static void firmware_and_machines_are_told_apart(void **state)
{
	static const struct {
		const char *text;
		bool supported, kvm, pflash, smm;
	} rows[] = {
		{ "<domain type='kvm'><name>a</name>" VCPU OS "</domain>", true, true },
		{ "<domain type='qemu'><name>a</name>" VCPU OS "</domain>", true, false },
		{ "<domain type='xen'><name>a</name>" VCPU OS "</domain>", false, false },
		{ HEAD VCPU "<os><type arch='aarch64'>hvm</type></os></domain>", false, true },
		{ HEAD VCPU "</domain>", false, true },
		{ HEAD VCPU "<os><type arch='x86_64'>hvm</type><loader type='pflash' "
			    "secure='yes'>/f</loader></os></domain>",
		  true, true, true, true },
		{ HEAD VCPU "<os firmware='efi'><type arch='i686'>hvm</type></os>"
			    "<features><smm state='on'/></features></domain>",
		  true, true, true, true },
		{ HEAD VCPU "<os><type arch='x86_64'>hvm</type><loader type='rom'>/f</loader></os>"
			    "<features><smm state='off'/></features></domain>",
		  true, true, false, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct xml_domain d = parse_good(rows[i].text);

		assert_int_equal(d.supported, rows[i].supported);
		assert_int_equal(!*d.why, rows[i].supported);
		assert_int_equal(d.kvm, rows[i].kvm);
		assert_int_equal(d.pflash, rows[i].pflash);
		assert_int_equal(d.smm, rows[i].smm);
		xml_domain_done(&d);
	}
}

static void what_is_no_domain_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"no xml",
		"<domain>",
		"<network><name>a</name></network>",
		"<domain type='kvm'>" VCPU OS "</domain>",
		HEAD OS "</domain>",
		HEAD "<vcpu>0</vcpu>" OS "</domain>",
		HEAD "<vcpu>-1</vcpu>" OS "</domain>",
		HEAD "<vcpu>4097</vcpu>" OS "</domain>",
		HEAD "<vcpu>99999999999</vcpu>" OS "</domain>",
		HEAD VCPU "<vcpus><vcpu id='4' enabled='yes'/></vcpus>" OS "</domain>",
		HEAD VCPU "<vcpus><vcpu enabled='yes'/></vcpus>" OS "</domain>",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct xml_domain d = { .maximum = 77 };

		if (xml_domain_parse(bad[i], strlen(bad[i]), &d) != -EPROTO)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(d.maximum, 77);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_running_domain_is_read),
		cmocka_unit_test(without_a_list_the_first_are_enabled_and_stay),
		cmocka_unit_test(only_the_channel_of_that_name_and_kind_counts),
		cmocka_unit_test(firmware_and_machines_are_told_apart),
		cmocka_unit_test(what_is_no_domain_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
