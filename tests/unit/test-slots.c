/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/json-in.h"
#include "daemon/slots.h"

static const struct json_in_limits limits = { 1 << 20, JSON_IN_DEPTH, JSON_IN_STRUCTURAL };

static json_object *parse_reply(const char *text)
{
	json_object *root = NULL;
	const char *why = "";

	if (json_in_parse(text, strlen(text), &limits, &root, &why) < 0)
		fail_msg("%s: %s", text, why);
	return root;
}

/* A reply of a real QEMU 7.2, recorded. */
static json_object *read_recording(const char *name)
{
	char path[4096], text[65536];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/tests/unit/data/%s.json", getenv("SOURCE_ROOT"), name);
	f = fopen(path, "re");
	if (!f)
		fail_msg("%s cannot be read", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	return parse_reply(text);
}

static int parse(json_object *root, struct slots **ret, const char **why)
{
	return slots_parse(json_object_object_get(root, "return"), ret, why);
}

static struct slots *parse_recording(const char *name)
{
	_cleanup_json_ json_object *root = read_recording(name);
	struct slots *s = NULL;
	const char *why = "";

	if (parse(root, &s, &why) < 0)
		fail_msg("%s: %s", name, why);
	return s;
}

static void a_plain_machine_is_read(void **state)
{
	struct slots *s = parse_recording("q35.hotpluggable");

	assert_int_equal(s->table.n, 8);
	assert_true(s->table.supported);
	assert_string_equal(s->type, "qemu64-x86_64-cpu");
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(s->info[i].ids[SLOT_CORE], i);
		assert_int_equal(s->info[i].ids[SLOT_DIE], -1);
		assert_int_equal(s->table.slots[i].present, i < 3);
		assert_int_equal(s->table.slots[i].removable, i == 1 || i == 2);
	}
	assert_string_equal(s->table.slots[0].id, "");
	assert_string_equal(s->table.slots[2].id, "vhp-2-00c0ffee");
	assert_string_equal(s->table.slots[2].props,
			    "{\"socket-id\":0,\"core-id\":2,\"thread-id\":0}");
	slots_free(s);
}

static void a_topology_is_sorted_by_its_levels(void **state)
{
	struct slots *s = parse_recording("q35-topo.hotpluggable");

	assert_int_equal(s->table.n, 16);
	for (int i = 0; i < 16; i++) {
		const int32_t *ids = s->info[i].ids;

		assert_int_equal(ids[SLOT_SOCKET] * 8 + ids[SLOT_DIE] * 4 + ids[SLOT_CORE] * 2 +
					 ids[SLOT_THREAD],
				 i);
	}
	assert_true(s->table.slots[1].present);
	assert_false(s->table.slots[1].removable);
	assert_string_equal(s->table.slots[2].id, "vhp-1-00c0ffee");
	slots_free(s);
}

/* Row: a topology, and the APIC ids that QEMU 7.2 gave its vCPUs (their property "apic-id"). */
static const struct {
	const char *sentence;
	int sockets, dies, cores, threads;
	uint32_t ids[12];
} topologies[] = {
	{ "powers of two number themselves", 2, 1, 2, 2, { 0, 1, 2, 3, 4, 5, 6, 7 } },
	{ "three cores take two bits", 2, 1, 3, 1, { 0, 1, 2, 4, 5, 6 } },
	{ "and shift what is above", 2, 1, 3, 2, { 0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13 } },
	{ "five dies take three", 2, 5, 1, 1, { 0, 1, 2, 3, 4, 8, 9, 10, 11, 12 } },
	{ "sockets have no end", 5, 1, 1, 1, { 0, 1, 2, 3, 4 } },
	{ "one of all", 1, 1, 1, 1, { 0 } },
};

static size_t add_slot(char *text, size_t size, int socket, int die, int core, int thread)
{
	return (size_t)snprintf(text, size,
				"%s{\"props\":{\"socket-id\":%d,\"die-id\":%d,\"core-id\":%d,"
				"\"thread-id\":%d},\"vcpus-count\":1,\"type\":\"a-x86_64-cpu\"}",
				socket + die + core + thread ? "," : "", socket, die, core, thread);
}

static struct slots *slots_of_topology(int sockets, int dies, int cores, int threads)
{
	char text[4096] = "{\"return\":[";
	size_t at = strlen(text);
	struct slots *s = NULL;
	json_object *root;
	const char *why;

