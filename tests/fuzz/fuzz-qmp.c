/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes from QEMU: into lines in two cuts, into messages, and each message's value into every
 * reader of QEMU's lists. How the bytes were cut must not matter.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/json-in.h"
#include "daemon/qmp-msg.h"
#include "daemon/slots.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a run of bytes comes down to: the messages read, and a sum over what they say. */
struct heard {
	size_t messages;
	size_t refused;
	uint64_t sum;
};

static void add(struct heard *h, const char *text)
{
	for (; text && *text; text++)
		h->sum = h->sum * 31 + (unsigned char)*text;
}

static void read_slots(struct heard *h, json_object *value)
{
	struct slots *s = NULL;
	const char *why = NULL;

	if (slots_parse(value, &s, &why) < 0) {
		if (!why || s)
			abort();
		return;
	}
	if (s->table.n == 0 || s->table.n > SLOTS_MAX || s->table.supported == !!s->table.why[0] ||
	    !slots_is_same_map(s, s))
		abort();
	for (unsigned int i = 0; i < s->table.n; i++) {
		const struct hv_slot *slot = &s->table.slots[i];

		if (slot->removable && (!slot->present || !slots_is_id(slot->id)))
			abort();
		if (slot->present && slots_find_path(s, s->info[i].qom_path) < 0)
			abort();
		add(h, slot->props);
	}
	slots_set_threads(s, value);
	json_object_put(slots_device_add(s, s->table.n - 1, "x"));
	slots_free(s);
}

static void read_value(struct heard *h, json_object *value)
{
	struct slots *none = slots_new_unsupported("fuzz");
	struct slot_ost o = { 0 };
	json_object *info;

	if (!none)
		abort();
	read_slots(h, value);
	slots_set_threads(none, value);
	slots_free(none);
	if (slots_ost(value, 8, &o) == 0 && o.slot >= 8)
		abort();
	if (json_in_obj(value, "info", &info) == 0)
		slots_ost(info, 8, &o);
}

static void read_line(struct heard *h, const char *line, size_t len)
{
	struct qmp_msg m;
	const char *why = NULL;

	if (qmp_msg_parse(line, len, &m, &why) < 0) {
		if (!why)
			abort();
		h->refused++;
		return;
	}
	h->messages++;
	for (const char *p = m.text; *p; p++)
		if (*p < 0x20 || *p >= 0x7f)
			abort();
	if (m.kind == QMP_EVENT && !m.name)
		abort();
	if (m.kind == QMP_ERROR && m.rc >= 0)
		abort();
	add(h, m.text);
	add(h, m.name);
	read_value(h, m.value);
	qmp_msg_done(&m);
}

static struct heard hear(const uint8_t *data, size_t size, size_t piece)
{
	struct qmp_lines l = { 0 };
	struct heard h = { 0 };

	for (size_t at = 0; at < size; at += piece) {
		size_t n = size - at < piece ? size - at : piece, len;
		const char *line;

		if (qmp_lines_push(&l, (const char *)data + at, n) < 0)
			break;
		while (qmp_lines_pop(&l, &line, &len)) {
			if (len > 0 && memchr(line, '\n', len))
				abort();
			read_line(&h, line, len);
		}
	}
	qmp_lines_done(&l);
	return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct heard whole = hear(data, size, size ? size : 1);
	struct heard pieces = hear(data, size, size ? data[0] % 31 + 1 : 1);

	if (whole.messages != pieces.messages || whole.refused != pieces.refused ||
	    whole.sum != pieces.sum)
		abort();
	return 0;
}
