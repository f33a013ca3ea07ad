/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/seam.h"
#include "guest-agent/uevent.h"
#include <assert.h>
#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

enum { UEVENT_BUFFER = 4 << 20, UEVENT_GROUP_KERNEL = 1 };

static int bind_to(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	return sched_setaffinity(pid, sizeof(set), &set) < 0 ? -errno : 0;
}

static_assert(sizeof(long) == sizeof(uint64_t) || __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	      "the kernel's sets are of its own words");

static int keep_on(pid_t pid, const struct cpulist *cpus)
{
	const cpu_set_t *set = (const cpu_set_t *)cpus->bits;

	return sched_setaffinity(pid, sizeof(cpus->bits), set) < 0 ? -errno : 0;
}

static int current_cpu(int cpu)
{
	return sched_getcpu();
}

static int program_cpu(int cpu, int ran_on)
{
	return ran_on;
}

static int open_uevents(int root)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = UEVENT_GROUP_KERNEL };
	int size = UEVENT_BUFFER;
	int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd < 0)
		return -errno;
	/* A batch of CPUs sends several messages each; without the right to force, what there is. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	uevent_filter(fd);
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

const struct seam *seam_get(void)
{
	static const struct seam seam = {
		.bind = bind_to,
		.keep_on = keep_on,
		.current_cpu = current_cpu,
		.program_cpu = program_cpu,
		.open_uevents = open_uevents,
	};

	return &seam;
}