	for (int i = 0; i < sockets * dies * cores * threads; i++)
		at += add_slot(text + at, sizeof(text) - at, i / threads / cores / dies,
			       i / threads / cores % dies, i / threads % cores, i % threads);
	snprintf(text + at, sizeof(text) - at, "]}");
	root = parse_reply(text);
	assert_int_equal(parse(root, &s, &why), 0);
	json_object_put(root);
	return s;
}

static void an_apic_id_has_a_field_for_each_level(void **state)
{
	for (size_t i = 0; i < sizeof(topologies) / sizeof(*topologies); i++) {
		struct slots *s = slots_of_topology(topologies[i].sockets, topologies[i].dies,
						    topologies[i].cores, topologies[i].threads);

		for (unsigned int k = 0; k < s->table.n; k++)
			if (s->table.slots[k].apic_id != topologies[i].ids[k])
				fail_msg("%s: vcpu %u has %u", topologies[i].sentence, k,
					 s->table.slots[k].apic_id);
		slots_free(s);
	}
}

static void an_apic_id_beyond_its_bits_is_beyond_every_limit(void **state)
{
	_cleanup_json_ json_object *root =
		parse_reply("{\"return\":[{\"props\":{\"socket-id\":0,\"core-id\":2147483647},"
			    "\"vcpus-count\":1,\"type\":\"a-x86_64-cpu\"},"
			    "{\"props\":{\"socket-id\":2,\"core-id\":0},"
			    "\"vcpus-count\":1,\"type\":\"a-x86_64-cpu\"}]}");
	struct slots *s = NULL;
	const char *why;

	assert_int_equal(parse(root, &s, &why), 0);
	assert_int_equal(s->table.slots[0].apic_id, INT32_MAX);
	assert_int_equal(s->table.slots[1].apic_id, UINT32_MAX);
	slots_free(s);
}

/* The ACPI tables and libvirt number interleaved nodes' vCPUs by socket, so the node is no key. */
static void nodes_do_not_change_the_order(void **state)
{
	struct slots *s = parse_recording("q35-numa.hotpluggable");

	for (int i = 0; i < 4; i++) {
		assert_int_equal(s->info[i].ids[SLOT_SOCKET], i);
		assert_int_equal(s->info[i].ids[SLOT_NODE], 1 - i % 2);
	}
	assert_true(s->table.supported);
	slots_free(s);
}

static void ids_are_numbers_not_words(void **state)
{
	_cleanup_json_ json_object *root = parse_reply(
		"{\"return\":[{\"props\":{\"core-id\":10},\"vcpus-count\":1,\"type\":\"a-i386-cpu\"},"
		"{\"props\":{\"core-id\":9},\"vcpus-count\":1,\"type\":\"a-i386-cpu\"}]}");
	struct slots *s = NULL;
	const char *why;

	assert_int_equal(parse(root, &s, &why), 0);
	assert_true(s->table.supported);
	assert_int_equal(s->info[0].ids[SLOT_CORE], 9);
	slots_free(s);
}

static void threads_are_matched_by_path(void **state)
{
	struct slots *s = parse_recording("q35-topo.hotpluggable");
	_cleanup_json_ json_object *root = read_recording("q35-topo.cpus-fast");
	json_object *list = json_object_object_get(root, "return");

	assert_int_equal(slots_set_threads(s, list), 0);
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(s->table.slots[i].thread_id, i < 3 ? 7076 + (int)i : 0);
	slots_free(s);
}

#define SLOT(props, rest) "{\"props\":{" props "},\"vcpus-count\":1," rest "}"
#define X86 "\"type\":\"q-x86_64-cpu\""

