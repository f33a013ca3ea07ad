/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_SLOTS_H
#define DAEMON_SLOTS_H

#include "daemon/hv.h"
#include <json-c/json.h>

/*
 * QEMU's list of possible vCPUs, read once strictly and kept as numbers, so that nothing QEMU (or
 * whoever owns it by now) says later can change what a device_add asks for.
 */

enum { SLOTS_MAX = 4096, SLOT_TYPE_MAX = 127, SLOT_PATH_MAX = 255 };

/* The ids of a slot's props, most significant first; that is the order of the vCPU numbers. */
enum slot_prop {
	SLOT_DRAWER,
	SLOT_BOOK,
	SLOT_SOCKET,
	SLOT_DIE,
	SLOT_CLUSTER,
	SLOT_MODULE,
	SLOT_CORE,
	SLOT_THREAD,
	SLOT_NODE, /* last: it only names memory; libvirt and ACPI number the slots without it */
	SLOT_PROPS
};

/**
 * struct slot_info - what struct hv_slot leaves out
 * @ids: by enum slot_prop, -1 for one that the machine does not have
 * @qom_path: NULL for an empty slot, owned
 */
struct slot_info {
	int32_t ids[SLOT_PROPS];
	char *qom_path;
};

/**
 * struct slots - the table with its parallel array; both sorted ascending by ids
 * @type: QOM type of every slot
 */
struct slots {
	struct hv_table table;
	struct slot_info *info;
	char type[SLOT_TYPE_MAX + 1];
};

/* The last ACPI _OST of a CPU slot. The guest's word; @status is cut off at INT32_MAX. */
struct slot_ost {
	unsigned int slot;
	int source;
	int status;
};

/**
 * slots_parse() - read a reply of query-hotpluggable-cpus
 * @list: its "return"; borrowed
 * @ret: returned to the caller, slots_free(); thread ids are still 0
 * @ret_why: on an error a static phrase
 *
 * A machine that cannot be changed safely (not x86, several vCPUs to a slot, unknown props) is
 * no error: its table says so in @supported and @why.
 *
 * Source: QEMU qapi/machine.json, HotpluggableCPU.
 * Return: 0, -EPROTO not such a reply, -E2BIG above SLOTS_MAX, -ENOMEM.
 */
int slots_parse(json_object *list, struct slots **ret, const char **ret_why);
struct slots *slots_free(struct slots *s);

/* An empty table of a machine without hotpluggable slots, with the reason. NULL: out of memory. */
struct slots *slots_new_unsupported(const char *why);

/**
 * slots_set_threads() - take thread ids over from a reply of query-cpus-fast
 * @list: its "return"; entries whose qom-path is in no slot are passed over
 *
 * Return: 0; -EPROTO not such a reply, or two slots with one path; -ENOMEM.
 */
int slots_set_threads(struct slots *s, json_object *list);

/* slots-apic.c: fill in every slot's apic_id; slots_parse() has done it. */
void slots_set_apic_ids(struct slots *s);

/* Same slots in the same order, whatever is plugged? */
bool slots_is_same_map(const struct slots *a, const struct slots *b);

/* The slot of a device id or qom-path, or -ENOENT. */
int slots_find_id(const struct slots *s, const char *id);
int slots_find_path(const struct slots *s, const char *path);

/* [A-Za-z][A-Za-z0-9._-]{0,62}: what QEMU takes as an id and struct hv_slot can hold. */
bool slots_is_id(const char *id);

/* The arguments of device_add for an empty slot. NULL: out of memory. */
json_object *slots_device_add(const struct slots *s, unsigned int slot, const char *id);

/* QEMU acknowledged that device_add. 0 or -ENOMEM. */
int slots_set_plugged(struct slots *s, unsigned int slot, const char *id);

/**
 * slots_ost() - read ACPIOSTInfo, from the event or from query-acpi-ospm-status
 * @n: number of slots
 *
 * Return: 0; 1 for a slot that is no CPU; -EPROTO broken, or no such slot.
 */
int slots_ost(json_object *info, unsigned int n, struct slot_ost *ret);

#endif
