/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/cleanup.h"
#include "guest-agent/steps.h"
#include "guest-agent/sysfs.h"
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>

#define CLOCKSOURCE "sys/devices/system/clocksource/clocksource0/current_clocksource"
#define SAVED "run/vcpuhp-agent/clocksource"

enum {
	TIMER_NS = 100 * 1000,
	TIMER_LIMIT_MS = 1000,
	SPIN_NS = 20 * 1000, /* CPU time that must be seen to grow */
	SPIN_LIMIT_MS = 1000,
};

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int fail(struct step_env *env, int rc, const char *what)
{
	/* Not behind a warning. */
	env->text[0] = '\0';
	step_note(env, "cpu %d: %s: %s", env->cpu, what, strerror(-rc));
	return rc;
}

/*
 * A timer is queued on the CPU that arms it while that CPU is busy, as ours is in the call: the
 * new CPU's own clock event device has to fire for it.
 */
static int arm_timer(struct step_env *env, int fd)
{
	const struct itimerspec when = { .it_value = { .tv_nsec = TIMER_NS } };

	if (fd < 0 || timerfd_settime(fd, 0, &when, NULL) < 0)
		return fail(env, -errno, "cannot arm a timer");
	return 0;
}

static int check_timer(struct step_env *env, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	do
		r = poll(&p, 1, TIMER_LIMIT_MS);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return fail(env, -errno, "cannot wait for a timer");
	return r > 0 ? 0 : fail(env, -ETIME, "a timer armed there did not fire within 1 s");
}

static int check_cpu_time(struct step_env *env)
{
	int64_t used = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	int64_t limit = clock_ns(CLOCK_MONOTONIC) + SPIN_LIMIT_MS * INT64_C(1000000);

	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) - used < SPIN_NS) {
		if (clock_ns(CLOCK_MONOTONIC) > limit)
			return fail(env, -ETIME, "the thread's CPU time does not grow there");
	}
	return 0;
}

/* A CPU whose clock disagrees makes the kernel drop the clocksource for a slower one. */
static void check_clocksource(struct step_env *env)
{
	char now[64], saved[64];

	if (sysfs_read(env->root, CLOCKSOURCE, now, sizeof(now)) <= 0)
		return;
	if (sysfs_read(env->root, SAVED, saved, sizeof(saved)) <= 0) {
		if (sysfs_replace(env->root, SAVED, now, strlen(now)) < 0)
			step_note(env, "cannot note the clocksource");
		return;
	}
	if (strcmp(now, saved) != 0)
		step_note(env, "the clocksource changed from %s to %s since boot", saved, now);
}

int step_verify(struct step_env *env)
{
	AUTO_CLOSE int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	int r;

	env->text[0] = '\0';
	r = arm_timer(env, timer);
	if (r < 0)
		return r;
	/* On a CPU whose clocks are what is in doubt nothing ends by itself. */
	step_waits(env);
	/* The timer runs meanwhile. */
	check_clocksource(env);
	r = check_cpu_time(env);
	return r < 0 ? r : check_timer(env, timer);
}
