/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The plan, told in a picture language. A domain is a word of one letter a slot:
 *   B  from boot, online          b  from boot, at standby
 *   O  plugged by us, online      s  plugged by us, at standby
 *   t  plugged by us, at ap:threads (its adoption failed)
 *   h  plugged by us, at host:place (the guest does not show it)
 *   F  plugged by another, online f  plugged by another, at standby
 *   P  ours, removal pending      ?  ours, not heard of in the guest
 *   .  free
 * and a plan the moves in their order, "3:0>44 2:6>44", or a refusal "limit: ..." by its beginning.
 */
#include "daemon/plan.h"
#include "proto/ladder.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SLOTS_MAX = 16 };

static struct plan_vcpu vcpu_of(char c)
{
	struct plan_vcpu v = { .present = true, .removable = true, .owned = true };

	switch (c) {
	case 'B':
	case 'b':
		v.boot = true;
		v.removable = v.owned = false;
		v.state = c == 'B' ? CPUHP_ONLINE : CPUHP_STANDBY;
		break;
	case 'F':
	case 'f':
		v.owned = false;
		v.state = c == 'F' ? CPUHP_ONLINE : CPUHP_STANDBY;
		break;
	case 'O':
		v.state = CPUHP_ONLINE;
		break;
	case 's':
		v.state = CPUHP_STANDBY;
		break;
	case 't':
		v.state = CPUHP_AP_THREADS;
		break;
	case 'h':
		v.state = CPUHP_HOST_PLACE;
		break;
	case 'P':
		v.pending = true;
		v.state = CPUHP_STANDBY;
		break;
	case '?':
		v.state = -1;
		break;
	default:
		assert_int_equal(c, '.');
		v = (struct plan_vcpu){ 0 };
	}
	return v;
}

static void speak(const struct plan *p, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	if (p->n_refusals) {
		assert_int_equal(p->n_moves, 0);
		assert_non_null(p->refused_by);
		snprintf(out, size, "%s: %s", p->refused_by, p->refusals[0]);
		return;
	}
	assert_null(p->refused_by);
	for (unsigned int i = 0; i < p->n_moves; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%u:%d>%d", i ? " " : "",
				       p->moves[i].vcpu, p->moves[i].from, p->moves[i].to);
}

/* A refusal is compared up to the length of what is wanted, moves to their end. */
static void check_said(const char *what, const struct plan *p, const char *want)
{
	char said[512];

	speak(p, said, sizeof(said));
	if (p->n_refusals ? strncmp(said, want, strlen(want)) != 0 || !*want
			  : strcmp(said, want) != 0)
		fail_msg("%s: \"%s\", not \"%s\"", what, said, want);
}

/* Sockets of three cores: a socket takes four ids. */
static const uint32_t apic_ids[SLOTS_MAX] = {
	0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 20
};

static unsigned int draw(const char *picture, struct plan_vcpu *vcpus)
{
	unsigned int n = (unsigned int)strlen(picture);

	assert_in_range(n, 1, SLOTS_MAX);
	for (unsigned int i = 0; i < n; i++) {
		vcpus[i] = vcpu_of(picture[i]);
		vcpus[i].apic_id = apic_ids[i];
	}
	return n;
}

enum { ANY = -1 };

