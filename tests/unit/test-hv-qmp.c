/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The QMP backend against a QEMU that the test plays: what no real QEMU does (lie, stall, change
 * its slots, flood) and what needs exact order.
 */
#include "daemon/hv-qmp-internal.h"
#include "tests/unit/hv-bench.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static void an_attach_reads_everything(void **state)
{
	struct hv_bench *rig = *state;

	hv_bench_attach(rig);
	assert_string_equal(rig->facts.uuid, "01234567-89ab-cdef-0123-456789abcdef");
	assert_string_equal(rig->facts.accel, "kvm");
	assert_string_equal(rig->facts.version, "7.2.22");
	assert_string_equal(rig->facts.machine, "pc-test");
	assert_int_equal(rig->facts.smm, HV_SMM_OFF);
	assert_false(rig->facts.pflash);
	assert_int_equal(rig->thread[0], 100);
}

static void smm_is_known_only_where_qemu_says_so(void **state)
{
	static const struct {
		const char *smm, *pflash;
		enum hv_smm want;
		bool want_pflash;
	} cases[] = {
		{ "\"on\"", "\"\"", HV_SMM_ON, false },
		{ "\"off\"", "\"/machine/system.flash0\"", HV_SMM_OFF, true },
		{ "\"auto\"", "\"/machine/system.flash0\"", HV_SMM_UNKNOWN, true },
		{ "5", "\"\"", HV_SMM_UNKNOWN, false },
		{ "", "", HV_SMM_OFF, false }, /* no such properties */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct hv_bench *rig;

		assert_int_equal(hv_bench_set_up((void **)&rig), 0);
		rig->smm = cases[i].smm;
		rig->pflash = cases[i].pflash;
		hv_bench_attach(rig);
		assert_int_equal(rig->facts.smm, cases[i].want);
		assert_int_equal(rig->facts.pflash, cases[i].want_pflash);
		hv_bench_tear_down((void **)&rig);
	}
}

static void a_machine_without_slots_is_attached_as_it_is(void **state)
{
	struct hv_bench *rig = *state;

	rig->table = "";
	rig->ospm = "";
	hv_bench_connect(rig, 5000);
	hv_bench_expect(rig, "attached 0; table no query-hotpluggable-cpus here; running");
	assert_int_equal(rig->hv->ops->plug(rig->hv, 0, "x", true, hv_bench_done, rig),
			 -EOPNOTSUPP);
	assert_int_equal(rig->hv->ops->unplug(rig->hv, 0, hv_bench_done, rig), -EOPNOTSUPP);
}

static void a_plug_tells_the_table_first(void **state)
{
	struct hv_bench *rig = *state;

	hv_bench_attach(rig);
	hv_bench_plug(rig, 1, "v1");
	hv_bench_expect(rig, "table br..; done 0");
	assert_int_equal(rig->thread[1], 101);
	/* That is QEMU's own word, and no other follows. */
	rig->table_reads = 0;
	for (int i = 0; i < 10; i++)
		hv_bench_turn(rig);
	assert_int_equal(rig->table_reads, 0);
}

static void a_plug_whose_thread_is_not_shown_is_looked_for(void **state)
{
	struct hv_bench *rig = *state;

	hv_bench_attach(rig);
	rig->threads = "[]";
	hv_bench_plug(rig, 1, "v1");
	hv_bench_expect(rig, "table br..; done 0");
	assert_int_equal(rig->thread[1], 0);
	rig->threads = NULL;
	hv_bench_expect(rig, "table br..");
	assert_int_equal(rig->thread[1], 101);
}

static void a_thread_that_nobody_waits_for_is_left_to_the_next_look(void **state)
{
	struct hv_bench *rig = *state;

	hv_bench_attach(rig);
	rig->in_call = true;
	assert_int_equal(rig->hv->ops->plug(rig->hv, 1, "v1", false, hv_bench_done, rig), 0);
	rig->in_call = false;
	hv_bench_expect(rig, "table br..; done 0");
	assert_int_equal(rig->thread[1], 0);
	rig->table_reads = 0;
	for (int i = 0; i < 30; i++)
		hv_bench_turn(rig);
	assert_int_equal(rig->table_reads, 0);
	/* Not with what is read of its status alone. */
	hv_bench_say(rig, "{\"timestamp\":{},\"event\":\"RESUME\"}");
	for (int i = 0; i < 30; i++)
		hv_bench_turn(rig);
	assert_int_equal(rig->thread[1], 0);
	assert_string_equal(rig->trace, "");
	rig->hv->ops->look(rig->hv, true);
	hv_bench_expect(rig, "table br..");
	assert_int_equal(rig->thread[1], 101);
}

