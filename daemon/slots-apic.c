/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
/*
 * The APIC id of each slot: under KVM it is the id of the vCPU, and that is what KVM_CAP_MAX_VCPU_ID
 * bounds, not the number of the slot. The two differ as soon as a level of the topology has a count
 * that is no power of two: of 3 cores with one thread each the second socket begins at 4.
 *
 * Source: QEMU include/hw/i386/topology.h: the ids of the levels side by side in bit fields, each
 * just wide enough for the level's count.
 */
#include "daemon/slots.h"

/* From the lowest bits up; the last has no bound. A level the machine does not have takes no bits. */
static const enum slot_prop levels[] = {
	SLOT_THREAD, SLOT_CORE, SLOT_MODULE, SLOT_CLUSTER, SLOT_DIE, SLOT_SOCKET,
};

enum { LEVELS = sizeof(levels) / sizeof(levels[0]) };

/* Bits that hold every id of a level. The table names all possible vCPUs, so its highest is seen. */
static unsigned int width_of(const struct slots *s, enum slot_prop level)
{
	int32_t max = 0;

	for (unsigned int i = 0; i < s->table.n; i++)
		if (s->info[i].ids[level] > max)
			max = s->info[i].ids[level];
	return max ? 32 - (unsigned int)__builtin_clz((unsigned int)max) : 0;
}

/* UINT32_MAX for one that no APIC could have: beyond every limit. */
static uint32_t pack(const struct slot_info *info, const unsigned int *widths)
{
	unsigned int shift = 0;
	uint64_t id = 0;

	for (int i = 0; i < LEVELS; i++) {
		uint64_t part = info->ids[levels[i]] > 0 ? (uint64_t)info->ids[levels[i]] : 0;

		if (part && (shift >= 32 || part << shift >= UINT32_MAX))
			return UINT32_MAX;
		id |= part ? part << shift : 0;
		shift += widths[i];
	}
	return (uint32_t)id;
}

void slots_set_apic_ids(struct slots *s)
{
	unsigned int widths[LEVELS];

	for (int i = 0; i < LEVELS; i++)
		widths[i] = width_of(s, levels[i]);
	for (unsigned int i = 0; i < s->table.n; i++)
		s->table.slots[i].apic_id = pack(&s->info[i], widths);
}
