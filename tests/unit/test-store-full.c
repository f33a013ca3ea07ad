/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An operation is under way and its record cannot be written. */
#include "daemon/intent-domain.h"
#include "tests/unit/host-bench.h"
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static bool is_full;

ssize_t __real_pwrite64(int fd, const void *data, size_t n, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t n, off_t at);

ssize_t __wrap_pwrite64(int fd, const void *data, size_t n, off_t at)
{
	if (!is_full)
		return __real_pwrite64(fd, data, n, at);
	errno = ENOSPC;
	return -1;
}

static int make_folder(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/vhp-store-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

static int drop_folder(void **state)
{
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Else the next daemon would have the step run once more, to hear of it. */
static void the_agent_keeps_a_failure_that_could_not_be_written(void **state)
{
	struct bench *b = bench_start(&(struct bench_options){ .runtime_dir = folder });
	const struct op_request r = { .goal = OP_GOAL_COUNT, .count = 2, .standby = -1 };

	b->auto_qemu = b->auto_agent = false;
	op_unref(bench_submit(b, &r));
	bench_said(b, "plug 1");
	bench_answer_plug(b, 1, 0, "");
	bench_row(b, 1, CPUHP_STANDBY);
	bench_said(b, "kick 1 44");
	is_full = true;
	bench_done(b, 1, CPUHP_STANDBY, 3, CPUHP_AP_DYN);
	bench_said(b, "kick 1 6 rollback");
	assert_int_equal(b->acks, 0);
	is_full = false;
	assert_int_equal(domain_remember(b->d), 0);
	assert_int_equal(b->acks, 1);
	bench_stop(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_agent_keeps_a_failure_that_could_not_be_written,
						make_folder, drop_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
