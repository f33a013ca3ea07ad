/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The control socket's name, mode and rivals; folders and their lock. */
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

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
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
	assert_int_equal(folder_make(path, NULL), 0);
	umask(old);
	assert_int_equal(mode_of(path), 0700);
	assert_int_equal(chmod(path, 0750), 0);
	assert_int_equal(folder_make(path, NULL), 0);
	assert_int_equal(mode_of(path), 0750);
	assert_int_equal(rmdir(path), 0);
	snprintf(path, sizeof(path), "%s/a/b", p->folder);
	assert_int_equal(folder_make(path, NULL), -ENOENT);
	assert_int_equal(folder_make("/dev/null", NULL), -ENOTDIR);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