static const struct {
	const char *what;
	const char *picture;
	unsigned int count;
	int standby;
	bool foreign;
	const char *want;
} counts[] = {
	{ "as many as there are needs nothing", "BO..", 2, ANY, false, "" },
	{ "going up takes the lowest free slots first", "B....", 3, ANY, false, "1:0>44 2:0>44" },
	{ "a hole is filled first", "BO.O.", 4, ANY, false, "2:0>44" },
	{ "standby vCPUs are taken first", "B.s.", 2, ANY, false, "2:6>44" },
	{ "a boot vCPU at standby is taken as well", "BBb.", 3, ANY, false, "2:6>44" },
	{ "standby first, then free slots", "B.s.", 3, ANY, false, "1:0>44 2:6>44" },
	{ "what stands half way is raised before standby", "Bst.", 2, ANY, false, "2:8>44" },
	{ "what the guest does not show goes before a free slot", "B..h", 2, ANY, false, "3:3>44" },
	{ "the highest are removed first", "BOOO", 2, ANY, false, "3:44>0 2:44>0" },
	{ "down to the boot vCPU", "BOOO", 1, ANY, false, "3:44>0 2:44>0 1:44>0" },
	{ "going down leaves standby alone", "BOOs", 2, ANY, false, "2:44>0" },
	{ "half way does not count as online", "BOt.", 2, ANY, false, "" },
	{ "boot vCPUs cannot be unplugged", "BBB.", 2, ANY, false,
	  "policy: 1 vCPUs cannot be removed: the rest was there at boot" },
	{ "others' vCPUs are passed over for ours", "BOF.", 2, ANY, false, "1:44>0" },
	{ "others' vCPUs need --foreign", "BF..", 1, ANY, false,
	  "policy: 1 vCPUs cannot be removed: vCPUs plugged by others need --foreign" },
	{ "with --foreign they go", "BF..", 1, ANY, true, "1:44>0" },
	{ "above the maximum", "BO..", 5, ANY, false,
	  "limit: 5 vCPUs asked, the domain's maximum is 4" },
	{ "online and standby above the maximum", "BO..", 3, 2, false,
	  "limit: 3 online and 2 standby vCPUs asked" },
	{ "no slot is left where one is leaving", "BOP", 3, ANY, false, "limit: 1 vCPUs short" },
	{ "what is leaving is not taken for going up", "BP..", 2, ANY, false, "2:0>44" },
	{ "what is unknown is not taken", "B?..", 2, ANY, false, "2:0>44" },
	{ "standby besides is plugged", "B...", 1, 2, false, "1:0>6 2:0>6" },
	{ "up and standby at once", "B...", 2, 1, false, "1:0>44 2:0>6" },
	{ "standby taken for online is made up for", "Bs..", 2, 1, false, "1:6>44 2:0>6" },
	{ "going down may end at standby", "BOO.", 1, 1, false, "2:44>0 1:44>6" },
	{ "the highest leave, and the lowest rest", "BOOs", 2, 1, false, "3:6>0 2:44>6" },
	{ "also where several rest", "BOOOs", 2, 2, false, "4:6>0 3:44>6 2:44>6" },
	{ "what is in service is not taken down for one at standby", "BsO.", 2, 0, false, "1:6>0" },
	{ "too many at standby leave, the highest first", "Bsss", 1, 1, false, "3:6>0 2:6>0" },
	{ "no standby wanted", "Bss.", 1, 0, false, "2:6>0 1:6>0" },
	{ "boot vCPUs may rest at standby", "BBB.", 2, 1, false, "2:44>6" },
	{ "one that cannot leave rests, one that can leaves", "BOB.", 1, 1, false,
	  "2:44>6 1:44>0" },
	{ "boot vCPUs at standby cannot be dropped", "Bbb.", 1, 1, false,
	  "policy: 1 vCPUs cannot be removed: the rest was there at boot" },
	{ "others' standby cannot be dropped", "Bf..", 1, 0, false,
	  "policy: 1 vCPUs cannot be removed: vCPUs plugged by others need --foreign" },
	{ "what is leaving already is not counted on", "BOP", 1, 0, false,
	  "policy: 1 vCPUs cannot be removed: an earlier change of the rest is not confirmed" },
	{ "the boot vCPU stays though all else is gone", "B...", 1, 0, false, "" },
};

static void the_counts(void **ctx)
{
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct plan_vcpu vcpus[SLOTS_MAX];
		struct plan_input in = { .vcpus = vcpus };
		const struct op_request r = { .goal = OP_GOAL_COUNT,
					      .count = counts[i].count,
					      .standby = counts[i].standby,
					      .foreign = counts[i].foreign };
		struct plan p;

		in.n = draw(counts[i].picture, vcpus);
		assert_int_equal(plan_make(&in, &r, &p), 0);
		check_said(counts[i].what, &p, counts[i].want);
		plan_done(&p);
	}
}

