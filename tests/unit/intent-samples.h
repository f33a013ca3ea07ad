/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_INTENT_SAMPLES_H
#define TESTS_INTENT_SAMPLES_H

#include "daemon/intent-file.h"
#include "proto/frame.h"
#include "proto/wire.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Intents to be written and read, and what another version would have written. */

enum { SLOT = 8192, ROOM = 1 << 20 };

__attribute__((unused)) static struct intent_move make_move(unsigned int vcpu)
{
	struct intent_move m = { .vcpu = vcpu,
				 .to = CPUHP_ONLINE,
				 .goal = CPUHP_ONLINE,
				 .at = -1,
				 .started = true,
				 .undoing = vcpu & 1,
				 .cpu = -1,
				 .state = CPUHP_AP_KICK,
				 .ran_on = -1,
				 .failed_at = CPUHP_AP_DYN,
				 .rc = -EIO,
				 .rollback_failed_at = -1,
				 .result = VCPU_ROLLED_BACK };

	snprintf(m.failed_name, sizeof(m.failed_name), "ap:dyn.10-log");
	snprintf(m.error, sizeof(m.error), "vcpu %u: it did not work", vcpu);
	memset(m.step_us, 0xff, sizeof(m.step_us));
	/* All of them, none, and one that took longer than can be kept. */
	for (int s = 0; s < CPUHP_STATES; s++)
		m.step_us[s] = vcpu % 3 == 0 ? 1000U * vcpu + (unsigned int)s : UINT64_MAX;
	if (vcpu % 3 == 2)
		m.step_us[CPUHP_AP_ONLINE] = 1ULL << 40;
	return m;
}

__attribute__((unused)) static struct intent make_intent(unsigned int vcpus, unsigned int moves)
{
	struct intent i = { .seq = 7,
			    .run = { .known = true,
				     .maximum = vcpus,
				     .libvirt_id = 3,
				     .pid = 77,
				     .pid_started = 1ULL << 40 },
			    .guest_boot = { 1, 2, 3 },
			    .n_vcpus = vcpus,
			    .n_ops = 3 };

	snprintf(i.run.uuid, sizeof(i.run.uuid), "c7a5fdbd-cdaf-9455-926a-d65c16db1809");
	i.vcpus = calloc(vcpus, sizeof(*i.vcpus));
	assert_non_null(i.vcpus);
	for (unsigned int k = 0; k < vcpus; k++)
		i.vcpus[k] = (struct intent_vcpu){ .wish = (int)k % 45 - 1,
						   .owned = k % 2,
						   .leaving = k % 3 == 0,
						   .returning = k % 5 == 0,
						   .back = k % 4 };
	i.ops = calloc(INTENT_OPS_MAX + 1, sizeof(*i.ops));
	assert_non_null(i.ops);
	i.ops[0] = (struct intent_op){
		.stage = INTENT_SETTLING,
		.request = { .count = 4, .standby = -1, .target = -1, .uid = 5 },
		.accepted_us = 1,
		.deadline_us = UINT64_MAX,
		.stop_rc = -ETIMEDOUT,
		.denied = true,
		.denial = ERR_NO_SUCH_VCPU,
		.kick_base = 4000000000U,
		.result = OP_ACCEPTED,
		.refused_by = "policy",
		.persist = { .present = -1, .maximum = 9 },
		.counts = { 8, 7, -1, 0 },
		.n_moves = moves
	};
	snprintf(i.ops[0].id, sizeof(i.ops[0].id), "job-1");
	snprintf(i.ops[0].dyn_names[1], sizeof(i.ops[0].dyn_names[1]), "20-net");
	snprintf(i.ops[0].dyn_names[INTENT_DYNS - 1], sizeof(i.ops[0].dyn_names[0]), "99-last");
	i.ops[0].moves = calloc(moves, sizeof(*i.ops[0].moves));
	assert_non_null(i.ops[0].moves);
	for (unsigned int k = 0; k < moves; k++)
		i.ops[0].moves[k] = make_move(k);
	for (unsigned int k = 1; k < 3; k++) {
		i.ops[k].request.goal = OP_GOAL_TARGET;
		i.ops[k].request.target = CPUHP_STANDBY;
		i.ops[k].request.own = true;
		cpulist_set(&i.ops[k].request.list, 4095 - k);
		snprintf(i.ops[k].id, sizeof(i.ops[k].id), "waits-%u", k);
	}
	return i;
}

__attribute__((unused)) static void check_same(const struct intent *a, const struct intent *b)
{
	const struct intent_op *x = &a->ops[0], *y = &b->ops[0];

	assert_int_equal(a->seq, b->seq);
	assert_memory_equal(&a->run, &b->run, sizeof(a->run));
	assert_memory_equal(a->guest_boot, b->guest_boot, sizeof(a->guest_boot));
	assert_int_equal(a->n_vcpus, b->n_vcpus);
	for (unsigned int k = 0; k < a->n_vcpus; k++) {
		assert_int_equal(a->vcpus[k].wish, b->vcpus[k].wish);
		assert_int_equal(a->vcpus[k].back, b->vcpus[k].back);
		assert_int_equal(
			a->vcpus[k].owned | a->vcpus[k].leaving << 1 | a->vcpus[k].returning << 2,
			b->vcpus[k].owned | b->vcpus[k].leaving << 1 | b->vcpus[k].returning << 2);
	}
	assert_int_equal(a->n_ops, b->n_ops);
	assert_string_equal(x->id, y->id);
	assert_int_equal(x->deadline_us, y->deadline_us);
	assert_int_equal(x->stop_rc, y->stop_rc);
	assert_int_equal(x->kick_base, y->kick_base);
	assert_int_equal(x->denied, y->denied);
	assert_int_equal(x->denial, y->denial);
	assert_string_equal(x->refused_by, y->refused_by);
	assert_memory_equal(&x->counts, &y->counts, sizeof(x->counts));
	assert_memory_equal(x->dyn_names, y->dyn_names, sizeof(x->dyn_names));
	assert_int_equal(x->n_moves, y->n_moves);
	for (unsigned int k = 0; k < x->n_moves; k++) {
		assert_int_equal(x->moves[k].undoing, y->moves[k].undoing);
		assert_int_equal(x->moves[k].at, y->moves[k].at);
		assert_int_equal(x->moves[k].rc, y->moves[k].rc);
		assert_string_equal(x->moves[k].error, y->moves[k].error);
		if (k % 3 == 2)
			assert_int_equal(y->moves[k].step_us[CPUHP_AP_ONLINE], UINT32_MAX);
		else
			assert_memory_equal(x->moves[k].step_us, y->moves[k].step_us,
					    sizeof(x->moves[k].step_us));
	}
	for (unsigned int k = 1; k < a->n_ops; k++) {
		assert_string_equal(a->ops[k].id, b->ops[k].id);
		assert_memory_equal(&a->ops[k].request, &b->ops[k].request,
				    sizeof(a->ops[k].request));
	}
}

/* As another version would write it: whole, and with a header that is the same. */
__attribute__((unused)) static void make_anothers(uint8_t *slot, int length, uint32_t version)
{
	static const uint8_t none[4];

	put_le32(slot + 4, version);
	put_le32(slot + 8, 0);
	put_le32(slot + 8,
		 crc32c(crc32c(crc32c(0, slot, 8), none, 4), slot + 12, (size_t)length - 12));
}

#endif