static const struct {
	const char *list;
	int rc;
	const char *why; /* of the error, or of not being supported; NULL: a supported table */
} reply_cases[] = {
	{ "[" SLOT("\"core-id\":0", X86) "]", 0, NULL },
	{ "[" SLOT("\"core-id\":0", X86 ",\"later\":true") "]", 0, NULL },
	{ "[{\"props\":{\"core-id\":0},\"vcpus-count\":8,"
	  "\"type\":\"power9_v2.0-spapr-cpu-core\"}]",
	  0, "only x86 machines are supported" },
	{ "[{\"props\":{\"core-id\":0},\"vcpus-count\":2," X86 "}]", 0,
	  "its slots hold more than one vCPU" },
	{ "[" SLOT("\"core-id\":0", "\"type\":\"host-arm-cpu\"") "]", 0,
	  "only x86 machines are supported" },
	{ "[" SLOT("\"core-id\":0", "\"type\":\"-x86_64-cpu2\"") "]", 0,
	  "only x86 machines are supported" },
	{ "[" SLOT("\"core-id\":0,\"tile-id\":0", X86) "]", 0,
	  "its slots have properties that are not known here" },
	{ "[" SLOT("", X86) "]", 0, "its slots have properties that are not known here" },
	{ "[" SLOT("\"core-id\":0", X86) "," SLOT("\"core-id\":1", "\"type\":\"r-x86_64-cpu\"") "]",
	  0, "its slots are of several types" },
	{ "[]", -EPROTO, "an empty list of slots" },
	{ "{}", -EPROTO, "no list of slots" },
	{ "null", -EPROTO, "no list of slots" },
	{ "[1]", -EPROTO, "a slot without a sound type" },
	{ "[null]", -EPROTO, "a slot without a sound type" },
	{ "[" SLOT("\"core-id\":0", "\"type\":7") "]", -EPROTO, "a slot without a sound type" },
	{ "[" SLOT("\"core-id\":0", "\"type\":\"a,id=x-x86_64-cpu\"") "]", -EPROTO,
	  "a slot without a sound type" },
	{ "[{\"props\":{\"core-id\":0}," X86 "}]", -EPROTO, "a slot without vcpus-count" },
	{ "[{\"props\":{\"core-id\":0},\"vcpus-count\":0," X86 "}]", -EPROTO,
	  "a slot without vcpus-count" },
	{ "[{\"vcpus-count\":1," X86 "}]", -EPROTO, "a slot without props" },
	{ "[{\"props\":[],\"vcpus-count\":1," X86 "}]", -EPROTO, "a slot without props" },
	{ "[" SLOT("\"core-id\":\"0\"", X86) "]", -EPROTO, "props of a slot are no numbers" },
	{ "[" SLOT("\"core-id\":-1", X86) "]", -EPROTO, "props of a slot are no numbers" },
	{ "[" SLOT("\"core-id\":0.5", X86) "]", -EPROTO, "props of a slot are no numbers" },
	{ "[" SLOT("\"core-id\":2147483648", X86) "]", -EPROTO, "props of a slot are no numbers" },
	{ "[" SLOT("\"core-id\":1", X86) "," SLOT("\"core-id\":1", X86) "]", -EPROTO,
	  "two slots with the same props" },
	{ "[" SLOT("\"core-id\":1", X86 ",\"qom-path\":5") "]", -EPROTO, "a broken qom-path" },
};

static void replies_are_read_strictly(void **state)
{
	for (size_t i = 0; i < sizeof(reply_cases) / sizeof(*reply_cases); i++) {
		char text[512];
		struct slots *s = NULL;
		const char *why = "";
		json_object *root;
		int r;

		snprintf(text, sizeof(text), "{\"return\":%s}", reply_cases[i].list);
		root = parse_reply(text);
		r = parse(root, &s, &why);
		json_object_put(root);
		if (r != reply_cases[i].rc)
			fail_msg("%s: %d %s", text, r, why);
		if (r == 0) {
			assert_int_equal(s->table.supported, !reply_cases[i].why);
			why = s->table.why;
		}
		assert_string_equal(why, reply_cases[i].why ? reply_cases[i].why : "");
		slots_free(s);
	}
}

static void a_table_has_an_end(void **state)
{
	for (int n = SLOTS_MAX; n <= SLOTS_MAX + 1; n++) {
		_cleanup_json_ json_object *list = json_object_new_array();
		struct slots *s = NULL;
		const char *why;

		for (int i = 0; i < n; i++) {
			char text[128];

			snprintf(text, sizeof(text),
				 "{\"props\":{\"core-id\":%d},\"vcpus-count\":1," X86 "}", i);
			json_object_array_add(list, json_tokener_parse(text));
		}
		assert_int_equal(slots_parse(list, &s, &why), n > SLOTS_MAX ? -E2BIG : 0);
		slots_free(s);
	}
}

