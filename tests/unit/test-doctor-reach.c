/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why the daemon, or a socket, is not reached. */
#include "daemon/ctl/doctor.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_part(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in '%s'", part, text);
}

static void why_the_daemon_is_not_reached(void **state)
{
	static const struct {
		struct reach reach;
		const char *text, *advice;
	} cases[] = {
		{ { .rc = -ENOENT, .look = { .rc = -ENOENT, .at = "/run/vcpuhp" } },
		  "/run/vcpuhp is missing",
		  "systemctl start vcpuhpd" },
		{ { .rc = -ECONNREFUSED }, "nothing listens", "systemctl start vcpuhpd" },
		{ { .rc = -ECONNREFUSED, .look = { .rc = -ENOTSOCK } }, "is no socket", "-S" },
		{ { .rc = -EACCES,
		    .look = { .rc = -EACCES, .at = "/s", .mode = 0660 },
		    .group = "vcpuhp" },
		  "/s belongs to ?:vcpuhp with mode 0660",
		  "usermod -aG vcpuhp" },
		{ { .rc = -EACCES,
		    .look = { .rc = -EACCES, .at = "/run/vcpuhp", .mode = 0710 },
		    .group = "vcpuhp" },
		  "/run/vcpuhp belongs to",
		  "usermod -aG vcpuhp" },
		{ { .rc = -EACCES,
		    .look = { .rc = -EACCES, .at = "/run/vcpuhp", .mode = 0700 },
		    .group = "root" },
		  "/run/vcpuhp belongs to",
		  "chgrp vcpuhp /run/vcpuhp && chmod 0710" },
		{ { .rc = -EACCES,
		    .look = { .rc = -EACCES, .at = "/s", .mode = 0600 },
		    .group = "root" },
		  "/s belongs to",
		  "chgrp vcpuhp /s && chmod 0660" },
		{ { .rc = -EACCES, .look = { .rc = -EACCES, .at = "/s", .permits = true } },
		  "no permission",
		  "SELinux" },
		{ { .rc = -EACCES, .look = { .rc = -EACCES, .at = "/l", .hidden = true } },
		  "may not look at /l",
		  "namei -l /l" },
		{ { .rc = -EAGAIN }, "does not take connections", "systemctl status" },
		{ { .rc = -EIO }, "Input/output error", "systemctl" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reach r = cases[i].reach;
		struct findings f = { 0 };

		r.path = "/s";
		reach_explain(&r, &f);
		assert_int_equal(f.n, 1);
		assert_int_equal(f.v[0].severity, SEVERITY_ERROR);
		assert_part(f.v[0].text, cases[i].text);
		assert_part(f.v[0].advice, cases[i].advice);
		findings_done(&f);
	}
}

static void modes_permit_the_first_class_that_fits(void **state)
{
	static const gid_t groups[] = { 5, 7 };
	static const struct {
		mode_t mode;
		uid_t uid;
		gid_t gid;
		int want;
		bool permits;
	} cases[] = {
		{ 0600, 1000, 0, 2, true }, { 0077, 1000, 100, 2, false },
		{ 0660, 1, 100, 2, true },  { 0660, 1, 7, 2, true },
		{ 0606, 1, 7, 2, false },   { 0606, 1, 8, 2, true },
		{ 0660, 1, 8, 2, false },   { 0711, 1, 8, 1, true },
		{ 0710, 1, 8, 1, false },   { 0710, 1, 5, 1, true },
	};
	const struct auth_peer ann = { .uid = 1000, .gid = 100, .groups = groups, .n_groups = 2 };
	const struct auth_peer root = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(path_permits(cases[i].mode, cases[i].uid, cases[i].gid,
					      cases[i].want, &ann),
				 cases[i].permits);
		assert_true(path_permits(cases[i].mode, 1, 1, cases[i].want, &root));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(why_the_daemon_is_not_reached),
		cmocka_unit_test(modes_permit_the_first_class_that_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
