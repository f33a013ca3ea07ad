/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
/*
 * Theory of operation
 *
 * query-hotpluggable-cpus lists every possible vCPU with the props that device_add wants. The
 * vCPU number is the index after sorting by those props as numbers, the order that libvirt uses
 * and in which QEMU's ACPI code numbers its slots ("slot" of an _OST). The props are kept as
 * numbers under the names of the table below; the arguments of device_add are written from them
 * again, so no key and no value of QEMU's text ever comes back to it unchecked.
 *
 * Refused as broken: another type than the schema's, an id beyond 31 bits, two slots with the same
 * props, two slots with one qom-path, more than SLOTS_MAX slots. Accepted but not supported: what
 * a later QEMU or another machine may rightly say (other types, several vCPUs to a slot, props
 * that are not in the table).
 *
 * Where the device hangs says whose it is: /machine/peripheral/ID was added with an id and can be
 * removed by it; anything else (/machine/unattached/device[N], the vCPUs from the start) cannot.
 */
#include "daemon/slots.h"
#include "daemon/json-in.h"
#include "daemon/json-out.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const prop_names[SLOT_PROPS] = {
	[SLOT_DRAWER] = "drawer-id", [SLOT_BOOK] = "book-id",       [SLOT_SOCKET] = "socket-id",
	[SLOT_DIE] = "die-id",       [SLOT_CLUSTER] = "cluster-id", [SLOT_MODULE] = "module-id",
	[SLOT_CORE] = "core-id",     [SLOT_THREAD] = "thread-id",   [SLOT_NODE] = "node-id",
};

static const char peripheral[] = "/machine/peripheral/";

/* One slot while it is being read: both halves, so that sorting keeps them together. */
struct entry {
	struct hv_slot slot;
	struct slot_info info;
};

struct reading {
	struct entry *entries;
	size_t n;
	struct slots *slots;
	const char *why;
};

struct slots *slots_free(struct slots *s)
{
	if (!s)
		return NULL;
	for (unsigned int i = 0; i < s->table.n; i++) {
		free(s->table.slots[i].props);
		free(s->info[i].qom_path);
	}
	free(s->table.slots);
	free(s->info);
	free(s);
	return NULL;
}

static void unsupported(struct slots *s, const char *why)
{
	if (!s->table.supported)
		return;
	s->table.supported = false;
	snprintf(s->table.why, sizeof(s->table.why), "%s", why);
}

struct slots *slots_new_unsupported(const char *why)
{
	struct slots *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->table.supported = true;
	unsupported(s, why);
	return s;
}

static bool is_word(const char *s, size_t min, size_t max, const char *marks)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++) {
		char c = s[i] | 0x20;

		if (!(c >= 'a' && c <= 'z') && !(s[i] >= '0' && s[i] <= '9') &&
		    !strchr(marks, s[i]))
			return false;
	}
	return len >= min && len <= max;
}

bool slots_is_id(const char *id)
{
	return is_word(id, 1, sizeof(((struct hv_slot *)NULL)->id) - 1, "._-") &&
	       (id[0] | 0x20) >= 'a' && (id[0] | 0x20) <= 'z';
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

static int broken(struct reading *r, const char *why)
{
	r->why = why;
	return -EPROTO;
}

static int read_props(struct reading *r, json_object *item, struct slot_info *info)
{
	json_object *props;
	int known = 0;

	if (json_in_obj(item, "props", &props) < 0)
		return broken(r, "a slot without props");
	for (int i = 0; i < SLOT_PROPS; i++) {
		int64_t v = -1;
		int rc = json_in_int(props, prop_names[i], 0, INT32_MAX, &v);

		if (rc < 0 && rc != -ENOENT)
			return broken(r, "props of a slot are no numbers");
		info->ids[i] = (int32_t)v;
		known += v >= 0;
	}
	if (known == 0 || json_object_object_length(props) != known)
		unsupported(r->slots, "its slots have properties that are not known here");
	return 0;
}

static char *format_props(const struct slot_info *info)
{
	char text[SLOT_PROPS * 32] = "{";
	size_t at = 1;

	for (int i = 0; i < SLOT_PROPS; i++)
		if (info->ids[i] >= 0)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s\"%s\":%d",
					       at > 1 ? "," : "", prop_names[i], info->ids[i]);
	snprintf(text + at, sizeof(text) - at, "}");
	return strdup(text);
}

static int set_path(struct hv_slot *slot, struct slot_info *info, const char *path)
{
	size_t len = strlen(peripheral);
	char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	free(info->qom_path);
	info->qom_path = copy;
	slot->present = true;
	slot->removable = strncmp(path, peripheral, len) == 0 && slots_is_id(path + len);
	if (slot->removable)
		snprintf(slot->id, sizeof(slot->id), "%s", path + len);
	return 0;
}

