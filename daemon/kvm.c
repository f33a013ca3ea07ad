/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kvm.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { API_VERSION = 12 };

/* A positive answer, or 0 for "no such extension", an error, or an answer beyond belief. */
static unsigned int ask(int fd, long extension)
{
	int n = ioctl(fd, KVM_CHECK_EXTENSION, extension);

	return n > 0 ? (unsigned int)n : 0;
}

static void read_limits(int fd, struct kvm_limits *l)
{
	l->api = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (l->api != API_VERSION) {
		snprintf(l->why, sizeof(l->why), "/dev/kvm has API version %d, not %d", l->api,
			 API_VERSION);
		return;
	}
	l->available = true;
	/* The fallbacks of the API manual: 4; then NR_VCPUS; then MAX_VCPUS. */
	l->nr_vcpus = ask(fd, KVM_CAP_NR_VCPUS);
	if (l->nr_vcpus == 0)
		l->nr_vcpus = 4;
	l->max_vcpus = ask(fd, KVM_CAP_MAX_VCPUS);
	if (l->max_vcpus == 0)
		l->max_vcpus = l->nr_vcpus;
	l->max_vcpu_id = ask(fd, KVM_CAP_MAX_VCPU_ID);
	if (l->max_vcpu_id == 0)
		l->max_vcpu_id = l->max_vcpus;
}

void kvm_limits_read(struct kvm_limits *ret)
{
	struct kvm_limits l = { 0 };
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		snprintf(l.why, sizeof(l.why), "cannot open /dev/kvm: %s", strerror(errno));
	} else {
		read_limits(fd, &l);
		close(fd);
	}
	*ret = l;
}
