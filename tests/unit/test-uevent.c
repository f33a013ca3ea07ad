/* SPDX-License-Identifier: LGPL-2.1-or-later */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_each_message_tells),
		cmocka_unit_test(all_that_wait_are_read),
	};

	return cmocka_run_group_tests_name("uevent", tests, NULL, NULL);
}