static const struct {
	const char *path;
	bool removable;
	const char *id;
} path_cases[] = {
	{ "/machine/unattached/device[3]", false, "" },
	{ "/machine/peripheral/vcpu1", true, "vcpu1" },
	{ "/machine/peripheral/vhp-3-0123abcd", true, "vhp-3-0123abcd" },
	{ "/machine/peripheral-anon/device[0]", false, "" },
	{ "/machine/peripheral/", false, "" },
	{ "/machine/peripheral/a/b", false, "" },
	{ "/machine/peripheral/a b", false, "" },
	{ "/machine/peripheral/1a", false, "" },
	{ "/machine/peripheral/\\\"", false, "" },
	{ "/machine/peripheral/abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0",
	  true, "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0" },
	{ "/machine/peripheral/abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz01",
	  false, "" },
	{ "x", false, "" },
};

static void the_path_tells_what_can_be_removed(void **state)
{
	for (size_t i = 0; i < sizeof(path_cases) / sizeof(*path_cases); i++) {
		char text[512];
		struct slots *s = NULL;
		const char *why;
		json_object *root;

		snprintf(text, sizeof(text),
			 "{\"return\":[{\"props\":{\"core-id\":0},\"vcpus-count\":1," X86
			 ",\"qom-path\":\"%s\"}]}",
			 path_cases[i].path);
		root = parse_reply(text);
		assert_int_equal(parse(root, &s, &why), 0);
		json_object_put(root);
		assert_true(s->table.slots[0].present);
		assert_int_equal(s->table.slots[0].removable, path_cases[i].removable);
		assert_string_equal(s->table.slots[0].id, path_cases[i].id);
		slots_free(s);
	}
}

static void two_slots_cannot_share_a_device(void **state)
{
	_cleanup_json_ json_object *root = parse_reply(
		"{\"return\":[" SLOT("\"core-id\":0", X86 ",\"qom-path\":\"/p\"") "," SLOT(
			"\"core-id\":1", X86 ",\"qom-path\":\"/p\"") "],\"none\":[]}");
	struct slots *s = NULL;
	const char *why;

	assert_int_equal(parse(root, &s, &why), 0);
	assert_int_equal(slots_set_threads(s, json_object_object_get(root, "none")), -EPROTO);
	slots_free(s);
}

static const char *const thread_cases[] = {
	"{\"return\":[{\"thread-id\":1}]}",
	"{\"return\":[{\"qom-path\":\"/x\"}]}",
	"{\"return\":[{\"qom-path\":\"/x\",\"thread-id\":-1}]}",
	"{\"return\":[{\"qom-path\":\"/x\",\"thread-id\":4294967297}]}",
	"{\"return\":[{\"qom-path\":\"/x\",\"thread-id\":\"1\"}]}",
	"{\"return\":[null]}",
	"{\"return\":{}}",
};

static void broken_threads_are_refused(void **state)
{
	struct slots *s = parse_recording("q35.hotpluggable");

	for (size_t i = 0; i < sizeof(thread_cases) / sizeof(*thread_cases); i++) {
		json_object *root = parse_reply(thread_cases[i]);

		if (slots_set_threads(s, json_object_object_get(root, "return")) != -EPROTO)
			fail_msg("%s", thread_cases[i]);
		json_object_put(root);
	}
	slots_free(s);
}

static void a_plug_asks_for_its_own_slot(void **state)
{
	struct slots *s = parse_recording("q35-numa.hotpluggable");
	json_object *args = slots_device_add(s, 3, "vhp-3-00000001");

	assert_string_equal(json_object_to_json_string_ext(args, JSON_C_TO_STRING_PLAIN),
			    "{\"driver\":\"qemu64-x86_64-cpu\",\"id\":\"vhp-3-00000001\","
			    "\"socket-id\":3,\"core-id\":0,\"thread-id\":0,\"node-id\":0}");
	json_object_put(args);
	assert_int_equal(slots_find_id(s, "vhp-3-00000001"), -ENOENT);
	assert_int_equal(slots_set_plugged(s, 3, "vhp-3-00000001"), 0);
	assert_int_equal(slots_find_id(s, "vhp-3-00000001"), 3);
	assert_int_equal(slots_find_path(s, "/machine/peripheral/vhp-3-00000001"), 3);
	assert_true(s->table.slots[3].present && s->table.slots[3].removable);
	slots_free(s);
}