static const struct {
	const char *what;
	const char *picture;
	const char *list;
	int target;
	bool foreign;
	const char *want;
} targets[] = {
	{ "plug two", "B...", "1-2", CPUHP_ONLINE, false, "1:0>44 2:0>44" },
	{ "moves down come the highest first", "BOOO", "1-3", CPUHP_STANDBY, false,
	  "3:44>6 2:44>6 1:44>6" },
	{ "who is there already does not move", "BO..", "1-2", CPUHP_ONLINE, false, "2:0>44" },
	{ "to a state half way", "BO..", "1", CPUHP_AP_THREADS, false, "1:44>8" },
	{ "some up and some down", "BOs.", "1-2", CPUHP_AP_THREADS, false, "2:6>8 1:44>8" },
	{ "what the guest does not show can leave", "Bh..", "1", CPUHP_OFFLINE, false, "1:3>0" },
	{ "the boot vCPU may stay", "B...", "0", CPUHP_ONLINE, false, "" },
	{ "the boot vCPU never goes down", "B...", "0", CPUHP_STANDBY, false,
	  "policy: vcpu 0 is the boot vCPU" },
	{ "nor is it unplugged", "F...", "0", CPUHP_OFFLINE, true,
	  "policy: vcpu 0 is the boot vCPU" },
	{ "one from boot may rest", "BB..", "1", CPUHP_STANDBY, false, "1:44>6" },
	{ "one from boot cannot leave", "BB..", "1", CPUHP_OFFLINE, false,
	  "policy: vcpu 1 was there at boot" },
	{ "nor with --foreign", "BB..", "1", CPUHP_OFFLINE, true,
	  "policy: vcpu 1 was there at boot" },
	{ "another's cannot leave", "BF..", "1", CPUHP_OFFLINE, false,
	  "policy: vcpu 1 was plugged by another" },
	{ "another's leaves with --foreign", "BF..", "1", CPUHP_OFFLINE, true, "1:44>0" },
	{ "another's may rest", "BF..", "1", CPUHP_STANDBY, false, "1:44>6" },
	{ "what is leaving is left alone", "BP..", "1", CPUHP_ONLINE, false,
	  "policy: vcpu 1: an earlier change" },
	{ "even where it seems to be there", "BP..", "1", CPUHP_STANDBY, false,
	  "policy: vcpu 1: an earlier change" },
	{ "what is unknown is left alone", "B?..", "1", CPUHP_ONLINE, false,
	  "guest: vcpu 1: its state in the guest is not known" },
	{ "no such vCPU", "B...", "4", CPUHP_ONLINE, false, "limit: there is no vcpu 4" },
	{ "one that cannot be refuses all", "BOB.", "1-2", CPUHP_OFFLINE, false,
	  "policy: vcpu 2 was there at boot" },
};

static void the_targets(void **ctx)
{
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct plan_vcpu vcpus[SLOTS_MAX];
		struct plan_input in = { .vcpus = vcpus };
		struct op_request r = { .goal = OP_GOAL_TARGET,
					.standby = -1,
					.target = targets[i].target,
					.foreign = targets[i].foreign };
		struct plan p;

		assert_int_equal(cpulist_parse(targets[i].list, &r.list), 0);
		in.n = draw(targets[i].picture, vcpus);
		assert_int_equal(plan_make(&in, &r, &p), 0);
		check_said(targets[i].what, &p, targets[i].want);
		plan_done(&p);
	}
}