static void a_refused_plug_tells_why(void **state)
{
	struct hv_bench *rig = *state;

	hv_bench_attach(rig);
	rig->on_add = "";
	hv_bench_plug(rig, 1, "v1");
	hv_bench_expect(rig, "done -121 no device_add here");
	assert_false(rig->present[1]);
}

static void an_unplug_is_known_by_the_table_alone(void **state)
{
	struct hv_bench *rig = *state;

	strcpy(rig->id[1], "peripheral/v1");
	hv_bench_connect(rig, 5000);
	hv_bench_expect(rig, "attached 4; table br..; running");
	assert_int_equal(rig->hv->ops->unplug(rig->hv, 1, hv_bench_done, rig), 0);
	hv_bench_expect(rig, "done 0");
	/* Events that say it is gone are no proof: here it is not. */
	hv_bench_say(
		rig,
		"{\"event\":\"DEVICE_DELETED\",\"data\":{\"device\":\"v1\",\"path\":\"/machine/peripheral/v1\"}}");
	hv_bench_expect(rig, "table br..");
	rig->id[1][0] = '\0';
	hv_bench_say(
		rig,
		"{\"event\":\"DEVICE_DELETED\",\"data\":{\"path\":\"/machine/peripheral/v1/lapic\"}}");
	hv_bench_expect(rig, "table b...");
}

static void an_ost_is_told_and_the_table_read_when_it_may_have_changed(void **state)
{
	struct hv_bench *rig = *state;
	int reads;

	strcpy(rig->id[1], "peripheral/v1");
	hv_bench_connect(rig, 5000);
	hv_bench_expect(rig, "attached 4; table br..; running");
	reads = rig->table_reads;
#define OST(slot, source, status)                                             \
	"{\"event\":\"ACPI_DEVICE_OST\",\"data\":{\"info\":{\"slot\":\"" slot \
	"\",\"slot-type\":\"CPU\",\"source\":" source ",\"status\":" status "}}}"
	hv_bench_say(rig, OST("1", "1", "0"));
	hv_bench_say(rig, OST("1", "3", "132"));
	hv_bench_expect(rig, "ost 1 1 0; ost 1 3 132");
	for (int i = 0; i < 10; i++)
		hv_bench_turn(rig);
	assert_int_equal(rig->table_reads, reads);
	hv_bench_say(rig, OST("1", "3", "0"));
	hv_bench_expect(rig, "ost 1 3 0; table br..");
	/* Forged or broken ones have no effect. */
	hv_bench_say(rig, OST("4", "3", "0"));
	hv_bench_say(rig, OST("x", "3", "0"));
	hv_bench_say(rig, "{\"event\":\"ACPI_DEVICE_OST\"}");
	hv_bench_say(rig, "{\"event\":\"RESET\",\"data\":{}}");
	hv_bench_expect(rig, "reset; table br..");
}

#define PORT(open) "{\"event\":\"VSERPORT_CHANGE\",\"data\":{\"id\":\"p\",\"open\":" open "}}"

/* Whoever opened it: that one opens says nothing, and neither does what is no word. */
static void a_port_that_is_closed_is_told(void **state)
{
	struct hv_bench *rig = *state;

	hv_bench_attach(rig);
	hv_bench_say(rig, PORT("true"));
	hv_bench_say(rig, PORT("0"));
	hv_bench_say(rig, "{\"event\":\"VSERPORT_CHANGE\"}");
	hv_bench_say(rig, PORT("false"));
	hv_bench_expect(rig, "port closed");
}

