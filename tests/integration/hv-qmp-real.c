/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The QMP backend against a real QEMU on KVM (TCG where there is none). No guest runs: the test
 * plays the guest's ACPI part itself, through the CPU hotplug registers by QEMU's qtest socket,
 * and a second QMP socket stands for the administrator.
 *
 * Where there is no QEMU it is skipped, and says so.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/hv.h"
#include "tests/integration/qemu-rig.h"

enum { SLOTS = 8, STORM = 3000 };

struct rig {
	struct qemu qemu;
	sd_event *event;
	struct hv *hv;
	/* what was heard */
	struct hv_facts facts;
	enum hv_status status;
	bool present[SLOTS];
	char id[SLOTS][64];
	pid_t thread[SLOTS];
	char text[256];
	int attached, tables, gone, resets, osts;
	int ost_slot, ost_source, ost_status;
	char why[256];
	int answers, rc;
};

static void on_status(void *ctx, enum hv_status status)
{
	((struct rig *)ctx)->status = status;
}

static void on_attached(void *ctx, const struct hv_facts *facts)
{
	struct rig *rig = ctx;

	rig->facts = *facts;
	rig->attached++;
}

static void on_table(void *ctx, const struct hv_table *table)
{
	struct rig *rig = ctx;

	assert_int_equal(table->n, SLOTS);
	assert_true(table->supported);
	for (int i = 0; i < SLOTS; i++) {
		rig->present[i] = table->slots[i].present;
		rig->thread[i] = table->slots[i].thread_id;
		snprintf(rig->id[i], sizeof(rig->id[i]), "%s", table->slots[i].id);
	}
	rig->tables++;
}

static void on_ost(void *ctx, unsigned int slot, int source, int status)
{
	struct rig *rig = ctx;

	rig->ost_slot = (int)slot;
	rig->ost_source = source;
	rig->ost_status = status;
	rig->osts++;
}

static void on_unplug_error(void *ctx, unsigned int slot)
{
}

static void on_reset(void *ctx)
{
	((struct rig *)ctx)->resets++;
}

static void on_gone(void *ctx, const char *why)
{
	struct rig *rig = ctx;

	rig->gone++;
	snprintf(rig->why, sizeof(rig->why), "%s", why);
}

static void on_port_closed(void *ctx)
{
}

static const struct hv_events events = { on_status,       on_attached, on_table, on_ost,
					 on_unplug_error, on_reset,    on_gone,  on_port_closed };

static void on_done(void *arg, int rc, const char *text)
{
	struct rig *rig = arg;

	rig->answers++;
	rig->rc = rc;
	snprintf(rig->text, sizeof(rig->text), "%s", text);
}

/* Turn the loop until @expression holds; the deadline is there for a test that fails. */
#define wait_for(rig, expression)                                                 \
	do {                                                                      \
		uint64_t until_ = qemu_now_ms() + QEMU_DEADLINE_MS;               \
		while (!(expression)) {                                           \
			if (qemu_now_ms() > until_)                               \
				fail_msg("in vain for " #expression);             \
			assert_return_code(sd_event_run((rig)->event, 20000), 0); \
		}                                                                 \
	} while (0)

/* What comes without being waited for is heard when the answer to a query has come after it. */
static void settle(struct rig *rig)
{
	int before = rig->answers;

	assert_int_equal(rig->hv->ops->query(rig->hv, on_done, rig), 0);
	wait_for(rig, rig->answers > before);
	assert_int_equal(rig->rc, 0);
}

static void connect_rig(struct rig *rig)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/qmp", rig->qemu.dir);
	assert_int_equal(hv_qmp_new(&rig->hv, rig->event, path, 5000, &events, rig), 0);
	assert_int_equal(rig->attached, 0);
	wait_for(rig, rig->attached && rig->tables && rig->status != HV_CONNECTING);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	*state = rig;
	strcpy(rig->qemu.dir, "/tmp/hv-qmp-XXXXXX");
	if (!mkdtemp(rig->qemu.dir) || sd_event_new(&rig->event) < 0)
		return -1;
	qemu_start(&rig->qemu);
	connect_rig(rig);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "qmp", "admin", "qtest", "" };
	struct rig *rig = *state;
	char path[96];

	hv_free(rig->hv);
	sd_event_unref(rig->event);
	if (rig->qemu.pid > 0)
		qemu_stop(&rig->qemu);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", rig->qemu.dir, names[i]);
		remove(path);
	}
	free(rig);
	return 0;
}