static int read_type(struct reading *r, json_object *item)
{
	struct slots *s = r->slots;
	const char *type;

	if (json_in_str(item, "type", SLOT_TYPE_MAX, &type) < 0 ||
	    !is_word(type, 1, SLOT_TYPE_MAX, "._+-"))
		return broken(r, "a slot without a sound type");
	if (!s->type[0])
		snprintf(s->type, sizeof(s->type), "%s", type);
	if (strcmp(s->type, type) != 0)
		unsupported(s, "its slots are of several types");
	if (!ends_with(type, "-x86_64-cpu") && !ends_with(type, "-i386-cpu"))
		unsupported(s, "only x86 machines are supported");
	return 0;
}

static int read_entry(struct reading *r, json_object *item, struct entry *e)
{
	const char *path;
	int64_t count;
	int rc = read_type(r, item);

	if (rc < 0)
		return rc;
	if (json_in_int(item, "vcpus-count", 1, INT32_MAX, &count) < 0)
		return broken(r, "a slot without vcpus-count");
	if (count != 1)
		unsupported(r->slots, "its slots hold more than one vCPU");
	rc = read_props(r, item, &e->info);
	if (rc < 0)
		return rc;
	e->slot.props = format_props(&e->info);
	if (!e->slot.props)
		return -ENOMEM;
	rc = json_in_str(item, "qom-path", SLOT_PATH_MAX, &path);
	if (rc == -ENOENT)
		return 0;
	return rc < 0 ? broken(r, "a broken qom-path") : set_path(&e->slot, &e->info, path);
}

static int compare_ids(const int32_t *a, const int32_t *b)
{
	for (int i = 0; i < SLOT_PROPS; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return compare_ids(x->info.ids, y->info.ids);
}

static int read_entries(struct reading *r, json_object *list)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->n; i++)
		rc = read_entry(r, json_object_array_get_idx(list, i), &r->entries[i]);
	if (rc < 0)
		return rc;
	qsort(r->entries, r->n, sizeof(*r->entries), compare_entries);
	for (size_t i = 1; r->slots->table.supported && i < r->n; i++)
		if (compare_entries(&r->entries[i - 1], &r->entries[i]) == 0)
			return broken(r, "two slots with the same props");
	return 0;
}

/* Hand the entries' strings over to the two arrays. */
static int take_entries(struct reading *r)
{
	struct slots *s = r->slots;

	s->table.slots = calloc(r->n, sizeof(*s->table.slots));
	s->info = calloc(r->n, sizeof(*s->info));
	if (!s->table.slots || !s->info)
		return -ENOMEM;
	for (size_t i = 0; i < r->n; i++) {
		s->table.slots[i] = r->entries[i].slot;
		s->info[i] = r->entries[i].info;
	}
	s->table.n = (unsigned int)r->n;
	r->n = 0;
	slots_set_apic_ids(s);
	return 0;
}

static int parse(struct reading *r, json_object *list)
{
	int rc;

	if (!json_object_is_type(list, json_type_array))
		return broken(r, "no list of slots");
	r->n = json_object_array_length(list);
	if (r->n == 0)
		return broken(r, "an empty list of slots");
	if (r->n > SLOTS_MAX) {
		r->n = 0;
		r->why = "too many slots";
		return -E2BIG;
	}
	r->entries = calloc(r->n, sizeof(*r->entries));
	r->slots = calloc(1, sizeof(*r->slots));
	if (!r->entries || !r->slots) {
		r->n = 0;
		return -ENOMEM;
	}
	r->slots->table.supported = true;
	rc = read_entries(r, list);
	return rc < 0 ? rc : take_entries(r);
}

int slots_parse(json_object *list, struct slots **ret, const char **ret_why)
{
	struct reading r = { .why = "out of memory" };
	int rc = parse(&r, list);

	for (size_t i = 0; i < r.n; i++) {
		free(r.entries[i].slot.props);
		free(r.entries[i].info.qom_path);
	}
	free(r.entries);
	if (rc < 0) {
		slots_free(r.slots);
		*ret_why = r.why;
		return rc;
	}
	*ret = r.slots;
	return 0;
}

/* Slots in use, sorted by path: 4096 of each must not cost 16 million comparisons. */
struct path_index {
	const char *path;
	unsigned int slot;
};

