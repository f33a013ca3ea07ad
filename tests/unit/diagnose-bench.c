/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "diagnose-bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void make_well(struct facts *f, bool libvirt)
{
	*f = (struct facts){ 0 };
	f->host = (struct diagnose_host){
		.version = "0.1.0",
		.may_change = true,
		.operators = true,
		.daemon_uid = 990,
		.daemon_gid = 980,
		.libvirt = libvirt,
		.libvirt_up = libvirt,
		.libvirt_why = "",
		.kvm = { .available = true,
			 .nr_vcpus = 16,
			 .max_vcpus = 1024,
			 .max_vcpu_id = 4096 },
	};
	f->hello = (struct msg_hello){ .version_min = 1,
				       .version_max = 1,
				       .features = MSG_FEATURE_HOTPLUG | MSG_FEATURE_OTHERS,
				       .possible = 8,
				       .version = "0.1.0",
				       .kernel = "6.1.0" };
	f->persist = (struct persist_domain){ .name = "web1",
					      .running = true,
					      .channel = true,
					      .persistent = true,
					      .maximum = 8,
					      .present = 2 };
	f->sight = (struct sight){ .maximum = 8, .present = 2, .acpi = true, .libvirt = "9.0.0" };
	f->domain = (struct diagnose_domain){
		.name = "web1",
		.managed = true,
		.hypervisor = libvirt ? "libvirt" : "qemu",
		.attached = true,
		.status = HV_RUNNING,
		.facts = { .kvm = true, .accel = "kvm", .version = "7.2.0" },
		.qmp = { .path = "/run/web1.qmp", .connected = true },
		.agent_socket = { .path = "/run/web1.agent", .connected = true },
		.agent = { .up = true, .hello = &f->hello, .heard_ms = 3000 },
		.vcpus = { .maximum = 8, .present = 2, .removable = 1 },
		.persist = libvirt ? &f->persist : NULL,
		.advice = libvirt ? &f->advice : NULL,
		.sight = libvirt ? &f->sight : NULL,
	};
}

void nothing(struct facts *f)
{
}

const struct finding *find(const struct findings *f, const char *check)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i].check, check) == 0)
			return &f->v[i];
	return NULL;
}

void assert_part(const char *text, const char *part)
{
	if (!strstr(text, part) || (*text && !*part))
		fail_msg("'%s' is not in '%s'", part, text);
}

static void assert_row(const struct row *r, const struct finding *found)
{
	if (!found || !*r->text) {
		if (found || *r->text)
			fail_msg("%s: %s", r->what, found ? found->text : "it is not found");
		return;
	}
	assert_part(found->text, r->text);
	assert_part(found->advice, r->advice);
	assert_string_equal(severity_name(found->severity), severity_name(r->severity));
}

/* Only of owners there may be several. */
static void assert_sound(const struct row *r, const struct findings *f)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct finding *v = &f->v[i];

		if (v->severity == SEVERITY_ERROR && !*v->advice)
			fail_msg("%s: no advice: %s: %s", r->what, v->check, v->text);
		if (strcmp(v->check, "owner") != 0 && find(f, v->check) != v)
			fail_msg("%s: %s is said twice", r->what, v->check);
		assert_true(strlen(v->text) < FINDING_TEXT - 1);
		assert_true(strlen(v->advice) < FINDING_TEXT - 1);
	}
}

void assert_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct findings f = { 0 };
		struct facts facts;

		print_message("# %s\n", rows[i].what);
		make_well(&facts, rows[i].libvirt);
		rows[i].spoil(&facts);
		diagnose_domain(&facts.host, &facts.domain, &f);
		assert_row(&rows[i], find(&f, rows[i].check));
		assert_sound(&rows[i], &f);
		findings_done(&f);
	}
}
