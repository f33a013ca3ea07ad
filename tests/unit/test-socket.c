/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The control socket's name, mode and rivals; folders and their lock; the command line. */
#include "daemon/options.h"
#include "daemon/socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct place {
	char folder[64], path[80];
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	strcpy(p->folder, "/tmp/vcpuhp-test-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->path, sizeof(p->path), "%s/control", p->folder);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	char lock[80];

	snprintf(lock, sizeof(lock), "%s/lock", p->folder);
	unlink(lock);
	unlink(p->path);
	/* Fails if something unexpected was left behind. */
	assert_int_equal(rmdir(p->folder), 0);
	free(p);
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	strcpy(sa.sun_path, path);
	r = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void opens_and_goes(void **state)
{
	struct place *p = *state;
	struct control_socket s;

	assert_int_equal(control_socket_open(p->path, "no-such-group", &s), 0);
	assert_false(s.group_set);
	assert_int_equal(mode_of(p->path), 0600);
	assert_int_equal(connect_to(p->path), 0);
	assert_true(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(s.fd, F_GETFL) & O_NONBLOCK);
	control_socket_done(&s);
	assert_int_equal(access(p->path, F_OK), -1);
}

static void is_open_to_its_group(void **state)
{
	struct place *p = *state;
	struct control_socket s;
	struct stat st;

	if (getuid() != 0)
		skip();
	assert_int_equal(control_socket_open(p->path, "daemon", &s), 0);
	assert_true(s.group_set);
	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(st.st_gid, 1);
	control_socket_done(&s);
}

static void a_live_daemon_is_left_alone(void **state)
{
	struct place *p = *state;
	struct control_socket first, second = { .fd = -7 };

	assert_int_equal(control_socket_open(p->path, "no-such-group", &first), 0);
	assert_int_equal(control_socket_open(p->path, "no-such-group", &second), -EADDRINUSE);
	assert_int_equal(second.fd, -7);
	assert_int_equal(connect_to(p->path), 0);
	control_socket_done(&first);
}

static void a_dead_one_is_replaced(void **state)
{
	struct place *p = *state;
	struct control_socket dead, s;

	assert_int_equal(control_socket_open(p->path, "no-such-group", &dead), 0);
	close(dead.fd);
	assert_int_equal(connect_to(p->path), -ECONNREFUSED);
	assert_int_equal(control_socket_open(p->path, "no-such-group", &s), 0);
	assert_int_equal(connect_to(p->path), 0);
	/* The dead one's owner must not take the new name away. */
	dead.fd = -1;
	control_socket_done(&dead);
	assert_int_equal(connect_to(p->path), 0);
	control_socket_done(&s);
}

static void other_files_are_not_touched(void **state)
{
	struct place *p = *state;
	struct control_socket s;
	int fd = open(p->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(control_socket_open(p->path, "no-such-group", &s), -EEXIST);
	assert_int_equal(unlink(p->path), 0);
	assert_int_equal(symlink("/dev/null", p->path), 0);
	assert_int_equal(control_socket_open(p->path, "no-such-group", &s), -EEXIST);
}

static void names_that_cannot_be(void **state)
{
	struct place *p = *state;
	struct control_socket s;
	char path[200];

	snprintf(path, sizeof(path), "%s/missing/control", p->folder);
	assert_int_equal(control_socket_open(path, "no-such-group", &s), -ENOENT);
	snprintf(path, sizeof(path), "%s/%0130d", p->folder, 0);
	assert_int_equal(control_socket_open(path, "no-such-group", &s), -ENAMETOOLONG);
}

static void folders_are_closed_to_others(void **state)
{
	struct place *p = *state;
	char path[96];
	mode_t old = umask(0);

	snprintf(path, sizeof(path), "%s/run", p->folder);
	assert_int_equal(folder_make(path), 0);
	umask(old);
	assert_int_equal(mode_of(path), 0700);
	assert_int_equal(chmod(path, 0750), 0);
	assert_int_equal(folder_make(path), 0);
	assert_int_equal(mode_of(path), 0750);
	assert_int_equal(rmdir(path), 0);
	snprintf(path, sizeof(path), "%s/a/b", p->folder);
	assert_int_equal(folder_make(path), -ENOENT);
	assert_int_equal(folder_make("/dev/null"), -ENOTDIR);
}

static void one_daemon_a_folder(void **state)
{
	struct place *p = *state;
	int fd = folder_lock(p->folder), again;

	assert_true(fd >= 0);
	assert_int_equal(folder_lock(p->folder), -EBUSY);
	close(fd);
	again = folder_lock(p->folder);
	assert_true(again >= 0);
	close(again);
}

/* Row: a command line; what is wrong with it, NULL nothing. */
static const struct {
	const char *words[6];
	const char *why;
} lines[] = {
	{ { NULL }, NULL },
	{ { "--config", "f", "--foreground" }, NULL },
	{ { "--config=f", "--check-config" }, NULL },
	{ { "--config" }, "needs a value" },
	{ { "--config=" }, "needs a value" },
	{ { "--socket", "" }, "needs a value" },
	{ { "--foreground=yes" }, "takes no value" },
	{ { "--forground" }, "unknown option" },
	{ { "--conf", "f" }, "unknown option" },
	{ { "-f" }, "unknown option" },
	{ { "--" }, "unknown option" },
	{ { "--=" }, "unknown option" },
	{ { "start" }, "unexpected argument" },
	{ { "" }, "unexpected argument" },
};

static void reads_command_lines(void **state)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *argv[8] = { (char[]){ "vcpuhpd" } };
		const char *why = NULL, *word = NULL;
		struct options o;
		int argc = 1, r;

		while (lines[i].words[argc - 1]) {
			argv[argc] = strdup(lines[i].words[argc - 1]);
			argc++;
		}
		r = options_parse(argc, argv, &o, &why, &word);
		assert_int_equal(r, lines[i].why ? -EINVAL : 0);
		if (lines[i].why)
			assert_string_equal(why, lines[i].why);
		for (int n = 1; n < argc; n++)
			free(argv[n]);
	}
}

