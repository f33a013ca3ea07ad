/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vCPUs that others plugged. */
#include "daemon/drift.h"
#include "daemon/vcpu.h"
#include "tests/unit/host-bench.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void a_foreign_plug_is_shown_once(void **ctx)
{
	struct bench *b = bench_start(NULL);

	bench_plug_foreign(b, 3);
	bench_row(b, 3, CPUHP_STANDBY);
	bench_check_drift(b, 3, "it was plugged by another", 1);
	bench_table(b);
	bench_row(b, 3, CPUHP_STANDBY);
	bench_check_drift(b, 3, "it was plugged by another", 1);
	assert_int_equal(b->d->vcpus[3].wish, CPUHP_OFFLINE);
	assert_false(b->d->vcpus[3].owned);
	/* Left alone, as configured. */
	bench_silent(b);
	bench_eject(b, 3);
	bench_check_drift(b, 3, "", 1);
	bench_stop(b);
}

static void a_foreign_plug_is_brought_online_where_configured(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .foreign = FOREIGN_ONLINE });

	bench_plug_foreign(b, 3);
	/* Not before the guest has it. */
	bench_silent(b);
	bench_row(b, 3, CPUHP_STANDBY);
	bench_said(b, "kick 3 44");
	bench_turn(b);
	assert_int_equal(bench_state(b, 3), CPUHP_ONLINE);
	assert_int_equal(b->d->vcpus[3].wish, CPUHP_ONLINE);
	/* Shown while it was there and nothing could be done yet. */
	bench_check_drift(b, 3, "", 1);
	assert_int_equal(b->d->n_kept, 1);
	bench_stop(b);
}

/* Row: a vCPU that the daemon finds plugged and offline in the guest when it starts. */
static const struct {
	const char *what;
	enum foreign_mode foreign;
	const char *id;
	int wish, ends;
	bool parked;
} found[] = {
	{ "another's, and to be brought online", FOREIGN_ONLINE, "vcpu3", CPUHP_ONLINE,
	  CPUHP_ONLINE },
	{ "ours: standby was our wish", FOREIGN_ONLINE, "vhp-3-00c0ffee", CPUHP_STANDBY,
	  CPUHP_STANDBY },
	{ "from boot", FOREIGN_ONLINE, "", CPUHP_STANDBY, CPUHP_STANDBY },
	{ "another's, and the agent was asked to park it", FOREIGN_ONLINE, "vcpu3", CPUHP_STANDBY,
	  CPUHP_STANDBY, true },
	{ "another's, and to be left", FOREIGN_LEAVE, "vcpu3", CPUHP_STANDBY, CPUHP_STANDBY },
	{ "another's, on a QMP domain by default", FOREIGN_DEFAULT, "vcpu3", CPUHP_STANDBY,
	  CPUHP_STANDBY },
};

static void foreign_plugs_found_at_the_start_are_seen_to(void **ctx)
{
	for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
		struct bench *b = bench_start(&(struct bench_options){
			.foreign = found[i].foreign, .no_attach = true, .no_agent = true });
		struct hv_slot *s = &b->slots[3];

		print_message("# %s\n", found[i].what);
		s->present = true;
		s->removable = *found[i].id;
		snprintf(s->id, sizeof(s->id), "%s", found[i].id);
		b->guest_present[3] = true;
		b->guest_parked[3] = found[i].parked;
		b->guest_state[3] = CPUHP_STANDBY;
		bench_attach(b);
		bench_agent_up(b, 1);
		bench_turn(b);
		assert_int_equal(bench_state(b, 3), found[i].ends);
		assert_int_equal(b->d->vcpus[3].wish, found[i].wish);
		assert_int_equal(bench_count(b, "kick"), found[i].ends != CPUHP_STANDBY);
		bench_check_drift(b, 3, "", 0);
		bench_stop(b);
	}
}

static void foreign_plugs_are_brought_online_together(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .foreign = FOREIGN_ONLINE });

	for (unsigned int i = 1; i < 8; i++)
		bench_plug_foreign(b, i);
	for (unsigned int i = 1; i < 8; i++)
		bench_row(b, i, CPUHP_STANDBY);
	bench_turn(b);
	bench_states(b, 1, 7, CPUHP_ONLINE);
	assert_int_equal(bench_count(b, "kick"), 7);
	assert_int_equal(b->d->n_kept, 1);
	bench_stop(b);
}

static void a_foreign_plug_that_cannot_be_brought_online_is_not_tried_for_ever(void **ctx)
{
	struct bench *b = bench_start(&(struct bench_options){ .foreign = FOREIGN_ONLINE });

	bench_plant(b, 3, bench_broken_verify);
	bench_plug_foreign(b, 3);
	bench_row(b, 3, CPUHP_STANDBY);
	bench_said(b, "kick 3 44");
	for (int i = 0; i < 5; i++) {
		bench_turn(b);
		bench_table(b);
	}
	bench_silent(b);
	bench_check_drift(b, 3, "the guest took it down without being asked", 2);
	bench_stop(b);
}

