/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MICROGUEST_HOTPLUG_H
#define MICROGUEST_HOTPLUG_H

#include <stdbool.h>
#include <stdint.h>

/* QEMU's CPU hotplug registers, which the firmware's AML drives for a kernel.
 * Source: docs/specs/acpi_cpu_hotplug.rst of QEMU. */

enum {
	HOTPLUG_ENABLED = 1 << 0,
	HOTPLUG_INSERTING = 1 << 1,
	HOTPLUG_REMOVING = 1 << 2,
	HOTPLUG_EJECT = 1 << 3,
};

enum { OST_INSERT = 1, OST_EJECT = 3 };
enum { OST_OK = 0, OST_FAILED = 1, OST_BUSY = 0x82, OST_IN_PROGRESS = 0x84 };

/* Leave the old interface. Return: how many slots there are. */
unsigned int hotplug_init(void);

/* The next slot at or after @from, wrapping, with a request; @from where there is none. */
unsigned int hotplug_find(unsigned int from);
uint8_t hotplug_flags(unsigned int slot);
/* Write 1 to the flags that are cleared so, or HOTPLUG_EJECT. */
void hotplug_set(unsigned int slot, uint8_t flags);
uint32_t hotplug_apic_id(unsigned int slot);
void hotplug_ost(unsigned int slot, uint32_t event, uint32_t status);

#endif