/* There is no event for a device_add; the guest's word for it comes at once. */
static void the_guest_takes_a_vcpu_that_another_plugged(void **state)
{
	struct hv_bench *rig = *state;
	int reads;

	hv_bench_attach(rig);
	strcpy(rig->id[2], "peripheral/foreign");
	hv_bench_say(rig, OST("2", "1", "0"));
	/* The table, and then its thread. */
	hv_bench_expect(rig, "ost 2 1 0; table b.r.; table b.r.");
	/* Said again it is no news. */
	hv_bench_query(rig);
	hv_bench_expect(rig, "table b.r.; done 0");
	reads = rig->table_reads;
	hv_bench_say(rig, OST("2", "1", "0"));
	hv_bench_expect(rig, "ost 2 1 0");
	for (int i = 0; i < 10; i++)
		hv_bench_turn(rig);
	assert_int_equal(rig->table_reads, reads);
}

static void an_old_ost_is_not_told_again(void **state)
{
	struct hv_bench *rig = *state;

	rig->ospm = "[{\"slot\":\"1\",\"slot-type\":\"CPU\",\"source\":3,\"status\":130},"
		    "{\"slot\":\"2\",\"slot-type\":\"CPU\",\"source\":0,\"status\":0}]";
	hv_bench_connect(rig, 5000);
	hv_bench_expect(rig, "attached 4; table b...; running; ost 1 3 130");
	hv_bench_query(rig);
	hv_bench_expect(rig, "table b...; done 0");
	hv_bench_say(rig, OST("1", "3", "130"));
	hv_bench_expect(rig, "ost 1 3 130; table b...");
	rig->ospm = "[{\"slot\":\"1\",\"slot-type\":\"CPU\",\"source\":3,\"status\":0}]";
	hv_bench_query(rig);
	hv_bench_expect(rig, "table b...; ost 1 3 0; done 0");
}

static void queries_share_a_reading(void **state)
{
	struct hv_bench *rig = *state;
	int reads;

	hv_bench_attach(rig);
	reads = rig->table_reads;
	for (int i = 0; i < 5; i++)
		hv_bench_query(rig);
	/* The first has its own; those that came after it was sent need a later one, one for all. */
	hv_bench_expect(rig, "table b...; done 0; table b...; done 0; done 0; done 0; done 0");
	assert_int_equal(rig->table_reads, reads + 2);
}

static void nothing_more(struct hv_bench *rig)
{
}

static void plug_one(struct hv_bench *rig)
{
	hv_bench_plug(rig, 1, "vhp-1-00000001");
}

/*
 * Answers to a look are read when it suits, with those of others; at once where one is waited for, or
 * where there may be news.
 */
static void a_look_is_in_no_hurry_before_something_is_asked(void **state)
{
	static const struct {
		void (*then)(struct hv_bench *rig);
		const char *heard;
		bool hurries, news;
	} rows[] = {
		{ nothing_more, "table b...", false },
		{ hv_bench_query, "table b...; table b...; done 0", true },
		{ plug_one, "table b...; table br..; done 0", true },
		{ nothing_more, "table br..", false },
		{ nothing_more, "table br..", true, .news = true },
	};
	struct hv_bench *rig = *state;

	hv_bench_attach(rig);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t begun = hv_now_us();

		rig->hv->ops->look(rig->hv, rows[i].news);
		rows[i].then(rig);
		while (strlen(rig->trace) < strlen(rows[i].heard))
			hv_bench_turn(rig);
		assert_int_equal(hv_now_us() - begun < 90000, rows[i].hurries);
		hv_bench_expect(rig, rows[i].heard);
	}
}

static void the_status_is_read_not_believed(void **state)
{
	struct hv_bench *rig = *state;

	hv_bench_attach(rig);
	hv_bench_say(rig, "{\"event\":\"STOP\"}");
	hv_bench_query(rig);
	hv_bench_expect(rig, "table b...; done 0");
	rig->status = "paused";
	hv_bench_say(rig, "{\"event\":\"STOP\"}");
	hv_bench_expect(rig, "paused");
	rig->status = "running";
	rig->migration = "{\"status\":\"active\"}";
	hv_bench_say(rig, "{\"event\":\"RESUME\"}");
	hv_bench_expect(rig, "migrating");
	rig->migration = "{\"status\":\"completed\"}";
	rig->status = "some-later-state";
	hv_bench_say(rig, "{\"event\":\"MIGRATION\",\"data\":{\"status\":\"active\"}}");
	hv_bench_expect(rig, "paused");
	rig->status = "shutdown";
	hv_bench_say(rig, "{\"event\":\"SHUTDOWN\",\"data\":{}}");
	hv_bench_expect(rig, "shutdown");
}

