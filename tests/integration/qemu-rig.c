/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/integration/qemu-rig.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/kvm.h"

enum { CPU_HOTPLUG_PORT = 0xcd8 };

uint64_t qemu_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void line_open(struct qemu *q, struct line *l, const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	uint64_t until = qemu_now_ms() + QEMU_DEADLINE_MS;
	struct timeval tv = { .tv_sec = QEMU_DEADLINE_MS / 1000 };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", q->dir, name);
	l->len = 0;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(l->fd, errno);
	setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	while (connect(l->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		if (qemu_now_ms() > until || waitpid(q->pid, NULL, WNOHANG) != 0)
			fail_msg("QEMU does not open %s", addr.sun_path);
}

static void line_write(struct line *l, const char *text)
{
	assert_int_equal(write(l->fd, text, strlen(text)), strlen(text));
}

/* Cut off one line; it is good until the next call. */
static void line_read(struct line *l, char *ret, size_t size)
{
	char *end;

	while (!(end = memchr(l->buf, '\n', l->len))) {
		ssize_t n = read(l->fd, l->buf + l->len, sizeof(l->buf) - l->len);

		if (n <= 0)
			fail_msg("QEMU does not answer");
		l->len += (size_t)n;
	}
	*end = '\0';
	snprintf(ret, size, "%s", l->buf);
	l->len -= (size_t)(end + 1 - l->buf);
	memmove(l->buf, end + 1, l->len);
}

__attribute__((format(printf, 2, 3))) static void qtest(struct qemu *q, const char *format, ...)
{
	char text[128], reply[256];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text) - 1, format, ap);
	va_end(ap);
	text[n] = '\n';
	text[n + 1] = '\0';
	line_write(&q->qtest, text);
	do
		line_read(&q->qtest, reply, sizeof(reply));
	while (strncmp(reply, "IRQ", 3) == 0);
	assert_int_equal(strncmp(reply, "OK", 2), 0);
}

void qemu_guest_select(struct qemu *q, int slot)
{
	qtest(q, "outl %#x %d", CPU_HOTPLUG_PORT, slot);
}

void qemu_guest_ost(struct qemu *q, int source, int status)
{
	qtest(q, "outb %#x 1", CPU_HOTPLUG_PORT + 5);
	qtest(q, "outl %#x %d", CPU_HOTPLUG_PORT + 8, source);
	qtest(q, "outb %#x 2", CPU_HOTPLUG_PORT + 5);
	qtest(q, "outl %#x %d", CPU_HOTPLUG_PORT + 8, status);
}

void qemu_guest_flags(struct qemu *q, int flags)
{
	qtest(q, "outb %#x %d", CPU_HOTPLUG_PORT + 4, flags);
}

void qemu_admin(struct qemu *q, const char *command)
{
	char text[256], reply[4096];

	snprintf(text, sizeof(text), "{\"execute\":\"%s\"}\n", command);
	line_write(&q->admin, text);
	do
		line_read(&q->admin, reply, sizeof(reply));
	while (strncmp(reply, "{\"return\"", 9) != 0);
}

void qemu_admin_event(struct qemu *q, const char *name, char *ret, size_t size)
{
	char want[64];

	snprintf(want, sizeof(want), "\"event\": \"%s\"", name);
	do
		line_read(&q->admin, ret, size);
	while (!strstr(ret, want));
}

bool qemu_is_installed(void)
{
	const char *argv[] = { "qemu-system-x86_64", "--version", NULL };
	posix_spawn_file_actions_t actions;
	int status = 0, r;
	pid_t pid;

	/* Its version is no TAP. */
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	r = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(void *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r != 0)
		return false;
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool qemu_has_kvm(void)
{
	struct kvm_limits limits;

	kvm_limits_read(&limits);
	return limits.available;
}

void qemu_start(struct qemu *q)
{
	char qmp[96], qtest_path[96], admin_path[96], reply[4096];
	const char *argv[] = { "qemu-system-x86_64",
			       "-machine",
			       "q35",
			       "-accel",
			       qemu_has_kvm() ? "kvm" : "tcg",
			       "-smp",
			       "1,maxcpus=8,sockets=1,cores=8,threads=1",
			       "-m",
			       "64",
			       "-nodefaults",
			       "-no-user-config",
			       "-display",
			       "none",
			       "-qmp",
			       qmp,
			       "-qmp",
			       admin_path,
			       "-qtest",
			       qtest_path,
			       "-qtest-log",
			       "/dev/null",
			       qemu_has_kvm() ? NULL : "-S",
			       NULL };

	snprintf(qmp, sizeof(qmp), "unix:%s/qmp,server=on,wait=off", q->dir);
	snprintf(admin_path, sizeof(admin_path), "unix:%s/admin,server=on,wait=off", q->dir);
	snprintf(qtest_path, sizeof(qtest_path), "unix:%s/qtest,server=on,wait=off", q->dir);
	assert_int_equal(
		posix_spawnp(&q->pid, argv[0], NULL, NULL, (char *const *)(void *)argv, environ),
		0);
	line_open(q, &q->qtest, "qtest");
	line_open(q, &q->admin, "admin");
	line_read(&q->admin, reply, sizeof(reply));
	qemu_admin(q, "qmp_capabilities");
	/* The first write turns the legacy registers into the present ones. */
	qemu_guest_select(q, 0);
}

void qemu_stop(struct qemu *q)
{
	kill(q->pid, SIGKILL);
	waitpid(q->pid, NULL, 0);
	close(q->qtest.fd);
	close(q->admin.fd);
	q->pid = 0;
}