static int present(const struct rig *rig)
{
	int n = 0;

	for (int i = 0; i < SLOTS; i++)
		n += rig->present[i];
	return n;
}

static void plug(struct rig *rig, unsigned int slot, const char *id)
{
	int before = rig->answers, tables = rig->tables;

	assert_int_equal(rig->hv->ops->plug(rig->hv, slot, id, true, on_done, rig), 0);
	assert_int_equal(rig->answers, before);
	wait_for(rig, rig->answers > before);
	assert_int_equal(rig->answers, before + 1);
	if (rig->rc == 0)
		assert_true(rig->tables > tables);
}

static void unplug(struct rig *rig, unsigned int slot)
{
	int before = rig->answers;

	assert_int_equal(rig->hv->ops->unplug(rig->hv, slot, on_done, rig), 0);
	assert_int_equal(rig->answers, before);
	wait_for(rig, rig->answers > before);
	assert_int_equal(rig->rc, 0);
}

static void expect_ost(struct rig *rig, int before, int slot, int source, int status)
{
	wait_for(rig, rig->osts > before);
	assert_int_equal(rig->ost_slot, slot);
	assert_int_equal(rig->ost_source, source);
	assert_int_equal(rig->ost_status, status);
}

static void the_facts_are_read(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(rig->facts.maximum, SLOTS);
	assert_int_equal(rig->facts.kvm, qemu_has_kvm());
	assert_string_equal(rig->facts.accel, qemu_has_kvm() ? "kvm" : "tcg");
	assert_int_equal(strncmp(rig->facts.machine, "pc-q35-", 7), 0);
	assert_int_equal(rig->facts.smm, HV_SMM_UNKNOWN); /* "auto" */
	assert_false(rig->facts.pflash);
	assert_true(rig->facts.version[0] >= '1' && rig->facts.version[0] <= '9');
	assert_int_equal(rig->status, qemu_has_kvm() ? HV_RUNNING : HV_PAUSED);
	assert_int_equal(present(rig), 1);
	assert_true(rig->present[0]);
	assert_true(rig->thread[0] > 0);
}

static void a_plugged_vcpu_has_its_thread_at_once(void **state)
{
	struct rig *rig = *state;
	int osts = rig->osts;

	plug(rig, 1, "vhp-1-00000001");
	assert_int_equal(rig->rc, 0);
	assert_true(rig->present[1]);
	assert_string_equal(rig->id[1], "vhp-1-00000001");
	assert_true(rig->thread[1] > 0);
	qemu_guest_select(&rig->qemu, 1);
	qemu_guest_flags(&rig->qemu, FLAG_INSERTED);
	qemu_guest_ost(&rig->qemu, HV_OST_ADD, 0);
	expect_ost(rig, osts, 1, HV_OST_ADD, 0);
}

static void its_thread_is_pinned_and_released(void **state)
{
	struct rig *rig = *state;
	struct cpulist cpus;
	cpu_set_t before, pinned, after;
	int first = -1;

	assert_return_code(sched_getaffinity(rig->thread[1], sizeof(before), &before), errno);
	for (int i = 0; first < 0; i++)
		if (CPU_ISSET(i, &before))
			first = i;
	cpulist_zero(&cpus);
	cpulist_set(&cpus, (unsigned int)first);
	assert_int_equal(rig->hv->ops->place(rig->hv, 1, &cpus, hv_ignore, NULL), HV_DONE);
	sched_getaffinity(rig->thread[1], sizeof(pinned), &pinned);
	assert_int_equal(CPU_COUNT(&pinned), 1);
	assert_true(CPU_ISSET(first, &pinned));
	assert_int_equal(rig->hv->ops->place(rig->hv, 1, NULL, hv_ignore, NULL), HV_DONE);
	sched_getaffinity(rig->thread[1], sizeof(after), &after);
	assert_true(CPU_EQUAL(&before, &after));
	assert_int_equal(rig->hv->ops->place(rig->hv, 5, &cpus, hv_ignore, NULL), -ENODATA);
	assert_int_equal(rig->hv->ops->place(rig->hv, 5, NULL, hv_ignore, NULL), HV_DONE);
	assert_int_equal(rig->hv->ops->place(rig->hv, SLOTS, &cpus, hv_ignore, NULL), -EINVAL);
}