static void an_unplug_error_names_its_slot(void **state)
{
	struct hv_bench *rig = *state;

	strcpy(rig->id[2], "peripheral/v2");
	hv_bench_connect(rig, 5000);
	hv_bench_expect(rig, "attached 4; table b.r.; running");
	hv_bench_say(rig, "{\"event\":\"DEVICE_UNPLUG_GUEST_ERROR\",\"data\":{\"device\":\"v2\","
			  "\"path\":\"/machine/peripheral/v2\"}}");
	hv_bench_expect(rig, "unplug error 2; table b.r.");
	hv_bench_say(
		rig,
		"{\"event\":\"DEVICE_UNPLUG_GUEST_ERROR\",\"data\":{\"path\":\"/machine/peripheral/v2\"}}");
	hv_bench_expect(rig, "unplug error 2; table b.r.");
	hv_bench_say(
		rig,
		"{\"event\":\"DEVICE_UNPLUG_GUEST_ERROR\",\"data\":{\"path\":\"/machine/peripheral/disk\"}}");
	hv_bench_query(rig);
	hv_bench_expect(rig, "table b.r.; done 0");
}

/* What was fixed at the attach cannot be changed under the daemon. */
static void other_slots_than_before_end_the_connection(void **state)
{
	struct hv_bench *rig = *state;

	hv_bench_attach(rig);
	rig->slot_type = "u-x86_64-cpu";
	hv_bench_query(rig);
	hv_bench_expect(rig, "done -71; attaching; gone QEMU tells other slots than before; "
			     "attached 4; table b...; running");
}

static const struct {
	const char *table;
	const char *ospm;
	const char *migration;
	const char *why;
} lies[] = {
	{ "5", "[]", "{}", "no list of slots" },
	{ "[]", "[]", "{}", "an empty list of slots" },
	{ NULL, "5", "{}", "a broken reply to query-acpi-ospm-status" },
	{ NULL, "[{\"slot\":\"9\",\"slot-type\":\"CPU\",\"source\":1,\"status\":0}]", "{}",
	  "a broken reply to query-acpi-ospm-status" },
	{ NULL, "[]", "[]", "a broken reply to query-migrate" },
	{ NULL, "[]", "{\"status\":5}", "a broken reply to query-migrate" },
};

static void a_lie_at_the_attach_ends_the_connection(void **state)
{
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		struct hv_bench *rig;
		char want[128];

		assert_int_equal(hv_bench_set_up((void **)&rig), 0);
		rig->table = lies[i].table;
		rig->ospm = lies[i].ospm;
		rig->migration = lies[i].migration;
		snprintf(want, sizeof(want), "gone %s", lies[i].why);
		hv_bench_connect(rig, 5000);
		hv_bench_expect(rig, want);
		hv_bench_tear_down((void **)&rig);
	}
}

static void a_loss_answers_everything_once(void **state)
{
	struct hv_bench *rig = *state;

	hv_bench_attach(rig);
	strcpy(rig->stall, "device_add");
	hv_bench_plug(rig, 1, "v1");
	hv_bench_plug(rig, 2, "v2");
	hv_bench_query(rig);
	hv_bench_query(rig);
	for (int i = 0; i < TURNS && rig->stalled_id == 0; i++)
		hv_bench_turn(rig);
	hv_bench_hang_up(rig);
	rig->stall[0] = '\0';
	hv_bench_expect(rig,
			"done -104; done -104; done -104; done -104; attaching; "
			"gone QEMU closed the QMP connection; attached 4; table b...; running");
	assert_int_equal(rig->hv->ops->plug(rig->hv, 9, "x", true, hv_bench_done, rig), -EINVAL);
}

