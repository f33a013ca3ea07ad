/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/netlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-agent/uevent.h"

#define MSG(text) text, sizeof(text)

static const struct {
	const char *what;
	const char *msg;
	size_t len;
	enum uevent_kind kind;
	int cpu;
} messages[] = {
	{ "a CPU comes", MSG("add@/devices/system/cpu/cpu5\0ACTION=add"), UEVENT_CPU_ADD, 5 },
	{ "its driver takes it, with a newline in MODALIAS",
	  MSG("bind@/devices/system/cpu/cpu12\0MODALIAS=cpu:x\n\0DRIVER=processor"),
	  UEVENT_CPU_BIND, 12 },
	{ "online", MSG("online@/devices/system/cpu/cpu0"), UEVENT_CPU_ONLINE, 0 },
	{ "offline", MSG("offline@/devices/system/cpu/cpu3"), UEVENT_CPU_OFFLINE, 3 },
	{ "it goes", MSG("remove@/devices/system/cpu/cpu3"), UEVENT_CPU_REMOVE, 3 },
	{ "an action of no interest", MSG("change@/devices/system/cpu/cpu3"), UEVENT_OTHER, 3 },
	{ "an action that only begins like one", MSG("adds@/devices/system/cpu/cpu3"), UEVENT_OTHER,
	  3 },
	{ "a device below a CPU", MSG("add@/devices/system/cpu/cpu3/cache"), UEVENT_OTHER, -1 },
	{ "no number", MSG("add@/devices/system/cpu/cpu"), UEVENT_OTHER, -1 },
	{ "the folder of all CPUs", MSG("add@/devices/system/cpu/cpufreq"), UEVENT_OTHER, -1 },
	{ "a number too long", MSG("add@/devices/system/cpu/cpu99999999999"), UEVENT_OTHER, -1 },
	{ "a negative number", MSG("add@/devices/system/cpu/cpu-1"), UEVENT_OTHER, -1 },
	{ "the path not at the beginning", MSG("add@/x/devices/system/cpu/cpu3"), UEVENT_OTHER,
	  -1 },
	{ "a port comes", MSG("add@/devices/pci0000:00/0000:00:02.0/virtio0/virtio-ports/vport0p1"),
	  UEVENT_PORT, -1 },
	{ "a port gets its name", MSG("change@/devices/pci0/virtio0/virtio-ports/vport0p1"),
	  UEVENT_PORT, -1 },
	{ "another device", MSG("add@/devices/virtual/net/lo"), UEVENT_OTHER, -1 },
	{ "udev's own message", MSG("libudev\0\xfe\xed\xca\xfe"), UEVENT_OTHER, -1 },
	{ "nothing", "", 0, UEVENT_OTHER, -1 },
	{ "no end", "add@/devices/system/cpu/cpu5", 28, UEVENT_OTHER, -1 },
	{ "an end at once", MSG("\0add@/devices/system/cpu/cpu5"), UEVENT_OTHER, -1 },
};

static void what_each_message_tells(void **ctx)
{
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		struct uevent e = uevent_parse(messages[i].msg, messages[i].len);

		if (e.kind != messages[i].kind || e.cpu != messages[i].cpu)
			fail_msg("%s: kind %d cpu %d", messages[i].what, e.kind, e.cpu);
	}
}

static void add(void *ctx, const struct uevent *e)
{
	int *sum = ctx;

	*sum += e->cpu;
}

static void all_that_wait_are_read(void **ctx)
{
	static const char first[] = "add@/devices/system/cpu/cpu40";
	static const char second[] = "online@/devices/system/cpu/cpu2";
	int pair[2], sum = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(uevent_read(pair[0], add, &sum), 0);
	assert_true(send(pair[1], first, sizeof(first), 0) > 0);
	assert_true(send(pair[1], "noise", 6, 0) > 0);
	assert_true(send(pair[1], second, sizeof(second), 0) > 0);
	assert_int_equal(uevent_read(pair[0], add, &sum), 0);
	assert_int_equal(sum, 42);
	close(pair[0]);
	close(pair[1]);
}

/**
 * struct storm - a callback that sends the next event
 * @left: of those; @heard: so far
 */
struct storm {
	int fd, left, heard;
};

static void feed(void *ctx, const struct uevent *e)
{
	static const char next[] = "online@/devices/system/cpu/cpu1";
	struct storm *s = ctx;

	s->heard++;
	if (s->left-- > 0)
		assert_true(send(s->fd, next, sizeof(next), 0) > 0);
}

static void a_storm_does_not_hold_the_loop(void **ctx)
{
	struct storm s = { .left = 1000 };
	const struct uevent first = { UEVENT_CPU_ONLINE, 1 };
	int pair[2], turns = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	s.fd = pair[1];
	feed(&s, &first);
	for (int before = -1; before != s.heard; turns++) {
		before = s.heard;
		assert_int_equal(uevent_read(pair[0], feed, &s), 0);
		assert_true(s.heard - before < 300);
	}
	assert_int_equal(s.heard, 1001);
	assert_true(turns > 3);
	close(pair[0]);
	close(pair[1]);
}

