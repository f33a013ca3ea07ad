/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What else is to be seen in a domain's XML. */
#include "daemon/advice.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DOMAIN(more)                                                     \
	"<domain type='kvm'><name>web1</name><vcpu current='2'>8</vcpu>" \
	"<os><type arch='x86_64' machine='q35'>hvm</type></os>" more "</domain>"
#define SELINUX                                                                            \
	"<seclabel type='dynamic' model='selinux' relabel='yes'><label>svirt_t:s0</label>" \
	"<imagelabel>svirt_image_t:s0</imagelabel></seclabel>"
#define DAC "<seclabel type='dynamic' model='dac'><label>+64055:+109</label></seclabel>"

#define TWO_OWNERS(a, b) "<x xmlns='u:" a "'/><x xmlns='u:" b "'/>"
#define FOUR_OWNERS(a, b, c, d) TWO_OWNERS(a, b) TWO_OWNERS(c, d)
#define EIGHT_OWNERS(a, b, c, d, e, f, g, h) FOUR_OWNERS(a, b, c, d) FOUR_OWNERS(e, f, g, h)

static const struct {
	const char *what;
	const char *text;
	const char *model, *label, *owners; /* each owner with a blank behind it */
	bool smm;
} cases[] = {
	{ "nothing", DOMAIN(""), "", "", "", false },
	{ "SELinux behind DAC", DOMAIN(DAC SELINUX), "selinux", "svirt_t:s0", "", false },
	{ "DAC alone", DOMAIN(DAC), "", "", "", false },
	{ "AppArmor without a label yet", DOMAIN("<seclabel type='dynamic' model='apparmor'/>"),
	  "apparmor", "", "", false },
	{ "SMM", DOMAIN("<features><smm state='on'/></features>"), "", "", "", true },
	{ "two owners, one of them twice",
	  DOMAIN("<metadata><a:x xmlns:a='urn:a'/><b:y xmlns:b='urn:b'/><a:z xmlns:a='urn:a'/>"
		 "</metadata>"),
	  "", "", "urn:a urn:b ", false },
	{ "no namespace", DOMAIN("<metadata><x/></metadata>"), "", "", "", false },
	{ "more than are kept",
	  DOMAIN("<metadata>" EIGHT_OWNERS("a", "b", "c", "d", "e", "f", "g", "h") EIGHT_OWNERS(
		  "i", "j", "k", "l", "m", "n", "o", "p") "<a xmlns='u:q'/></metadata>"),
	  "", "", "u:a u:b u:c u:d u:e u:f u:g u:h u:i u:j u:k u:l u:m u:n u:o u:p ", false },
	{ "what a terminal would obey",
	  DOMAIN("<metadata><a xmlns='u:&#10;\xc2\x9b'/></metadata>"
		 "<seclabel model='selinux'><label>a\tb\xc2\x9b</label></seclabel>"),
	  "selinux", "a?b??",
	  "u:?"
	  "?? ",
	  false },
};

static void it_is_read(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char owners[SIGHT_OWNERS_MAX * SIGHT_TEXT] = "";
		struct sight s;

		print_message("# %s\n", cases[i].what);
		assert_int_equal(sight_parse(cases[i].text, strlen(cases[i].text), &s), 0);
		assert_int_equal(s.maximum, 8);
		assert_int_equal(s.present, 2);
		assert_string_equal(s.label_model, cases[i].model);
		assert_string_equal(s.label, cases[i].label);
		assert_int_equal(s.smm, cases[i].smm);
		for (size_t k = 0; k < s.n_owners; k++)
			snprintf(owners + strlen(owners), sizeof(owners) - strlen(owners), "%s ",
				 s.owners[k]);
		assert_string_equal(owners, cases[i].owners);
	}
}

static void long_texts_are_cut_and_compared_as_cut(void **state)
{
	char text[2048], name[301];
	struct sight s;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(text, sizeof(text),
		 DOMAIN("<metadata><a xmlns='%s'/><a xmlns='%s2'/></metadata>"
			"<seclabel model='selinux'><label>%s</label></seclabel>"),
		 name, name, name);
	assert_int_equal(sight_parse(text, strlen(text), &s), 0);
	assert_int_equal(s.n_owners, 1);
	assert_int_equal(strlen(s.owners[0]), SIGHT_TEXT - 1);
	assert_int_equal(strlen(s.label), SIGHT_TEXT - 1);
}

static void acpi_is_a_feature_of_the_domain(void **state)
{
	static const char without[] = DOMAIN("<acpi/>"),
			  with[] = DOMAIN("<features><acpi/></features>");
	struct sight s;

	assert_int_equal(sight_parse(without, strlen(without), &s), 0);
	assert_false(s.acpi);
	assert_int_equal(sight_parse(with, strlen(with), &s), 0);
	assert_true(s.acpi);
}

static void another_machine_is_told(void **state)
{
	static const char known[] = DOMAIN(""),
			  other[] = "<domain type='kvm'><name>a</name><vcpu>2</vcpu><os>"
				    "<type arch='aarch64' machine='virt'>hvm</type></os></domain>";
	struct sight s;

	assert_int_equal(sight_parse(known, strlen(known), &s), 0);
	assert_string_equal(s.unsupported, "");
	assert_int_equal(sight_parse(other, strlen(other), &s), 0);
	assert_non_null(strstr(s.unsupported, "only x86"));
}

static void what_is_no_domain_is_an_error(void **state)
{
	struct sight s;

	assert_int_equal(sight_parse("no XML", 6, &s), -EPROTO);
	assert_int_equal(sight_parse("<domain/>", 9, &s), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_read),
		cmocka_unit_test(long_texts_are_cut_and_compared_as_cut),
		cmocka_unit_test(acpi_is_a_feature_of_the_domain),
		cmocka_unit_test(another_machine_is_told),
		cmocka_unit_test(what_is_no_domain_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