/* Where a hole in the slots is harm (TCG). A row has a LIST and a state, or a COUNT and standby. */
static const struct {
	const char *what;
	const char *picture;
	const char *list;
	int target; /* or COUNT */
	int standby;
	const char *want;
} holes[] = {
	{ "the highest leaves", "BOO.", "2", CPUHP_OFFLINE, ANY, "2:44>0" },
	{ "one below does not", "BOO.", "1", CPUHP_OFFLINE, ANY,
	  "policy: vcpu 1 cannot leave below vcpu 2, which stays: without KVM a hole in the slots "
	  "makes the guest lose wakeups; remove vcpu 2 as well, or let vcpu 1 rest at standby" },
	{ "also where that one rests", "BOs.", "1", CPUHP_OFFLINE, ANY,
	  "policy: vcpu 1 cannot leave below vcpu 2" },
	{ "nor where it may be leaving", "BOP.", "1", CPUHP_OFFLINE, ANY,
	  "policy: vcpu 1 cannot leave below vcpu 2" },
	{ "nor where the guest does not show it", "BOh.", "1", CPUHP_OFFLINE, ANY,
	  "policy: vcpu 1 cannot leave below vcpu 2" },
	{ "it may rest", "BOO.", "1", CPUHP_STANDBY, ANY, "1:44>6" },
	{ "all from it upwards leave", "BOO.", "1-2", CPUHP_OFFLINE, ANY, "2:44>0 1:44>0" },
	{ "the lowest free slot is plugged", "BO..", "2", CPUHP_ONLINE, ANY, "2:0>44" },
	{ "one above it is not", "BO..", "3", CPUHP_ONLINE, ANY,
	  "policy: vcpu 3 cannot be plugged above slot 2, which is free: without KVM a hole in the "
	  "slots makes the guest lose wakeups; plug that one as well" },
	{ "not to rest either", "BO..", "3", CPUHP_STANDBY, ANY,
	  "policy: vcpu 3 cannot be plugged" },
	{ "both are plugged", "BO..", "2-3", CPUHP_ONLINE, ANY, "2:0>44 3:0>44" },
	{ "nor above one that may be leaving", "BP..", "2", CPUHP_ONLINE, ANY,
	  "policy: vcpu 2 cannot be plugged above slot 1, which is in doubt" },
	{ "a hole that is there is filled", "B.O.", "1", CPUHP_ONLINE, ANY, "1:0>44" },
	{ "or left as it is", "B.O.", "2", CPUHP_STANDBY, ANY, "2:44>6" },
	{ "or what is above it leaves", "B.O.", "2", CPUHP_OFFLINE, ANY, "2:44>0" },
	{ "the highest leave", "BOOO", NULL, 2, ANY, "3:44>0 2:44>0" },
	{ "one at standby leaves for one that goes to rest", "BOOs", NULL, 2, ANY, "3:6>0 2:44>6" },
	{ "one in service leaves for one at standby", "BsO.", NULL, 2, 0, "1:6>44 2:44>0" },
	{ "no standby is left, and no hole", "BssO", NULL, 3, 0, "1:6>44 2:6>44 3:44>0" },
	{ "others' above keep ours", "BOF.", NULL, 2, ANY,
	  "policy: vcpu 1 cannot leave below vcpu 2" },
	{ "the lowest free slots are plugged", "B.O.", NULL, 4, ANY, "1:0>44 3:0>44" },
	{ "as many as there are is nothing to do", "B.O.", NULL, 2, ANY, "" },
};

static void the_holes(void **ctx)
{
	for (size_t i = 0; i < sizeof(holes) / sizeof(holes[0]); i++) {
		struct plan_vcpu vcpus[SLOTS_MAX];
		struct plan_input in = { .vcpus = vcpus, .contiguous = true };
		struct op_request r = { .goal = holes[i].list ? OP_GOAL_TARGET : OP_GOAL_COUNT,
					.count = (unsigned int)holes[i].target,
					.target = holes[i].target,
					.standby = holes[i].standby };
		struct plan p;

		if (holes[i].list)
			assert_int_equal(cpulist_parse(holes[i].list, &r.list), 0);
		in.n = draw(holes[i].picture, vcpus);
		assert_int_equal(plan_make(&in, &r, &p), 0);
		check_said(holes[i].what, &p, holes[i].want);
		plan_done(&p);
	}
}