static void what_cannot_be_is_refused(void **state)
{
	struct rig *rig = *state;
	const struct hv_ops *ops = rig->hv->ops;

	assert_int_equal(ops->plug(rig->hv, 1, "x", true, on_done, rig), -EEXIST);
	assert_int_equal(ops->plug(rig->hv, SLOTS, "x", true, on_done, rig), -EINVAL);
	assert_int_equal(ops->plug(rig->hv, 2, "no,good", true, on_done, rig), -EINVAL);
	assert_int_equal(ops->unplug(rig->hv, 0, on_done, rig), -EPERM);
	assert_int_equal(ops->unplug(rig->hv, 2, on_done, rig), -ENODEV);
	plug(rig, 2, "vhp-1-00000001");
	assert_int_equal(rig->rc, -EEXIST);
	assert_non_null(strstr(rig->text, "Duplicate"));
	assert_false(rig->present[2]);
}

static void many_plugs_are_under_way_at_once(void **state)
{
	struct rig *rig = *state;
	int before = rig->answers;

	for (unsigned int i = 2; i < 6; i++) {
		char id[64];

		snprintf(id, sizeof(id), "vhp-%u-00000002", i);
		assert_int_equal(rig->hv->ops->plug(rig->hv, i, id, true, on_done, rig), 0);
	}
	wait_for(rig, rig->answers == before + 4);
	assert_int_equal(present(rig), 6);
	for (int i = 2; i < 6; i++)
		assert_true(rig->thread[i] > 0);
}

static void a_refused_unplug_leaves_the_vcpu(void **state)
{
	struct rig *rig = *state;
	int osts = rig->osts;

	unplug(rig, 1);
	qemu_guest_select(&rig->qemu, 1);
	qemu_guest_flags(&rig->qemu, FLAG_REMOVE);
	qemu_guest_ost(&rig->qemu, HV_OST_REMOVE, 132);
	expect_ost(rig, osts, 1, HV_OST_REMOVE, 132);
	qemu_guest_ost(&rig->qemu, HV_OST_REMOVE, 1);
	expect_ost(rig, osts + 1, 1, HV_OST_REMOVE, 1);
	settle(rig);
	assert_true(rig->present[1]);
	/* What was told is not told again, however often QEMU's memory is read. */
	assert_int_equal(rig->osts, osts + 2);
}

static void an_eject_empties_the_slot(void **state)
{
	struct rig *rig = *state;
	char event[4096];

	unplug(rig, 1);
	assert_true(rig->present[1]);
	qemu_guest_select(&rig->qemu, 1);
	qemu_guest_flags(&rig->qemu, FLAG_REMOVE);
	qemu_guest_flags(&rig->qemu, FLAG_EJECT);
	wait_for(rig, !rig->present[1]);
	assert_string_equal(rig->id[1], "");
	/* The form that every accelerator sends names no device. */
	qemu_admin_event(&rig->qemu, "DEVICE_DELETED", event, sizeof(event));
	assert_null(strstr(event, "\"device\""));
	assert_non_null(strstr(event, "/machine/peripheral/vhp-1-00000001/lapic"));
}

static void others_changes_are_noticed(void **state)
{
	struct rig *rig = *state;

	/* The guest ejects one unasked. */
	qemu_guest_select(&rig->qemu, 5);
	qemu_guest_flags(&rig->qemu, FLAG_EJECT);
	wait_for(rig, !rig->present[5]);
	assert_int_equal(present(rig), 4);
}

