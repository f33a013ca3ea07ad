/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_PLAN_H
#define DAEMON_PLAN_H

#include "daemon/op.h"

/**
 * struct plan_vcpu - what the plan knows of a slot
 * @state: 0..44, or -1 when the guest has not been heard
 * @pending: a plug or unplug that nobody has confirmed yet
 * @apic_id: under KVM the vCPU's id
 */
struct plan_vcpu {
	bool present, boot, removable, owned, pending;
	int state;
	uint32_t apic_id;
};

/**
 * struct plan_input - the domain as the plan sees it
 * @vcpus: @n slots, borrowed; the index is the vCPU number
 * @max_present: policy ceiling (MaxVcpus=), 0 none
 * @kvm_max, @kvm_max_id: KVM's limits of how many vCPUs and of their ids, 0 where they do not apply
 * @kvm_recommended: beyond that many KVM works, but the host was not meant for it: a warning
 * @guest_possible: CPUs the guest kernel has room for, 0 unknown
 * @contiguous: the plugged slots have to stay a prefix (QEMU's TCG): a plan that would make a hole
 *              is refused
 */
struct plan_input {
	const struct plan_vcpu *vcpus;
	unsigned int n;
	unsigned int max_present;
	unsigned int kvm_max;
	unsigned int kvm_max_id;
	unsigned int kvm_recommended;
	unsigned int guest_possible;
	bool contiguous;
};

/**
 * plan_make() - what has to move to give a request its wish
 *
 * Going up: what stands between standby and online first, then standby vCPUs, then the lowest
 * free slots. Going down: the highest leave first and the lowest rest at standby; the boot vCPU
 * never. Moves up come in ascending, moves down in descending order. With a refusal there are no
 * moves.
 *
 * Return: 0 (look at @ret->n_refusals), or -ENOMEM.
 */
int plan_make(const struct plan_input *in, const struct op_request *request, struct plan *ret);

#endif
