/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_CALLBACK_ROOT_H
#define TESTS_CALLBACK_ROOT_H

#include "fake-root.h"
#include "guest-agent/callback.h"

/* Callback programs in a fake root, and a run of one of them. */

#define DIR_PATH "/etc/vcpuhp/cpuhp.d"
#define BELOW "etc/vcpuhp/cpuhp.d/"

static inline void put_program(const struct fake_root *f, const char *path, const char *text,
			       mode_t mode)
{
	fake_put(f, path, text);
	assert_int_equal(fchmodat(f->fd, path, mode, 0), 0);
}

static inline void put_script(const struct fake_root *f, const char *path, const char *body)
{
	char text[1024];

	snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", body);
	put_program(f, path, text, 0755);
}

static inline struct callback_result run(const struct fake_root *f, const char *name)
{
	const struct callback_call call = {
		.root = f->fd,
		.dir = DIR_PATH,
		.name = name,
		.startup = true,
		.cpu = 3,
		.state = 12,
		.op = "op-1",
	};
	struct callback_result r;

	callback_run(&call, &r);
	return r;
}

#endif