/* Only the head counts; one that has no end within what is read is none. */
static void a_message_that_was_cut(void **ctx)
{
	static const char head[] = "add@/devices/system/cpu/cpu";
	char msg[10000];
	int pair[2], sum = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	memset(msg, '1', sizeof(msg));
	memcpy(msg, head, sizeof(head) - 1);
	assert_true(send(pair[1], msg, sizeof(msg), 0) > 0);
	assert_int_equal(uevent_read(pair[0], add, &sum), 0);
	assert_int_equal(sum, 0);
	msg[sizeof(head)] = '\0';
	assert_true(send(pair[1], msg, sizeof(msg), 0) > 0);
	assert_int_equal(uevent_read(pair[0], add, &sum), 0);
	assert_int_equal(sum, 1);
	close(pair[0]);
	close(pair[1]);
}

/* Of the one netlink family on which programs may write to each other. */
static int open_netlink(struct sockaddr_nl *ret)
{
	socklen_t len = sizeof(*ret);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);

	*ret = (struct sockaddr_nl){ .nl_family = AF_NETLINK };
	assert_return_code(fd, errno);
	assert_return_code(bind(fd, (struct sockaddr *)ret, sizeof(*ret)), errno);
	assert_return_code(getsockname(fd, (struct sockaddr *)ret, &len), errno);
	return fd;
}

static void what_a_program_sends_is_dropped(void **ctx)
{
	static const char msg[] = "add@/devices/system/cpu/cpu40";
	struct sockaddr_nl to, from;
	int in = open_netlink(&to), out = open_netlink(&from), sum = 0;
	char buf[64];

	assert_int_equal(sendto(out, msg, sizeof(msg), 0, (struct sockaddr *)&to, sizeof(to)),
			 sizeof(msg));
	assert_int_equal(uevent_read(in, add, &sum), 0);
	assert_int_equal(sum, 0);
	assert_int_equal(recv(in, buf, sizeof(buf), MSG_DONTWAIT), -1); /* it was read */
	close(in);
	close(out);
}

static void lost_events_are_told_and_stale_ones_discarded(void **ctx)
{
	static const char msg[512] = "add@/devices/system/cpu/cpu40";
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_groups = 1 }, from;
	int in = open_netlink(&from), out = open_netlink(&from), one = 1, sum = 0;
	char buf[512];

	assert_return_code(setsockopt(in, SOL_SOCKET, SO_RCVBUF, &one, sizeof(one)), errno);
	if (setsockopt(in, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &one, sizeof(one)) < 0) {
		close(in);
		close(out);
		skip(); /* it takes a privilege to hear a group */
	}
	for (int i = 0; i < 100; i++)
		(void)!sendto(out, msg, sizeof(msg), 0, (struct sockaddr *)&to, sizeof(to));
	assert_int_equal(uevent_read(in, add, &sum), -ENOBUFS);
	/* Not one is left, so that the kernel does not lose the next without a word. */
	assert_int_equal(recv(in, buf, sizeof(buf), MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	(void)!sendto(out, msg, sizeof(msg), 0, (struct sockaddr *)&to, sizeof(to));
	assert_int_equal(recv(in, buf, sizeof(buf), MSG_DONTWAIT), sizeof(msg));
	close(in);
	close(out);
}

/* Whether it comes through the filter; in the kernel's own format, so in any family's socket. */
static bool passes(const int pair[2], const char *msg, size_t len)
{
	char buf[512];

	assert_int_equal(send(pair[1], msg, len, 0), len);
	return recv(pair[0], buf, sizeof(buf), MSG_DONTWAIT) == (ssize_t)len;
}

static void virtual_and_system_devices_wake_nobody(void **ctx)
{
	static const struct {
		const char *msg;
		bool passes;
	} others[] = {
		{ "add@/devices/virtual/thermal/cooling_device1", false },
		{ "bind@/devices/virtual/block/loop0", false },
		{ "change@/devices/virtual/block/dm-0", false },
		{ "offline@/devices/system/memory/memory9", false },
		{ "remove@/devices/system/machinecheck/machinecheck1", false },
		{ "add@/devices/system/cpufreq/policy0", false },
		/* What may be one is for the program to tell. */
		{ "add@/devices/virtio-mmio.0/virtio0/virtio-ports/vport0p1", true },
		{ "add@/devices/system/cpu/cpufreq", true },
		{ "add@/devices/pci0000:00/0000:00:03.0", true },
		{ "add@/module/virtio_console/parameters", true },
		{ "unplug@/devices/system/cpu/cpu1", true },
		{ "disconnected@/devices/virtual/net/lo", true },
	};
	int pair[2];

	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), errno);
	uevent_filter(pair[0]);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (passes(pair, others[i].msg, strlen(others[i].msg) + 1) != others[i].passes)
			fail_msg("%s", others[i].msg);
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		if (messages[i].kind != UEVENT_OTHER &&
		    !passes(pair, messages[i].msg, messages[i].len))
			fail_msg("%s does not come through", messages[i].what);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_each_message_tells),
		cmocka_unit_test(all_that_wait_are_read),
		cmocka_unit_test(a_storm_does_not_hold_the_loop),
		cmocka_unit_test(a_message_that_was_cut),
		cmocka_unit_test(what_a_program_sends_is_dropped),
		cmocka_unit_test(virtual_and_system_devices_wake_nobody),
		cmocka_unit_test(lost_events_are_told_and_stale_ones_discarded),
	};

	return cmocka_run_group_tests_name("uevent", tests, NULL, NULL);
}