static const struct {
	const char *what;
	const char *picture;
	unsigned int count;
	struct plan_input limits;
	const char *want;
} limits[] = {
	{ "MaxVcpus reached", "BO..", 3, { .max_present = 3 }, "2:0>44" },
	{ "MaxVcpus passed",
	  "BO..",
	  4,
	  { .max_present = 3 },
	  "policy: 4 vCPUs would be plugged, MaxVcpus= is 3" },
	{ "standby counts for MaxVcpus",
	  "Bss.",
	  4,
	  { .max_present = 3 },
	  "policy: 4 vCPUs would be plugged" },
	{ "above MaxVcpus already, and nothing is plugged",
	  "BsOO",
	  4,
	  { .max_present = 2 },
	  "1:6>44" },
	{ "going down is never too much", "BOOO", 3, { .max_present = 2 }, "3:44>0" },
	{ "KVM's limit",
	  "BO..",
	  4,
	  { .kvm_max = 3 },
	  "limit: 4 vCPUs would be plugged, KVM's limit is 3" },
	{ "KVM's limit reached", "BO..", 3, { .kvm_max = 3 }, "2:0>44" },
	{ "beyond KVM's highest id, though the slot's number is not",
	  "BO..",
	  4,
	  { .kvm_max_id = 4 },
	  "limit: vcpu 3 has the APIC id 4, and KVM's highest vCPU id is 3" },
	{ "KVM's highest id", "BO..", 4, { .kvm_max_id = 5 }, "2:0>44 3:0>44" },
	{ "one beyond it that is not added", "BO.O", 4, { .kvm_max_id = 4 }, "2:0>44" },
	{ "the guest has no room",
	  "BO..",
	  4,
	  { .guest_possible = 3 },
	  "guest: 4 vCPUs would be plugged, the guest kernel has room for 3" },
	{ "the guest has room", "BO..", 3, { .guest_possible = 3 }, "2:0>44" },
};

/* Where KVM recommends no more than four. */
static const struct {
	const char *what;
	const char *picture;
	unsigned int count;
	bool want;
} warnings[] = {
	{ "as many as are recommended", "BO...", 4, false },
	{ "one more", "BO...", 5, true },
	{ "plugged at standby counts", "Bss..", 5, true },
	{ "above it already, and nothing is plugged", "BsOOO", 5, false },
	{ "above it already, and going down", "BOOOO", 4, false },
	{ "refused anyway", "BO...", 6, false },
};

static void the_warnings(void **ctx)
{
	for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++) {
		const struct op_request r = { .goal = OP_GOAL_COUNT,
					      .count = warnings[i].count,
					      .standby = -1 };
		struct plan_vcpu vcpus[SLOTS_MAX];
		struct plan_input in = { .vcpus = vcpus, .kvm_recommended = 4 };
		struct plan p;

		in.n = draw(warnings[i].picture, vcpus);
		assert_int_equal(plan_make(&in, &r, &p), 0);
		if (strcmp(p.warning, warnings[i].want
					      ? "5 vCPUs would be plugged, and KVM recommends no "
						"more than 4 on this host"
					      : "") != 0)
			fail_msg("%s: \"%s\"", warnings[i].what, p.warning);
		plan_done(&p);
	}
}

static void the_limits(void **ctx)
{
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		const struct op_request r = { .goal = OP_GOAL_COUNT,
					      .count = limits[i].count,
					      .standby = -1 };
		struct plan_input in = limits[i].limits;
		struct plan_vcpu vcpus[SLOTS_MAX];
		struct plan p;

		in.n = draw(limits[i].picture, vcpus);
		in.vcpus = vcpus;
		assert_int_equal(plan_make(&in, &r, &p), 0);
		check_said(limits[i].what, &p, limits[i].want);
		plan_done(&p);
	}
}

/* The whole space of four slots: every picture of these letters behind an online boot vCPU. */
static const char letters[] = ".sOthbBfFP";

enum { SPACE_SLOTS = 4 };

static unsigned int n_at(const struct plan_vcpu *v, int state)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SPACE_SLOTS; i++)
		n += v[i].state == state;
	return n;
}

/* Carry the moves out, checking each against what was there. */
static void apply(const struct plan *p, struct plan_vcpu *v, const struct op_request *r)
{
	bool moved[SPACE_SLOTS] = { false };

	for (unsigned int i = 0; i < p->n_moves; i++) {
		const struct plan_move *m = &p->moves[i];

		assert_in_range(m->vcpu, 0, SPACE_SLOTS - 1);
		assert_false(moved[m->vcpu]);
		moved[m->vcpu] = true;
		assert_int_equal(m->from, v[m->vcpu].state);
		assert_int_not_equal(m->from, m->to);
		assert_false(v[m->vcpu].pending);
		if (m->to < m->from)
			assert_int_not_equal(m->vcpu, 0);
		if (m->to == CPUHP_OFFLINE)
			assert_true(v[m->vcpu].removable && (v[m->vcpu].owned || r->foreign));
		v[m->vcpu].state = m->to;
		v[m->vcpu].present = m->to > CPUHP_OFFLINE;
	}
}