/* It is his: what undoes the add does not take it away. */
static void an_add_that_finds_the_slot_filled_leaves_it_filled(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->auto_qemu = false;
	o = bench_count_op(b, 3, OP_POLICY_ALL, 0);
	bench_wait_word(b, "plug 2");
	bench_plug_foreign(b, 2);
	bench_row(b, 2, CPUHP_STANDBY);
	bench_answer_plug(b, 2, -EINVAL, "CPU[2] with APIC ID 2 exists");
	bench_answer_plug(b, 1, 0, "");
	b->auto_qemu = true;
	bench_check(b, o, OP_FAILED);
	assert_int_equal(bench_count(b, "unplug 2"), 0);
	assert_true(b->slots[2].present);
	assert_false(b->slots[1].present);
	bench_ends(b, o, OP_FAILED, "1:rolled-back 2:failed");
	bench_turn(b);
	assert_int_equal(bench_state(b, 2), CPUHP_STANDBY);
	bench_stop(b);
}

/* How often QEMU is looked at for an agent's first table, with one CPU in slot 3 of which it had none. */
static unsigned int count_looks(bool has_3)
{
	struct bench *b = bench_start(&(struct bench_options){ .no_agent = true });
	unsigned int before = b->queries;

	b->guest_present[3] = has_3;
	b->guest_state[3] = has_3 ? CPUHP_ONLINE : CPUHP_OFFLINE;
	bench_agent_up(b, 1);
	before = b->queries - before;
	bench_stop(b);
	return before;
}

/* QEMU tells nobody of a device_add, and the kernel no firmware of what it has booted with. */
static void what_was_plugged_before_the_boot_is_looked_for(void **ctx)
{
	assert_int_equal(count_looks(false), 0);
	assert_int_equal(count_looks(true), 1);
}

/* QEMU has it, and no table has shown it yet. */
static void fill_unseen(struct bench *b, unsigned int slot)
{
	b->slots[slot].present = b->slots[slot].removable = true;
	snprintf(b->slots[slot].id, sizeof(b->slots[slot].id), "vcpu%u", slot);
	b->qemu_plug_rc[slot] = -EEXIST;
}

/* What is told of the domain then is no older than the refusal. */
static void an_add_into_a_slot_filled_unseen_tells_what_is_there(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	fill_unseen(b, 1);
	o = bench_count_op(b, 2, OP_POLICY_ALL, 0);
	bench_check(b, o, OP_FAILED);
	assert_int_equal(o->vcpus[0].rc, -EEXIST);
	assert_string_equal(
		text_of(&o->vcpus[0].error),
		"vcpu 1: qemu:device startup failed with EEXIST (File exists): the slot "
		"was filled by another meanwhile");
	assert_int_equal(o->counts.present, 2);
	assert_true(b->d->vcpus[1].present);
	assert_int_equal(bench_count(b, "unplug"), 0);
	bench_ends(b, o, OP_FAILED, "1:failed");
	bench_stop(b);
}

/* Its device has no id, so it cannot be removed: that does not make it ours. */
static void an_add_into_a_slot_filled_without_an_id_fails(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	fill_unseen(b, 1);
	b->slots[1].removable = false;
	b->slots[1].id[0] = '\0';
	o = bench_count_op(b, 2, OP_POLICY_ALL, 0);
	bench_check(b, o, OP_FAILED);
	assert_int_equal(o->vcpus[0].rc, -EEXIST);
	assert_int_equal(o->counts.present, 2);
	assert_int_equal(bench_count(b, "kick"), 0);
	assert_int_equal(bench_count(b, "unplug"), 0);
	bench_ends(b, o, OP_FAILED, "1:failed");
	bench_stop(b);
}

/* The table that is to tell does not come before the deadline; or it comes, and the slot is empty again. */
static void who_has_it_is_not_waited_for_beyond_the_deadline(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	fill_unseen(b, 1);
	b->hold_queries = true;
	o = bench_submit_with(b, 2, OP_POLICY_ALL, 60);
	bench_wait_word(b, "plug 1");
	bench_check(b, o, OP_FAILED);
	assert_int_equal(o->vcpus[0].rc, -EEXIST);
	bench_ends(b, o, OP_FAILED, "1:failed");
	b->hold_queries = false;
	b->slots[1].present = false;
	bench_ends(b, bench_count_op(b, 2, OP_POLICY_ALL, 0), OP_FAILED, "1:failed");
	assert_int_equal(domain_counts(b->d).present, 1);
	bench_stop(b);
}

/* The operation was stopped while QEMU had still to refuse. */
static void nor_is_it_after_a_cancel(void **ctx)
{
	struct bench *b = bench_start(NULL);
	struct op *o;

	b->auto_qemu = false;
	b->hold_queries = true;
	o = bench_submit_with(b, 2, OP_POLICY_ALL, 60);
	bench_wait_word(b, "plug 1");
	assert_int_equal(domain_cancel(o), 0);
	bench_answer_plug(b, 1, -EEXIST, "CPU[1] with APIC ID 1 exists");
	bench_ends(b, o, OP_CANCELLED, "1:failed");
	bench_stop(b);
}

