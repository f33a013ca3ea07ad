/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_UEVENT_H
#define AGENT_UEVENT_H

#include <stdbool.h>
#include <stddef.h>

enum uevent_kind {
	UEVENT_OTHER,
	UEVENT_CPU_ADD,
	UEVENT_CPU_BIND, /* a driver took it: its firmware path can be read by now */
	UEVENT_CPU_ONLINE,
	UEVENT_CPU_OFFLINE,
	UEVENT_CPU_REMOVE,
	UEVENT_PORT, /* a virtio port came, went or got its name */
};

struct uevent {
	enum uevent_kind kind;
	int cpu;
};

/**
 * uevent_parse() - read the head of one kernel uevent, "ACTION@DEVPATH\0KEY=VALUE\0..."; PURE
 * @msg: borrowed, @len bytes
 */
struct uevent uevent_parse(const char *msg, size_t len);

/**
 * uevent_filter() - let the kernel drop what would wake the agent up for nothing
 * @fd: the socket, before anything can come
 *
 * That is what is in /devices/virtual, and in /devices/system but for its cpu/. What else is no CPU
 * and no port comes through, for uevent_parse() to tell. On failure all come.
 */
void uevent_filter(int fd);

/**
 * uevent_read() - read and hand out the events that wait
 * @fd: watched by level, as a storm is read in turns
 *
 * Messages that do not come from the kernel are dropped.
 *
 * Return: 0, or -ENOBUFS when some were lost, and those that waited discarded: read sysfs now.
 */
int uevent_read(int fd, void (*cb)(void *ctx, const struct uevent *e), void *ctx);

#endif
