/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "varlink-bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const struct varlink_vendor vendor = {
	.vendor = "v",
	.product = "p",
	.version = "1",
	.url = "u",
	.busy_error = "test.bench.Busy",
};

void varlink_bench_init(struct varlink_bench *b, const struct varlink_interface *interface)
{
	const struct varlink_interface *interfaces[] = { interface, NULL };

	*b = (struct varlink_bench){ 0 };
	strcpy(b->folder, "/tmp/vcpuhp-test-XXXXXX");
	assert_non_null(mkdtemp(b->folder));
	snprintf(b->path, sizeof(b->path), "%s/s", b->folder);
	assert_true(sd_event_new(&b->event) >= 0);
	assert_int_equal(varlink_server_new(&b->server, b->event, &vendor, interfaces), 0);
	assert_int_equal(control_socket_open(b->path, "no-such-group", &b->socket), 0);
	assert_int_equal(varlink_server_listen(b->server, b->socket.fd), 0);
	b->socket.fd = -1;
}

void varlink_bench_done(struct varlink_bench *b)
{
	assert_null(varlink_server_free(b->server));
	sd_event_unref(b->event);
	control_socket_done(&b->socket);
	assert_int_equal(rmdir(b->folder), 0);
}

void varlink_bench_pump(struct varlink_bench *b)
{
	int r;

	do
		r = sd_event_run(b->event, 0);
	while (r > 0);
	assert_int_equal(r, 0);
}

int varlink_bench_connect(struct varlink_bench *b)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", b->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

int varlink_bench_connect_as(struct varlink_bench *b, uid_t uid, gid_t gid)
{
	int fd;

	assert_int_equal(chmod(b->folder, 0711) | chmod(b->path, 0666), 0);
	assert_int_equal(setgroups(1, &gid), 0);
	assert_int_equal(setegid(gid), 0);
	assert_int_equal(seteuid(uid), 0);
	fd = varlink_bench_connect(b);
	assert_int_equal(seteuid(0) | setegid(0), 0);
	assert_int_equal(setgroups(0, NULL), 0);
	return fd;
}

void varlink_bench_send(struct varlink_bench *b, int fd, const char *text)
{
	size_t len = strlen(text) + 1;

	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
	varlink_bench_pump(b);
}

/* Read what is there, up to and with a NUL. Return: bytes; 0 nothing yet; -1 the end. */
static ssize_t read_part(int fd, char *buf, size_t size)
{
	ssize_t n = recv(fd, buf, size, MSG_PEEK);
	const char *end;

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return -1;
	end = memchr(buf, '\0', (size_t)n);
	return recv(fd, buf, end ? (size_t)(end - buf) + 1 : (size_t)n, 0);
}

const char *varlink_bench_receive(struct varlink_bench *b, int fd)
{
	static char message[1 << 20];
	size_t len = 0;

	do {
		ssize_t n = read_part(fd, message + len, sizeof(message) - len);

		if (n == 0) {
			varlink_bench_pump(b);
			n = read_part(fd, message + len, sizeof(message) - len);
		}
		if (n == 0 && len == 0)
			return "";
		if (n <= 0)
			return NULL;
		len += (size_t)n;
		assert_true(len < sizeof(message));
	} while (message[len - 1] != '\0');
	return message;
}
