/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/microguest/hotplug.h"
#include "tests/microguest/machine.h"

enum {
	SELECTOR = 0xcd8,
	FLAGS = SELECTOR + 4,
	COMMAND = SELECTOR + 5,
	DATA = SELECTOR + 8,
	NEXT_WITH_EVENT = 0,
	SET_OST_EVENT = 1,
	SET_OST_STATUS = 2,
	GET_APIC_ID = 3,
	SLOTS_MAX = 256,
};

unsigned int hotplug_find(unsigned int from)
{
	outl(SELECTOR, from);
	outb(COMMAND, NEXT_WITH_EVENT);
	return inl(DATA);
}

/* Beyond the last slot every register reads 0; with no request that of a slot is its own number. */
unsigned int hotplug_init(void)
{
	unsigned int n = 1;

	outl(SELECTOR, 0);
	while (n < SLOTS_MAX && hotplug_find(n) == n)
		n++;
	return n;
}

uint8_t hotplug_flags(unsigned int slot)
{
	outl(SELECTOR, slot);
	return inb(FLAGS);
}

void hotplug_set(unsigned int slot, uint8_t flags)
{
	outl(SELECTOR, slot);
	outb(FLAGS, flags);
}

uint32_t hotplug_apic_id(unsigned int slot)
{
	outl(SELECTOR, slot);
	outb(COMMAND, GET_APIC_ID);
	return inl(DATA);
}

void hotplug_ost(unsigned int slot, uint32_t event, uint32_t status)
{
	outl(SELECTOR, slot);
	outb(COMMAND, SET_OST_EVENT);
	outl(DATA, event);
	outb(COMMAND, SET_OST_STATUS);
	outl(DATA, status);
}