/* What was spoilt on the way was said by somebody; a process that has ended says nothing. */
static void whether_qemu_is_there_is_known_by_its_voice(void **state)
{
	struct hv_bench *rig = *state;

	hv_bench_attach(rig);
	hv_bench_say(rig, "{\"return\":{},\"id\":77}");
	hv_bench_expect(rig, "attaching; gone a reply to no command");
	assert_true(rig->hv->ops->is_there(rig->hv));
	hv_bench_expect(rig, "attached 4; table b...; running");
	close(rig->listener);
	rig->listener = -1;
	hv_bench_hang_up(rig);
	hv_bench_expect(rig, "attaching; gone QEMU closed the QMP connection");
	for (int i = 0; i < TURNS && rig->hv->ops->is_there(rig->hv); i++)
		hv_bench_turn(rig);
	assert_false(rig->hv->ops->is_there(rig->hv));
}

static void a_stall_is_told_and_caught_up_with(void **state)
{
	struct hv_bench *rig = *state;
	int stalled;

	hv_bench_connect(rig, 40);
	hv_bench_expect(rig, "attached 4; table b...; running");
	strcpy(rig->stall, "device_add");
	hv_bench_plug(rig, 1, "v1");
	hv_bench_expect(rig, "done -110");
	stalled = rig->stalled_id;
	/* A question is behind it, to tell a QEMU that stands still from one that lost the reply. */
	for (int i = 0; i < TURNS && rig->stalled_last < stalled + 2; i++)
		hv_bench_turn(rig);
	assert_int_equal(rig->stalled_last, stalled + 2);
	assert_int_equal(rig->hv->ops->query(rig->hv, hv_bench_done, rig), -EBUSY);
	assert_int_equal(rig->hv->ops->unplug(rig->hv, 0, hv_bench_done, rig), -EPERM);
	assert_int_equal(rig->hv->ops->plug(rig->hv, 2, "v2", true, hv_bench_done, rig), -EBUSY);
	/* The device comes after all, and so does the news of it. */
	strcpy(rig->id[1], "peripheral/v1");
	rig->stall[0] = '\0';
	hv_bench_say(rig, "{\"return\":{},\"id\":%d}", stalled);
	hv_bench_say(rig, "{\"return\":[],\"id\":%d}", stalled + 1);
	for (int id = stalled + 2; id <= rig->stalled_last; id++)
		hv_bench_say(rig, "{\"return\":{},\"id\":%d}", id);
	hv_bench_expect(rig, "table br..");
	hv_bench_query(rig);
	hv_bench_expect(rig, "table br..; done 0");
}

static void a_daemon_that_came_first_finds_its_qemu(void **state)
{
	struct hv_bench *rig = *state;
	char moved[80];

	snprintf(moved, sizeof(moved), "%s.later", rig->path);
	assert_int_equal(rename(rig->path, moved), 0);
	hv_bench_connect(rig, 5000);
	for (int i = 0; i < TURNS && !rig->trace[0]; i++)
		hv_bench_turn(rig);
	assert_non_null(strstr(rig->trace, ": No such file or directory"));
	rig->trace[0] = '\0';
	/* It is said once, however often it is tried. */
	for (int i = 0; i < 100; i++)
		hv_bench_turn(rig);
	assert_int_equal(rename(moved, rig->path), 0);
	hv_bench_expect(rig, "attached 4; table b...; running");
}