static void a_plugged_vcpu_leaves_the_map_as_it_is(void **state)
{
	struct slots *a = parse_recording("q35.hotpluggable");
	struct slots *b = parse_recording("q35.hotpluggable");
	struct slots *c = parse_recording("q35-kvm.hotpluggable");

	assert_int_equal(slots_set_plugged(b, 5, "x"), 0);
	assert_true(slots_is_same_map(a, b));
	assert_false(slots_is_same_map(a, c));
	b->info[5].ids[SLOT_CORE] = 50;
	assert_false(slots_is_same_map(a, b));
	slots_free(a);
	slots_free(b);
	slots_free(c);
}

#define INFO(slot, type, source, status) \
	"{\"slot\":" slot ",\"slot-type\":\"" type "\",\"source\":" source ",\"status\":" status "}"

static const struct {
	const char *info;
	int rc;
	struct slot_ost ost;
} ost_cases[] = {
	{ INFO("\"3\"", "CPU", "1", "0"), 0, { 3, 1, 0 } },
	{ INFO("\"7\"", "CPU", "3", "132"), 0, { 7, 3, 132 } },
	{ INFO("\"0\"", "CPU", "4294967295", "4294967295"), 0, { 0, INT32_MAX, INT32_MAX } },
	{ INFO("\"0\"", "DIMM", "3", "1"), 1, { 0 } },
	{ INFO("\"8\"", "CPU", "3", "0"), -EPROTO, { 0 } },
	{ INFO("\"\"", "CPU", "3", "0"), -EPROTO, { 0 } },
	{ INFO("\"-1\"", "CPU", "3", "0"), -EPROTO, { 0 } },
	{ INFO("\"1x\"", "CPU", "3", "0"), -EPROTO, { 0 } },
	{ INFO("\"000001\"", "CPU", "3", "0"), -EPROTO, { 0 } },
	{ INFO("3", "CPU", "3", "0"), -EPROTO, { 0 } },
	{ INFO("\"3\"", "CPU", "-1", "0"), -EPROTO, { 0 } },
	{ INFO("\"3\"", "CPU", "3", "4294967296"), -EPROTO, { 0 } },
	{ INFO("\"3\"", "CPU", "true", "0"), -EPROTO, { 0 } },
	{ "{\"slot\":\"1\",\"source\":1,\"status\":0}", -EPROTO, { 0 } },
	{ "{}", -EPROTO, { 0 } },
};

static void an_ost_is_read_strictly(void **state)
{
	for (size_t i = 0; i < sizeof(ost_cases) / sizeof(*ost_cases); i++) {
		json_object *info = parse_reply(ost_cases[i].info);
		struct slot_ost o = { 99, 99, 99 };
		int r = slots_ost(info, 8, &o);

		json_object_put(info);
		if (r != ost_cases[i].rc)
			fail_msg("%s: %d", ost_cases[i].info, r);
		assert_int_equal(o.slot, r == 0 ? ost_cases[i].ost.slot : 99);
		assert_int_equal(o.source, r == 0 ? ost_cases[i].ost.source : 99);
		assert_int_equal(o.status, r == 0 ? ost_cases[i].ost.status : 99);
	}
	assert_int_equal(slots_ost(NULL, 8, &(struct slot_ost){ 0 }), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_machine_is_read),
		cmocka_unit_test(a_topology_is_sorted_by_its_levels),
		cmocka_unit_test(an_apic_id_has_a_field_for_each_level),
		cmocka_unit_test(an_apic_id_beyond_its_bits_is_beyond_every_limit),
		cmocka_unit_test(nodes_do_not_change_the_order),
		cmocka_unit_test(ids_are_numbers_not_words),
		cmocka_unit_test(threads_are_matched_by_path),
		cmocka_unit_test(replies_are_read_strictly),
		cmocka_unit_test(a_table_has_an_end),
		cmocka_unit_test(the_path_tells_what_can_be_removed),
		cmocka_unit_test(two_slots_cannot_share_a_device),
		cmocka_unit_test(broken_threads_are_refused),
		cmocka_unit_test(a_plug_asks_for_its_own_slot),
		cmocka_unit_test(a_plugged_vcpu_leaves_the_map_as_it_is),
		cmocka_unit_test(an_ost_is_read_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