/* Nothing left below one that stays, and nothing came above a slot that is free. */
static void check_prefix(const char *picture, const struct plan_vcpu *was,
			 const struct plan_vcpu *is)
{
	for (unsigned int low = 0; low < SPACE_SLOTS; low++)
		for (unsigned int high = low + 1; high < SPACE_SLOTS; high++)
			if (is[high].present && !is[low].present &&
			    (was[low].present || !was[high].present))
				fail_msg("%s: a hole at %u", picture, low);
}

/* Up in ascending, then down in descending order. */
static void check_order(const struct plan *p)
{
	for (unsigned int i = 1; i < p->n_moves; i++) {
		bool up = p->moves[i].to > p->moves[i].from;
		bool was_up = p->moves[i - 1].to > p->moves[i - 1].from;

		if (up) {
			assert_true(was_up);
			assert_true(p->moves[i].vcpu > p->moves[i - 1].vcpu);
		} else if (!was_up) {
			assert_true(p->moves[i].vcpu < p->moves[i - 1].vcpu);
		}
	}
}

static void check_request(const char *picture, const struct op_request *r, bool contiguous)
{
	struct plan_vcpu vcpus[SLOTS_MAX] = { 0 }, before[SLOTS_MAX];
	struct plan_input in = { .vcpus = vcpus,
				 .n = draw(picture, vcpus),
				 .contiguous = contiguous };
	unsigned int standby = n_at(vcpus, CPUHP_STANDBY), online = n_at(vcpus, CPUHP_ONLINE);
	struct plan p;

	assert_int_equal(plan_make(&in, r, &p), 0);
	check_order(&p);
	if (p.n_refusals) {
		assert_int_equal(p.n_moves, 0);
		/* What is so already is never refused. */
		if (r->count == online && (r->standby < 0 || (unsigned int)r->standby == standby))
			fail_msg("%s: %s", picture, p.refusals[0]);
		plan_done(&p);
		return;
	}
	memcpy(before, vcpus, sizeof(before));
	apply(&p, vcpus, r);
	if (contiguous)
		check_prefix(picture, before, vcpus);
	if (n_at(vcpus, CPUHP_ONLINE) != r->count)
		fail_msg("%s: %u online asked, %u planned", picture, r->count,
			 n_at(vcpus, CPUHP_ONLINE));
	if (r->standby >= 0 && n_at(vcpus, CPUHP_STANDBY) != (unsigned int)r->standby)
		fail_msg("%s: %d standby asked, %u planned", picture, r->standby,
			 n_at(vcpus, CPUHP_STANDBY));
	if (r->standby < 0 && r->count <= online)
		assert_int_equal(n_at(vcpus, CPUHP_STANDBY), standby);
	plan_done(&p);
}

static void check_picture(const char *picture, bool foreign, bool contiguous)
{
	for (unsigned int count = 1; count <= SPACE_SLOTS + 1; count++)
		for (int standby = -1; standby <= SPACE_SLOTS; standby++) {
			const struct op_request r = { .goal = OP_GOAL_COUNT,
						      .count = count,
						      .standby = standby,
						      .foreign = foreign };

			check_request(picture, &r, contiguous);
		}
}

static void the_whole_space(void **ctx)
{
	const size_t n = sizeof(letters) - 1;
	char picture[SPACE_SLOTS + 1] = "B";

	for (size_t i = 0; i < n * n * n; i++) {
		picture[1] = letters[i % n];
		picture[2] = letters[i / n % n];
		picture[3] = letters[i / n / n];
		for (int way = 0; way < 4; way++)
			check_picture(picture, way & 1, way & 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_counts),   cmocka_unit_test(the_targets),
		cmocka_unit_test(the_holes),    cmocka_unit_test(the_limits),
		cmocka_unit_test(the_warnings), cmocka_unit_test(the_whole_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