static void the_status_follows(void **state)
{
	struct rig *rig = *state;
	int resets = rig->resets;

	/* QEMU 7.2 under TCG does not survive running after a removal. */
	if (!qemu_has_kvm())
		skip();
	qemu_admin(&rig->qemu, "stop");
	wait_for(rig, rig->status == HV_PAUSED);
	qemu_admin(&rig->qemu, "cont");
	wait_for(rig, rig->status == HV_RUNNING);
	qemu_admin(&rig->qemu, "system_reset");
	wait_for(rig, rig->resets > resets);
	settle(rig);
	assert_int_equal(present(rig), 4);
}

/* A guest that forges _OST without end costs a bounded number of calls and readings. */
static void a_storm_is_coalesced(void **state)
{
	struct rig *rig = *state;
	int osts = rig->osts, tables = rig->tables;
	uint64_t from = qemu_now_ms();
	unsigned int seconds;

	qemu_guest_select(&rig->qemu, 2);
	for (int i = 0; i < STORM; i++) {
		qemu_guest_ost(&rig->qemu, HV_OST_REMOVE, 200 + i);
		if (i % 16 == 0)
			sd_event_run(rig->event, 0);
	}
	qemu_guest_ost(&rig->qemu, HV_OST_REMOVE, 77);
	wait_for(rig, rig->ost_status == 77);
	seconds = (unsigned int)((qemu_now_ms() - from) / 1000 + 1);
	assert_in_range(rig->osts - osts, 2, 500 + seconds * 520);
	assert_in_range(rig->tables - tables, 1, 10 + seconds * 21);
	print_message("# %d _OST in %u ms: %d told, %d tables\n", STORM,
		      (unsigned int)(qemu_now_ms() - from), rig->osts - osts, rig->tables - tables);
}

static void a_second_client_is_told_why_it_waits(void **state)
{
	struct rig *rig = *state;
	struct rig *other = calloc(1, sizeof(*other));
	char path[96];

	other->event = rig->event;
	snprintf(path, sizeof(path), "%s/qmp", rig->qemu.dir);
	assert_int_equal(hv_qmp_new(&other->hv, rig->event, path, 5000, &events, other), 0);
	wait_for(rig, other->gone > 0);
	assert_string_equal(other->why, "another QMP client holds the socket");
	assert_int_equal(other->attached, 0);
	assert_int_equal(other->hv->ops->query(other->hv, on_done, other), -ENOTCONN);
	hv_free(other->hv);
	free(other);
	settle(rig);
}

static void a_death_is_told_and_a_successor_found(void **state)
{
	struct rig *rig = *state;
	int before = rig->answers, attached = rig->attached;

	assert_int_equal(rig->hv->ops->query(rig->hv, on_done, rig), 0);
	assert_int_equal(rig->hv->ops->unplug(rig->hv, 3, on_done, rig), 0);
	qemu_stop(&rig->qemu);
	wait_for(rig, rig->gone > 0);
	assert_int_equal(rig->answers, before + 2);
	assert_int_equal(rig->rc, -ECONNRESET);
	assert_int_equal(rig->status, HV_CONNECTING);
	assert_int_equal(rig->hv->ops->plug(rig->hv, 6, "x", true, on_done, rig), -ENOTCONN);
	qemu_start(&rig->qemu);
	wait_for(rig, rig->attached > attached && rig->status != HV_CONNECTING);
	settle(rig);
	assert_int_equal(present(rig), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_facts_are_read),
		cmocka_unit_test(a_plugged_vcpu_has_its_thread_at_once),
		cmocka_unit_test(its_thread_is_pinned_and_released),
		cmocka_unit_test(what_cannot_be_is_refused),
		/* QEMU 7.2 dies under TCG of an addition after a removal: all additions first. */
		cmocka_unit_test(many_plugs_are_under_way_at_once),
		cmocka_unit_test(a_refused_unplug_leaves_the_vcpu),
		cmocka_unit_test(an_eject_empties_the_slot),
		cmocka_unit_test(others_changes_are_noticed),
		cmocka_unit_test(the_status_follows),
		cmocka_unit_test(a_storm_is_coalesced),
		cmocka_unit_test(a_second_client_is_told_why_it_waits),
		cmocka_unit_test(a_death_is_told_and_a_successor_found),
	};

	if (!qemu_is_installed()) {
		printf("1..1\nok 1 - hv-qmp-real # SKIP no qemu-system-x86_64 on this machine\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
