/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_KVM_H
#define DAEMON_KVM_H

#include <stdbool.h>

/**
 * struct kvm_limits - what this host's KVM says
 * @available: /dev/kvm opened and its API is version 12; else @why
 * @nr_vcpus: KVM_CAP_NR_VCPUS, recommended; only warns
 * @max_vcpus: KVM_CAP_MAX_VCPUS, refuses
 * @max_vcpu_id: KVM_CAP_MAX_VCPU_ID, refuses
 *
 * Source: linux/kvm.h, KVM_CHECK_EXTENSION; "0" answers follow the API manual's fallbacks.
 */
struct kvm_limits {
	bool available;
	char why[128];
	int api;
	unsigned int nr_vcpus;
	unsigned int max_vcpus;
	unsigned int max_vcpu_id;
};

/* Opens /dev/kvm for the moment of the questions. Never fails: see @available. */
void kvm_limits_read(struct kvm_limits *ret);

#endif
