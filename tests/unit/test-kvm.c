/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/kvm.h"

static void an_open_device_is_read(int fd, const struct kvm_limits *l)
{
	int max = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);

	assert_int_equal(l->api, ioctl(fd, KVM_GET_API_VERSION, 0));
	assert_true(l->available);
	assert_string_equal(l->why, "");
	if (max > 0)
		assert_int_equal(l->max_vcpus, max);
	assert_true(l->nr_vcpus >= 1);
	assert_true(l->max_vcpus >= l->nr_vcpus);
	assert_true(l->max_vcpu_id >= l->max_vcpus);
}

/* On any host: the limits agree with the device, or there is a reason why not. */
static void limits_or_a_reason(void **state)
{
	struct kvm_limits l;
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	memset(&l, 0xff, sizeof(l));
	kvm_limits_read(&l);
	if (fd >= 0) {
		an_open_device_is_read(fd, &l);
		close(fd);
		return;
	}
	assert_false(l.available);
	assert_non_null(strstr(l.why, "/dev/kvm"));
	assert_int_equal(l.max_vcpus, 0);
}

static void the_device_is_closed_again(void **state)
{
	struct kvm_limits l;
	int before = dup(0), after;

	close(before);
	kvm_limits_read(&l);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_or_a_reason),
		cmocka_unit_test(the_device_is_closed_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
