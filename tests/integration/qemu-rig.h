/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_INTEGRATION_QEMU_RIG_H
#define TESTS_INTEGRATION_QEMU_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { QEMU_DEADLINE_MS = 20000 };

/* A blocking line-based connection. */
struct line {
	int fd;
	char buf[65536];
	size_t len;
};

/**
 * struct qemu - a real QEMU without a guest: q35, one vCPU of eight slots
 * @dir: folder of its sockets; "qmp" is for the code under test
 * @qtest: plays the guest's ACPI part
 * @admin: a QMP connection beside the one under test
 */
struct qemu {
	char dir[32];
	pid_t pid;
	struct line qtest;
	struct line admin;
};

bool qemu_is_installed(void);
bool qemu_has_kvm(void);
uint64_t qemu_now_ms(void);
void qemu_start(struct qemu *q);
void qemu_stop(struct qemu *q);

/* The CPU hotplug registers. Source: QEMU docs/specs/acpi_cpu_hotplug. */
enum { FLAG_INSERTED = 2, FLAG_REMOVE = 4, FLAG_EJECT = 8 };
void qemu_guest_select(struct qemu *q, int slot);
void qemu_guest_flags(struct qemu *q, int flags);
void qemu_guest_ost(struct qemu *q, int source, int status);

void qemu_admin(struct qemu *q, const char *command);
/* The next event of this name that the administrator sees. */
void qemu_admin_event(struct qemu *q, const char *name, char *ret, size_t size);

#endif