/* In whatever callback the domain lets go of it, nothing is called any more. */
static void it_may_be_freed_in_any_callback(void **state)
{
	static const struct {
		const char *word;
		const char *event;
	} cases[] = {
		{ "attached", NULL },
		{ "table", NULL },
		{ "running", NULL },
		{ "ost", OST("1", "3", "0") },
		{ "reset", "{\"event\":\"RESET\"}" },
		{ "unplug error",
		  "{\"event\":\"DEVICE_UNPLUG_GUEST_ERROR\",\"data\":{\"device\":\"v1\"}}" },
		{ "done", NULL },
		{ "gone", NULL },
		{ "done -104", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct hv_bench *rig;

		assert_int_equal(hv_bench_set_up((void **)&rig), 0);
		strcpy(rig->id[1], "peripheral/v1");
		rig->free_in = i < 3 ? cases[i].word : NULL;
		hv_bench_connect(rig, 5000);
		for (int t = 0; t < TURNS && rig->hv && !strstr(rig->trace, "running"); t++)
			hv_bench_turn(rig);
		rig->free_in = cases[i].word;
		if (rig->hv) {
			hv_bench_query(rig);
			hv_bench_query(rig);
			hv_bench_query(rig);
			hv_bench_plug(rig, 2, "v2");
		}
		if (cases[i].event)
			hv_bench_say(rig, "%s", cases[i].event);
		if (strcmp(cases[i].word, "gone") == 0 || strcmp(cases[i].word, "done -104") == 0)
			hv_bench_hang_up(rig);
		for (int t = 0; t < TURNS && rig->hv; t++)
			hv_bench_turn(rig);
		assert_null(rig->hv);
		rig->trace[0] = '\0';
		hv_bench_turn(rig);
		hv_bench_turn(rig);
		assert_string_equal(rig->trace, "");
		hv_bench_tear_down((void **)&rig);
	}
}

static void it_may_be_freed_in_the_callback_of_a_plug(void **state)
{
	struct hv_bench *rig = *state;

	hv_bench_attach(rig);
	rig->free_in = "table";
	hv_bench_plug(rig, 1, "v1");
	hv_bench_expect(rig, "table br..");
	assert_null(rig->hv);
}

/* A guest's storm is told in part, read in few readings, and its last word is not lost. */
static void a_storm_is_bounded(void **state)
{
	struct hv_bench *rig = *state;
	int tables, reads;

	hv_bench_attach(rig);
	rig->quiet = true;
	tables = rig->tables;
	reads = rig->table_reads;
	for (int i = 0; i < 3000; i++) {
		hv_bench_say(
			rig,
			"{\"timestamp\":{},\"event\":\"ACPI_DEVICE_OST\",\"data\":{\"info\":"
			"{\"slot\":\"%d\",\"slot-type\":\"CPU\",\"source\":%d,\"status\":%d}}}",
			i % SLOTS, i % 3 ? 3 : 1, i % 100 + 200);
		if (i % 50 == 0)
			hv_bench_turn(rig);
	}
	rig->ospm = "[{\"slot\":\"1\",\"slot-type\":\"CPU\",\"source\":3,\"status\":99}]";
	for (int i = 0; i < TURNS && rig->last_ost != 99; i++)
		hv_bench_turn(rig);
	assert_int_equal(rig->last_ost, 99);
	assert_in_range(rig->osts, 400, 2500);
	assert_in_range(rig->tables - tables, 1, 60);
	assert_in_range(rig->table_reads - reads, 1, 60);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, hv_bench_set_up, hv_bench_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_attach_reads_everything),
		TEST(a_machine_without_slots_is_attached_as_it_is),
		TEST(a_plug_tells_the_table_first),
		TEST(a_plug_whose_thread_is_not_shown_is_looked_for),
		TEST(a_thread_that_nobody_waits_for_is_left_to_the_next_look),
		TEST(a_refused_plug_tells_why),
		TEST(an_unplug_is_known_by_the_table_alone),
		TEST(an_ost_is_told_and_the_table_read_when_it_may_have_changed),
		TEST(a_port_that_is_closed_is_told),
		TEST(the_guest_takes_a_vcpu_that_another_plugged),
		TEST(an_old_ost_is_not_told_again),
		TEST(queries_share_a_reading),
		TEST(a_look_is_in_no_hurry_before_something_is_asked),
		TEST(the_status_is_read_not_believed),
		TEST(an_unplug_error_names_its_slot),
		TEST(other_slots_than_before_end_the_connection),
		TEST(a_loss_answers_everything_once),
		TEST(whether_qemu_is_there_is_known_by_its_voice),
		TEST(a_stall_is_told_and_caught_up_with),
		TEST(a_daemon_that_came_first_finds_its_qemu),
		TEST(it_may_be_freed_in_the_callback_of_a_plug),
		TEST(a_storm_is_bounded),
		cmocka_unit_test(smm_is_known_only_where_qemu_says_so),
		cmocka_unit_test(a_lie_at_the_attach_ends_the_connection),
		cmocka_unit_test(it_may_be_freed_in_any_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
