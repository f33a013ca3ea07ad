/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/place.h"

/* A thread of this process, standing for one of QEMU's; it lives until it is told to end. */
struct thread {
	pthread_t handle;
	pid_t tid;
	int up[2], down[2];
};

static void *live(void *arg)
{
	struct thread *t = arg;
	char c = 0;

	t->tid = (pid_t)syscall(SYS_gettid);
	if (write(t->up[1], &c, 1) == 1 && read(t->down[0], &c, 1) < 0)
		return arg;
	return NULL;
}

static int start(void **state)
{
	static struct thread t;
	char c;

	if (pipe2(t.up, O_CLOEXEC) < 0 || pipe2(t.down, O_CLOEXEC) < 0 ||
	    pthread_create(&t.handle, NULL, live, &t) != 0 || read(t.up[0], &c, 1) != 1)
		return -1;
	*state = &t;
	return 0;
}

static int stop(void **state)
{
	struct thread *t = *state;

	close(t->down[1]);
	pthread_join(t->handle, NULL);
	close(t->down[0]);
	close(t->up[0]);
	close(t->up[1]);
	return 0;
}

static int first_cpu(pid_t tid)
{
	cpu_set_t set;

	assert_return_code(sched_getaffinity(tid, sizeof(set), &set), errno);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			return i;
	return -1;
}

static const struct ucred *of(pid_t pid)
{
	static struct ucred peer;

	peer = (struct ucred){ .pid = pid, .uid = geteuid() };
	return &peer;
}

static void a_thread_is_pinned_and_given_back(void **state)
{
	struct thread *t = *state;
	struct placed placed = { 0 };
	struct cpulist cpus;
	cpu_set_t before, now;

	sched_getaffinity(t->tid, sizeof(before), &before);
	cpulist_zero(&cpus);
	cpulist_set(&cpus, (unsigned int)first_cpu(t->tid));
	assert_int_equal(place_pin(of(getpid()), t->tid, &cpus, &placed), 0);
	/* Pinned twice, the mask of before is still the first one. */
	assert_int_equal(place_pin(of(getpid()), t->tid, &cpus, &placed), 0);
	sched_getaffinity(t->tid, sizeof(now), &now);
	assert_int_equal(CPU_COUNT(&now), 1);
	assert_int_equal(place_undo(of(getpid()), &placed), 0);
	sched_getaffinity(t->tid, sizeof(now), &now);
	assert_true(CPU_EQUAL(&before, &now));
	assert_int_equal(placed.tid, 0);
	assert_int_equal(place_undo(of(getpid()), &placed), 0);
}

/* QEMU may name any thread of the host: only its own are touched. */
static void another_process_thread_is_left_alone(void **state)
{
	struct thread *t = *state;
	struct placed placed = { 0 };
	struct cpulist cpus;
	cpu_set_t before, after;

	cpulist_zero(&cpus);
	cpulist_set(&cpus, (unsigned int)first_cpu(t->tid));
	sched_getaffinity(t->tid, sizeof(before), &before);
	assert_int_equal(place_pin(of(getppid()), t->tid, &cpus, &placed), -ESRCH);
	assert_int_equal(place_pin(of(0), t->tid, &cpus, &placed), -ESRCH);
	assert_int_equal(place_pin(of(getpid()), 1, &cpus, &placed), -ESRCH);
	assert_int_equal(place_pin(of(getpid()), 0, &cpus, &placed), -ESRCH);
	assert_int_equal(place_pin(of(getpid()), -1, &cpus, &placed), -ESRCH);
	/* Its number is another user's process by now. */
	assert_int_equal(place_pin(&(struct ucred){ .pid = getpid(), .uid = geteuid() + 1 }, t->tid,
				   &cpus, &placed),
			 -ESRCH);
	sched_getaffinity(t->tid, sizeof(after), &after);
	assert_true(CPU_EQUAL(&before, &after));
	assert_int_equal(placed.tid, 0);
}

static void cpus_that_are_not_there_are_refused(void **state)
{
	struct thread *t = *state;
	struct placed placed = { 0 };
	struct cpulist cpus;

	cpulist_zero(&cpus);
	cpulist_set(&cpus, CPULIST_MAX - 1);
	assert_int_equal(place_pin(of(getpid()), t->tid, &cpus, &placed), -EINVAL);
	assert_int_equal(placed.tid, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_is_pinned_and_given_back),
		cmocka_unit_test(another_process_thread_is_left_alone),
		cmocka_unit_test(cpus_that_are_not_there_are_refused),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