static int compare_paths(const void *a, const void *b)
{
	const struct path_index *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static int set_thread(struct slots *s, const struct path_index *index, size_t n, json_object *item)
{
	const struct path_index *found;
	struct path_index key = { 0 };
	int64_t tid;

	if (json_in_str(item, "qom-path", SLOT_PATH_MAX, &key.path) < 0 ||
	    json_in_int(item, "thread-id", 0, INT32_MAX, &tid) < 0)
		return -EPROTO;
	found = n ? bsearch(&key, index, n, sizeof(*index), compare_paths) : NULL;
	if (found)
		s->table.slots[found->slot].thread_id = (pid_t)tid;
	return 0;
}

static int set_threads(struct slots *s, struct path_index *index, json_object *list)
{
	size_t n = 0;
	int rc = 0;

	for (unsigned int i = 0; i < s->table.n; i++)
		if (s->info[i].qom_path)
			index[n++] = (struct path_index){ s->info[i].qom_path, i };
	qsort(index, n, sizeof(*index), compare_paths);
	for (size_t i = 1; i < n; i++)
		if (compare_paths(&index[i - 1], &index[i]) == 0)
			return -EPROTO;
	for (size_t i = 0; rc == 0 && i < json_object_array_length(list); i++)
		rc = set_thread(s, index, n, json_object_array_get_idx(list, i));
	return rc;
}

int slots_set_threads(struct slots *s, json_object *list)
{
	struct path_index *index;
	int rc;

	if (!json_object_is_type(list, json_type_array) ||
	    json_object_array_length(list) > SLOTS_MAX)
		return -EPROTO;
	index = calloc(s->table.n + 1, sizeof(*index));
	if (!index)
		return -ENOMEM;
	rc = set_threads(s, index, list);
	free(index);
	return rc;
}

bool slots_is_same_map(const struct slots *a, const struct slots *b)
{
	if (a->table.n != b->table.n || a->table.supported != b->table.supported ||
	    strcmp(a->type, b->type) != 0)
		return false;
	for (unsigned int i = 0; i < a->table.n; i++)
		if (compare_ids(a->info[i].ids, b->info[i].ids) != 0)
			return false;
	return true;
}

int slots_find_id(const struct slots *s, const char *id)
{
	for (unsigned int i = 0; i < s->table.n; i++)
		if (s->table.slots[i].removable && strcmp(s->table.slots[i].id, id) == 0)
			return (int)i;
	return -ENOENT;
}

int slots_find_path(const struct slots *s, const char *path)
{
	for (unsigned int i = 0; i < s->table.n; i++)
		if (s->info[i].qom_path && strcmp(s->info[i].qom_path, path) == 0)
			return (int)i;
	return -ENOENT;
}

json_object *slots_device_add(const struct slots *s, unsigned int slot, const char *id)
{
	json_object *args = json_object_new_object();
	int rc = json_out_add(args, "driver", json_object_new_string(s->type));

	if (rc == 0)
		rc = json_out_add(args, "id", json_object_new_string(id));
	for (int i = 0; rc == 0 && i < SLOT_PROPS; i++)
		if (s->info[slot].ids[i] >= 0)
			rc = json_out_add(args, prop_names[i],
					  json_object_new_int(s->info[slot].ids[i]));
	if (rc == 0)
		return args;
	json_object_put(args);
	return NULL;
}

int slots_set_plugged(struct slots *s, unsigned int slot, const char *id)
{
	char path[SLOT_PATH_MAX + 1];

	snprintf(path, sizeof(path), "%s%s", peripheral, id);
	return set_path(&s->table.slots[slot], &s->info[slot], path);
}

static int parse_slot(const char *text, unsigned int n, unsigned int *ret)
{
	unsigned int v = 0;

	if (!*text || strlen(text) > 5)
		return -EPROTO;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EPROTO;
		v = v * 10 + (unsigned int)(*text - '0');
	}
	if (v >= n)
		return -EPROTO;
	*ret = v;
	return 0;
}

int slots_ost(json_object *info, unsigned int n, struct slot_ost *ret)
{
	const char *type, *slot;
	int64_t source, status;
	struct slot_ost o;

	if (json_in_str(info, "slot-type", 16, &type) < 0)
		return -EPROTO;
	if (strcmp(type, "CPU") != 0)
		return 1;
	if (json_in_str(info, "slot", 8, &slot) < 0 || parse_slot(slot, n, &o.slot) < 0 ||
	    json_in_int(info, "source", 0, UINT32_MAX, &source) < 0 ||
	    json_in_int(info, "status", 0, UINT32_MAX, &status) < 0)
		return -EPROTO;
	o.source = source > INT32_MAX ? INT32_MAX : (int)source;
	o.status = status > INT32_MAX ? INT32_MAX : (int)status;
	*ret = o;
	return 0;
}