static void knows_every_option(void **state)
{
	char *argv[] = { (char[]){ "vcpuhpd" },
			 (char[]){ "--config" },
			 (char[]){ "c" },
			 (char[]){ "--socket=s" },
			 (char[]){ "--runtime-dir" },
			 (char[]){ "r" },
			 (char[]){ "--state-dir" },
			 (char[]){ "t" },
			 (char[]){ "--check-config" },
			 (char[]){ "--foreground" },
			 (char[]){ "--help" },
			 (char[]){ "--version" } };
	const char *why, *word;
	struct options o;

	assert_int_equal(options_parse(1, argv, &o, &why, &word), 0);
	assert_null(o.config);
	assert_null(o.socket);
	assert_string_equal(o.runtime_dir, "/run/vcpuhp");
	assert_string_equal(o.state_dir, "/var/lib/vcpuhp");
	assert_false(o.check_config || o.foreground || o.help || o.version);
	assert_int_equal(options_parse(12, argv, &o, &why, &word), 0);
	assert_string_equal(o.config, "c");
	assert_string_equal(o.socket, "s");
	assert_string_equal(o.runtime_dir, "r");
	assert_string_equal(o.state_dir, "t");
	assert_true(o.check_config && o.foreground && o.help && o.version);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(opens_and_goes),
		CASE(is_open_to_its_group),
		CASE(a_live_daemon_is_left_alone),
		CASE(a_dead_one_is_replaced),
		CASE(other_files_are_not_touched),
		CASE(names_that_cannot_be),
		CASE(folders_are_closed_to_others),
		CASE(one_daemon_a_folder),
		cmocka_unit_test(reads_command_lines),
		cmocka_unit_test(knows_every_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
