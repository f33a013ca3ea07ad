/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a udev rule brings CPUs online, and whether irqbalance runs. */
#include "fake-root.h"
#include "guest-agent/others.h"
#include <sys/stat.h>
#include <unistd.h>

#define ONLINES "SUBSYSTEM==\"cpu\", ACTION==\"add\", ATTR{online}=\"1\"\n"
#define REDHAT                                                                         \
	"SUBSYSTEM==\"cpu\", ACTION==\"add\", TEST==\"online\", ATTR{online}==\"0\", " \
	"ATTR{online}=\"1\"\n"

static const struct {
	const char *what;
	const char *path, *text;
	const char *path2, *text2; /* NULL: there is only one file */
	bool onlines;
} cases[] = {
	{ "no rules", "etc/hostname", "x", NULL, NULL, false },
	{ "a rule of the administrator", "etc/udev/rules.d/10-cpu.rules", ONLINES, NULL, NULL,
	  true },
	{ "a rule of the distribution", "usr/lib/udev/rules.d/40-redhat.rules", "# cpu\n" REDHAT,
	  NULL, NULL, true },
	{ "where folders are not merged", "lib/udev/rules.d/80-cpu.rules", ONLINES, NULL, NULL,
	  true },
	{ "blanks and a line that goes on", "run/udev/rules.d/a.rules",
	  "\n  SUBSYSTEM == \"cpu\", \\\n\tACTION==\"add\", \\\n\tATTR{online} = \"1\"", NULL, NULL,
	  true },
	{ "only looks", "etc/udev/rules.d/10-cpu.rules",
	  "SUBSYSTEM==\"cpu\", ATTR{online}==\"1\", RUN+=\"/bin/true\"\n", NULL, NULL, false },
	{ "takes offline", "etc/udev/rules.d/10-cpu.rules",
	  "SUBSYSTEM==\"cpu\", ATTR{online}=\"0\"\n", NULL, NULL, false },
	{ "memory", "etc/udev/rules.d/10-memory.rules",
	  "SUBSYSTEM==\"memory\", ATTR{online}=\"1\"\n", NULL, NULL, false },
	{ "memory, and a rule for CPUs behind it", "etc/udev/rules.d/10-memory.rules",
	  "SUBSYSTEM==\"memory\", ATTR{online}=\"1\"\nSUBSYSTEM==\"cpu\", RUN+=\"x\"\n", NULL, NULL,
	  false },
	{ "a comment", "etc/udev/rules.d/10-cpu.rules", " # " ONLINES, NULL, NULL, false },
	{ "another kind of file", "etc/udev/rules.d/10-cpu.rules.bak", ONLINES, NULL, NULL, false },
	{ "replaced by the administrator", "usr/lib/udev/rules.d/40.rules", ONLINES,
	  "etc/udev/rules.d/40.rules", "", false },
	{ "replaced by one that does", "usr/lib/udev/rules.d/40.rules", "",
	  "etc/udev/rules.d/40.rules", ONLINES, true },
};

static void a_rule_is_found(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		void *root = NULL;

		print_message("# %s\n", cases[i].what);
		if (fake_root_setup(&root) < 0) {
			fail();
			return;
		}
		fake_put(root, cases[i].path, cases[i].text);
		if (cases[i].path2)
			fake_put(root, cases[i].path2, cases[i].text2);
		assert_int_equal(others_udev_onlines(((struct fake_root *)root)->fd),
				 cases[i].onlines);
		fake_root_teardown(&root);
	}
}

static void what_is_no_file_is_passed_over(void **state)
{
	struct fake_root *f = *state;

	fake_put(f, "etc/udev/rules.d/90-cpu.rules", "");
	assert_int_equal(mkfifoat(f->fd, "etc/udev/rules.d/10-fifo.rules", 0600), 0);
	assert_int_equal(mkdirat(f->fd, "etc/udev/rules.d/20-folder.rules", 0700), 0);
	alarm(10);
	assert_false(others_udev_onlines(f->fd));
	fake_put(f, "etc/udev/rules.d/90-cpu.rules", ONLINES);
	assert_true(others_udev_onlines(f->fd));
	alarm(0);
}

static void irqbalance_is_found_by_its_name(void **state)
{
	struct fake_root *f = *state;

	assert_false(others_irqbalance_runs(f->fd));
	fake_put(f, "proc/1/comm", "init\n");
	fake_put(f, "proc/self/comm", "irqbalance\n");
	fake_put(f, "proc/7/comm", "irqbalance-ui\n");
	assert_false(others_irqbalance_runs(f->fd));
	fake_put(f, "proc/417/comm", "irqbalance\n");
	assert_true(others_irqbalance_runs(f->fd));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_is_found),
		fake_root_test(what_is_no_file_is_passed_over),
		fake_root_test(irqbalance_is_found_by_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
