/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/uevent.h"
#include "guest-agent/sysfs.h"
#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

/* DISCARD_MAX is more than a buffer holds; a storm that goes on holds the loop no longer. */
enum { EVENTS_A_TURN = 256, UEVENT_SIZE = 8192, DISCARD_MAX = 64 << 10 };

static enum uevent_kind cpu_kind(const char *action, size_t len)
{
	static const struct {
		const char *action;
		enum uevent_kind kind;
	} kinds[] = {
		{ "add", UEVENT_CPU_ADD },       { "bind", UEVENT_CPU_BIND },
		{ "online", UEVENT_CPU_ONLINE }, { "offline", UEVENT_CPU_OFFLINE },
		{ "remove", UEVENT_CPU_REMOVE },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strlen(kinds[i].action) == len && memcmp(kinds[i].action, action, len) == 0)
			return kinds[i].kind;
	return UEVENT_OTHER;
}

struct uevent uevent_parse(const char *msg, size_t len)
{
	static const char cpu_path[] = "/devices/system/cpu/cpu";
	struct uevent e = { UEVENT_OTHER, -1 };
	const char *at;

	if (!memchr(msg, '\0', len))
		return e;
	at = strchr(msg, '@');
	if (!at)
		return e;
	if (strncmp(at + 1, cpu_path, sizeof(cpu_path) - 1) == 0) {
		e.cpu = sysfs_number(at + sizeof(cpu_path));
		if (e.cpu >= 0)
			e.kind = cpu_kind(msg, (size_t)(at - msg));
	} else if (strstr(at, "/virtio-ports/")) {
		e.kind = UEVENT_PORT;
	}
	return e;
}

#define BYTE_AT(at) BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at)
#define WORD_BEHIND_X(n) BPF_STMT(BPF_LD | BPF_W | BPF_IND, n)
#define FOUND_AT(at) BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, at)
#define IF(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define GO(n) BPF_JUMP(BPF_JMP | BPF_JA, n, 0, 0)
#define WORD(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

/*
 * Of "ACTION@/devices/KIND/...", an action having 3, 4, 6 or 7 letters: drop where KIND is "virtual",
 * or "system" (known by "syst") and what follows is not "cpu/". To read beyond a message's end drops
 * it as well; no uevent is that short.
 */
void uevent_filter(int fd)
{
	struct sock_filter code[] = {
		BYTE_AT(3),
		IF('@', 6, 0),
		BYTE_AT(4),
		IF('@', 6, 0),
		BYTE_AT(6),
		IF('@', 6, 0),
		BYTE_AT(7),
		IF('@', 6, 14),
		FOUND_AT(3),
		GO(5),
		FOUND_AT(4),
		GO(3),
		FOUND_AT(6),
		GO(1),
		FOUND_AT(7),
		WORD_BEHIND_X(sizeof("@/devices/") - 1),
		IF(WORD('s', 'y', 's', 't'), 1, 0),
		IF(WORD('v', 'i', 'r', 't'), 2, 4),
		WORD_BEHIND_X(sizeof("@/devices/system/") - 1),
		IF(WORD('c', 'p', 'u', '/'), 2, 3),
		WORD_BEHIND_X(sizeof("@/devices/virt") - 1),
		IF(WORD('u', 'a', 'l', '/'), 1, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = {
		.len = sizeof(code) / sizeof(code[0]),
		.filter = code,
	};

	(void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static bool is_from_kernel(const struct sockaddr_storage *from, socklen_t len)
{
	const struct sockaddr_nl *nl = (const struct sockaddr_nl *)from;

	if (len < sizeof(*nl) || from->ss_family != AF_NETLINK)
		return true; /* no netlink socket: the kernel's word is the only one there can be */
	return nl->nl_pid == 0;
}

/*
 * The kernel tells of a loss once, ahead of the events that came before it, and until those are read
 * it loses all that follow without another word. What they tell is older than what sysfs says.
 */
static void discard(int fd)
{
	char byte;

	for (int i = 0; i < DISCARD_MAX; i++) {
		if (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) >= 0 || errno == EINTR)
			continue;
		if (errno != ENOBUFS)
			return;
		i = 0;
	}
}

int uevent_read(int fd, void (*cb)(void *ctx, const struct uevent *e), void *ctx)
{
	char msg[UEVENT_SIZE];

	for (int i = 0; i < EVENTS_A_TURN; i++) {
		struct sockaddr_storage from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, msg, sizeof(msg), MSG_DONTWAIT, (struct sockaddr *)&from,
				     &from_len);
		struct uevent e;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) {
			discard(fd);
			return -ENOBUFS;
		}
		if (n < 0)
			return 0;
		if (!is_from_kernel(&from, from_len))
			continue;
		e = uevent_parse(msg, (size_t)n);
		if (e.kind != UEVENT_OTHER)
			cb(ctx, &e);
	}
	return 0;
}