static void the_guests_word_of_one_has_qemu_looked_at(void **ctx)
{
	struct bench *b = bench_start(NULL);
	unsigned int queries = b->queries;

	bench_row(b, 3, CPUHP_STANDBY);
	bench_row(b, 3, CPUHP_STANDBY);
	assert_int_equal(b->queries, queries + 1);
	assert_int_equal(bench_state(b, 3), CPUHP_OFFLINE);
	bench_plug_foreign(b, 3);
	assert_int_equal(bench_state(b, 3), CPUHP_STANDBY);
	bench_row(b, 3, CPUHP_STANDBY);
	assert_int_equal(b->queries, queries + 1);
	bench_stop(b);
}

/*
 * The guest has told of the new one before QEMU's table has, and that went with the one before: it is asked
 * again.
 */
static void what_takes_the_place_of_another_is_asked_for(void **ctx)
{
	struct bench *b = bench_start(NULL);
	unsigned int asked;

	bench_put(b, 3, CPUHP_STANDBY);
	bench_agent_table(b);
	asked = b->agent_queries;
	bench_row(b, 3, CPUHP_STANDBY);
	bench_plug_foreign(b, 3);
	assert_int_equal(bench_state(b, 3), CPUHP_HOST_PLACE);
	assert_int_equal(b->agent_queries, asked + 1);
	bench_agent_table(b);
	assert_int_equal(bench_state(b, 3), CPUHP_STANDBY);
	bench_table(b);
	assert_int_equal(b->agent_queries, asked + 1);
	bench_stop(b);
}

/* Also where a new session has told a part of its table by then: what was told first has gone with it. */
static void so_it_is_while_the_guests_table_is_being_told(void **ctx)
{
	struct bench *b = bench_start(NULL);
	unsigned int asked;

	bench_put(b, 3, CPUHP_STANDBY);
	bench_agent_down(b);
	bench_agent_hello(b, 1);
	bench_row(b, 3, CPUHP_STANDBY);
	asked = b->agent_queries;
	bench_table(b);
	assert_int_equal(b->agent_queries, asked);
	bench_plug_foreign(b, 3);
	assert_int_equal(b->agent_queries, asked + 1);
	bench_agent_end(b);
	assert_int_equal(bench_state(b, 3), CPUHP_HOST_PLACE);
	bench_agent_table(b);
	assert_int_equal(bench_state(b, 3), CPUHP_STANDBY);
	bench_stop(b);
}

/* So it is where an old table came in between, and took the guest's word of the new one for the old one's. */
static void what_comes_into_a_slot_that_was_seen_empty_is_asked_for(void **ctx)
{
	struct bench *b = bench_start(NULL);
	unsigned int asked = b->agent_queries;

	bench_plug_foreign(b, 3);
	assert_int_equal(b->agent_queries, asked + 1);
	bench_agent_table(b);
	/* What the guest has told by then need not be told again. */
	bench_row(b, 4, CPUHP_STANDBY);
	bench_plug_foreign(b, 4);
	assert_int_equal(bench_state(b, 4), CPUHP_STANDBY);
	assert_int_equal(b->agent_queries, asked + 1);
	bench_stop(b);
}

static void ours_are_not_taken_for_foreign(void **ctx)
{
	static const struct {
		const char *id;
		bool own;
	} cases[] = {
		{ "vhp-3-00c0ffee", true },   { "vhp-4-00c0ffee", false },
		{ "vhp-3-00c0ffe", false },   { "vhp-3-00c0ffeee", false },
		{ "vhp-3-00C0FFEE", false },  { "vcpu3", false },
		{ "vhp-33-00c0ffee", false }, { "", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(vcpu_is_own_id(cases[i].id, 3), cases[i].own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_foreign_plug_is_shown_once),
		cmocka_unit_test(a_foreign_plug_is_brought_online_where_configured),
		cmocka_unit_test(foreign_plugs_found_at_the_start_are_seen_to),
		cmocka_unit_test(foreign_plugs_are_brought_online_together),
		cmocka_unit_test(
			a_foreign_plug_that_cannot_be_brought_online_is_not_tried_for_ever),
		cmocka_unit_test(an_add_that_finds_the_slot_filled_leaves_it_filled),
		cmocka_unit_test(what_was_plugged_before_the_boot_is_looked_for),
		cmocka_unit_test(an_add_into_a_slot_filled_unseen_tells_what_is_there),
		cmocka_unit_test(an_add_into_a_slot_filled_without_an_id_fails),
		cmocka_unit_test(who_has_it_is_not_waited_for_beyond_the_deadline),
		cmocka_unit_test(nor_is_it_after_a_cancel),
		cmocka_unit_test(the_guests_word_of_one_has_qemu_looked_at),
		cmocka_unit_test(what_takes_the_place_of_another_is_asked_for),
		cmocka_unit_test(so_it_is_while_the_guests_table_is_being_told),
		cmocka_unit_test(what_comes_into_a_slot_that_was_seen_empty_is_asked_for),
		cmocka_unit_test(ours_are_not_taken_for_foreign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
